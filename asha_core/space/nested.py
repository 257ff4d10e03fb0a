"""Spaces as people write them: nested dictionaries, and values that are not searched.

``{"opt": {"lr": Float(1e-4, 1.0)}, "depth": 5}`` is ``{"opt.lr": Float(1e-4, 1.0), "depth": Constant(5)}``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from asha_core.arguments import PLAIN, plain, shown
from asha_core.errors import ConfigurationError, SpaceError
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Int

_KINDS = {"Float": Float, "Int": Int, "Choice": Choice, "Constant": Constant}
_PEERS = {"optuna": "from_optuna", "ray": "from_ray", "ConfigSpace": "from_configspace"}


def flat_dimensions(given: Mapping[str, Any]) -> dict[str, Dimension]:
    """Name -> dimension; what lies in nested dictionaries has their names before its own, and a dot between.

    Raises:
        SpaceError: a name that is no text, or is there twice; or a value that is no dimension.
    """
    found: dict[str, Dimension] = {}
    for name, value in _flat(given, ""):
        if name in found:
            raise SpaceError(f"dimension {name!r} is there twice, once in a nested dictionary: rename one")
        found[name] = value if isinstance(value, Dimension) else _constant(name, value)
    return found


def _flat(given: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        if not isinstance(key, str):
            inside = f" in {prefix[:-1]!r}" if prefix else ""
            raise SpaceError(f"dimension name {key!r}{inside} is not a string")
        name = prefix + str.__str__(key)
        if not isinstance(value, Mapping):
            yield name, value
            continue
        _check_nested(name, value)
        yield from _flat(value, f"{name}.")


def _check_nested(name: str, value: Mapping[str, Any]) -> None:
    if not value:
        raise SpaceError(f"dimension {name!r} is an empty dictionary: give it dimensions, or leave it out")
    if getattr(value, "conditions", None) or getattr(value, "constraints", None):
        raise SpaceError(
            f"dimension {name!r} is a SearchSpace with conditions or constraints: give those to the space "
            f'around it, by the names that they have there, such as "{name}.{next(iter(value))}"'
        )
    if str(value.get("type")).capitalize() in _KINDS:
        raise SpaceError(
            f"dimension {name!r} is {shown(value)}, as run.json describes one: SearchSpace.from_dict reads it"
        )


def _constant(name: str, value: Any) -> Constant:
    """What stands in a space and is not searched."""
    kind = value if isinstance(value, type) else type(value)
    if value in _KINDS.values():
        hint = f"the class {kind.__name__} itself: give it its arguments, such as Float(1e-4, 1.0)"
    elif (peer := kind.__module__.partition(".")[0]) in _PEERS:
        hint = f"{shown(value)}, which is {peer}'s: SearchSpace.{_PEERS[peer]}(...) reads a space of these"
    elif isinstance(value, list | tuple | set | range):
        hint = (
            f"{shown(value)}, which may be values to choose between or one value: write "
            f"Choice({shown(value)}), or Constant({shown(value)})"
        )
    elif type(plain(value)) not in PLAIN and not hasattr(value, "__qualname__"):
        hint = f"{shown(value)}: it must be a Float, Int, Choice or Constant, a plain value or a dictionary"
    else:
        try:
            return Constant(value)
        except SpaceError as error:
            raise SpaceError(f"dimension {name!r}: {error}") from None
    raise SpaceError(f"dimension {name!r} is {hint}")


def flat_values(values: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """Name -> value, from a mapping that may be nested as the space was.

    Raises:
        ConfigurationError: a name is there twice.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = {name: value}
        if name not in known and isinstance(value, Mapping) and value:
            inner = flat_values({f"{name}.{key}": each for key, each in value.items()}, known)
        for each in inner:
            if each in found:
                raise ConfigurationError(f"{each} is given twice, once in a nested mapping: give it once")
        found |= inner
    return found
