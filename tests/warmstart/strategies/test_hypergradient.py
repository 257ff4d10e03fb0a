"""The literal step, and how far ahead it looks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asha_core import Configuration, Float, RandomSearch, SearchSpace
from tests.warmstart.small_problems import Slopes, Small, configuration, heavy_ball
from trials.tasks.digits import Digits
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart.registry import build
from warmstart.strategies.gradient_strategy import GradientStrategy
from warmstart.strategies.hypergradient import HyperGradient

LR = SearchSpace({"lr": Float(0.0, 10.0)})


@pytest.fixture(scope="module")
def digits() -> Digits:
    task = Digits("mlp")
    task.setup("cpu")
    return task


def test_the_step_goes_against_the_gradient_by_eta_h(digits: Digits) -> None:
    before = RandomSearch(digits.space, 0).propose(2)
    told = HyperGradient(eta_h=1e-3).refine(TrainingProblem(digits, 2, "cpu"), before, 2).diagnostics
    assert set(told["gradient"]) == set(digits.space)
    for name, slope in told["gradient"].items():
        assert told["step"][name] == pytest.approx(-1e-3 * slope, rel=1e-6, abs=1e-12), name


def test_in_the_unit_cube_it_goes_against_the_slope_by_a_unit_coordinate(digits: Digits) -> None:
    before = RandomSearch(digits.space, 0).propose(2)
    problem = TrainingProblem(digits, 2, "cpu")
    outcome = HyperGradient(eta_h=1e-3, coordinates="unit").refine(problem, before, 2)
    for name, slope in outcome.diagnostics["gradient"].items():
        dimension = digits.space[name]
        assert isinstance(dimension, Float)
        low, high = dimension.search_bounds
        change = dimension.to_unit(outcome.configuration[name]) - dimension.to_unit(before[name])
        assert change == pytest.approx(-1e-3 * slope * (high - low), rel=1e-6, abs=1e-12), name


def test_each_step_has_fresh_samples(digits: Digits) -> None:
    before = RandomSearch(digits.space, 0).propose(2)
    problem = TrainingProblem(digits, 2, "cpu")
    one = HyperGradient(steps=1).refine(problem, before, 2).diagnostics
    three = HyperGradient(steps=3).refine(problem, before, 2).diagnostics
    assert three["gradient"][0] == one["gradient"]
    assert len({gradient["lr"] for gradient in three["gradient"]}) == 3
    total = sum(gradient["lr"] for gradient in three["gradient"])
    assert three["step"]["lr"] == pytest.approx(-1e-3 * total, rel=1e-6)


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_no_sample_draw_is_used_twice(ahead: int) -> None:
    seen: list[int] = []

    def slope(draw: int) -> float:
        seen.append(draw)
        return 1.0

    strategy = HyperGradient(eta_h=0.1, steps=3, lookahead=ahead)
    told = strategy.refine(Slopes(LR, slope), LR.configuration({"lr": 1.0}), 0).diagnostics
    assert seen == list(range(3 * ahead))
    assert [each["lr"] for each in told["gradient"]] == pytest.approx([-1.0 * ahead] * 3)  # of -H*lr


def test_a_step_to_where_the_gradient_is_not_finite_is_taken_back() -> None:
    problem = Slopes(LR, lambda draw: 1.0 if draw < 2 else float("nan"))
    told = HyperGradient(eta_h=0.1, steps=5).refine(problem, LR.configuration({"lr": 1.0}), 0)
    assert told.configuration["lr"] == pytest.approx(1.1)
    assert told.diagnostics["non_finite"] == 1
    assert told.diagnostics["note"] == "non-finite hyper-gradient: back by one step"


def test_a_step_out_of_reason_stays_in_the_space() -> None:
    """A finite gradient, times eta_h, may be infinite."""
    problem = Slopes(LR, lambda draw: 1e30)
    for bounds in ("clamp", "reflect"):
        strategy = HyperGradient(eta_h=1e300, bounds=bounds)
        after = strategy.refine(problem, LR.configuration({"lr": 1.0}), 0).configuration
        assert LR.configuration(dict(after)) == after


def adam(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), config["lr"], betas=(config["momentum"], 0.9))


def plain_adam(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), config["lr"])


def nesterov(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), config["lr"], config["momentum"], nesterov=True)


def both(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
    """A dimension that acts from the second step on, and from the first one too."""
    return torch.optim.SGD(model.parameters(), config["lr"] * (1 - config["momentum"]), config["momentum"])


@pytest.mark.parametrize(
    ("optimizer", "settings", "ahead"),
    [
        (heavy_ball, {}, 2),
        (adam, {}, 2),
        (nesterov, {}, 1),
        (plain_adam, {}, 1),
        (both, {}, 1),
        (heavy_ball, {"mask": "lr,noise"}, 1),
        (heavy_ball, {"mask": "momentum"}, 2),
        (heavy_ball, {"lookahead": 1}, 1),
        (nesterov, {"lookahead": 3}, 3),
        (heavy_ball, {"route": "closed"}, 1),
        (heavy_ball, {"route": "tangents"}, 2),
        (heavy_ball, {"route": "differences"}, 2),
    ],
)
def test_it_looks_two_steps_ahead_where_a_coordinate_acts_only_then(
    optimizer: Any, settings: dict[str, Any], ahead: int
) -> None:
    outcome = HyperGradient(**settings).refine(Small(optimizer=optimizer), configuration(), 0)
    assert outcome.diagnostics["lookahead"] == ahead
    slope = outcome.diagnostics["gradient"].get("momentum")
    if slope is not None and optimizer in (heavy_ball, adam):
        assert (slope != 0.0) == (ahead > 1)


def test_a_dimension_may_have_any_name() -> None:
    """One called "late" is not mistaken for the settings that act late."""
    space = SearchSpace({"late": Float(0.01, 1.0, log=True), "momentum": Float(0.0, 0.9)})

    def optimizer(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), config["late"], config["momentum"])

    before = space.configuration({"late": 0.1, "momentum": 0.5})
    outcome = HyperGradient(mask="late").refine(Small(space=space, optimizer=optimizer), before, 0)
    assert outcome.diagnostics["lookahead"] == 1
    assert outcome.diagnostics["gradient"].keys() == {"late"}
    whole = HyperGradient().refine(Small(space=space, optimizer=optimizer), before, 0)
    assert whole.diagnostics["lookahead"] == 2


def test_a_search_that_was_begun_with_the_reference_route_goes_on_with_an_exact_one():
    for strategy in ("hypergradient", "trust"):
        built = build(strategy, {"route": "reverse"})
        assert isinstance(built, GradientStrategy)
        assert built.route == "tangents"
