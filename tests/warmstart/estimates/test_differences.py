"""Finite differences on the configuration alone: for what cannot be differentiated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from asha_core import Choice, Configuration, Float, SearchSpace
from asha_core.errors import SettingError
from tests.warmstart.networks import IGNORED, SGD_PSI, SGD_SPACE, Toy, assert_agrees, central, sgd_group
from warmstart import BlackBox
from warmstart.base import Losses
from warmstart.estimates.differences import differences
from warmstart.estimates.estimate import estimate
from warmstart.strategies.hypergradient import HyperGradient


def toy_losses(setup: Toy) -> Losses:
    def after(config: Configuration, train: Sequence[Any], heldout: Any) -> float:
        return setup.heldout_after(config, len(train))

    return Losses(lambda draw, kind: (None, None), after, setup.network())


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_differences_agree_with_the_exact_routes(steps: int) -> None:
    setup = Toy(SGD_SPACE, SGD_PSI, sgd_group)
    losses, batches = toy_losses(setup), (setup.batches[:steps], setup.batches[5])
    found = differences(losses, SGD_SPACE, SGD_PSI, *batches, step=1e-4)
    exact = setup.estimate("tangents", steps)
    assert (found.route, found.ignored, found.fallback) == ("differences", (IGNORED,), None)
    assert found.final == pytest.approx(exact.final, rel=1e-12)
    assert_agrees(found.gradient, exact.gradient, rel=1e-6, noise=1e-10)
    # with the step that is right for what is noisy, about the same
    coarse = estimate(losses, SGD_SPACE, SGD_PSI, *batches, route="differences")
    assert_agrees(coarse.gradient, exact.gradient, rel=0.02, noise=1e-4)


@pytest.mark.parametrize("side", [0.0, 1.0, 0.5])
def test_differences_on_the_bounds_stay_inside_and_are_of_second_order(side: float) -> None:
    space = SearchSpace({"x": Float(0.1, 10.0, log=True), "unread": Float(0.0, 1.0)})
    seen = []

    def evaluate(config: Configuration, draw: int) -> float:
        seen.append(space.configuration({"x": config["x"], "unread": 0.5}))
        return config["x"] ** 2

    problem = BlackBox(space, evaluate)
    psi = space.from_unit([side, side])
    found = differences(problem.losses(psi), space, psi, [0], 0, step=1e-3)
    expected = central(lambda config: config["x"] ** 2, space, psi, "x")
    assert found.gradient["x"] == pytest.approx(expected, rel=1e-4)
    assert found.gradient["unread"] == 0.0
    assert found.ignored == ("unread",)
    assert len(seen) == 3  # nothing is spent on what is not read


def test_what_is_read_and_changes_nothing_is_exactly_zero_on_a_bound_too() -> None:
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    problem = BlackBox(space, lambda config, draw: 0.1 + 0.0 * sum(dict(config).values()))
    for side in (0.0, 0.01, 0.5, 1.0):
        psi = space.configuration({"x": side, "y": side})
        assert differences(problem.losses(psi), space, psi, [0], 0).gradient == {"x": 0.0, "y": 0.0}


def test_a_black_box_takes_differences_whatever_the_lookahead_and_says_so() -> None:
    space = SearchSpace({"x": Float(-1.0, 1.0), "kind": Choice(["a"])})
    problem = BlackBox(space, lambda config, draw: (config["x"] - 0.1 * draw) ** 2)
    psi = space.configuration({"x": 0.5, "kind": "a"})
    losses = problem.losses(psi)
    for draw in (0, 3):
        found = estimate(losses, space, psi, [draw, draw + 1], draw)
        assert found.gradient == {"x": pytest.approx(2 * (0.5 - 0.1 * draw))}
        assert found.final == pytest.approx((0.5 - 0.1 * draw) ** 2)
        assert (found.route, found.fallback) == ("differences", "nothing to differentiate")
    asked = estimate(losses, space, psi, [0], 0, route="differences")
    assert asked.fallback is None
    for route in ("closed", "tangents"):
        with pytest.raises(SettingError, match=f"route is '{route}', and there is no network"):
            estimate(losses, space, psi, [0], 0, route=route)  # type: ignore[arg-type]


def test_gradient_boosting_has_sensible_signs() -> None:
    """A tree model: too small a rate wants to be larger, too large a one smaller."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = load_diabetes(return_X_y=True)
    space = SearchSpace(
        {
            "learning_rate": Float(1e-3, 2.0, log=True),
            "subsample": Float(0.2, 1.0),
            "loss": Choice(["squared_error"]),
        }
    )

    def evaluate(config: Configuration, draw: int) -> float:
        rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(draw)).numpy()
        model = GradientBoostingRegressor(n_estimators=20, max_depth=2, random_state=draw, **config)
        model.fit(x[rows[:200]], y[rows[:200]])
        return float(((model.predict(x[rows[200:]]) - y[rows[200:]]) ** 2).mean() / y.var())

    problem = BlackBox(space, evaluate)
    slopes = {}
    for rate in (0.003, 1.5):
        psi = {"learning_rate": rate, "subsample": 0.5, "loss": "squared_error"}
        outcome = HyperGradient().refine(problem, space.configuration(psi), seed=0)
        slopes[rate] = outcome.diagnostics["gradient"]
        assert outcome.diagnostics["route"] == "differences"
        assert outcome.diagnostics["fallback"] == "nothing to differentiate"
        json.dumps(outcome.diagnostics)
        assert set(outcome.diagnostics["gradient"]) == {"learning_rate", "subsample"}
    assert slopes[0.003]["learning_rate"] < 0 < slopes[1.5]["learning_rate"]


def test_a_defect_of_the_loss_surfaces_as_itself() -> None:
    """Not as a fallback: differences meet it again."""
    setup = Toy(SGD_SPACE, SGD_PSI, sgd_group)
    setup.criterion = lambda outputs, batch, config: nn.functional.mse_loss(  # type: ignore[method-assign]
        outputs @ torch.ones(3, dtype=torch.float64), batch[1]
    )
    for steps in (1, 2):
        with pytest.raises(RuntimeError, match="size mismatch"):
            estimate(toy_losses(setup), SGD_SPACE, SGD_PSI, setup.batches[:steps], setup.batches[5])


def test_running_out_of_memory_is_not_taken_for_a_missing_derivative() -> None:
    setup = Toy(SGD_SPACE, SGD_PSI, sgd_group)

    def full(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    setup.forward = full  # type: ignore[method-assign]
    losses = Losses(lambda draw, kind: (None, None), lambda *a: 0.0, setup.network())
    with pytest.raises(torch.OutOfMemoryError):
        estimate(losses, SGD_SPACE, SGD_PSI, setup.batches[:1], setup.batches[5])
    with pytest.raises(SettingError, match='"closed" looks 1 step ahead, and lookahead is 2'):
        estimate(losses, SGD_SPACE, SGD_PSI, setup.batches[:2], setup.batches[5], route="closed")
