"""How a task travels to a worker: what can be imported by name, by name; everything else by value.

A worker does not run the main module of the process that started it. So what a script, a notebook, a prompt,
``python -c`` or standard input defines goes along as it is, with the variables that it uses (cloudpickle),
and so do lambdas, what is defined in a function, and modules that were made by other means than ``import``,
or are still being imported. A script then needs no guard, and nothing that it does beside is done again.

In the worker, what came along stands in a module ``__main__`` of its own, so that what is pickled there by
name, as ``torch.save(model)`` does with the model's class, is found by name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import io
import linecache
import marshal
import os
import pickle
import sys
import threading
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import process
from multiprocessing.reduction import ForkingPickler
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

_MAIN = "__main__"
_OF_THE_IMPORT = ("__builtins__", "__cached__", "__loader__", "__spec__")


def pickled(thing: Any) -> bytes:
    """What ``read`` makes the thing of, in another process.

    While that is being started: a tensor is shared, and a queue of ``multiprocessing`` handed on.

    Raises:
        Exception: whatever pickling raises for what cannot travel.
    """
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    with _imported_names_only():
        pickler.dump(thing)
        pickler.dump((pickler.of_main, pickler.sources))
    return buffer.getvalue()


def read(content: bytes, main: MainModule) -> Any:
    """The thing, with what came along of the main module under its name there, and lines for tracebacks.

    Raises:
        Exception: whatever importing what it refers to, and unpickling it, raises.
    """
    module = main.stand_in()
    unpickler = pickle.Unpickler(io.BytesIO(content))
    thing = unpickler.load()
    of_main, sources = unpickler.load()
    vars(module).update(of_main)
    for file, lines in sources.items():
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
    return thing


@dataclass(frozen=True, slots=True)
class MainModule:
    """What a worker is told of the main module that it does not run.

    Attributes:
        file: its path, by which a task of it is named, and which a process that the task starts with
            ``spawn`` runs, as Python has it; None: there is none.
        name: of its module, for ``python -m``; None otherwise.
    """

    file: str | None
    name: str | None

    @classmethod
    def of_this_process(cls) -> MainModule:
        """As this process has it."""
        main = sys.modules[_MAIN]
        name = getattr(getattr(main, "__spec__", None), "name", None)
        file = getattr(main, "__file__", None)
        if file is not None:
            file = os.path.join(process.ORIGINAL_DIR or "", file)  # type: ignore[attr-defined]
        return cls(file if file is not None and os.path.exists(file) else None, name)

    def stand_in(self) -> ModuleType:
        """An empty main module of this process, which says the same of itself."""
        module = ModuleType(_MAIN)
        _before.append(sys.modules[_MAIN])
        sys.modules[_MAIN] = module
        if self.file is not None:
            module.__file__ = self.file
        if self.name is not None:
            module.__spec__ = importlib.machinery.ModuleSpec(self.name, None, origin=self.file)
        return module


_before: list[ModuleType] = []  # kept: Python empties a module that nobody holds


class _Pickler(cloudpickle.Pickler):
    """By name what is imported, as ``_imported_names_only`` has it, else by value.

    Attributes:
        of_main: what of the main module's own has been met, by name.
        sources: the lines of files that are only in memory, such as a notebook's cells.
    """

    def __init__(self, file: io.BytesIO) -> None:
        self.of_main: dict[str, Any] = {}
        self.sources: dict[str, list[str]] = {}
        # with what multiprocessing, and torch for it, sends to a process; before __init__ reads it
        own = {**_REDUCERS, CodeType: self._reduce_code}
        others = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        self.dispatch_table = ChainMap(own, cloudpickle.Pickler.dispatch_table, others)
        super().__init__(file, pickle.HIGHEST_PROTOCOL)

    def reducer_override(self, obj: Any) -> Any:
        """What the pickler asks first, for nearly every object."""
        if isinstance(obj, FunctionType | type):
            name: str = obj.__name__
            _check_module(obj.__module__)
            if obj.__module__ == _MAIN and vars(sys.modules[_MAIN]).get(name) is obj:
                self.of_main[name] = obj
            if is_compiled(obj):
                raise TypeError("cannot pickle what torch.compile has made of a function")
        elif isinstance(obj, ModuleType):
            return _module_reduced(obj)
        elif isinstance(obj, functools._lru_cache_wrapper) and not _found_by_name(obj):
            return _cached, (obj.cache_parameters(), obj.__wrapped__)
        else:
            _refuse_gpu_tensor(obj)
        return super().reducer_override(obj)

    def _reduce_code(self, code: CodeType) -> Any:
        """With the file that it is from, which cloudpickle leaves out; the worker has the same Python."""
        file = code.co_filename
        if not os.path.exists(file):
            lines = linecache.getlines(file)
            if lines:
                self.sources[file] = lines
        return marshal.loads, (marshal.dumps(code),)


def _module_reduced(module: ModuleType) -> tuple[Any, ...]:
    if module.__name__ == _MAIN or not _is_imported(module.__name__):
        own = {name: value for name, value in vars(module).items() if name not in _OF_THE_IMPORT}
        return ModuleType, (module.__name__,), own
    return importlib.import_module, (module.__name__,)


def _cached(parameters: dict[str, Any], function: Callable[..., Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _found_by_name(thing: Any) -> bool:
    module = thing.__module__
    return module != _MAIN and _is_imported(module) and _at(sys.modules[module], thing.__qualname__) is thing


def _at(module: ModuleType, path: str) -> Any:
    thing: Any = module
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def _reduce_file(file: io.TextIOWrapper) -> Any:
    if file is sys.stdout or file is sys.stderr:
        return getattr, (sys, "stdout" if file is sys.stdout else "stderr")
    raise TypeError("cannot pickle an open file")


def _refuse_gpu_tensor(thing: Any) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(thing, torch.Tensor) and thing.device.type not in ("cpu", "meta"):
        raise TypeError(f"cannot pickle a tensor on {thing.device}")


_by_value: list[ModuleType] = []
_lock = threading.RLock()


def _reduce_cached_property(thing: functools.cached_property[Any]) -> Any:
    return _cached_property, (thing.func, thing.attrname)


def _cached_property(function: Callable[..., Any], name: str) -> Any:
    thing = functools.cached_property(function)
    thing.__set_name__(object, name)
    return thing


_REDUCERS = {
    io.TextIOWrapper: _reduce_file,
    functools.cached_property: _reduce_cached_property,  # it holds a lock before Python 3.12
    weakref.WeakKeyDictionary: lambda thing: (weakref.WeakKeyDictionary, (dict(thing),)),  # singledispatch
}


def is_compiled(thing: Any) -> bool:
    """Whether it is a function that ``torch.compile`` has made of another: it is of its own process."""
    return isinstance(thing, FunctionType) and hasattr(thing, "_torchdynamo_orig_callable")


@contextmanager
def _imported_names_only() -> Iterator[None]:
    """What ``_check_module`` has cloudpickle send by value is forgotten in the end."""
    with _lock:
        try:
            yield
        finally:
            for module in _by_value:
                cloudpickle.unregister_pickle_by_value(module)
            _by_value.clear()
            _is_imported.cache_clear()


def _check_module(name: Any) -> None:
    """Have what is in a module sent by value if a worker could not import it."""
    module = sys.modules.get(name or _MAIN)
    if module is None or name in (None, _MAIN) or module in _by_value or _is_imported(module.__name__):
        return
    cloudpickle.register_pickle_by_value(module)
    _by_value.append(module)


@functools.cache
def _is_imported(name: str) -> bool:
    """Whether another process with this one's ``sys.path`` gets this module by importing its name."""
    if name not in sys.modules:
        return False
    spec = getattr(sys.modules[name], "__spec__", None)
    parent = name.rpartition(".")[0]
    if getattr(spec, "_initializing", False) or (parent and not _is_imported(parent)):
        return False
    if spec is None:  # such as torch.ops, which torch makes itself
        return bool(parent)
    path = getattr(sys.modules[parent], "__path__", None) if parent else None
    found = filter(None, (finder.find_spec(name, path) for finder in sys.meta_path))
    first = next(found, None)
    return first is not None and first.origin == spec.origin
