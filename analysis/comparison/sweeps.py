"""Arms that differ in one numeric setting, and the best configurations of all searches."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.comparison.data import GroupData
from analysis.comparison.extras import BestConfigurations, Sweep, Trend
from analysis.journals.replicate import Replicate
from analysis.journals.space import place, ticks_of
from analysis.stats.sensitivity import loess, means_by_x
from asha_core.errors import SettingError

LEAST_SETTINGS = 3  # two settings are two variations, and no sweep


def sweeps(data: GroupData) -> Iterable[Sweep]:
    """The sweeps among a group's arms: at least three values of one setting, all else equal."""
    families: dict[tuple[str, str, str], dict[str, float]] = {}
    for arm in data.others:
        each = data.runs[arm][0]
        strategy = str(each.manifest["variation"].get("strategy", each.variation))
        settings = _flat(each.settings)
        for name, value in settings.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                rest = json.dumps(
                    {k: v for k, v in settings.items() if k != name}, sort_keys=True, default=str
                )
                families.setdefault((name, strategy, rest), {})[arm] = float(value)
    for (name, _, _), values in families.items():
        if len(set(values.values())) >= LEAST_SETTINGS:
            yield _sweep(data, name, values)


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings of a chain of warm starts stand under its parts' names: "trust.steps"."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def _sweep(data: GroupData, setting: str, values: Mapping[str, float]) -> Sweep:
    rows = []
    for arm, value in sorted(values.items(), key=lambda item: item[1]):
        for base, other in data.pairs(arm):
            rows.append((value, arm, other.seed, _log_ratio(data, base, other), other.best - base.best))
    x, arms, seeds, ratios, differences = (tuple(c) for c in zip(*rows, strict=True)) if rows else ((),) * 5
    return Sweep(
        setting,
        data.runs[next(iter(values))][0].variation,
        x,
        arms,
        seeds,
        ratios,
        differences,
        trend(x, ratios, seeds),
        trend(x, differences, seeds),
    )


def _log_ratio(data: GroupData, base: Replicate, other: Replicate) -> float:
    if data.primary is None:
        return math.nan
    times, _ = data.times([base, other], data.primary, data.measure)
    return float(math.log(times[1] / times[0]))


def trend(x: Sequence[float], y: Sequence[float], seeds: Sequence[int]) -> Trend | None:
    """A curve through points over log10 of ``x``, seeds drawn whole; in native units of ``x``.

    LOESS; the means at each x if there are fewer than five, or if statsmodels is not installed. None where an
    x is not positive, or no y is finite.
    """
    at, values, whose = (np.array(each) for each in (x, y, seeds))
    known = np.isfinite(values.astype(np.float64))
    if not known.any() or (at <= 0).any():
        return None
    at, values, whose = np.log10(at[known]), values[known], whose[known]
    note = ""
    try:
        curve = loess(at, values, groups=whose.tolist())
    except SettingError as error:
        curve, note = means_by_x(at, values), f"no LOESS: {error}"
    return Trend(10.0**curve.grid, curve.centre, curve.low, curve.high, curve.method, note)


def best_configurations(runs: Sequence[Replicate]) -> BestConfigurations | None:
    """The best configuration of each search, in coordinates of the unit cube; None if there is none."""
    found = [each for each in runs if len(each.curve.value)]
    if not found:
        return None
    space = found[0].searched
    values = []
    for each in found:
        row = int(np.flatnonzero(each.trials["id"] == each.curve.trial[-1])[0])
        values.append(tuple(_unit(each, name, told, row) for name, told in space.items()))
    return BestConfigurations(
        tuple(space),
        tuple(values),
        {name: ticks_of(told) for name, told in space.items()},
        tuple(each.best for each in found),
        tuple(each.arm for each in found),
        tuple(each.seed for each in found),
    )


def _unit(each: Replicate, name: str, told: Mapping[str, Any], row: int) -> float:
    """Where a value lies between a dimension's ends; NaN where the configuration lacks the dimension."""
    column = each.trials.get(f"refined.{name}")
    value = None if column is None else column[row]
    if value is not None and told.get("log"):  # in search coordinates there
        value = 10.0 ** float(value)
    return place(told, value)
