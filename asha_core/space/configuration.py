"""Configurations: points of a search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asha_core.arguments import PLAIN, plain
from asha_core.space.dimensions import Value


class Configuration(Mapping[str, Any]):
    """One point of a search space: an immutable, hashable mapping from names to plain values."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[Value, ...]) -> None:
        self._names = names
        # whoever makes it: a value of numpy's comes back from no checkpoint
        self._values = tuple([v if type(v) in PLAIN else plain(v) for v in values])

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

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
