"""Tasks with spaces that make trouble, for tests of what is refused before a search begins."""

from __future__ import annotations

from asha_core.space import Choice, Float, SearchSpace
from trials.task import Task


class Texts(Task):
    """Options that look like numbers."""

    space = SearchSpace({"o": Choice(["1e-3", "1e-2"]), "w": Choice([0.0, 1e-4]), "x": Float(0.0, 1.0)})
    max_resource = 3

    def run(self, trial):
        for _ in trial.units():
            trial.report(trial.config["x"])


def on_a_line(config):
    return config["x"] + config["y"] == 1.0


class Tight(Texts):
    """A space of which next to nothing is allowed."""

    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}, constraints=[on_a_line])


texts = Texts()
