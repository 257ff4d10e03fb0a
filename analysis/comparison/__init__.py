"""From replicates to evidence: ``compare`` turns a study into what ``comparison.json`` holds."""

from __future__ import annotations

from analysis.comparison.arms import (
    Against,
    Arm,
    Counts,
    Dropped,
    Estimate,
    Horizon,
    Overhead,
    Phases,
    RungSurvival,
    Scores,
    TimeEffect,
    Times,
)
from analysis.comparison.building import compare
from analysis.comparison.extras import (
    Bands,
    Benefit,
    BestConfigurations,
    Diagnostics,
    DimensionShift,
    Sweep,
    Trend,
)
from analysis.comparison.schema import Comparison, Criteria, Group, Judgement, Overall, Source, Verdict

__all__ = [
    "Against",
    "Arm",
    "Bands",
    "Benefit",
    "BestConfigurations",
    "Comparison",
    "Counts",
    "Criteria",
    "Diagnostics",
    "DimensionShift",
    "Dropped",
    "Estimate",
    "Group",
    "Horizon",
    "Judgement",
    "Overall",
    "Overhead",
    "Phases",
    "RungSurvival",
    "Scores",
    "Source",
    "Sweep",
    "TimeEffect",
    "Times",
    "Trend",
    "Verdict",
    "compare",
]
