"""What a search achieved, and what it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.journals.runs import Run, best_value
from analysis.stats.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class BestCurve:
    """The best value so far, as a step function: one entry an improvement."""

    t: Floats  # seconds
    units: Ints  # of resource, trained by all trials
    value: Floats  # the new best
    trial: Ints  # whose it is


def best_so_far(run: Run) -> BestCurve:
    """The improvements of the best finite value, in order of time."""
    signed = run.value if run.mode == "max" else -run.value
    signed = np.where(np.isfinite(signed), signed, -np.inf)
    running = np.maximum.accumulate(signed) if len(signed) else signed
    before = np.concatenate([[-np.inf], running[:-1]]) if len(signed) else signed
    new = running > before
    return BestCurve(run.t[new], run.units[new], run.value[new], run.trial[new])


@dataclass(frozen=True, slots=True)
class TimeToTarget:
    """T@tau: what had been spent when the best value first reached the target."""

    target: float
    seconds: float
    gpu_hours: float  # devices held times wall-clock (on a CPU: worker processes)
    units: int
    censored: bool  # it never did: then the others are what was spent in all, a lower bound and no time


def time_to_target(run: Run, target: float) -> TimeToTarget:
    """Seconds, GPU-hours and units until the best-so-far value first reaches ``target``.

    The scheduler's and the warm start's own time is in it. A run that never gets there is
    right-censored at its end.
    """
    curve = best_so_far(run)
    first = first_reached(curve.value, target, run.mode)
    if first is not None:
        seconds, units = float(curve.t[first]), int(curve.units[first])
    else:
        seconds, units = run.end, int(run.units[-1]) if len(run.units) else 0
    return TimeToTarget(target, seconds, run.device_seconds(seconds) / 3600, units, first is None)


def area_under_curve(run: Run, budget: float | None = None, start: float = 0.0) -> float:
    """Mean of the best-so-far value over [0, budget] seconds: the normalised area under its curve.

    Args:
        budget: seconds; by default to the run's end. Past the end the curve goes on flat.
        start: what counts before the first report. 0 suits an accuracy; for an error give the worst
            value, 1.
    """
    curve = best_so_far(run)
    return mean_of_steps(curve.t, curve.value, run.end if budget is None else budget, start)


def mean_of_steps(at: Floats, values: Floats, horizon: float, start: float = 0.0) -> float:
    """Mean over [0, horizon] of a step function.

    Args:
        at: (N,) where it steps, in rising order, in the unit of ``horizon``.
        values: (N,) to which.
        start: its value before the first step. A horizon of 0 or less gives this.
    """
    if horizon <= 0:
        return start
    inside = at < horizon
    edges = np.concatenate([[0.0], at[inside], [horizon]])
    heights = np.concatenate([[start], values[inside]])
    return float(np.dot(np.diff(edges), heights) / horizon)


def steps_at(at: Floats, values: Floats, grid: Floats, start: float = math.nan) -> Floats:
    """A step function's values at ``grid``, (G,).

    Args:
        at: (N,) where it steps, in rising order.
        values: (N,) to which.
        start: its value before the first.
    """
    place = np.searchsorted(at, grid, side="right")
    return np.concatenate([[start], values])[place]


def first_reached(values: Floats, target: float, mode: str) -> int | None:
    """The first place of ``values`` that is as good as ``target``; None if none is.

    Args:
        mode: "max" if larger values are better, or "min".
    """
    good = values >= target if mode == "max" else values <= target
    return int(np.argmax(good)) if good.any() else None


@dataclass(frozen=True, slots=True)
class RungShare:
    """How many trials reached a rung, of those that were started (rejected ones left out)."""

    level: int
    trials: int
    share: float


def rung_survival(run: Run) -> list[RungShare]:
    """Survival of configurations by rung."""
    started = [trial for trial in run.trials.values() if trial.state != "rejected"]
    total = max(len(started), 1)
    reached = [sum(trial.reached >= level for trial in started) for level in run.levels]
    return [RungShare(level, n, n / total) for level, n in zip(run.levels, reached, strict=True)]


@dataclass(frozen=True, slots=True)
class BracketShare:
    """One kind of bracket: those that begin at ``level``."""

    level: int
    trials: int  # that began in them, rejected ones left out
    reached: list[int]  # how many of those reached each rung, from ``level`` on
    best: float | None  # finite value


def bracket_survival(run: Run) -> list[BracketShare]:
    """What became of the trials of each bracket, the one that begins lowest first."""
    shares = []
    for level in run.brackets:
        began = [t for t in run.trials.values() if t.first == level and t.state != "rejected"]
        reached = [sum(t.reached >= rung for t in began) for rung in run.levels if rung >= level]
        values = [value for value, at, _ in (best_value(t, run.mode) for t in began) if at]
        best = (max if run.mode == "max" else min)(values, default=None)
        shares.append(BracketShare(level, len(began), reached, best))
    return shares


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Where the workers' time went, in seconds summed over workers; the parts add up to the total."""

    training: float  # evaluation and writing checkpoints included
    warm_start: float
    starting: float  # until a worker first is ready, and setting up those that replace others
    waiting: float  # everything else: idle slots, messages, units that were cut off

    @property
    def total(self) -> float:
        """Workers times wall-clock."""
        return self.training + self.warm_start + self.starting + self.waiting


def time_split(run: Run) -> TimeSplit:
    """Where the workers' time went."""
    total = run.worker_seconds(run.end)
    training = sum(float(r["seconds"]) for r in run.records if r["type"] == "report")
    warm_start = sum(trial.warm_start_seconds for trial in run.trials.values())
    starting = _starting(run)
    if not any(record["type"] == "worker" for record in run.records) and training:
        starting = 0.0
    waiting = max(total - training - warm_start - starting, 0.0)
    return TimeSplit(training, warm_start, starting, waiting)


def _starting(run: Run) -> float:
    """Seconds, summed over workers, until each was ready first in each session, and for replacements."""
    seconds, session = 0.0, 0
    missing = dict.fromkeys(range(run.sessions[0].slots), 0.0)  # slot -> since when it starts
    for record in run.records:
        if record["type"] == "resume":
            began = run.sessions[session + 1].start
            seconds += sum(began - since for since in missing.values())
            session += 1
            missing = dict.fromkeys(range(run.sessions[session].slots), began)
        elif record["type"] == "worker":
            since = missing.pop(record["slot"], None)
            again = float(record["seconds"])  # it replaced another
            seconds += again if since is None else float(record["t"]) - since
    return seconds + sum(run.end - since for since in missing.values())


def describe_sessions(run: Run) -> str:
    """That a run was taken up again, for people."""
    return f"in {len(run.sessions)} sessions: it ended, and was gone on with"
