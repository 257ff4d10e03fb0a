"""Python objects by where they are: ``package.module:Name``, or ``path/to/file.py:Name``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from asha_core.errors import AshaError, SettingError, nearest
from asha_core.own_packages import NAMES, why_hidden
from asha_core.user_files import file_of, import_by_name, names_a_file


def is_path(text: str) -> bool:
    """Whether it says where something is, and is no plain name."""
    return ":" in text


def label(text: str) -> str:
    """For people: a file without its folder."""
    place, colon, name = text.rpartition(":")
    return f"{Path(place).name}{colon}{name}" if names_a_file(place) else text


def is_ours(kind: type) -> bool:
    """Whether a class comes with this package, and not from one of its user's files."""
    module = kind.__module__
    return module.partition(".")[0] in ("asha_core", *NAMES) and file_of(module) is None


def load(path: str, what: str, example: str, kind: type[AshaError] = SettingError) -> Any:
    """The object that a path names; its module is run.

    Args:
        what: for errors: "scheduler", say.
        example: a name that it could have: "MyScheduler".
        kind: of the errors.
    Raises:
        kind: it is not there, or its module cannot be run; in one line.
    """
    place, _, name = path.rpartition(":")
    if not place or not name:
        raise kind(f"{what} {path!r}: write it as mypackage.mymodule:{example}, or as path/file.py:{example}")
    if os.getcwd() not in sys.path and "" not in sys.path:
        # a script's entry point does not look there by itself; last, so that no file there stands in for
        # a module of Python's or of a library, which may be imported at any time
        sys.path.append(os.getcwd())
    try:
        module = import_by_name(place)
    except AshaError as error:  # such as a search space with swapped bounds
        raise kind(f"{what} {path}: {error}") from error
    except SystemExit as error:
        raise kind(f"{what} {path} cannot be imported: its module exits ({error})") from error
    except ModuleNotFoundError as error:
        searched = f" (searched the current directory and {sys.executable}'s packages)"
        hidden = why_hidden(error.name or place)
        why = f" ({hidden})" if hidden else "" if names_a_file(place) else searched
        raise kind(f"{what} {path} cannot be imported: {error}{why}") from error
    except Exception as error:
        raise kind(f"{what} {path} cannot be imported: {type(error).__name__}: {error}") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise kind(f"{_missing(module, place, name)}")
        found = getattr(found, part)
    return found


def _missing(module: ModuleType, place: str, name: str) -> str:
    hidden = None if names_a_file(place) else why_hidden(place)
    if hidden is not None:
        return f"module {place} has no {name!r}: {hidden}"
    there = [
        each
        for each, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not each.startswith("_")
    ]
    return f"{'file' if names_a_file(place) else 'module'} {place} has no {name!r}{nearest(name, there)}"
