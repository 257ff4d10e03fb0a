"""A task without a network: gradient descent on Rosenbrock's function, with a learning rate and momentum."""

from asha_core import Float, SearchSpace
from trials import Task


class Rosenbrock(Task):
    """A unit is ten steps; the value is the function's, lower is better.

    Args:
        steps: of one unit.
    """

    space = SearchSpace({"lr": Float(1e-5, 1e-2, log=True), "momentum": Float(0.0, 0.95)})
    metric = "height"
    mode = "min"
    unit = "unit"
    max_resource = 9

    def __init__(self, steps=10):
        self.steps = steps

    def run(self, trial):
        state = trial.resume_from() or {"x": -1.0, "y": 1.5, "vx": 0.0, "vy": 0.0}
        for _ in trial.units():
            for _ in range(self.steps):
                self._step(state, trial.config)
            trial.save(state)
            trial.report(height(state["x"], state["y"]))

    def _step(self, state, config):
        x, y = state["x"], state["y"]
        dx, dy = -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)
        state["vx"] = config["momentum"] * state["vx"] - config["lr"] * dx
        state["vy"] = config["momentum"] * state["vy"] - config["lr"] * dy
        # whoever flies off stays at the edge: an overflow is no number to compare
        state["x"] = min(max(x + state["vx"], -10.0), 10.0)
        state["y"] = min(max(y + state["vy"], -10.0), 10.0)

    def warm_start_loss(self, config, seed):
        state = {"x": -1.0, "y": 1.5, "vx": 0.0, "vy": 0.0}
        self._step(state, config)
        return height(state["x"], state["y"])


def height(x, y):
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2
