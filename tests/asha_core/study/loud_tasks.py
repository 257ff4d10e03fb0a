"""Tasks that do to a study what tasks of users do."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from asha_core.space import Float, SearchSpace
from trials.task import Task


class Loud(Task):
    """Prints more than pipes hold, on both streams, without an end of line."""

    space = SearchSpace({"x": Float(0.0, 1.0)})
    max_resource = 1
    metric, mode, unit = "score", "max", "epoch"

    def __init__(self, bytes: int = 1_000_000) -> None:
        self.bytes = bytes

    def run(self, trial: Any) -> None:
        for _ in trial.units():
            for stream in (sys.__stdout__, sys.__stderr__):
                os.write(stream.fileno(), b"x" * self.bytes)  # type: ignore[union-attr]
            trial.report(trial.config["x"])


class Slow(Task):
    """Takes its time, so that it can be stopped."""

    space = SearchSpace({"x": Float(0.0, 1.0)})
    max_resource = 3
    metric, mode, unit = "score", "max", "epoch"

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds

    def run(self, trial: Any) -> None:
        for _ in trial.units():
            time.sleep(self.seconds)
            trial.report(trial.config["x"])


class Raising(Slow):
    """Whose trials all fail."""

    def run(self, trial: Any) -> None:
        raise RuntimeError("no")


class Failing(Slow):
    """Fails in every run whose directory is of seed 1."""

    def run(self, trial: Any) -> None:
        if "seed-1" in " ".join(sys.argv):
            os._exit(3)
        super().run(trial)
