"""Everything in reach of some objects that can change: found and recorded without running users' code.

What is followed: modules of any library, objects of users' classes, Python's containers, closures, globals
that users' functions mention, class attributes, optimisers, weak references. What is not: objects of
libraries' classes, modules of Python, data sets and loaders, and whatever a library's class leaves out of
its pickled state (a Lightning module's trainer).
"""

from __future__ import annotations

import argparse
import collections
import functools
import io
import random
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from warmstart.problem import containers
from warmstart.problem.containers import MISSING, KeptDict, Restorer
from warmstart.problem.origins import mentioned, users_class, users_function
from warmstart.problem.tensor_records import TensorRecord, record

# an attribute's values are kept up to this many elements; more are shared with what runs
LARGEST_COPY = 2**20
# members of a container of more than this are not looked into: it is data
MOST_MEMBERS = 10_000

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
GENERATORS = (
    torch.Generator,
    random.Random,
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
)
CLOSED = (Dataset, DataLoader, Sampler)
BINDING = (property, staticmethod, classmethod, functools.partialmethod, functools.cached_property)

Handler = Callable[[Any], None]


class Reach:
    """What is in reach of ``roots``.

    ``modules``: each once. ``registered``: (module, "_parameters" or "_buffers", name, tensor or None).
    ``tensors``: all, by identity. ``put_back``: everything else as it was, in place.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.modules: list[nn.Module] = []
        self.registered: list[tuple[nn.Module, str, str, Tensor | None]] = []
        self.tensors: dict[int, TensorRecord] = {}
        self.always_copied: set[int] = set()
        self._empty: list[dict[Any, Any]] = []
        self._dicts: list[KeptDict] = []
        self._restorers: list[Restorer] = []
        self._skip = set(ATOMS)
        self._handlers: dict[type, Handler] = {}
        self._seen: set[int] = set()
        self._names: set[tuple[int, str]] = set()
        self._held: list[Any] = []  # what has been seen must live, or its identity could be another's
        self._waiting: list[Any] = []
        self._look_at(roots)
        while self._waiting:
            self._visit(self._waiting.pop())

    def put_back(self) -> None:
        """Bindings, containers, positions and random states, as they were."""
        for kept in self._dicts:
            kept.put_back()
        for one in self._empty:
            if one:
                one.clear()
        for restore in self._restorers:
            restore()

    def _visit(self, one: Any) -> None:
        if id(one) in self._seen:
            return
        self._seen.add(id(one))
        self._held.append(one)
        cls = type(one)
        handler = self._handlers.get(cls)
        if handler is None:
            handler = self._handlers[cls] = self._handler(cls)
            if handler is _nothing:
                self._skip.add(cls)
        handler(one)

    def _look_at(self, values: Iterable[Any]) -> None:
        skip, waiting = self._skip, self._waiting
        for value in values:
            cls = type(value)
            if cls in skip:
                continue
            if (cls is dict or cls is collections.OrderedDict) and not value:
                self._empty.append(value)
            else:
                waiting.append(value)

    def _keep(self, restorer: Restorer | None) -> None:
        if restorer is not None:
            self._restorers.append(restorer)

    def _handler(self, cls: type) -> Handler:
        """How objects of a class are recorded: as the container that they are, and by their attributes."""
        if issubclass(cls, type):
            return self._class
        if issubclass(cls, CLOSED):
            return _nothing
        handlers = [handler for base, handler in self._kinds() if issubclass(cls, base)]
        if issubclass(cls, OPEN) or any(users_class(base) for base in cls.__mro__[:-1]):
            handlers.append(functools.partial(self._attributes, *self._layout(cls)))
        if issubclass(cls, nn.Module):
            handlers.append(self._module)
        if len(handlers) < 2:
            return handlers[0] if handlers else _nothing
        return functools.partial(_each, handlers)

    def _kinds(self) -> list[tuple[type | tuple[type, ...], Handler]]:
        return [
            (Tensor, self._tensor),
            (dict, self._dict),
            (list, lambda one: self._members(one, containers.keep_list(one))),
            (tuple, lambda one: self._members(one, None)),
            (frozenset, lambda one: self._members(one, None)),
            (set, lambda one: self._members(one, containers.keep_set(one))),
            (collections.deque, lambda one: self._members(one, containers.keep_deque(one))),
            (bytearray, lambda one: self._keep(containers.keep_bytes(one))),
            (types.FunctionType, self._function),
            (types.MethodType, lambda one: self._look_at((one.__self__, one.__func__))),
            ((types.BuiltinMethodType, types.MethodWrapperType), lambda one: self._look_at((one.__self__,))),
            (types.CellType, self._cell),
            (functools.partial, lambda one: self._look_at((one.func, one.args, one.keywords))),
            (BINDING, self._binding),
            (weakref.ReferenceType, lambda one: self._look_at((weakref.ReferenceType.__call__(one),))),
            (GENERATORS, lambda one: self._keep(containers.keep_generator(one))),
            (io.IOBase, lambda one: self._keep(containers.keep_position(one))),
            (np.ndarray, self._array),
            (torch.optim.Optimizer, self._optimizer),
        ]

    def _members(self, one: Any, restorer: Restorer | None) -> None:
        self._keep(restorer)
        base = next(
            base for base in (list, tuple, set, frozenset, collections.deque) if isinstance(one, base)
        )
        if base.__len__(one) <= MOST_MEMBERS:
            self._look_at(base.__iter__(one))

    def _dict(self, one: dict[Any, Any]) -> None:
        base = containers.ORDERED if isinstance(one, collections.OrderedDict) else dict
        self._dicts.append(KeptDict(one, base))
        if base.__len__(one) <= MOST_MEMBERS:
            self._look_at(base.values(one))
            self._look_at(base.keys(one))

    def _layout(
        self, cls: type
    ) -> tuple[list[type], list[types.MemberDescriptorType], Callable[[Any], Any] | None]:
        """Of a class: the users' classes that it is made of, its slots, a library's way to pickle it."""
        users = [base for base in cls.__mro__ if users_class(base)]
        spaces = [type.__getattribute__(base, "__dict__") for base in cls.__mro__]
        spaces = [space for space in spaces if "__slots__" in space]
        slots = [
            value for space in spaces for value in space.values() if type(value) is types.MemberDescriptorType
        ]
        pickled: Callable[[Any], Any] | None = None
        if issubclass(cls, nn.Module):
            owner = next(
                base for base in cls.__mro__ if "__getstate__" in type.__getattribute__(base, "__dict__")
            )
            if owner not in (object, nn.Module) and not users_class(owner):
                pickled = vars(owner)["__getstate__"]
        return users, slots, pickled

    def _attributes(
        self,
        users: list[type],
        slots: list[types.MemberDescriptorType],
        pickled: Callable[[Any], Any] | None,
        one: Any,
    ) -> None:
        for slot in slots:
            value, restorer = containers.keep_slot(one, slot)
            self._keep(restorer)
            self._look_at((value,))
        self._look_at(users)
        try:
            attributes = object.__getattribute__(one, "__dict__")
        except AttributeError:
            return
        self._restorers.append(_keep_dict_and_class(one, attributes))
        if id(attributes) in self._seen:
            return
        self._seen.add(id(attributes))
        self._dicts.append(KeptDict(attributes, dict))
        self._look_at(attributes.values() if pickled is None else _pickled(one, attributes, pickled))

    def _module(self, module: nn.Module) -> None:
        self.modules.append(module)
        attributes = object.__getattribute__(module, "__dict__")
        for kind in ("_parameters", "_buffers"):
            entries = attributes.get(kind)
            if entries:
                for name, tensor in entries.items():
                    self.registered.append((module, kind, name, tensor))
                    self._look_at((tensor,))
        if isinstance(module, torch.jit.ScriptModule):
            self._look_at(child for _, child in attributes["_modules"].items())
            self._keep(containers.keep_attribute(module, "training", module.training))

    def _tensor(self, tensor: Tensor) -> None:
        kept = self.tensors[id(tensor)] = record(tensor)
        attributes = object.__getattribute__(tensor, "__dict__")
        if attributes:
            self._look_at((attributes,))
        else:
            self._empty.append(attributes)
        self._look_at((kept.hooks, kept.accumulate_hooks))

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if array.size <= LARGEST_COPY:
            self._keep(containers.keep_array(array))
            if array.dtype.hasobject:
                self._look_at(array.ravel().tolist())

    def _optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Its moments are copied, however large."""
        for state in optimizer.state.values():
            self.always_copied.update(id(value) for value in state.values() if isinstance(value, Tensor))

    def _function(self, function: types.FunctionType) -> None:
        for name in ("__defaults__", "__kwdefaults__"):
            value = getattr(function, name)
            self._keep(containers.keep_attribute(function, name, value))
            self._look_at((value,))
        self._look_at((function.__dict__, *(function.__closure__ or ())))
        if users_function(function):
            self._globals(function)

    def _globals(self, function: types.FunctionType) -> None:
        names, bound = mentioned(function.__code__)
        space = function.__globals__
        for name in names & space.keys() | bound:
            value = space.get(name, MISSING)
            if (id(space), name) not in self._names and not isinstance(value, types.ModuleType):
                self._names.add((id(space), name))
                self._keep(containers.keep_global(space, name))
                if type(value) is not types.FunctionType or users_function(value):
                    self._look_at((value,))

    def _cell(self, cell: types.CellType) -> None:
        self._keep(containers.keep_cell(cell))
        self._look_at((containers.contents_of(cell),))

    def _class(self, cls: type) -> None:
        """A user's class: what it is bound to, and what its methods reach."""
        if users_class(cls):
            self._keep(containers.keep_class(cls))
            self._look_at(type.__getattribute__(cls, "__dict__").values())

    def _binding(self, one: Any) -> None:
        """What stands in classes for a function."""
        names = ("fget", "fset", "fdel", "__func__", "func")
        self._look_at(value for name in names if (value := getattr(one, name, None)) is not None)


def _each(handlers: list[Handler], one: Any) -> None:
    for handler in handlers:
        handler(one)


def _nothing(_: Any) -> None:
    """An object that is not looked into."""


def _keep_dict_and_class(one: Any, attributes: dict[str, Any]) -> Restorer:
    cls = type(one)

    def put_back() -> None:
        if type(one) is not cls:
            object.__setattr__(one, "__class__", cls)
        if object.__getattribute__(one, "__dict__") is not attributes:
            object.__setattr__(one, "__dict__", attributes)

    return put_back


def _pickled(one: Any, attributes: dict[str, Any], pickled: Callable[[Any], Any]) -> list[Any]:
    """The attributes that a library's class pickles: a trainer is left out."""
    try:
        state = pickled(one)
    except Exception:  # it cannot be pickled, which does not matter here
        state = None
    if not isinstance(state, dict):
        return list(attributes.values())
    return [value for name, value in attributes.items() if state.get(name) is not None]
