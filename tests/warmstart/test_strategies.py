"""What every strategy promises, and what each one does."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asha_core import AshaError, Choice, Configuration, Float, Int, RandomSearch, SearchSpace
from asha_core.runtime.records import to_json
from trials.task import PlainProblem
from trials.tasks.digits import Digits
from trials.training import TrainingProblem
from warmstart.base import VARIATIONS, Losses, build, moved, taken, variation
from warmstart.hypergradient import HyperGradient
from warmstart.random_step import RandomStep

MIXED = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "dropout": Float(0.0, 0.5),
        "layers": Int(1, 8),
        "kind": Choice(["a", "b"]),
    }
)


@pytest.fixture(scope="module")
def digits() -> Digits:
    task = Digits()
    task.setup("cpu")
    return task


@pytest.mark.parametrize("name", sorted(VARIATIONS))
def test_every_variation_is_reproducible_bounded_and_leaves_no_trace(name: str, digits: Digits) -> None:
    chosen = variation(name)
    warm_start = build(chosen.strategy, chosen.settings)
    configuration = RandomSearch(digits.space, 0).propose(3)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    outcomes = [
        warm_start.refine(TrainingProblem(digits, 77, "cpu"), configuration, seed=77) for _ in range(2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert outcomes[0] == outcomes[1]
    digits.space.configuration(outcomes[0].configuration)  # inside its bounds
    json.loads(to_json(outcomes[0].diagnostics))
    assert outcomes[0].diagnostics["strategy"] == chosen.strategy
    assert (outcomes[0].configuration == configuration) == (name == "baseline")


def test_a_step_size_of_zero_measures_and_changes_nothing(digits: Digits) -> None:
    for index in range(5):
        configuration = RandomSearch(digits.space, 1).propose(index)
        problem = TrainingProblem(digits, index, "cpu")
        outcome = HyperGradient(eta_h=0.0).refine(problem, configuration, index)
        assert outcome.configuration == configuration
        assert all(math.isfinite(g) for g in outcome.diagnostics["gradient"].values())


def test_the_step_goes_against_the_gradient_by_eta_h(digits: Digits) -> None:
    configuration = RandomSearch(digits.space, 0).propose(2)
    outcome = HyperGradient(eta_h=1e-3).refine(TrainingProblem(digits, 2, "cpu"), configuration, 2)
    diagnostics = outcome.diagnostics
    for name, slope in diagnostics["gradient"].items():
        assert diagnostics["step"][name] == pytest.approx(-1e-3 * slope, rel=1e-6, abs=1e-12), name


def test_three_steps_use_fresh_samples_each(digits: Digits) -> None:
    configuration = RandomSearch(digits.space, 0).propose(2)
    problem = TrainingProblem(digits, 2, "cpu")
    one = HyperGradient(steps=1).refine(problem, configuration, 2).diagnostics
    three = HyperGradient(steps=3).refine(problem, configuration, 2).diagnostics
    assert three["gradient"][0] == one["gradient"]
    assert len({gradient["lr"] for gradient in three["gradient"]}) == 3
    total = sum(gradient["lr"] for gradient in three["gradient"])
    assert three["step"]["lr"] == pytest.approx(-1e-3 * total, rel=1e-6)


class HeavyBall(Digits):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=config["lr"], momentum=config["momentum"])


def test_heavy_ball_momentum_looks_two_steps_ahead_by_default(digits: Digits) -> None:
    task = HeavyBall()
    configuration = RandomSearch(task.space, 0).propose(0)
    outcome = HyperGradient().refine(TrainingProblem(task, 0, "cpu"), configuration, 0)
    assert outcome.diagnostics["lookahead"] == 2
    assert outcome.diagnostics["gradient"]["momentum"] != 0.0
    nesterov = HyperGradient().refine(TrainingProblem(digits, 0, "cpu"), configuration, 0)
    assert nesterov.diagnostics["lookahead"] == 1
    assert nesterov.diagnostics["gradient"]["momentum"] != 0.0


class Exploding(Digits):
    def heldout_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().heldout_loss(outputs, targets) * float("inf")


def test_a_non_finite_gradient_leaves_the_configuration_and_says_so() -> None:
    task = Exploding()
    configuration = RandomSearch(task.space, 0).propose(0)
    outcome = HyperGradient(steps=3).refine(TrainingProblem(task, 0, "cpu"), configuration, 0)
    assert outcome.configuration == configuration
    assert "non-finite" in outcome.diagnostics["note"]
    assert len(outcome.diagnostics["gradient"]) == 1


class Adam(Digits):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=config["lr"])


def test_an_unsupported_optimiser_is_named_with_what_works() -> None:
    with pytest.raises(AshaError, match=r"torch\.optim\.SGD.*Adam.*--variation baseline"):
        HyperGradient().refine(TrainingProblem(Adam(), 0, "cpu"), RandomSearch(Digits.space, 0).propose(0), 0)


def test_a_task_without_a_network_is_refused() -> None:
    with pytest.raises(AshaError, match="TorchTask"):
        HyperGradient().refine(PlainProblem(MIXED), RandomSearch(MIXED, 0).propose(0), 0)


class Double(Digits):
    """Digits in float64, so that differences through real training can be trusted."""

    def model(self, config: Configuration) -> torch.nn.Module:
        return super().model(config).double()

    def data(self) -> Any:
        (x, y), (vx, vy) = super().data()  # type: ignore[misc]
        return (x.double(), y), (vx.double(), vy)


@pytest.mark.parametrize("model", ["cnn", "mlp"])
def test_a_real_task_agrees_with_differences_through_its_own_optimiser(model: str) -> None:
    """All five coordinates of digits: its own augmentation, smoothing, batch norm and optimiser."""
    task = Double(model)
    configuration = task.space.configuration(
        {"lr": 0.05, "weight_decay": 5e-3, "momentum": 0.7, "magnitude": 0.4, "label_smoothing": 0.1}
    )
    problem = TrainingProblem(task, 9, "cpu")
    losses = problem.losses(configuration)
    train, heldout = losses.batches(0)
    found = HyperGradient(eta_h=0.0).refine(problem, configuration, 9).diagnostics["gradient"]
    for name, dimension in task.space.items():
        assert isinstance(dimension, Float)
        # a ReLU network's gradient jumps as the magnitude moves: its slope there means a difference over
        # a step of 1% of the range, which is what the estimate takes too
        h, tolerance = (1e-2, 0.15) if name == "magnitude" else (1e-4, 1e-5)
        sides = [
            _after_one_step(task, losses, moved(task.space, configuration, {name: sign * h}), train, heldout)
            for sign in (-1, 1)
        ]
        expected = (sides[1] - sides[0]) / (2 * h)
        assert found[name] == pytest.approx(expected, rel=tolerance, abs=1e-9), name


def _after_one_step(
    task: Digits, losses: Losses, configuration: Configuration, train: Any, heldout: Any
) -> float:
    theta = {n: p.detach().clone().requires_grad_() for n, p in losses.parameters.items()}
    optimizer = task.optimizer(list(theta.values()), configuration)  # type: ignore[arg-type]
    losses.train_loss(theta, train, configuration).backward()
    optimizer.step()
    return losses.heldout_loss(theta, heldout).item()


@given(seed=st.integers(0, 2**62), index=st.integers(0, 10**6))
def test_random_steps_move_real_dimensions_alone(seed: int, index: int) -> None:
    configuration = RandomSearch(MIXED, 5).propose(index)
    outcome = RandomStep(sigma=0.01).refine(PlainProblem(MIXED), configuration, seed)
    assert outcome.configuration["layers"] == configuration["layers"]
    assert outcome.configuration["kind"] == configuration["kind"]
    MIXED.configuration(outcome.configuration)
    assert set(outcome.diagnostics["step"]) == {"lr", "dropout"}


def test_random_steps_have_their_standard_deviation() -> None:
    space = SearchSpace({"x": Float(-10.0, 10.0)})
    centre = space.configuration({"x": 0.0})
    steps = torch.tensor(
        [RandomStep(0.5).refine(PlainProblem(space), centre, seed).configuration["x"] for seed in range(4000)]
    )
    assert steps.mean().abs() < 4 * 0.5 / math.sqrt(4000)
    assert steps.std().item() == pytest.approx(0.5, rel=0.05)


@given(index=st.integers(0, 10**6), step=st.floats(-100, 100))
def test_moves_are_clamped_and_told_as_they_were_taken(index: int, step: float) -> None:
    configuration = RandomSearch(MIXED, 0).propose(index)
    after = moved(MIXED, configuration, {"lr": step, "dropout": -step})
    MIXED.configuration(after)
    told = taken(MIXED, configuration, after)
    assert abs(told["lr"]) <= abs(step) + 1e-9
    assert moved(MIXED, configuration, {"lr": 0.0}) == configuration


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hypergradiant", {}, 'did you mean "hypergradient"'),
        ("hypergradient", {"eta_h": -1.0}, "eta_h is -1.0"),
        ("hypergradient", {"eta_h": math.nan}, "eta_h is nan"),
        ("hypergradient", {"steps": 0}, "steps is 0"),
        ("hypergradient", {"lookahead": 0}, "lookahead is 0"),
        ("hypergradient", {"stepz": 1}, "stepz"),
        ("random", {"sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_bad_settings_are_refused_in_words(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AshaError, match=message):
        build(name, settings)


def test_an_unknown_variation_names_the_nearest() -> None:
    with pytest.raises(AshaError, match='did you mean "ohgw-1step"'):
        variation("ohgw-1stp")
