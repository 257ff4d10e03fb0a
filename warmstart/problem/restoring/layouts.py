"""What objects of a class are made of, as far as a snapshot looks at them."""

from __future__ import annotations

import argparse
import collections
import functools
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from warmstart.problem.restoring.origins import users_class

# nothing in them can change, or is the user's
ATOMS: frozenset[type] = frozenset(
    {
        *(
            int,
            float,
            complex,
            bool,
            str,
            bytes,
            type(None),
            type(Ellipsis),
            type(NotImplemented),
            slice,
            range,
        ),
        *(types.ModuleType, torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, object),
    }
)
# of libraries' classes, those whose attributes are looked at
OPEN = (
    *(nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.amp.GradScaler),
    *(
        types.SimpleNamespace,
        argparse.Namespace,
        collections.UserDict,
        collections.UserList,
        functools.partial,
    ),
    *(weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet),
)
# even a user's are left alone
CLOSED = (Dataset, DataLoader, Sampler)


class Layout(NamedTuple):
    """The users' classes that a class is made of, its slots, and how a library's module is pickled."""

    users: list[type]
    slots: list[types.MemberDescriptorType]
    pickled: Callable[[Any], Any] | None

    def values(self, one: Any, attributes: dict[str, Any]) -> Iterable[Any]:
        """The attributes to look into: what a library's class leaves out when it pickles, such as a trainer,
        is not the object's own.
        """
        if self.pickled is None:
            return attributes.values()
        try:
            state = self.pickled(one)
        except Exception:  # it cannot be pickled, which does not matter here
            state = None
        if not isinstance(state, dict):
            return attributes.values()
        return [value for name, value in attributes.items() if state.get(name) is not None]


def layout(cls: type) -> Layout | None:
    """The layout of a class whose objects' attributes are looked at; None for others."""
    users = [base for base in cls.__mro__ if users_class(base)]
    if not users and not issubclass(cls, OPEN):
        return None
    spaces = [type.__getattribute__(base, "__dict__") for base in cls.__mro__]
    slots = [
        value
        for space in spaces
        if "__slots__" in space
        for value in space.values()
        if type(value) is types.MemberDescriptorType
    ]
    pickled = None
    if issubclass(cls, nn.Module):
        owner = next(base for base, space in zip(cls.__mro__, spaces, strict=True) if "__getstate__" in space)
        if owner not in (object, nn.Module) and not users_class(owner):
            pickled = vars(owner)["__getstate__"]
    return Layout(users, slots, pickled)
