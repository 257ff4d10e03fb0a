"""What the warm starts of an arm moved, and whether trials with large hyper-gradients gained from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from analysis.comparison.data import GroupData
from analysis.comparison.extras import Benefit, Diagnostics, DimensionShift
from analysis.journals.replicate import Replicate
from analysis.stats.arrays import Floats
from analysis.stats.sensitivity import benefit_by_gradient, kl_divergence, kl_of_categories, shift
from analysis.study.loading import Pair

_FEW = 12  # distinct whole numbers up to which they are treated as categories
_VALUES: dict[Literal["first unit", "best"], str] = {"first unit": "first_value", "best": "best"}


def diagnose(data: GroupData, arm: str) -> Diagnostics | None:
    """Shifts by dimension, and benefits; None for an arm without warm starts."""
    runs = [each for each in data.runs[arm] if each.warm_start is not None]
    if not runs:
        return None
    shifts = [_shift(runs, name, described) for name, described in runs[0].searched.items()]
    pairs = data.pairs(arm) if arm in data.others else []
    if runs[0].table is not None:
        benefits = [Benefit(of, None, 0, 0, "a table of curves has no hyper-gradients") for of in _VALUES]
    else:
        benefits = [_benefit(pairs, of, data.sign) for of in _VALUES]
    return Diagnostics(arm, tuple(each for each in shifts if each is not None), tuple(benefits))


def _shift(runs: Sequence[Replicate], name: str, described: Mapping[str, Any]) -> DimensionShift | None:
    """One dimension over the trials that have it and were not rejected; None if there are none."""
    before, after = (_gathered(runs, f"{side}.{name}") for side in ("proposed", "refined"))
    if not len(before) or len(before) != len(after):
        return None
    if described["type"] == "choice":
        kl = kl_of_categories(_hashable(before), _hashable(after))
        return DimensionShift(name, "category", len(before), None, kl, math.nan, before, after)
    here = np.isfinite(before.astype(np.float64)) & np.isfinite(after.astype(np.float64))
    x, y = before[here].astype(np.float64), after[here].astype(np.float64)
    if not len(x):
        return None
    log = bool(described.get("log"))
    gradients = np.abs(_gathered(runs, f"gradient.{name}").astype(np.float64))
    known = gradients[np.isfinite(gradients)]
    return DimensionShift(
        name,
        "log" if log else "linear",
        len(x),
        shift(x, y),
        _kl(x, y, whole=described["type"] == "int"),
        float(np.median(known)) if len(known) else math.nan,
        10.0**x if log else x,
        10.0**y if log else y,
    )


def _kl(before: Floats, after: Floats, *, whole: bool) -> float:
    if len(before) < 2:
        return math.nan
    if whole and len(np.unique(np.concatenate([before, after]))) <= _FEW:
        return kl_of_categories(before.tolist(), after.tolist())
    return kl_divergence(before, after)


def _gathered(runs: Sequence[Replicate], column: str) -> Any:
    """A column of the trials of several searches, rejected ones and those without it left out."""
    found = [
        each.trials[column][each.trials["state"] != "rejected"] for each in runs if column in each.trials
    ]
    if not found:
        return np.empty(0)
    whole = np.concatenate(found)
    return whole[[value is not None for value in whole]] if whole.dtype == object else whole


def _hashable(values: Sequence[Any]) -> list[Any]:
    return [tuple(_hashable(value)) if isinstance(value, list) else value for value in values]


def _benefit(pairs: Sequence[Pair], of: Literal["first unit", "best"], sign: int) -> Benefit:
    """Over all pairs of searches; see ``Benefit``."""
    sizes, gains, unlike = [], [], 0
    for base, other in pairs:
        size, gain, different = _twins(base, other, _VALUES[of], sign)
        sizes.append(size)
        gains.append(gain)
        unlike += different
    magnitude = np.concatenate(sizes) if sizes else np.empty(0)
    benefit = np.concatenate(gains) if gains else np.empty(0)
    compared = len(benefit)
    known = np.isfinite(magnitude) & np.isfinite(benefit)
    magnitude, benefit = magnitude[known], benefit[known]
    note = _why_not(compared, unlike, magnitude)
    grid = None if note else benefit_by_gradient(magnitude, benefit)
    return Benefit(of, grid, compared, unlike, note)


def _why_not(compared: int, unlike: int, magnitude: Floats) -> str:
    if not compared and unlike:
        return "the baseline's searches proposed other configurations"
    if not compared:
        return "no pair of searches has a trial in common"
    if not len(magnitude):
        return "this warm start records no hyper-gradient, or its trials reported nothing"
    return "" if (magnitude > 0).any() else "every hyper-gradient is 0"


def _twins(base: Replicate, other: Replicate, column: str, sign: int) -> tuple[Floats, Floats, int]:
    """(sizes of the hyper-gradients, gains over the twin, trials whose twin was proposed otherwise)."""
    _, here, there = np.intersect1d(base.trials["id"], other.trials["id"], return_indices=True)
    same = np.ones(len(here), dtype=bool)
    for name in (name for name in other.trials if name.startswith("proposed.")):
        if name not in base.trials:
            return np.empty(0), np.empty(0), len(here)
        one, two = base.trials[name][here], other.trials[name][there]
        same &= np.asarray(one == two, dtype=bool) | _both_missing(one, two)
    here, there = here[same], there[same]
    slopes = [other.trials[name][there] for name in other.trials if name.startswith("gradient.")]
    size = _norm(np.array(slopes, dtype=np.float64).reshape(len(slopes), len(there)))
    gain = sign * (other.trials[column][there] - base.trials[column][here])
    return size, np.asarray(gain, dtype=np.float64), int((~same).sum())


def _both_missing(one: Any, two: Any) -> Any:
    if object in (one.dtype, two.dtype):
        return np.zeros(len(one), dtype=bool)
    return np.isnan(one) & np.isnan(two)


def _norm(slopes: Floats) -> Floats:
    """(T,) of (D, T): over the dimensions that have a slope; NaN where none has."""
    size = np.sqrt(np.nansum(slopes**2, axis=0))
    return np.asarray(np.where(np.isfinite(slopes).any(axis=0), size, np.nan), dtype=np.float64)
