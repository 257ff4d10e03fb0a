"""Classes and functions that a space can have as options."""

from __future__ import annotations

from typing import Any


class Net:
    class Head: ...

    @classmethod
    def make(cls) -> Net:
        return cls()


class Wide(Net): ...


def relu(x: float) -> float:
    return max(x, 0.0)


def local() -> Any:
    def inside() -> None: ...

    return inside


unnamed = lambda: None  # noqa: E731


def hidden() -> None: ...


moved = hidden


def hidden() -> None:  # type: ignore[no-redef]
    ...


def elsewhere() -> None: ...


elsewhere.__module__, elsewhere.__qualname__ = "no_such_module", "relu"
