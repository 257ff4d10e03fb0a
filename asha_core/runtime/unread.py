"""Dimensions that nothing reads: they change nothing, and stand in every report as if they did.

Each trial tells, when its first units are over, what of its configuration nothing had read by then. One
trial alone is no proof: what only one branch of a training script reads, it reads only there. So a dimension
is named when no trial has read it, several have trained, and they had every option that may choose a branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asha_core.messages import Report
from asha_core.runtime.executor import ExecutorEvent, Notice
from asha_core.runtime.observers import Observer, SearchView
from asha_core.space import Choice, SearchSpace

_LEAST, _ENOUGH = 3, 20  # trials: before that no word, and after that no more doubt


class Unread:
    """What no trial has read up to now; one name after another drops out."""

    def __init__(self) -> None:
        self._trials: dict[int, tuple[Mapping[str, Any], frozenset[str]]] = {}

    def add(self, trial: int, configuration: Mapping[str, Any], unread: Iterable[str]) -> None:
        """What a report of a trial says; what it has read once, it has read."""
        names = frozenset(unread)
        if trial in self._trials:
            names &= self._trials[trial][1]
        self._trials[trial] = configuration, names

    def names(self) -> tuple[str, ...]:
        """Those that no trial has read which had them, and told."""
        told = self._trials.values()
        known = dict.fromkeys(name for configuration, _ in told for name in configuration)
        return tuple(
            name for name in known if all(name in unread for having, unread in told if name in having)
        )

    def surely(self, space: SearchSpace) -> tuple[str, ...]:
        """Those of ``names`` that no later trial is likely to read."""
        unread = self.names()
        branches = {
            name: len(dimension.options)
            for name, dimension in space.items()
            if isinstance(dimension, Choice) and name not in unread
        }
        return tuple(name for name in unread if self._surely(name, branches))

    def _surely(self, name: str, branches: Mapping[str, int]) -> bool:
        having = [configuration for configuration, _ in self._trials.values() if name in configuration]
        return len(having) >= _ENOUGH or (
            len(having) >= _LEAST
            and all(
                len({repr(each[choice]) for each in having if choice in each}) == options
                for choice, options in branches.items()
            )
        )


def sentence(names: Sequence[str]) -> str:
    """What people are told of them; a line of the terminal holds it."""
    shown = ", ".join(map(repr, names))
    it = "it changes" if len(names) == 1 else "they change"
    return (
        f'nothing reads {shown}: {it} nothing (read config["{names[0]}"] where it should act, or drop it '
        "from the space)"
    )


class UnreadWatch(Observer):
    """Says once a search which dimensions nothing reads."""

    replays = True

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._unread = Unread()
        self._said: set[str] = set()
        self._changed = False

    def on_start(self, view: SearchView) -> None:
        """What the sessions before have said is said."""
        self._said.update(self._unread.surely(self._space))

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Hear of a trial's first units."""
        if isinstance(event, Report) and event.unread is not None:
            self._changed = True
            self._unread.add(event.trial, view.scheduler.trials[event.trial].configuration, event.unread)

    def on_tick(self, view: SearchView) -> None:
        """Say what has become sure; in the end, what is left."""
        if not (self._changed or view.ending):
            return
        self._changed = False
        found = self._unread.names() if view.ending else self._unread.surely(self._space)
        names = [name for name in found if name not in self._said]
        if names:
            self._said.update(names)
            view.notices.append(Notice(f"warning: {sentence(names)}"))
