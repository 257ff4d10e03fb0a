"""What a user should know about how a warm start went; said once, not for every configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def hints(diagnostics: Mapping[str, Any]) -> list[str]:
    """Texts for people; the same text for the same matter."""
    said = [
        f"warm start: nothing depends on {name!r}, so its hyper-gradient is 0 (read it from the "
        "configuration that the function is given)"
        for name in diagnostics.get("ignored", [])
    ]
    if "fallback" in diagnostics:
        said.append(
            f"warm start: finite differences in the place of differentiation ({diagnostics['fallback']})"
        )
    if "unmatched" in diagnostics:
        said.append(
            f"warm start: it moves nothing, because no dimension matches its mask "
            f"{','.join(diagnostics['unmatched'])} (name the dimensions to move, as mask=NAME)"
        )
    return said


def new_hints(diagnostics: Mapping[str, Any], said: set[str]) -> list[str]:
    """Those that are not in ``said`` yet, which remembers them."""
    fresh = [hint for hint in hints(diagnostics) if hint not in said]
    said.update(fresh)
    return fresh
