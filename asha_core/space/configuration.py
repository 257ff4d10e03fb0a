"""Configurations: points of a search space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from asha_core.arguments import PLAIN, plain
from asha_core.errors import nearest
from asha_core.space.dimensions import Value


class _Unknown(str):
    """A name that there is not, as a ``KeyError`` shows it: with those that there are."""

    _known: tuple[str, ...]

    def __new__(cls, name: object, known: Iterable[str]) -> _Unknown:
        unknown = super().__new__(cls, name)
        unknown._known = tuple(known)
        return unknown

    def __repr__(self) -> str:
        return f"{str.__repr__(self)}{nearest(self, self._known)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unknown, (str.__str__(self), self._known)


class Configuration(Mapping[str, Any]):
    """One point of a search space: an immutable, hashable mapping from names to plain values.

    What was given as a nested dictionary, {"opt": {"lr": ...}}, has the name "opt.lr", and is found as
    ``config["opt"]["lr"]`` too.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[Value, ...]) -> None:
        self._names = names
        # whoever makes it: a value of numpy's comes back from no checkpoint
        self._values = tuple([v if type(v) in PLAIN else plain(v) for v in values])

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            if isinstance(name, str) and any(each.startswith(f"{name}.") for each in self._names):
                return Inside(self, f"{name}.")
            raise KeyError(_Unknown(name, self._names)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __hash__(self) -> int:
        return hash(frozenset(zip(self._names, self._values, strict=True)))  # as ==: in any order

    def __repr__(self) -> str:
        return f"Configuration({dict(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Configuration, (self._names, self._values)


class Inside(Mapping[str, Any]):
    """What of a configuration was given in one nested dictionary; read from the whole when asked for.

    Args:
        whole: the configuration.
        prefix: what the names in it begin with, such as "opt.".
    """

    __slots__ = ("_prefix", "_whole")

    def __init__(self, whole: Configuration, prefix: str) -> None:
        self._whole = whole
        self._prefix = prefix

    def __getitem__(self, name: str) -> Any:
        return self._whole[f"{self._prefix}{name}"]

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        inner = (name[start:] for name in self._whole if name.startswith(self._prefix))
        return iter(dict.fromkeys(name.partition(".")[0] for name in inner))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
