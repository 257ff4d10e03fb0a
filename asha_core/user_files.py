"""A user's own ``.py`` file, named by its path: ``--task path/to/file.py:MyTask``.

It is imported as ``asha_core.user_files.<folder>.<file>``, where the folder is the whole path with its dots
written as ``%2E``. So two files of the same name in two projects are two modules, and each of them has one
name in every process, which suffices to import it there: what a file defines can be pickled as any module's,
also to a data loader's process that knows nothing but ``sys.path``.

In such a file ``import helpers`` and ``from .helpers import x`` mean the ``helpers.py`` beside it, which is a
module of the same kind, and two projects that both have one do not meet. A file that lies in a package, a
folder with an ``__init__.py``, belongs to it: then what is beside the outermost package counts as beside the
file. What is not there is looked for as ever. The names of our own packages are ours.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from asha_core.errors import SettingError
from asha_core.own_packages import NAMES

__path__: list[str] = []  # a package, whose modules the finder below finds

_PREFIX = f"{__name__}."
_OWN = ("asha_core", *NAMES)


class _Imports(threading.local):
    """What each thread is importing: two searches may begin in two of them."""

    def __init__(self) -> None:
        self.names: list[str] = []


_imports = _Imports()


def names_a_file(module: str) -> bool:
    """Whether the part before the colon of a target such as ``file.py:MyTask`` is the path of a file."""
    return module.endswith(".py")


def import_by_name(module: str) -> ModuleType:
    """A module by the name that ``import`` takes, or by the path of its file.

    Raises:
        ModuleNotFoundError: there is no such module or file.
        Exception: whatever the module raises when it is imported.
    """
    with importing(module):
        return importlib.import_module(module_name(module) if names_a_file(module) else module)


@contextmanager
def importing(what: str) -> Iterator[None]:
    """While something that a search needs is being imported, which must not begin a search of its own.

    Args:
        what: that is, for people.
    """
    _imports.names.append(what)
    try:
        yield
    finally:
        _imports.names.pop()


def refuse_while_importing() -> None:
    """Raise ``SettingError`` if a search is about to begin because something of another is imported."""
    if _imports.names:
        raise SettingError(
            f"{_imports.names[-1]} begins a search when it is imported: its call of tune() must be under "
            '`if __name__ == "__main__":`'
        )


def module_name(file: str) -> str:
    """The name under which the module of a file is imported.

    Raises:
        ModuleNotFoundError: there is no such file.
    """
    path = Path(os.path.abspath(Path(file).expanduser()))  # noqa: PTH100 - links are left as they are named
    if not path.is_file():
        raise ModuleNotFoundError(f"there is no file {path}", name=file, path=str(path))
    parts = [path.stem] if path.name != "__init__.py" else []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join([_PREFIX + _written(str(folder)), *map(_written, parts)])


def file_of(module: str) -> str | None:
    """The path of the file that a module is imported from by its path; None for any other module."""
    if not module.startswith(_PREFIX):
        return None
    folder, *parts = map(_read, module.removeprefix(_PREFIX).split("."))
    place = Path(folder, *parts)
    return str(place / "__init__.py" if place.is_dir() else place.with_name(f"{place.name}.py"))


def same_target(one: str, other: str) -> bool:
    """Whether two targets, ``module:Name`` or ``file.py:Name``, may mean the same: folders may move."""
    return _without_folder(one) == _without_folder(other)


def absolute_target(target: str) -> str:
    """A target whose file, if it names one, is found from any folder."""
    module, colon, name = target.rpartition(":")
    if not names_a_file(module):
        return target
    return os.path.abspath(Path(module).expanduser()) + colon + name  # noqa: PTH100


def _without_folder(target: str) -> str:
    module, colon, name = target.rpartition(":")
    return f"{Path(module).name}{colon}{name}" if names_a_file(module) else target


def _written(text: str) -> str:
    return text.replace("%", "%25").replace(".", "%2E")


def _read(text: str) -> str:
    return text.replace("%2E", ".").replace("%25", "%")


class _Finder(MetaPathFinder):
    """Finds folders, and the modules in them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        folder, _, rest = fullname.removeprefix(_PREFIX).partition(".")
        if not rest:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [_read(folder)]
            return spec
        last = rest.rpartition(".")[2]
        found = PathFinder.find_spec(fullname, path)
        if found is None and "%" in last:  # such as run.v2.py, whose name is no module's elsewhere
            place = Path((path or [""])[0], f"{_read(last)}.py")
            if place.is_file():
                found = importlib.util.spec_from_file_location(fullname, place)
        if found is not None and type(found.loader) is SourceFileLoader:
            found.loader = _Loader(fullname, found.loader.path)
        return found


class _Loader(SourceFileLoader):
    """Loads a module that looks beside its project's files first when it imports."""

    def exec_module(self, module: ModuleType) -> None:
        folder = _read(module.__name__.removeprefix(_PREFIX).partition(".")[0])
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _Importer(folder)}
        super().exec_module(module)


class _Importer:
    """``__import__`` for the modules of one project.

    Args:
        folder: what is in it is beside the project's files.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What the statement ``import name`` gives."""
        top = name.partition(".")[0]
        if level or not self._has(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        project = _PREFIX + _written(self._folder)
        inside = builtins.__import__(f"{project}.{name}", globals, locals, fromlist or ("__name__",), 0)
        return inside if fromlist else sys.modules[f"{project}.{top}"]

    def _has(self, top: str) -> bool:
        """Whether a module of that name lies beside; a mere folder gives way to what is elsewhere."""
        if top in _OWN:
            return False
        spec = PathFinder.find_spec(top, [self._folder])
        if spec is None or spec.origin is not None:
            return spec is not None
        return top not in sys.modules and importlib.util.find_spec(top) is None


sys.meta_path.insert(0, _Finder())
