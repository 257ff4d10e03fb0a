"""What a user should know about how a warm start went; said once, not for every configuration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

_READ_IT = "if it should, read it from the configuration that the function is given"


def hints(diagnostics: Mapping[str, Any], problem: Any = None) -> list[str]:
    """Texts for people; the same text for the same matter.

    Args:
        problem: may have ``why_ignored``: of dimensions on which nothing may depend, why that is so.
    """
    why: Mapping[str, str] = getattr(problem, "why_ignored", {})
    said = [
        f"warm start: in its virtual steps nothing depends on {name!r}, so its hyper-gradient is 0 "
        f"({why.get(name, _READ_IT)})"
        for name in diagnostics.get("ignored", [])
    ]
    if "fallback" in diagnostics:
        said.append(
            f"warm start: finite differences in the place of differentiation ({diagnostics['fallback']})"
        )
    if diagnostics.get("inert"):
        said.append(f"warm start: it moves nothing in this search: {diagnostics['note']}")
    if "unmatched" in diagnostics:
        said.append(
            f"warm start: it moves nothing, because no dimension matches its mask "
            f"{','.join(diagnostics['unmatched'])} (name the dimensions to move, as mask=NAME)"
        )
    return said


def new_hints(
    diagnostics: Mapping[str, Any], said: set[Hashable], about: Hashable = None, problem: Any = None
) -> list[str]:
    """Those that ``said`` does not hold about this yet, which remembers them; ``problem``: see ``hints``."""
    fresh = [hint for hint in hints(diagnostics, problem) if (about, hint) not in said]
    said.update((about, hint) for hint in fresh)
    return fresh


def subject(problem: Any) -> Hashable:
    """What hints are about: the same for the problems that a tuner makes of one model, one for each trial.

    By names: of the problem's class, of the space's dimensions, and of the functions and layers that
    ``problem.made_of`` gives, if it has that.
    """
    parts: Callable[[], list[Any]] = getattr(problem, "made_of", list)
    return type(problem).__qualname__, *problem.space, *map(_named, parts())


def _named(part: Any) -> Hashable:
    if not isinstance(part, type) and hasattr(
        part, "modules"
    ):  # a model; how many layers it has may differ from trial to trial
        return frozenset(map(_named, map(type, part.modules())))
    part = getattr(part, "func", part)  # of a functools.partial
    named = part if hasattr(part, "__qualname__") else type(part)
    code = getattr(named, "__code__", None)  # its line tells two lambdas of one place apart
    return f"{named.__module__}.{named.__qualname__}", code and code.co_firstlineno
