"""Bands, diagnostics, sweeps: what a comparison tells beside the effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.comparison.plain import LEFT_OUT
from analysis.journals.replicate import Measure
from analysis.stats.arrays import Floats
from analysis.stats.sensitivity import BenefitGrid, Shift
from analysis.stats.summaries import Band


@dataclass(frozen=True, slots=True)
class Bands:
    """Best value so far against what was spent: (grid,) in ``measure``, and a band of the IQM by arm."""

    measure: Measure
    grid: Floats
    arms: Mapping[str, Band]


@dataclass(frozen=True, slots=True)
class DimensionShift:
    """One hyper-parameter before and after the warm start, over all trials of an arm.

    scale: "log", "linear" or "category". shift: in search coordinates (log10 if "log"); None for a category.
    kl: KL(after || before), nats. gradient: median size, nats per search coordinate; NaN if there is none.
    before, after: (n,) in native units or categories; not in JSON.
    """

    name: str
    scale: Literal["log", "linear", "category"]
    n: int
    shift: Shift | None
    kl: float
    gradient: float
    before: Any = field(repr=False, metadata=LEFT_OUT)
    after: Any = field(repr=False, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Benefit:
    """Size of a trial's hyper-gradient against what it gained over its twin in the baseline's search.

    Twins are trials of one seed and number, proposed alike. The size is the Euclidean norm over dimensions,
    in nats per search coordinate; the gain is in the metric's unit, above 0 is better.

    of: which value, "first unit" or "best". grid: None if it cannot be had, and ``note`` says why.
    pairs: configurations compared; unlike: left out, since the baseline's search proposed another.
    """

    of: Literal["first unit", "best"]
    grid: BenefitGrid | None
    pairs: int
    unlike: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What one arm's warm start did."""

    arm: str
    dimensions: tuple[DimensionShift, ...]
    benefits: tuple[Benefit, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A curve through a sweep: (G,) each, the grid in native units. method: "LOESS" or "means by x"."""

    grid: Floats
    centre: Floats
    low: Floats
    high: Floats
    method: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Arms that differ in one numeric setting. (N,) each, one entry a pair: setting, arm, seed, outcomes.

    log_ratio: log of T@tau over the baseline's, at the primary target in the study's measure, censored ones
    at the horizon; NaN without targets. difference: of best values, arm minus baseline. The curves are
    through these, fitted over log10 of the setting; None where one is not positive, or nothing is known.
    """

    setting: str
    variation: str
    x: tuple[float, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    log_ratio: tuple[float, ...]
    difference: tuple[float, ...]
    log_ratio_curve: Trend | None
    difference_curve: Trend | None


@dataclass(frozen=True, slots=True)
class BestConfigurations:
    """The best configuration of each search, as trained. values: (N, D) in [0, 1], NaN where there is none.

    dimensions: (D,) names. ticks: by dimension, (places in [0, 1], labels). scores, arms, seeds: (N,).
    """

    dimensions: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    ticks: Mapping[str, tuple[tuple[float, ...], tuple[str, ...]]]
    scores: tuple[float, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
