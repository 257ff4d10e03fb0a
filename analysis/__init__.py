"""From journals to evidence. Reads nothing but a run's journal and manifest; never loads torch."""

from __future__ import annotations

from analysis.load import Run, TrialHistory, find_runs, load
from analysis.metrics import (
    TimeSplit,
    TimeToTarget,
    area_under_curve,
    best_so_far,
    rung_survival,
    time_split,
    time_to_target,
)

__all__ = [
    "Run",
    "TimeSplit",
    "TimeToTarget",
    "TrialHistory",
    "area_under_curve",
    "best_so_far",
    "find_runs",
    "load",
    "rung_survival",
    "time_split",
    "time_to_target",
]
