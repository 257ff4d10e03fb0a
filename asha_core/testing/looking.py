"""Everything that can be seen of an object, and everything that cannot, in a form that compares."""

from __future__ import annotations

import pickle
import types
from array import array
from collections import deque
from enum import Enum
from typing import Any

from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace

# what a scheduler was made with, how far a lazy clean-up went, and a model (whose choices are seen) are
# nothing that it has decided
_UNSEEN = ("_candidates", "_made_with", "_model")


def fingerprint(thing: Any) -> Any:
    """Equal for two objects that have decided the same: all attributes, of whatever class, at any depth.

    Left out are spaces and searchers, which a scheduler only holds.
    """
    return _seen(thing, ())


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two fingerprints differ, each place in one line; none: they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return [each for key in one for each in differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if (
            len(one) == 2 and isinstance(one[0], str) and isinstance(one[1], dict)
        ):  # a class, and its attributes
            return differences(one[1], other[1], place or one[0]) if one[0] == other[0] else [place]
        pairs = enumerate(zip(one, other, strict=True))
        return [each for i, (a, b) in pairs for each in differences(a, b, f"{place}[{i}]")]
    return [] if one == other else [f"{place}: {str(one)[:60]} and {str(other)[:60]}"]


def attributes(thing: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots, too."""
    slots = [slot for kind in type(thing).__mro__ for slot in _slots(kind)]
    named = {slot: getattr(thing, slot) for slot in slots if hasattr(thing, slot)}
    return {**named, **getattr(thing, "__dict__", {})}


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    found = [slots] if isinstance(slots, str) else list(slots)
    return [slot for slot in found if slot not in ("__dict__", "__weakref__")]


def _seen(thing: Any, around: tuple[int, ...]) -> Any:
    """``around`` are the objects that it is in."""
    if isinstance(thing, float):
        return repr(thing)  # NaN is not equal to itself
    if thing is None or isinstance(thing, int | str | Enum | bytes | type):
        return thing
    if id(thing) in around:
        return "itself"
    inside = (*around, id(thing))
    if isinstance(thing, bytearray):
        return bytes(thing)
    if isinstance(thing, list | tuple | deque | array):
        return [_seen(member, inside) for member in thing]
    if isinstance(thing, set | frozenset):
        return sorted(repr(_seen(member, inside)) for member in thing)
    if isinstance(thing, dict):
        return {repr(_seen(key, inside)): _seen(member, inside) for key, member in thing.items()}
    if isinstance(thing, Configuration):
        return {name: _seen(value, inside) for name, value in thing.items()}
    if isinstance(thing, SearchSpace | Searcher) or (isinstance(thing, Scheduler) and around):
        return type(thing).__name__
    if isinstance(thing, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
        return thing.__qualname__
    members = attributes(thing)
    if members:
        return [type(thing).__name__, {k: _seen(v, inside) for k, v in members.items() if k not in _UNSEEN}]
    try:
        return pickle.dumps(thing)  # a random generator, an array
    except Exception:  # whatever it is
        return type(thing).__name__
