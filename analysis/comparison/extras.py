"""Bands, diagnostics, sweeps: what a comparison tells beside the effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.comparison.as_json import LEFT_OUT
from analysis.stats.arrays import Floats
from analysis.stats.sensitivity import BenefitGrid, Shift
from analysis.stats.summaries import Band
from asha_core.runtime.budget import Measure


@dataclass(frozen=True, slots=True)
class Bands:
    """Best value so far against what was spent."""

    measure: Measure
    grid: Floats  # in ``measure``
    arms: Mapping[str, Band]  # of the interquartile mean


@dataclass(frozen=True, slots=True)
class DimensionShift:
    """One hyper-parameter before and after the warm start, over all trials of an arm."""

    name: str
    scale: Literal["log", "linear", "category"]
    n: int  # trials
    shift: Shift | None  # in search coordinates (log10 if "log"); None for a category
    kl: float  # KL(after || before), nats
    gradient: float  # median size, nats per search coordinate; NaN if there is none
    before: Any = field(repr=False, metadata=LEFT_OUT)  # (n,) in native units or categories
    after: Any = field(repr=False, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Benefit:
    """Size of a trial's hyper-gradient against what it gained over its twin in the baseline's search.

    Twins are trials of one seed and number, proposed alike. The size is the Euclidean norm over dimensions,
    in nats per search coordinate; the gain is in the metric's unit, above 0 is better.
    """

    of: Literal["first unit", "best"]  # which value
    grid: BenefitGrid | None
    pairs: int  # configurations compared
    unlike: int  # left out, since the baseline's search proposed another
    note: str = ""  # why there is no grid


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What one arm's warm start did."""

    arm: str
    dimensions: tuple[DimensionShift, ...]
    benefits: tuple[Benefit, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A curve through a sweep: (G,) each."""

    grid: Floats  # in native units
    centre: Floats
    low: Floats
    high: Floats
    method: str  # "LOESS" or "means by x"
    note: str = ""  # why it is not LOESS


@dataclass(frozen=True, slots=True)
class Sweep:
    """Arms that differ in one numeric setting: (N,) each, one entry a pair.

    The curves are fitted over log10 of the setting; None where one is not positive, or nothing is known.
    """

    setting: str
    variation: str
    x: tuple[float, ...]  # the setting
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    # log of T@tau over the baseline's, at the primary target in the study's measure, censored ones at the
    # horizon; NaN without targets
    log_ratio: tuple[float, ...]
    difference: tuple[float, ...]  # of best values, arm minus baseline
    log_ratio_curve: Trend | None
    difference_curve: Trend | None


@dataclass(frozen=True, slots=True)
class BestConfigurations:
    """The best configuration of each search, as trained."""

    dimensions: tuple[str, ...]  # (D,) names
    values: tuple[tuple[float, ...], ...]  # (N, D) in [0, 1], NaN where there is none
    ticks: Mapping[str, tuple[tuple[float, ...], tuple[str, ...]]]  # name -> (places in [0, 1], labels)
    scores: tuple[float, ...]  # (N,), as all below
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
