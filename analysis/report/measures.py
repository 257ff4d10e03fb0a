"""What the measures of time spent are called, and in which unit they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.comparison import Comparison, Group
from analysis.number_formats import significant, time_unit
from analysis.report.simulated import all_simulated


@dataclass(frozen=True, slots=True)
class Scale:
    """How what was spent is printed: in ``unit``, of which each is ``size`` of the measure's own."""

    unit: str
    size: float = 1.0
    decimals: int = 1

    def __call__(self, value: float) -> str:
        """The number alone."""
        return f"{value / self.size:,.{self.decimals}f}" if math.isfinite(value) else significant(value)


def scale(comparison: Comparison, group: Group, measure: str) -> Scale:
    """One unit and one number of decimals for a measure throughout a group, by its median times."""
    found = [each for arm in group.arms for each in arm.times if each.measure == measure]
    usual = [each.median if math.isfinite(each.median) else each.horizon for each in found]
    least = min((value for value in usual if value > 0), default=1.0)
    unit, size = f"{group.unit}s", 1.0
    if measure == "gpu_hours":
        unit = device_hours(gpu=on_gpu(comparison))
    elif measure == "seconds" and untimed(group):
        unit = "units of virtual time"
    elif measure == "seconds":
        longest = max((each.value for each in group.horizons if each.measure == measure), default=0.0)
        size, unit = time_unit(longest)
    return Scale(unit, size, max(2 - math.floor(math.log10(least / size)), 0))


def untimed(group: Group) -> bool:
    """Whether it was simulated over a table without seconds."""
    return group.simulated is not None and not group.simulated["timed"]


def clock_name(comparison: Comparison) -> str:
    """What ``seconds`` are."""
    return "virtual time" if all_simulated(comparison) else "wall-clock time"


def on_gpu(comparison: Comparison) -> bool:
    """Whether a run of the study was on GPUs."""
    return any(source.hardware.get("gpus") for source in comparison.sources)


def device_hours(*, gpu: bool) -> str:
    """What hours of device time are called."""
    return "GPU-hours" if gpu else "worker-hours"


def measure_name(comparison: Comparison, measure: str) -> str:
    """A measure for people."""
    hours = device_hours(gpu=on_gpu(comparison))
    return {"seconds": clock_name(comparison), "gpu_hours": hours, "units": "units of training"}[measure]
