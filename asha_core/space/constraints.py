"""Constraints of a search space: predicates, their names, and what is said when one misbehaves."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from asha_core.errors import SpaceError

Constraint = Callable[[Mapping[str, Any]], bool]


def constraint_name(constraint: Constraint) -> str:
    """``module:function``; ``constraint_from_name`` finds it by that if it is at a module's top level."""
    kind = constraint if hasattr(constraint, "__qualname__") else type(constraint)
    return f"{kind.__module__}:{kind.__qualname__}"


def constraint_from_name(name: str) -> Constraint:
    """Import a constraint.

    Raises:
        SpaceError: there is none of that name at the top level of a module.
    """
    module, _, path = name.partition(":")
    try:
        found = reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError):
        found = None
    if not callable(found) or isinstance(found, type):
        raise SpaceError(
            f"the constraint {name!r} cannot be imported: it must be a function at the top level of a module"
        )
    constraint: Constraint = found
    return constraint


def _is_missing(error: Exception) -> bool:
    return isinstance(error, KeyError) and bool(error.args)


def holds(constraint: Constraint, configuration: Mapping[str, Any]) -> bool:
    """Whether a constraint allows a configuration.

    Raises:
        SpaceError: it raised, or returned something else than true or false.
    """
    try:
        answer = constraint(configuration)
    except Exception as error:
        missing = " (a dimension that does not exist there?)" if _is_missing(error) else ""
        name = error.args[0] if missing else None
        told = str.__repr__(name) if isinstance(name, str) else error  # without the names that there are
        raise SpaceError(
            f"the constraint {constraint_name(constraint)} raised {type(error).__name__}: {told}{missing} "
            f"for {dict(configuration)}"
        ) from error
    if answer is True or answer is False:
        return answer
    if type(answer).__name__ == "bool_" or type(answer).__name__ == "bool":  # numpy's
        return bool(answer)
    raise SpaceError(
        f"the constraint {constraint_name(constraint)} returned {answer!r}: it must return True or False"
    )
