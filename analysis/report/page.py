"""HTML pages from templates: one file each, with style and figures inside, and nothing from outside."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.number_formats import better, significant
from asha_core.runtime.units import counted


def render(template: str, **given: Any) -> str:
    """The page that ``template``, a file of ``templates/``, makes of what is given; all texts are escaped."""
    return _environment().get_template(template).render(**given)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "better": better,
        "counted": counted,
        "capital": lambda words: words[:1].upper() + words[1:],
        "short": lambda value: f"{value:g}",
        "significant": partial(significant, digits=4),
        "embedded": _embedded,
    }
    return made


def _embedded(picture: Path) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
