"""Everything in reach of some objects that can change: found and recorded without running users' code.

What is followed: modules of any library, objects of users' classes, Python's containers, closures, globals
that users' functions mention, class attributes, optimisers, weak references. What is not: objects of
libraries' classes, modules of Python, data sets and loaders, and whatever a library's class leaves out of
its pickled state (a Lightning module's trainer).
"""

from __future__ import annotations

import collections
import contextlib
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

from warmstart.problem.restoring import containers
from warmstart.problem.restoring.containers import MISSING, KeptDict, Restorer
from warmstart.problem.restoring.layouts import ATOMS, CLOSED, Layout, layout
from warmstart.problem.restoring.origins import mentioned, of_a_library, users_class, users_function
from warmstart.problem.restoring.tensor_records import TensorRecord, record

# an attribute's values are kept up to this many elements; more are shared with what runs
LARGEST_COPY = 2**20
# members of a container of more than this are not looked into: it is data
MOST_MEMBERS = 10_000

GENERATORS = (
    torch.Generator,
    random.Random,
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
)
BINDING = (property, staticmethod, classmethod, functools.partialmethod, functools.cached_property)
CACHED = functools._lru_cache_wrapper
CLEARED = frozenset({dict, collections.OrderedDict, list, set, collections.deque})


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
        self._empty: list[Any] = []
        self._dicts: list[KeptDict] = []
        self._forms: list[tuple[Any, type, dict[str, Any]]] = []
        self._restorers: list[Restorer] = []
        self._skip = set(ATOMS)
        self._handlers: dict[type, Handler] = {}
        self._seen: set[int] = set()
        self._names: set[tuple[int, str]] = set()
        self._held: list[Any] = []  # what has been seen must live, or its identity could be another's
        self._waiting: list[Any] = []
        self._look_at(roots)
        self._walk()
        self._held.clear()

    def put_back(self) -> None:
        """Bindings, containers, positions and random states, as they were."""
        for one, cls, attributes in self._forms:
            if type(one) is not cls or object.__getattribute__(one, "__dict__") is not attributes:
                containers.put_back_form(one, cls, attributes)
        for kept in self._dicts:
            kept.put_back()
        for one in self._empty:
            if one:
                one.clear()
        with contextlib.ExitStack() as each:  # whatever another raises
            for restore in self._restorers:
                each.callback(restore)

    def _walk(self) -> None:
        waiting, seen, held, handlers = self._waiting, self._seen, self._held, self._handlers
        while waiting:
            one = waiting.pop()
            key = id(one)
            if key not in seen:
                seen.add(key)
                held.append(one)
                cls = type(one)
                handler = handlers.get(cls)
                if handler is None:
                    handler = handlers[cls] = self._handler(cls)
                handler(self, one)

    def _look_at(self, values: Iterable[Any]) -> None:
        skip, waiting = self._skip, self._waiting
        for value in values:
            cls = type(value)
            if cls in skip:
                continue
            if cls in CLEARED and not value:
                self._empty.append(value)
            elif cls is not tuple or not ATOMS.issuperset(map(type, value)):
                waiting.append(value)

    def _keep(self, restorer: Restorer | None) -> None:
        if restorer is not None:
            self._restorers.append(restorer)

    def _handler(self, cls: type) -> Handler:
        known = _KNOWN.get(cls)
        if known is None:
            form = layout(cls)
            known = _handler(cls, form)
            if form is None or not form.users:  # classes of users may come by the thousand
                _KNOWN[cls] = known
            else:
                self._look_at(form.users)
        if known is _nothing:
            self._skip.add(cls)
        return known

    def _members(self, one: Any, base: type[Any], restorer: Restorer | None) -> None:
        self._keep(restorer)
        if base.__len__(one) <= MOST_MEMBERS:
            self._look_at(base.__iter__(one))

    def _dict(self, one: dict[Any, Any]) -> None:
        base = containers.ORDERED if isinstance(one, collections.OrderedDict) else dict
        self._dicts.append(KeptDict(one, base))
        if base.__len__(one) <= MOST_MEMBERS:
            self._look_at(base.values(one))
            self._look_at(base.keys(one))

    def _attributes(self, form: Layout, one: Any) -> None:
        for slot in form.slots:
            value, restorer = containers.keep_slot(one, slot)
            self._keep(restorer)
            self._look_at((value,))
        try:
            attributes = object.__getattribute__(one, "__dict__")
        except AttributeError:
            return
        self._forms.append((one, type(one), attributes))
        if id(attributes) not in self._seen:
            self._seen.add(id(attributes))
            self._dicts.append(KeptDict(attributes, dict))
            self._look_at(form.values(one, attributes))

    def _module(self, module: nn.Module) -> None:
        self.modules.append(module)
        attributes = object.__getattribute__(module, "__dict__")
        for kind in ("_parameters", "_buffers"):
            entries = attributes.get(kind)
            if entries:
                self.registered += [(module, kind, name, tensor) for name, tensor in entries.items()]
        if isinstance(module, torch.jit.ScriptModule):
            self._look_at(tensor for one, *_, tensor in self.registered if one is module)
            self._look_at(child for _, child in module._modules.items())
            self._keep(containers.keep_attribute(module, "training", module.training))

    def _tensor(self, tensor: Tensor) -> None:
        kept = self.tensors[id(tensor)] = record(tensor)
        attributes = object.__getattribute__(tensor, "__dict__")
        if attributes:
            self._waiting.append(attributes)
        else:
            self._empty.append(attributes)
        if kept.hooks is not None or kept.accumulate_hooks is not None:
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
        told = mentioned(function.__code__)
        space = function.__globals__
        self._bindings(space, told.names & space.keys() | told.bound)
        for name in told.names & space.keys():
            value = space[name]
            if type(value) is types.ModuleType and not of_a_library(value.__name__):
                # a user's module that serves as a namespace
                self._bindings(vars(value), told.attributes & vars(value).keys())

    def _bindings(self, space: dict[str, Any], names: Iterable[str]) -> None:
        for name in names:
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

    def _cached(self, one: Any) -> None:
        self._keep(containers.keep_cache(one))
        self._look_at((one.__wrapped__, one.__dict__))

    def _binding(self, one: Any) -> None:
        """What stands in classes for a function."""
        names = ("fget", "fset", "fdel", "__func__", "func")
        self._look_at(value for name in names if (value := getattr(one, name, None)) is not None)


