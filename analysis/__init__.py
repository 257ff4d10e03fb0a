"""From journals to evidence. Reads nothing but the journals and manifests of runs; never loads torch."""

from __future__ import annotations

from asha_core.own_packages import claim

claim("analysis")

from analysis.journals.finding import find_runs
from analysis.journals.metrics import (
    TimeSplit,
    TimeToTarget,
    area_under_curve,
    best_so_far,
    rung_survival,
    time_split,
    time_to_target,
)
from analysis.journals.replicate import Replicate
from analysis.journals.runs import Run, TrialHistory, load_run
from analysis.study.loading import PairedTimes, Study, load_study
from analysis.study.problems import Problem
from analysis.study.tidy import Tables, load

__all__ = [
    "PairedTimes",
    "Problem",
    "Replicate",
    "Run",
    "Study",
    "Tables",
    "TimeSplit",
    "TimeToTarget",
    "TrialHistory",
    "area_under_curve",
    "best_so_far",
    "find_runs",
    "load",
    "load_run",
    "load_study",
    "rung_survival",
    "time_split",
    "time_to_target",
]
