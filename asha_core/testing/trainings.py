"""A task whose trials do what their configuration says: right, wrong, or nothing at all."""

from __future__ import annotations

import time

from asha_core.errors import ConfigurationError
from asha_core.space import Choice, Float, SearchSpace
from trials.task import Task
from trials.trial import Trial

WHAT = (
    *("works", "saves late", "fails at unit two", "is invalid", "runs out of memory", "fills the disk"),
    *("never reports", "reports twice", "runs past its end", "reports text", "exits"),
    *("converges after two", "converges and fails", "sleeps", "is slow"),
)


_RAISED: dict[str, BaseException] = {
    "is invalid": ConfigurationError("x is too small"),
    "runs out of memory": MemoryError(),
    "fills the disk": OSError(28, "No space left on device"),
    "exits": SystemExit("leaving"),
}


class Behaves(Task):
    """Trials of executors' tests; see the functions below."""

    space = SearchSpace({"what": Choice(WHAT), "x": Float(0.0, 1.0)})
    metric = "value"
    max_resource = 9

    def run(self, trial: Trial) -> None:
        """What the configuration says."""
        what = trial.config["what"]
        (_works if what in ("works", "saves late") else _misbehaves)(trial, what)


def _works(trial: Trial, what: str) -> None:
    """Adds x a unit; keeps the sum in its checkpoint, so that a resume shows."""
    state = trial.resume_from() or {"sum": 0.0}
    for _ in trial.units():
        state["sum"] += trial.config["x"]
        if what == "works":
            trial.save(state)
        trial.report(state["sum"], doubled=2 * state["sum"])
        if what == "saves late":
            time.sleep(0.05)
            trial.save(state)


def _misbehaves(trial: Trial, what: str) -> None:
    if what in _RAISED:
        raise _RAISED[what]
    if what == "never reports":
        return
    if what in ("reports twice", "runs past its end"):
        for unit in range(100) if what == "runs past its end" else trial.units():
            trial.report(float(unit))
            if what == "reports twice":
                trial.report(float(unit))
    for unit in trial.units():
        if what == "fails at unit two" and unit == 2:
            raise ValueError("no such luck")
        if what in ("sleeps", "is slow"):
            time.sleep(60 if what == "sleeps" else 0.02)
        trial.report("good" if what == "reports text" else unit)  # type: ignore[arg-type]
        if what.startswith("converges") and unit == 2:
            trial.stop_early()
            if what == "converges and fails":
                raise ValueError("no such luck")