def _handler(cls: type, form: Layout | None) -> Handler:
    """How objects of a class are recorded: as the container that they are, and by their attributes."""
    if issubclass(cls, type):
        return Reach._class
    if issubclass(cls, CLOSED):
        return _nothing
    handlers = [handler for base, handler in _KINDS if issubclass(cls, base)]
    if form is not None:
        handlers.append(lambda reach, one: reach._attributes(form, one))
    if issubclass(cls, nn.Module):
        handlers.append(Reach._module)
    if len(handlers) < 2:
        return handlers[0] if handlers else _nothing

    def each(reach: Reach, one: Any) -> None:
        for handler in handlers:
            handler(reach, one)

    return each


def _nothing(reach: Reach, one: Any) -> None:
    """An object that is not looked into."""


Handler = Callable[[Reach, Any], None]
_KNOWN: weakref.WeakKeyDictionary[type, Handler] = weakref.WeakKeyDictionary()
_KINDS: list[tuple[type | tuple[type, ...], Handler]] = [
    (Tensor, Reach._tensor),
    (dict, Reach._dict),
    (list, lambda reach, one: reach._members(one, list, containers.keep_list(one))),
    (tuple, lambda reach, one: reach._members(one, tuple, None)),
    (frozenset, lambda reach, one: reach._members(one, frozenset, None)),
    (set, lambda reach, one: reach._members(one, set, containers.keep_set(one))),
    (
        collections.deque,
        lambda reach, one: reach._members(one, collections.deque, containers.keep_deque(one)),
    ),
    (bytearray, lambda reach, one: reach._keep(containers.keep_bytes(one))),
    (types.FunctionType, Reach._function),
    (types.MethodType, lambda reach, one: reach._look_at((one.__self__, one.__func__))),
    ((types.BuiltinMethodType, types.MethodWrapperType), lambda reach, one: reach._look_at((one.__self__,))),
    (types.CellType, Reach._cell),
    (functools.partial, lambda reach, one: reach._look_at((one.func, one.args, one.keywords))),
    (BINDING, Reach._binding),
    (CACHED, Reach._cached),
    (weakref.ReferenceType, lambda reach, one: reach._look_at((weakref.ReferenceType.__call__(one),))),
    (GENERATORS, lambda reach, one: reach._keep(containers.keep_generator(one))),
    (io.IOBase, lambda reach, one: reach._keep(containers.keep_position(one))),
    (np.ndarray, Reach._array),
    (torch.optim.Optimizer, Reach._optimizer),
]
