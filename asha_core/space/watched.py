"""Configurations that remember what was read of them."""

from __future__ import annotations

from typing import Any

from asha_core.space.configuration import Configuration


class Watched(Configuration):
    """A configuration that remembers which of its dimensions were read."""

    __slots__ = ("reads",)

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(tuple(configuration), tuple(configuration.values()), configuration._kept)
        self.reads: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.reads.add(name)
        return super().__getitem__(name)

    def __hash__(self) -> int:
        self.reads.update(self._names)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self.reads.update(self._names)
        return dict(self) == other

    def __repr__(self) -> str:
        self.reads.update(self._names)
        return super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        self.reads.update(self._names)
        return super().__reduce__()


class Used(Watched):
    """A configuration as a task gets it: who prints it has made no use of it."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Nothing; it says what to write for ``config.lr``."""
        raise AttributeError(f'a configuration has no attribute {name}: write config["{name}"]')

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of what nobody has read up to now."""
        return tuple(name for name in self._names if name not in self.reads)

    def __repr__(self) -> str:
        return repr(Configuration(self._names, self._values, self._kept))
