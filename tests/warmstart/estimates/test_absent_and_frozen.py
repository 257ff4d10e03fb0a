"""Warm starts move what can be moved: neither what is absent nor what is frozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asha_core import Choice, Configuration, Constant, Float, Int, RandomSearch, SearchSpace
from trials.task import PlainProblem
from trials.tasks.digits import Digits
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart.moves import movable, move, step_taken
from warmstart.strategies.hypergradient import HyperGradient
from warmstart.strategies.random_step import RandomStep

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "kind": Choice(["plain", "sgd"]),
        "momentum": Float(0.0, 0.99),
        "layers": Int(1, 8),
        "dropout": Float(0.0, 0.5),
    },
    conditions={"momentum": {"kind": "sgd"}},
)
HELD = SPACE.freeze(dropout=0.25)


@given(seed=st.integers(0, 2**62), index=st.integers(0, 10**6))
def test_a_random_step_leaves_the_absent_absent_and_the_frozen_frozen(seed: int, index: int) -> None:
    configuration = RandomSearch(HELD, 5).propose(index)
    outcome = RandomStep(sigma=0.05).refine(PlainProblem(HELD), configuration, seed)
    refined = outcome.configuration
    assert list(refined) == list(configuration)
    assert HELD.configuration(dict(refined)) == refined
    assert refined["dropout"] == 0.25
    there = {"lr", "momentum"} if configuration["kind"] == "sgd" else {"lr"}
    assert set(outcome.diagnostics["step"]) == set(movable(HELD, configuration)) == there


@given(index=st.integers(0, 10**6), step=st.floats(-1, 1))
def test_a_step_for_what_is_absent_or_frozen_moves_nothing(index: int, step: float) -> None:
    configuration = RandomSearch(HELD, 5).propose(index)
    after = move(HELD, configuration, {"dropout": step, "kind": step, "layers": step})
    assert after == configuration
    if "momentum" not in configuration:
        assert move(HELD, configuration, {"momentum": step}) == configuration
    assert set(step_taken(HELD, configuration, after).values()) == {0.0}


class Conditional(Digits):
    """Digits whose momentum is there with one optimiser alone, and whose smoothing is frozen."""

    space = SearchSpace(
        {
            "lr": Float(1e-4, 3.0, log=True),
            "kind": Choice(["plain", "sgd"]),
            "weight_decay": Float(1e-6, 1e-2, log=True),
            "momentum": Float(0.0, 0.99),
            "magnitude": Float(0.0, 1.0),
            "label_smoothing": Constant(0.1),
        },
        conditions={"momentum": {"kind": "sgd"}},
    )

    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        momentum = config["momentum"] if config["kind"] == "sgd" else 0.0
        return torch.optim.SGD(
            parameters,
            lr=config["lr"],
            momentum=momentum,
            weight_decay=config["weight_decay"],
            nesterov=momentum > 0,
        )


@pytest.fixture(scope="module")
def task() -> Conditional:
    task = Conditional("mlp")
    task.setup("cpu")
    return task


BASE = {"lr": 0.05, "weight_decay": 1e-3, "magnitude": 0.3}


@pytest.mark.long
@pytest.mark.parametrize("lookahead", [1, 2])
@pytest.mark.parametrize("kind", ["plain", "sgd"])
def test_a_hypergradient_step_leaves_the_absent_absent_and_the_frozen_frozen(
    kind: str, lookahead: int, task: Conditional
) -> None:
    momentum = {"momentum": 0.7} if kind == "sgd" else {}
    configuration = task.space.configuration({**BASE, "kind": kind, **momentum})
    problem = TrainingProblem(task, 4, "cpu")
    outcome = HyperGradient(eta_h=1e-2, lookahead=lookahead).refine(problem, configuration, 4)
    there = {"lr", "weight_decay", "magnitude", *momentum}
    assert set(outcome.diagnostics["gradient"]) == set(outcome.diagnostics["step"]) == there
    assert all(outcome.diagnostics["gradient"][name] != 0.0 for name in there)
    assert list(outcome.configuration) == list(configuration)
    assert (outcome.configuration["label_smoothing"], outcome.configuration["kind"]) == (0.1, kind)
    assert task.space.configuration(dict(outcome.configuration)) == outcome.configuration


def test_freezing_a_dimension_leaves_the_hypergradients_of_the_others(task: Conditional) -> None:
    values = {**BASE, "kind": "sgd", "momentum": 0.7}
    free = HyperGradient().refine(TrainingProblem(task, 4, "cpu"), task.space.configuration(values), 4)
    held = Conditional("mlp")
    held.space = task.space.freeze(lr=0.05, magnitude=0.3)
    outcome = HyperGradient().refine(TrainingProblem(held, 4, "cpu"), held.space.configuration(values), 4)
    assert set(outcome.diagnostics["gradient"]) == {"weight_decay", "momentum"}
    for name, slope in outcome.diagnostics["gradient"].items():
        assert slope == pytest.approx(free.diagnostics["gradient"][name], rel=1e-6)
    assert (outcome.configuration["lr"], outcome.configuration["magnitude"]) == (0.05, 0.3)
