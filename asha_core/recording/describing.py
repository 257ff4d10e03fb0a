"""What a table has, as numbers and for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asha_core.runtime.observers import value_text
from asha_core.runtime.terminal.console import format_table
from asha_core.runtime.units import counted, format_duration
from asha_core.simulation.curves import Curves
from asha_core.simulation.table_parts import Floats

_SHARES = (0.5, 0.1, 0.03, 0.01)  # of the first arm's configurations, which reach the targets that are told


def described(curves: Curves, targets: Sequence[float] | None = None) -> dict[str, Any]:
    """What a table has, as a JSON-able object.

    Args:
        targets: values of which it is told how many configurations reach them; by default those that a half,
            a tenth, 3% and 1% of the first arm's reach.
    Returns:
        By name: what ``Curves`` has of these names; the number of configurations, and how many of them are
        there more than once; targets; and of each arm how its curves ended, how many have missing units, how
        many values are no numbers, the best and the median of the configurations' best values, the shares of
        configurations that reach the targets, seconds (in all; the median of a unit; the median of a warm
        start) and the median of a warm start's mini-batches. None: not known, or there is none.
    """
    best = _best_of_each(curves)
    if targets is None:
        targets = _reached_by(best[0], curves.mode)
    return {
        "arms": list(curves.arms),
        "configurations": len(curves),
        "duplicates": len(curves) - len(set(curves.configurations)),
        "units": list(curves.units),
        "unit": curves.unit,
        "metric": curves.metric,
        "mode": curves.mode,
        "metrics": list(curves.metrics),
        "space": curves.space.to_dict(),
        "timed": curves.timed,
        "targets": list(targets),
        "by_arm": {arm: _of_arm(curves, a, best[a], targets) for a, arm in enumerate(curves.arms)},
        "source": dict(curves.source),
    }


def _best_of_each(curves: Curves) -> Floats:
    """The best value of each curve, (A, N); the worst there is where it has none."""
    worst = -math.inf if curves.mode == "max" else math.inf
    finite = np.where(np.isfinite(curves.value), curves.value, worst)
    best: Floats = finite.max(axis=2) if curves.mode == "max" else finite.min(axis=2)
    return best


def _reached_by(best: Floats, mode: str) -> list[float]:
    """The values that given shares of these reach, easiest first, each once; of few configurations fewer."""
    ordered = np.sort(best) if mode == "min" else np.sort(best)[::-1]
    places = [math.ceil(share * len(ordered)) - 1 for share in _SHARES if share * len(ordered) >= 0.5]
    return list(dict.fromkeys(float(ordered[place]) for place in places if math.isfinite(ordered[place])))


def _of_arm(curves: Curves, arm: int, best: Floats, targets: Sequence[float]) -> dict[str, Any]:
    good = best[np.isfinite(best)]
    lengths, ways = curves.length[arm], [curves.curve(curves.arms[arm], r).ended for r in range(len(curves))]
    inside = np.arange(len(curves.units)) < lengths[:, None]
    seconds = None if curves.seconds is None else curves.seconds[arm]
    units = np.diff(curves.units, prepend=0)
    warm = [place for place in range(len(curves)) if (arm, place) in curves.refined]
    reach = [best >= target if curves.mode == "max" else best <= target for target in targets]
    return {
        "ended": {way: ways.count(way) for way in dict.fromkeys(ways)},
        "missing": int((lengths < len(curves.units)).sum()),
        "not_finite": int((~np.isfinite(curves.value[arm][inside])).sum()),
        "best": float(good.max() if curves.mode == "max" else good.min()) if len(good) else None,
        "median_best": float(np.median(good)) if len(good) else None,
        "reach": [float(each.mean()) for each in reach],
        "seconds": None if seconds is None else float(seconds[inside].sum() + curves.warm_seconds[arm].sum()),
        "unit_seconds": None if seconds is None else _median((seconds / units)[inside]),
        "warm_starts": len(warm),
        "warm_seconds": _median(curves.warm_seconds[arm][warm]),
        "warm_batches": _median(curves.warm_batches[arm][warm]),
    }


def _median(numbers: Floats | None) -> float | None:
    if numbers is None or not len(numbers) or np.isnan(numbers).all():
        return None
    return float(np.nanmedian(numbers))


def in_words(told: dict[str, Any], name: str) -> str:
    """What ``described`` tells, for people.

    Args:
        name: of the table.
    """
    units, unit = told["units"], told["unit"]
    regular = units == list(range(1, len(units) + 1))
    where = f"{unit} 1 to {units[-1]}" if regular else f"{unit} {', '.join(map(str, units))}"
    better = "higher" if told["mode"] == "max" else "lower"
    lines = [
        f"{name}: {counted(told['configurations'], 'configuration')}, {counted(len(told['arms']), 'arm')}, "
        f"at {where}; {told['metric']}, {better} is better"
    ]
    lines += [f"{key}: {told['source'][key]}" for key in ("task", "command") if key in told["source"]]
    lines.append(f"space: {', '.join(told['space']['dimensions'])}")
    if told["metrics"]:
        lines.append(f"further metrics: {', '.join(told['metrics'])}")
    if not told["timed"]:
        lines.append(f"no seconds: in a simulation each {unit} takes 1")
    if told["duplicates"]:
        lines.append(f"{counted(told['duplicates'], 'configuration')} there more than once")
    return "\n".join([*lines, "", _table(told), *_endings(told)])


def _table(told: dict[str, Any]) -> str:
    header = ["arm", "best", "median", *(f"reach {value_text(target)}" for target in told["targets"])]
    header += [f"s/{told['unit']}"] if told["timed"] else []
    warm = any(arm["warm_starts"] for arm in told["by_arm"].values())
    header += ["s/warm start", "mini-batches"] if warm else []
    header += ["in all"] if told["timed"] else []
    rows = []
    for name, arm in told["by_arm"].items():
        row = [name, *(_value(arm[key]) for key in ("best", "median_best"))]
        row += [f"{share:.3f}" for share in arm["reach"]]
        row += [_short(arm["unit_seconds"])] if told["timed"] else []
        row += [_short(arm["warm_seconds"]), _short(arm["warm_batches"])] if warm else []
        row += [format_duration(arm["seconds"])] if told["timed"] else []
        rows.append(row)
    return format_table(header, rows)


def _value(number: float | None) -> str:
    return "-" if number is None else value_text(number)


def _short(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


_ENDINGS = {
    "failed": "failed",
    "rejected": "were screened out",
    "finished": "ended early by themselves",
    "unknown": "are not recorded to the end",
}


def _endings(told: dict[str, Any]) -> list[str]:
    """What is to be known of curves that do not go to the end."""
    lines = []
    for name, arm in told["by_arm"].items():
        ways = [f"{count:,} {_ENDINGS[way]}" for way, count in arm["ended"].items() if way in _ENDINGS]
        if arm["not_finite"]:
            ways.append(f"{counted(arm['not_finite'], 'value')} are no numbers")
        if ways:
            lines.append(f"{name}: {', '.join(ways)}")
    return ["", *lines] if lines else []
