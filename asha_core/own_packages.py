"""The packages that come with ``asha_core`` are found beside it, whatever a user's own files are called.

They are top-level packages with common names, and a user's ``trials.py``, or the ``trials/`` of a results
directory, may come first on the path. A name is claimed by what needs it, and no sooner: a script that needs
but the scheduler, or a search that needs no report, can have an ``analysis.py`` of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from os.path import realpath
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("trials", "warmstart", "analysis")
_ROOT = Path(__file__).absolute().parents[1]


def claim(*names: str) -> None:
    """From now on, these of ``NAMES`` are imported from beside ``asha_core``.

    Raises:
        ImportError: a module of the user's that has one of the names is there already.
    """
    for name in names:
        module = sys.modules.get(name)
        if module is not None and not _is_ours(module):
            raise ImportError(
                f"{_place(module.__spec__)} has the name of asha-core's own package {name}, and was imported "
                "before it: rename it, or move it into a package of your own",
                name=name,
            )
    _finder.claimed.update(names)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        sys.meta_path.append(_Explainer())


class Reference:
    """A function of one of our packages, on its way to another process, where its name is claimed first."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return _found, (self._module, self._name)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        return _found(self._module, self._name)(*arguments)


def _found(module: str, name: str) -> Any:
    claim("trials", "warmstart")
    return getattr(import_module(module), name)


def why_hidden(module: str) -> str | None:
    """Why a module of the user's cannot be imported under this name; None if there is none that is hidden."""
    top = module.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is None:
        return None
    theirs = _other(module, loaded)
    if theirs is None:
        return None
    whose = "asha-core's own package" if top in NAMES else "the module"
    return (
        f"{_place(theirs)} is hidden by {whose} {top} ({_place(loaded.__spec__)}): rename it, or move it "
        "into a package of your own"
    )


class _Finder(MetaPathFinder):
    """Looks for what is claimed beside ``asha_core``, before anybody looks elsewhere."""

    def __init__(self) -> None:
        self.claimed: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(_ROOT)]) if fullname in self.claimed else None


_finder = _Finder()


class _Explainer(MetaPathFinder):
    """Is asked when nobody else has found a module: it says so if a user's own module was meant."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _finder.claimed:
            reason = why_hidden(fullname)
            if reason is not None:
                raise ImportError(f"there is no {fullname}: {reason}", name=fullname)
        return None


def _is_ours(module: ModuleType) -> bool:
    places = list(getattr(module, "__path__", ()))
    return bool(places) and realpath(places[0]) == realpath(_ROOT / module.__name__)


def _other(module: str, loaded: ModuleType) -> ModuleSpec | None:
    """The first that has the name, in the working folder and on the path, and is not what is loaded."""
    top, _, rest = module.partition(".")
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", ())]
    known = {realpath(place) for place in places if place}
    for folder in [str(Path.cwd()), *sys.path]:
        spec = PathFinder.find_spec(top, [folder])
        if spec is None or (top in NAMES and Path(folder, "asha_core").exists()):  # another asha-core
            continue
        if spec.origin is not None and realpath(spec.origin) not in known:
            return spec
        # a folder without __init__.py, such as the trials/ of a results directory, may be anything
        places = [place for place in spec.submodule_search_locations or () if realpath(place) not in known]
        found = PathFinder.find_spec(f"{top}.{rest.partition('.')[0]}", places) if places and rest else None
        if found is not None and found.origin is not None:
            return found
    return None


def _place(spec: ModuleSpec | None) -> str:
    """The file or folder that a module comes from."""
    if spec is None:
        return "a module"
    folders = list(spec.submodule_search_locations or ())
    return folders[0] if folders else str(spec.origin)
