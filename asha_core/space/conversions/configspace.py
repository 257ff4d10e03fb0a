"""A space from a ``ConfigurationSpace`` of ConfigSpace, with its conditions.

The same values, each as likely as there, but for logarithmic integers, which it rounds to the nearest.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from asha_core.arguments import plain, shown
from asha_core.errors import SpaceError
from asha_core.space.conversions import library
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Int

_MOST = 1000  # values that a condition may list
Conditions = dict[str, dict[str, list[Any]]]


def dimensions_of(space: Any, *, with_forbidden: bool) -> tuple[dict[str, Dimension], Conditions]:
    """Dimensions and conditions by name.

    Args:
        with_forbidden: forbidden clauses are left out, instead of refused.
    Raises:
        SpaceError: what has no counterpart, by name.
        ImportError: ConfigSpace is not installed.
    """
    theirs = library("ConfigSpace", extra="configspace")
    if not isinstance(space, theirs.ConfigurationSpace):
        raise SpaceError(
            f"from_configspace is given {shown(space)}: it must be a ConfigSpace.ConfigurationSpace"
        )
    forbidden = list(space.forbidden_clauses)
    if forbidden and not with_forbidden:
        raise SpaceError(
            f"the ConfigurationSpace has the forbidden clause {forbidden[0]}: write a function that says "
            "which configurations are allowed, at the top level of a module, and give constraints=[function]"
        )
    dimensions = {str(name): _dimension(str(name), each, theirs) for name, each in space.items()}
    conditions: Conditions = {}
    for each in space.conditions:
        _add(each, dimensions, space, theirs, conditions)
    return dimensions, conditions


def _dimension(name: str, given: Any, theirs: Any) -> Dimension:
    if isinstance(given, theirs.UniformFloatHyperparameter):
        return Float(given.lower, given.upper, log=bool(given.log))
    if isinstance(given, theirs.UniformIntegerHyperparameter):
        return Int(given.lower, given.upper, log=bool(given.log))
    if isinstance(given, theirs.Constant):
        return Constant(given.value)
    if isinstance(given, theirs.OrdinalHyperparameter):
        return Choice(given.sequence)
    if isinstance(given, theirs.CategoricalHyperparameter):
        if max(given.probabilities) > min(given.probabilities) * (1 + 1e-9):
            raise SpaceError(
                f"dimension {name!r} is a Categorical with weights {given.weights}: the options of a Choice "
                "are equally likely; leave the weights out"
            )
        return Choice(given.choices)
    raise SpaceError(
        f"dimension {name!r} is a {type(given).__name__}, which has no counterpart: uniform floats and "
        "integers, categoricals, ordinals and constants have"
    )


def _add(given: Any, dimensions: dict[str, Dimension], space: Any, theirs: Any, found: Conditions) -> None:
    """Put a condition among those that were found."""
    parts = given.components if isinstance(given, theirs.AndConjunction) else (given,)
    for part in parts:
        child, parent, values = _one(part, dimensions, space, theirs)
        of_child = found.setdefault(child, {})
        if parent in of_child:  # both must hold
            values = [value for value in values if value in of_child[parent]]
        of_child[parent] = values
        if not values:
            raise SpaceError(f"condition {given} of {child!r} can never hold")


def _one(given: Any, dimensions: dict[str, Dimension], space: Any, theirs: Any) -> tuple[str, str, list[Any]]:
    """(child, parent, the parent's values for which the child exists)."""
    if isinstance(given, theirs.OrConjunction):
        parts = [_one(part, dimensions, space, theirs) for part in given.components]
        child, parent, _ = parts[0]
        if any(each[1] != parent for each in parts):
            raise SpaceError(
                f"condition {given} of {child!r} is an Or over several others: a dimension exists only where "
                "all of its conditions hold; make it two dimensions, or let it always exist"
            )
        wanted = [value for _, _, values in parts for value in values]
        return child, parent, [value for value in _values(given, parent, dimensions) if value in wanted]
    child, parent = str(given.child.name), str(given.parent.name)
    values = _values(given, parent, dimensions)
    holds = _predicate(given, space[parent], theirs)
    return child, parent, [value for value in values if holds(value)]


def _values(given: Any, parent: str, dimensions: dict[str, Dimension]) -> list[Any]:
    dimension = dimensions[parent]
    if isinstance(dimension, Choice):
        return list(dimension.options)
    if isinstance(dimension, Constant):
        return [dimension.value]
    if dimension.count is None or dimension.count > _MOST:
        raise SpaceError(
            f"condition {given} depends on {parent!r}, which has more than {_MOST:,} values: let it depend "
            "on a categorical, an ordinal or a small integer"
        )
    return [dimension.at(index) for index in range(dimension.count)]


def _predicate(given: Any, parent: Any, theirs: Any) -> Callable[[Any], bool]:
    """Whether a value of the parent fulfils a condition."""
    sequence = [plain(value) for value in getattr(parent, "sequence", ())]

    def place(value: Any) -> Any:
        return sequence.index(plain(value)) if sequence else plain(value)

    if isinstance(given, theirs.InCondition):
        allowed = [place(value) for value in given.values]
        return lambda value: place(value) in allowed
    for kind, compare in (
        (theirs.EqualsCondition, operator.eq),
        (theirs.NotEqualsCondition, operator.ne),
        (theirs.LessThanCondition, operator.lt),
        (theirs.GreaterThanCondition, operator.gt),
    ):
        if isinstance(given, kind):
            return lambda value, compare=compare: bool(compare(place(value), place(given.value)))  # type: ignore[misc]
    raise SpaceError(f"condition {given} is a {type(given).__name__}, which has no counterpart")
