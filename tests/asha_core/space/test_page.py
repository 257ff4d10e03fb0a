"""The blocks of docs/how-to/search-space.md print what stands below them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "search-space.md"
_BLOCKS = re.compile(r"```python\n((?:(?!```).)*)```\n\n```text\n((?:(?!```).)*)```", re.DOTALL)
SHOWN = [
    (code, text)
    for code, text in _BLOCKS.findall(PAGE.read_text("utf-8"))
    if "winespace" not in code  # of another page
]


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_what_the_page_shows_is_printed(number: int) -> None:
    code, shown = SHOWN[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), {"__name__": "page"})
    assert printed.getvalue() == shown


def test_the_page_shows_something() -> None:
    assert len(SHOWN) >= 5
