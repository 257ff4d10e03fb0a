"""What a variation costs, in arithmetic: the documented figure against the operations that PyTorch counts."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from asha_core import Configuration
from trials.tasks.digits import Digits
from trials.torch_task.learner import fresh_model, load_data
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart import build
from warmstart.operations import OperationCounter
from warmstart.registry import VARIATIONS

L, A = 1, 1  # of digits: label smoothing, and the magnitude of the augmentation
SANE = {"lr": 0.01, "weight_decay": 1e-4, "momentum": 0.8, "magnitude": 0.5, "label_smoothing": 0.1}


@pytest.fixture(scope="module")
def digits() -> Digits:
    task = Digits("cnn")
    task.setup("cpu")
    return task


def counted(function: Any) -> float:
    with OperationCounter() as counter:  # PyTorch's own hangs hooks on modules, which a warm start shies from
        function()
    return counter.total


def one_training_step(task: Digits, config: Configuration) -> float:
    def step() -> None:
        model = fresh_model(task, config, 0, "cpu").train()
        inputs, targets = load_data(task, "cpu")[0].draw(task.batch_size, torch.Generator().manual_seed(0))
        inputs = task.normalize(task.augment(inputs, config, torch.Generator().manual_seed(0)))
        task.loss(model(inputs), targets, config).backward()

    return counted(step)


def documented(cost: str, figure: int = 0) -> float:
    """A figure of a cost in words: what is before the first comma, or after, with L, A and D of digits."""
    if cost.startswith("those of "):
        names = cost.removeprefix("those of ").split(" and ")
        return sum(documented(VARIATIONS[name].cost) for name in names)
    product = re.sub(
        r"(\d)([LA])", r"\1*\2", cost.split(",")[figure].removeprefix(" and ").split(" with ")[0]
    )
    return float(eval(product, {"L": L, "A": A, "D": len(SANE), "__builtins__": {}}))


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith(("-matched", "-flipped")) else name
        for name in VARIATIONS
    ],
)
def test_the_documented_cost_is_what_it_costs(name: str, digits: Digits) -> None:
    """Of a configuration that does not explode; some stop early, so the most over a few seeds counts."""
    config = digits.space.configuration(SANE)
    step = one_training_step(digits, config)
    warm_start = build(VARIATIONS[name].strategy, VARIATIONS[name].settings)

    def cost(seed: int) -> float:
        return counted(lambda: warm_start.refine(TrainingProblem(digits, seed, "cpu"), config, seed)) / step

    most = max(cost(seed) for seed in range(4))
    assert most == pytest.approx(documented(VARIATIONS[name].cost), rel=0.15, abs=1e-3)


class HeavyBall(Digits):
    """Momentum, whose slope is 0 after one step."""

    def optimizer(self, params: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, config["lr"], config["momentum"], weight_decay=config["weight_decay"])


class WithBetas(Digits):
    """AdamW, whose betas are searched."""

    def optimizer(self, params: Any, config: Configuration) -> torch.optim.Optimizer:
        betas = (config["momentum"], 0.99)
        return torch.optim.AdamW(params, config["lr"], betas, weight_decay=config["weight_decay"])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", [HeavyBall, WithBetas])
def test_the_documented_cost_where_one_step_says_nothing_of_a_dimension(kind: type[Digits]) -> None:
    task = kind("cnn")
    task.setup("cpu")
    config = task.space.configuration(SANE)
    chosen = VARIATIONS["ohgw-1step"]
    warm_start = build(chosen.strategy, chosen.settings)
    most = counted(lambda: warm_start.refine(TrainingProblem(task, 0, "cpu"), config, 0))
    assert most / one_training_step(task, config) == pytest.approx(documented(chosen.cost, 1), rel=0.15)
