"""Steps of a fixed length, taken where the sign of the hyper-gradient can be told from noise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from scipy import stats
from torch import nn

from asha_core import Float, SearchSpace
from tests.warmstart.small_problems import Small, configuration
from warmstart import BlackBox, ModelProblem
from warmstart.strategies.trust import Trust as AnyTrust

LR = SearchSpace({"lr": Float(0.0, 10.0)})
Trust = partial(AnyTrust, lookahead=1, route="auto")  # one draw a measurement

START = LR.configuration({"lr": 5.0})


def sloping(slope: Callable[[int], float]) -> BlackBox:
    """A loss that falls with lr, by as much as each draw says."""
    return BlackBox(LR, lambda config, draw: -slope(draw) * (config["lr"] - 5.0))


def unit(value: float) -> float:
    return value / 10.0


def test_a_step_is_exactly_delta_of_the_unit_cube() -> None:
    for slope, sign in (
        (1e-9, 1),
        (1e9, 1),
        (-0.3, -1),
    ):  # the loss falls with lr where the slope is positive
        for steps in (1, 2, 4):
            strategy = Trust(0.04, steps, 2, threshold=2.0)
            after = strategy.refine(sloping(lambda draw, slope=slope: slope), START, 0).configuration
            assert unit(after["lr"]) == pytest.approx(0.5 + sign * 0.04 * steps)


def test_where_the_sign_turns_steps_shrink_by_the_factor_given() -> None:
    slopes = [1.0, -1.0, -1.0, 1.0]  # by step of one batch: up, down, down, up
    for shrink in (0.5, 0.25, 1.0):
        strategy = Trust(0.1, 4, 1, shrink=shrink)
        after = strategy.refine(sloping(slopes.__getitem__), START, 0).configuration
        expected = 0.5 + 0.1 - 2 * 0.1 * shrink + 0.1 * shrink**2
        assert unit(after["lr"]) == pytest.approx(expected)


def test_a_gradient_of_exactly_zero_moves_nothing() -> None:
    for batches in (1, 3):
        assert Trust(0.1, 3, batches).refine(sloping(lambda draw: 0.0), START, 0).configuration == START


@pytest.mark.long
@pytest.mark.parametrize(("batches", "threshold"), [(2, 2.0), (4, 2.0), (8, 2.5), (2, 12.7)])
def test_noise_is_mistaken_for_a_sign_as_often_as_students_t_says(batches: int, threshold: float) -> None:
    """Of gradients that are noise alone; and it moves as often up as down."""
    expected = 2 * stats.t.sf(threshold, batches - 1)
    trials, moves = 600, []
    strategy = Trust(0.1, 1, batches, threshold=threshold)
    for trial in range(trials):
        noise = random.Random(trial)
        values = [noise.gauss(0.0, 1.0) for _ in range(batches)]
        after = strategy.refine(sloping(values.__getitem__), START, 0).configuration
        moves.append(after["lr"] - START["lr"])
    moved = [move for move in moves if move]
    assert abs(len(moved) / trials - expected) < 4 * math.sqrt(expected * (1 - expected) / trials) + 1e-3
    ups = sum(move > 0 for move in moved)
    assert abs(ups - len(moved) / 2) < 4 * math.sqrt(len(moved) / 4 + 1)


def test_a_clear_sign_in_noise_is_taken() -> None:
    """A mean of three standard deviations, over four batches: nearly always."""
    taken = 0
    for trial in range(100):
        noise = random.Random(trial)
        values = [noise.gauss(3.0, 1.0) for _ in range(4)]
        after = Trust(0.1, 1, 4, threshold=2.0).refine(sloping(values.__getitem__), START, 0).configuration
        taken += after["lr"] > START["lr"]
    assert taken >= 95


def quadratic(space: SearchSpace, seed: int) -> ModelProblem:
    """L = (w - sample)^2 / 2, samples of mean 0 around a start at 3: one step of lr 1 is best."""

    class Weight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor(3.0))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.w - inputs

    samples = torch.randn(256, generator=torch.Generator().manual_seed(seed))
    return ModelProblem(
        space,
        model=Weight(),
        optimizer=lambda model, config: torch.optim.SGD(model.parameters(), config["lr"]),
        data=lambda draw: (samples[16 * draw : 16 * draw + 16], torch.zeros(16)),
        loss=lambda outputs, targets, config: outputs.square().mean() / 2,
    )


@pytest.mark.parametrize("start", [1e-3, 0.03, 30.0])
def test_on_a_noisy_quadratic_it_moves_towards_the_one_step_optimum(start: float) -> None:
    space = SearchSpace({"lr": Float(1e-4, 1e2, log=True)})
    for seed in range(5):
        before = space.configuration({"lr": start})
        after = Trust(0.05, 3, 2).refine(quadratic(space, seed), before, seed).configuration
        gained = abs(math.log10(start)) - abs(math.log10(after["lr"]))
        assert gained == pytest.approx(3 * 0.05 * 6, rel=1e-6), seed  # the whole way it may go


def test_with_many_steps_it_ends_at_the_one_step_optimum() -> None:
    space = SearchSpace({"lr": Float(1e-4, 1e2, log=True)})
    strategy = Trust(0.2, 8, 2, shrink=0.5)
    for start in (1e-4, 1e2):
        after = strategy.refine(quadratic(space, 1), space.configuration({"lr": start}), 0).configuration
        assert abs(math.log10(after["lr"])) < 0.4


def test_it_lowers_a_rate_that_explodes_and_raises_one_that_does_nothing() -> None:
    strategy = Trust(batches=1)
    assert strategy.refine(Small(), configuration(lr=3.0), 0).configuration["lr"] < 3.0
    assert strategy.refine(Small(), configuration(lr=1e-3), 0).configuration["lr"] > 1e-3


def test_one_batch_of_many_that_is_not_finite_moves_nothing() -> None:
    values = [1.0, math.inf, 1.0, 1.0]
    outcome = Trust(0.1, 2, 2).refine(sloping(values.__getitem__), START, 0)
    assert outcome.configuration == START
    assert outcome.diagnostics["non_finite"] == 1
    later = [1.0, 1.0, 1.0, 1.0, 1.0, math.nan]
    outcome = Trust(0.1, 3, 2).refine(sloping(later.__getitem__), START, 0)
    assert unit(outcome.configuration["lr"]) == pytest.approx(0.6)
    assert outcome.diagnostics["note"].endswith("back by one step")
