"""What a run spent beside its time: costs of units summed up, and warm starts expressed in units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from analysis.journals.metrics import BestCurve
from analysis.journals.runs import Run, read_numbers
from analysis.stats.arrays import Floats

_IN_SOME = ("start_seconds", "checkpoint_seconds")  # costs that not every unit has


@dataclass(frozen=True, slots=True)
class WarmStarts:
    """The warm starts of a run in order of time."""

    t: list[float]  # when
    seconds: list[float]  # how long
    costs: list[dict[str, float]]  # what else they took
    per_unit: float | None  # FLOPs of a unit of training; None if they, or a warm start's, are not recorded

    @classmethod
    def of(cls, run: Run) -> WarmStarts:
        """Those of a run, the rejected ones too."""
        records = [record for record in run.records if record["type"] in ("refined", "rejected")]
        costs = [read_numbers(record.get("costs")) for record in records]
        flops = [
            entry["flops"] / (now - before)
            for trial in run.trials.values()
            for entry, before, now in zip(trial.costs, [0, *trial.resources], trial.resources, strict=False)
            if "flops" in entry
        ]
        known = bool(flops) and all("flops" in entry for entry in costs) and median(flops) > 0
        return cls(
            [float(record["t"]) for record in records],
            [float(record["seconds"]) for record in records],
            costs,
            median(flops) if known else None,
        )

    @property
    def measured_by(self) -> str:
        """By what they are expressed in units: "flops", "seconds", or "none" if there were none."""
        if not self.t:
            return "none"
        return "seconds" if self.per_unit is None else "flops"

    def in_units(self, curve: BestCurve, run: Run) -> tuple[Floats, float]:
        """Units spent at each improvement of the curve, (N,), and in all."""
        if self.per_unit is not None:
            parts = [entry["flops"] / self.per_unit for entry in self.costs]
        else:
            unit = float(np.median(run.seconds)) if len(run.seconds) else 0.0
            parts = [seconds / unit if unit > 0 else 0.0 for seconds in self.seconds]
        spent = np.concatenate([[0.0], np.cumsum(parts)])
        trained = int(run.units[-1]) if len(run.units) else 0
        before = np.searchsorted(np.array(self.t), curve.t, side="right")
        return curve.units + spent[before], float(trained + spent[-1])


def summed(entries: Sequence[Mapping[str, Any]], expected: int) -> tuple[dict[str, float], dict[str, float]]:
    """Costs of several units: sums, and of numbers of bytes the greatest.

    Args:
        entries: name -> number, one a unit.
        expected: how many units there were; a sum is left out where only some of them have a part in it,
            since it would be of no use.
    """
    alike: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}  # most have the same names: summed as columns
    for entry in entries:
        alike.setdefault(tuple(entry), []).append(tuple(entry.values()))
    columns: dict[str, list[Floats]] = {}
    for names, rows in alike.items():
        for name, column in zip(names, np.array(rows, dtype=np.float64).T, strict=True):  # reads "nan", too
            columns.setdefault(name, []).append(column)
    whole = len(entries) == expected
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    sums = {
        name: float(column.sum())
        for name, column in joined.items()
        if not name.endswith("_bytes") and (len(column) == expected or (whole and name in _IN_SOME))
    }
    return sums, {name: float(column.max()) for name, column in joined.items() if name.endswith("_bytes")}
