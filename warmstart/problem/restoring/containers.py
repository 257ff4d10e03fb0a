"""Shallow copies of what can change in place, and how it is put back in place.

Compared by identity, and without calling methods that a user's subclass may have overridden.
"""

from __future__ import annotations

import random
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from operator import is_
from typing import Any

import numpy as np
import torch

Restorer = Callable[[], None]
MISSING = object()
GLOBAL_GENERATORS = frozenset({id(torch.default_generator), id(random._inst), id(np.random.mtrand._rand)})


class KeptDict:
    """A dict's keys and values, in order."""

    __slots__ = ("_base", "_dict", "_keys", "_values")

    def __init__(self, one: dict[Any, Any], base: type[dict[Any, Any]]) -> None:
        self._dict, self._base = one, base
        self._keys, self._values = tuple(base.keys(one)), tuple(base.values(one))

    def put_back(self) -> None:
        """Its keys and values, as they were."""
        one, base = self._dict, self._base
        if base.__len__(one) == len(self._keys) and all(map(is_, base.keys(one), self._keys)):
            if all(map(is_, base.values(one), self._values)):
                return
        else:
            base.clear(one)
        for key, value in zip(self._keys, self._values, strict=True):
            base.__setitem__(one, key, value)


def keep_list(one: list[Any]) -> Restorer:
    """A list's members."""
    members = tuple(list.__iter__(one))

    def put_back() -> None:
        if list.__len__(one) != len(members) or not all(map(is_, list.__iter__(one), members)):
            list.__setitem__(one, slice(None), members)

    return put_back


def keep_deque(one: deque[Any]) -> Restorer:
    """A deque's members."""
    members = tuple(deque.__iter__(one))

    def put_back() -> None:
        if deque.__len__(one) != len(members) or not all(map(is_, deque.__iter__(one), members)):
            deque.clear(one)
            deque.extend(one, members)

    return put_back


def keep_set(one: set[Any]) -> Restorer:
    """A set's members."""
    members = set.copy(one)
    identities = set(map(id, members))

    def put_back() -> None:
        if set.__len__(one) != len(identities) or not identities.issuperset(map(id, set.__iter__(one))):
            set.clear(one)
            set.update(one, members)

    return put_back


def keep_bytes(one: bytearray) -> Restorer:
    """A bytearray's octets."""
    octets = bytes(one)

    def put_back() -> None:
        if bytearray.__ne__(one, octets):
            bytearray.__setitem__(one, slice(None), octets)

    return put_back


def keep_cell(cell: types.CellType) -> Restorer:
    """What a closure's variable is bound to."""
    value = contents_of(cell)

    def put_back() -> None:
        if contents_of(cell) is not value:
            if value is MISSING:
                del cell.cell_contents
            else:
                cell.cell_contents = value

    return put_back


def contents_of(cell: types.CellType) -> Any:
    """What a closure's variable is bound to; MISSING while it is not."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def keep_attribute(holder: Any, name: str, value: Any) -> Restorer:
    """An attribute of a function, or another of Python's own objects, bound to ``value``."""

    def put_back() -> None:
        if getattr(holder, name) is not value:
            setattr(holder, name, value)

    return put_back


def keep_global(names: dict[str, Any], name: str) -> Restorer:
    """What a module's name is bound to, if anything."""
    value = names.get(name, MISSING)

    def put_back() -> None:
        if names.get(name, MISSING) is not value:
            if value is MISSING:
                names.pop(name, None)
            else:
                names[name] = value

    return put_back


def keep_slot(holder: Any, slot: types.MemberDescriptorType) -> tuple[Any, Restorer]:
    """What a slot of an object holds."""
    value = _slot(holder, slot)

    def put_back() -> None:
        if _slot(holder, slot) is not value:
            if value is MISSING:
                slot.__delete__(holder)
            else:
                slot.__set__(holder, value)

    return value, put_back


def _slot(holder: Any, slot: types.MemberDescriptorType) -> Any:
    try:
        return slot.__get__(holder, type(holder))
    except AttributeError:
        return MISSING


def put_back_form(one: Any, cls: type, attributes: dict[str, Any]) -> None:
    """An object's class, and the dict that holds its attributes."""
    if type(one) is not cls:
        object.__setattr__(one, "__class__", cls)
    if object.__getattribute__(one, "__dict__") is not attributes:
        object.__setattr__(one, "__dict__", attributes)


def keep_cache(one: Any) -> Restorer:
    """A ``functools.lru_cache``: results that were added may come from other weights, so all go."""
    misses = one.cache_info().misses

    def put_back() -> None:
        if one.cache_info().misses != misses:
            one.cache_clear()

    return put_back


def keep_class(cls: type) -> Restorer:
    """The attributes of a class, but for those that Python itself keeps there."""
    kept = dict(type.__getattribute__(cls, "__dict__"))

    def put_back() -> None:
        now = type.__getattribute__(cls, "__dict__")
        for name in [name for name in now if name not in kept and not _pythons(name)]:
            type.__delattr__(cls, name)
        for name, value in kept.items():
            if not _pythons(name) and now.get(name, MISSING) is not value:
                type.__setattr__(cls, name, value)

    return put_back


def _pythons(name: str) -> bool:
    return (name.startswith("__") and name.endswith("__")) or name.startswith("_abc_")


def keep_array(one: np.ndarray[Any, Any]) -> Restorer | None:
    """An array's entries; None for one that cannot be written."""
    if isinstance(one, np.memmap) or not np.ndarray.flags.__get__(one).writeable:
        return None
    plain = one.view(np.ndarray)
    entries = plain.copy()
    octets = None if entries.dtype.hasobject else entries.tobytes()

    def put_back() -> None:
        if not np.ndarray.flags.__get__(one).writeable:  # somebody has locked it meanwhile
            np.ndarray.setflags(one, write=True)
        if octets is None or plain.tobytes() != octets:
            np.copyto(plain, entries)
        if not (flags := np.ndarray.flags.__get__(one)).writeable:
            flags.writeable = True

    return put_back


def keep_generator(one: Any) -> Restorer | None:
    """The state of a generator of random numbers; None for the process's own, which everybody shares."""
    if id(one) in GLOBAL_GENERATORS:
        return None
    if isinstance(one, torch.Generator):
        state = one.get_state()
        return lambda: void(one.set_state(state))
    if isinstance(one, random.Random):
        if isinstance(one, random.SystemRandom):
            return None
        numbers = random.Random.getstate(one)
        return lambda: random.Random.setstate(one, numbers)
    if isinstance(one, np.random.RandomState):
        legacy = one.get_state()
        return lambda: one.set_state(legacy)
    bits = one.bit_generator if isinstance(one, np.random.Generator) else one
    words = bits.state
    return lambda: setattr(bits, "state", words)


def keep_position(one: Any) -> Restorer | None:
    """Where an open file is read; None for one that is only written, or that cannot go back."""
    try:
        if not (one.readable() and one.seekable()):
            return None
        position = one.tell()
    except Exception:  # closed, in the middle of being iterated, or whatever a user's class makes of it
        return None

    def put_back() -> None:
        try:
            one.seek(position)
        except (OSError, ValueError):
            return  # whoever closed it cannot have it opened

    return put_back


def void(_: object) -> None:
    """Let a result go."""


ORDERED: type[dict[Any, Any]] = OrderedDict
