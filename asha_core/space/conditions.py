"""Conditions of a search space: a dimension exists only where others, its parents, have certain values."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from asha_core.arguments import plain
from asha_core.errors import ConfigurationError, SpaceError, nearest
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Value
from asha_core.space.options import same

Conditions = Mapping[str, Mapping[str, Value | Sequence[Value]]]  # as they are given
Checked = Mapping[str, Mapping[str, tuple[Value, ...]]]


def checked_conditions(conditions: Conditions, dimensions: Mapping[str, Dimension]) -> Checked:
    """Name -> {parent: its values for which the dimension exists}.

    Raises:
        SpaceError: a dimension that there is not, or a condition that can never hold.
    """
    if not isinstance(conditions, Mapping):
        raise SpaceError(f"conditions is {conditions!r}: it must map dimensions to their conditions")
    checked = {}
    for name, parents in conditions.items():
        if not isinstance(parents, Mapping) or not parents:
            raise SpaceError(
                f"condition of {name!r} is {parents!r}: it must map other dimensions to their values, such "
                'as {"optimizer": "sgd"}'
            )
        checked[name] = {parent: _values(name, parent, parents[parent], dimensions) for parent in parents}
    return checked


def _values(
    name: str, parent: str, values: Value | Sequence[Value], dimensions: Mapping[str, Dimension]
) -> tuple[Value, ...]:
    """The values of ``parent`` for which ``name`` exists."""
    for each in (name, parent):
        if each not in dimensions:
            raise SpaceError(f"condition of {name!r}: unknown dimension {each!r}{nearest(each, dimensions)}")
    dimension = dimensions[parent]
    single = isinstance(values, str) or not isinstance(values, Sequence) or _is_value(dimension, values)
    wanted = [plain(value) for value in ([values] if single else values)]  # type: ignore[union-attr]
    if isinstance(dimension, Float):
        raise SpaceError(
            f"condition of {name!r}: {parent!r} is a Float, which is never exactly one value; let it "
            "depend on a Choice, an Int or a Constant"
        )
    if not wanted:
        raise SpaceError(f"condition of {name!r}: no value of {parent!r} is given, so it never exists")
    if isinstance(dimension, Constant):
        # frozen at another value: the dimension never exists, as was asked for
        return tuple(dimension.value if same(dimension.kept, value) else value for value in wanted)
    try:
        return tuple(dimension.check(parent, value) for value in wanted)
    except ConfigurationError as error:
        raise SpaceError(f"condition of {name!r} can never hold: {error}") from None


def _is_value(dimension: Dimension, values: object) -> bool:
    """Whether a list or tuple is one option, and not a list of them."""
    options = (
        (*dimension.options, *dimension.kept)
        if isinstance(dimension, Choice)
        else (getattr(dimension, "value", None),)
    )
    return any(same(option, values) for option in options)


def parents_first(names: Sequence[str], conditions: Checked) -> tuple[str, ...]:
    """The names, each after those that it depends on.

    Raises:
        SpaceError: conditions go round in a circle.
    """
    if not conditions:
        return tuple(names)
    try:
        graph = {name: tuple(conditions.get(name, ())) for name in names}
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise SpaceError(f"conditions go round in a circle: {' <- '.join(error.args[1])}") from None


def exists(name: str, conditions: Checked, values: Mapping[str, Any], existing: Container[str]) -> bool:
    """Whether a dimension exists, where its parents have ``values`` and those of ``existing`` exist."""
    return all(
        parent in existing and any(type(v) is type(values[parent]) and v == values[parent] for v in wanted)
        for parent, wanted in conditions.get(name, {}).items()
    )
