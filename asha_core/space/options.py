"""What a ``Choice`` or a ``Constant`` may hold, and how it is kept where there are only JSON's values.

Strings, numbers, booleans and None are kept as they are; tuples and lists as arrays; a class or function,
which has an import path, by its name. A configuration gives each back as it was given to the space.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import reduce
from typing import Any

from asha_core.arguments import PLAIN, plain
from asha_core.errors import SpaceError


def read_option(what: str, value: Any) -> Any:
    """``value``, with Python's own values for numpy's in it.

    Args:
        what: what it is, for an error, such as "Choice option".
    Raises:
        SpaceError: it can be kept nowhere.
    """
    value = plain(value)
    if isinstance(value, list | tuple):
        items = [read_option(what, item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"{what} {value!r}: a number must be finite")
    if type(value) not in PLAIN:
        _check_importable(what, value)
    return value


def _check_importable(what: str, value: Any) -> None:
    """Raise ``SpaceError`` for all but classes and functions that are found again by their import path."""
    if isinstance(value, Enum):
        kind = type(value).__name__
        raise SpaceError(
            f"{what} {value!r} is an Enum, which no checkpoint gives back: give the names, "
            f"[each.name for each in {kind}], and write {kind}[name] inside the task"
        )
    name = getattr(value, "__qualname__", None)
    if (
        not callable(value)
        or not isinstance(name, str)
        or not isinstance(getattr(value, "__module__", None), str)
    ):
        raise SpaceError(
            f"{what} {value!r} is a {type(value).__name__}: options must be strings, numbers, booleans, "
            "None, classes, functions, or lists of these (map richer objects from a string inside the task)"
        )
    for mark, kind in (("<lambda>", "a lambda"), ("<locals>", "defined inside a function")):
        if mark in name:
            raise SpaceError(
                f"{what} {value!r} is {kind}, which no other process can import: define it with a name "
                "at the top level of a module, or give a string and look it up inside the task"
            )
    if not _leads_to(import_path(value), value):
        raise SpaceError(
            f"{what} {value!r} is not what {import_path(value)} imports: write a function of your own around "
            "it, at the top level of a module, or give a string and look it up inside the task"
        )


def import_path(value: Any) -> str:
    """``module:Name`` of a class or function: where its qualified name leads elsewhere, its name alone.

    So ``torch.relu`` has "torch:relu", which is a method of a class that nobody can name.
    """
    module, name = value.__module__, value.__qualname__
    short = f"{module}:{value.__name__}"
    if "." in name and not _leads_to(f"{module}:{name}", value) and _leads_to(short, value):
        return short
    return f"{module}:{name}"


def _leads_to(path: str, value: Any) -> bool:
    try:
        found = imported(path)
    except SpaceError:
        return False
    return found is value or bool(found == value)  # a class's method is made anew each time


def imported(path: str) -> Any:
    """What an import path leads to.

    Raises:
        SpaceError: nothing.
    """
    module, _, name = path.partition(":")
    try:
        return reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise SpaceError(f"the option {path!r} cannot be imported: {error}") from None


def kept(value: Any, *, whole: bool = False) -> Any:
    """How a value is kept and shown: plain, a tuple of such, or a name; ``whole``: an import path."""
    if isinstance(value, list | tuple):
        return tuple([kept(item, whole=whole) for item in value])
    if type(value) in PLAIN or not hasattr(value, "__qualname__"):
        return value
    path = import_path(value)
    return path if whole else path.partition(":")[2]


def all_kept(options: Sequence[Any]) -> tuple[Any, ...]:
    """How options are kept: an object by its name alone, unless another option is kept alike."""
    short = [kept(option) for option in options]
    return tuple(
        kept(option, whole=True) if short.count(name) > 1 else name
        for option, name in zip(options, short, strict=True)
    )


def same(one: Any, other: Any) -> bool:
    """Whether two values are one option: of one type, tuples and lists alike."""
    if isinstance(one, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    if type(one) in PLAIN:
        return type(one) is type(other) and bool(one == other)
    return one is other or (
        callable(one) and hasattr(other, "__qualname__") and import_path(one) == import_path(other)
    )


def repeated(options: Sequence[Any], names: Sequence[Any]) -> str | None:
    """Which options nobody could tell apart, as Python compares them or as they are kept; None: none."""
    for second in range(len(options)):
        for first in range(second):
            if names[first] == names[second]:
                one, other = repr(options[first]), repr(options[second])
                return (
                    f"{one} is repeated" if one == other else f"{one} is repeated as {other}, which is equal"
                )
    return None


def listed(value: Any) -> Any:
    """What is kept, with lists for tuples, as JSON has it."""
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


def copied(value: Any) -> Any:
    """A value with lists of its own: who appends to one changes no option."""
    if isinstance(value, list):
        return [copied(item) for item in value]
    return tuple([copied(item) for item in value]) if isinstance(value, tuple) else value


def described(value: Any) -> Any:
    """A JSON-able description of a value; ``from_description`` reads it back."""
    if isinstance(value, list | tuple):
        return {type(value).__name__: [described(item) for item in value]}
    return value if type(value) in PLAIN else {"import": import_path(value)}


def from_description(value: Any) -> Any:
    """The inverse of ``described``.

    Raises:
        SpaceError: a description of nothing, or of what cannot be imported.
    """
    if not isinstance(value, Mapping):
        return value
    ((kind, content),) = value.items() if len(value) == 1 else ((None, None),)
    if kind == "import":
        return imported(str(content))
    if kind not in ("list", "tuple") or not isinstance(content, list):
        raise SpaceError(
            f"an option is described by {value!r}: it must be a value, or a list, tuple or import of one"
        )
    items = [from_description(item) for item in content]
    return items if kind == "list" else tuple(items)
