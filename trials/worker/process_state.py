"""What a job changes of its process, given back when it has ended: workers live as long as the search.

A job that moves to another folder, turns gradients off or makes an error of every warning would else do so
for every trial after it. Each thing in ``restorable`` is looked at before a job and after it, and set again
if it has changed; all of them take a fifth of a millisecond. No module is loaded for that. Of one that the
job was the first to load, what it is like when it has just been loaded counts as before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from trials.worker.restorable import NUMPY, PYTHON, TORCH, UNKNOWN, UNLOADED, State


class ProcessState:
    """How the process is now."""

    def __init__(self) -> None:
        self._before = [(state, _read(state)) for state in PYTHON + NUMPY + TORCH]

    def restore(self) -> set[str]:
        """Make it so again, once; returns the names of what was otherwise and has one."""
        before, self._before = self._before, []
        changed = set()
        for state, value in before:
            with suppress(Exception):  # such as a folder that is gone
                if _differs(state, value):
                    changed.add(state.name)
                    state.write(state.initial() if value is UNLOADED else value)
        return changed - {""}

    def keep_changes(self) -> None:
        """From here on, care for what is otherwise now, and for nothing else."""
        self._before = [(state, value) for state, value in self._before if _differs(state, value)]


@contextmanager
def restored() -> Iterator[set[str]]:
    """After what is inside, the process is as it was before; the set has the names of what was changed."""
    before, changed = ProcessState(), set[str]()
    try:
        yield changed
    finally:
        changed |= before.restore()


class SetOnce:
    """Notices what one job has changed and a later one has not: perhaps it was meant for all of them.

    As where a module that sets it is loaded by the first job that needs it, and then is there.
    """

    def __init__(self) -> None:
        self._changed: set[str] = set()

    def on_job(self, changed: set[str]) -> list[str]:
        """What to say after a job that has changed these, each once."""
        missed, self._changed = self._changed - changed, changed
        return [
            f"{name} was changed by one trial, given back after it, and not changed by the next one of its "
            "worker: set what is meant for all at the top level of your module, or in setup()"
            for name in sorted(missed)
        ]


def _read(state: State) -> Any:
    if state.module not in sys.modules:
        return UNLOADED
    with suppress(Exception):  # such as a folder that is gone, or an older version of the module
        return state.read()
    return UNKNOWN


def _differs(state: State, before: Any) -> bool:
    now = _read(state)
    if now is UNLOADED:
        return False
    if before is UNLOADED:
        before = state.initial()
    return before is not UNKNOWN and now is not before and bool(now != before)
