"""Configurations: points of a search space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from asha_core.arguments import PLAIN, plain
from asha_core.errors import nearest
from asha_core.space.options import copied, kept, listed


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


class _Values(Mapping[str, Any]):
    """What users of dictionaries expect beside what a mapping has; who asks for it reads all of it."""

    __slots__ = ()

    def copy(self) -> dict[str, Any]:
        """A dictionary of the same, which can be changed."""
        return dict(self)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented


class Configuration(_Values):
    """One point of a search space: an immutable, hashable mapping from names to values.

    What was given as a nested dictionary, {"opt": {"lr": ...}}, has the name "opt.lr", and is found as
    ``config["opt"]["lr"]`` too.
    """

    __slots__ = ("_kept", "_names", "_values")

    def __init__(
        self, names: tuple[str, ...], values: tuple[Any, ...], kept: tuple[Any, ...] | None = None
    ) -> None:
        self._names = names
        # whoever makes it: a value of numpy's comes back from no checkpoint
        self._values = tuple([v if type(v) in PLAIN else plain(v) for v in values])
        self._kept = kept  # how the values are kept, where their space has others than plain ones

    def stored(self) -> dict[str, Any]:
        """Name -> value as JSON has it: plain, a list of such, or the name of a class or function."""
        values = map(kept, self._values) if self._kept is None else self._kept
        return dict(zip(self._names, map(listed, values), strict=True))

    def __getitem__(self, name: str) -> Any:
        try:
            value = self._values[self._names.index(name)]
            return copied(value) if isinstance(value, list | tuple) else value
        except ValueError:
            if isinstance(name, str) and any(each.startswith(f"{name}.") for each in self._names):
                return Inside(self, f"{name}.")
            raise KeyError(_Unknown(name, self._names)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __hash__(self) -> int:
        values = [kept(v) if isinstance(v, list | tuple) else v for v in self._values]
        return hash(frozenset(zip(self._names, values, strict=True)))  # as ==: in any order

    def __repr__(self) -> str:
        return f"Configuration({dict(self)})"

    def __copy__(self) -> Self:
        return self  # nothing can change it; and who reads a copy has read it

    def __deepcopy__(self, memo: Any) -> Self:
        return self  # such as that of a network which holds it: that alone reads nothing

    def __reduce__(self) -> tuple[Any, ...]:
        return Configuration, (self._names, self._values, self._kept)


def stored(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, or a mapping that stands for one, as it is kept and shown."""
    return configuration.stored() if isinstance(configuration, Configuration) else dict(configuration)


def as_kept(configuration: Configuration) -> Configuration:
    """The values as they are kept, for another process, which may import no class that one of them is.

    ``SearchSpace.restored`` gives them back.
    """
    values = stored(configuration)
    return Configuration(tuple(values), tuple(values.values()))


class Inside(_Values):
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
