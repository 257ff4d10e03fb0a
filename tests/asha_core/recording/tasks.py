"""A task whose trials end in every way."""

from __future__ import annotations

import math

from asha_core import Float, SearchSpace
from trials.task import Task


class Odd(Task):
    """Trial 1 fails after its first unit, trial 2 ends early after two, trial 3 diverges in its last one."""

    space = SearchSpace({"x": Float(0.0, 1.0)})
    metric, mode, unit = "loss", "min", "step"
    max_resource = 4

    def run(self, trial):
        for unit in trial.units():
            if (trial.id, unit) == (1, 2):
                raise RuntimeError("it broke")
            diverged = (trial.id, unit) == (3, 4)
            trial.report(math.nan if diverged else trial.config["x"] / unit)
            if (trial.id, unit) == (2, 2):
                trial.stop_early()
