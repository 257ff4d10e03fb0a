"""What the model of curves is told of, beyond what searches show of it."""

from __future__ import annotations

import math

import pytest

from asha_core import Choice, Constant, Float, Int, SearchSpace
from asha_core.surrogates.curve_model import CurveModel, FitSettings, Scaling
from asha_core.surrogates.encoding import encode

SPACE = SearchSpace({"x": Float(0, 1)})


def test_configurations_as_numbers():
    space = SearchSpace(
        {"lr": Float(1e-4, 1.0, log=True), "n": Int(1, 4), "o": Choice(["a", "b", "c"]), "m": Float(0, 1),
         "k": Constant(3)},
        conditions={"m": {"o": "b"}},
    )  # fmt: skip
    found = encode(space, space.configuration({"lr": 1e-2, "n": 4, "o": "b", "m": 0.25}))
    assert found == pytest.approx([0.5, 0.875, 0, 1, 0, 0.25])
    assert encode(space, space.configuration({"lr": 1.0, "n": 1, "o": "a"}))[2:] == [1, 0, 0, 0.5]
    assert len(encode(space, {})) == 6


@pytest.mark.parametrize(
    "losses", [[1.0, 2.0, 3.0, 4.0], [0.1] * 5 + [1e9, math.nan], [2.0, 2.0], [5.0, math.inf]]
)
def test_targets_keep_the_order_and_are_standardised(losses):
    scaling = Scaling.of(losses)
    targets = [scaling.target(loss) for loss in losses]
    finite = sorted(loss for loss in losses if math.isfinite(loss))
    assert sorted(targets)[: len(finite)] == [scaling.target(loss) for loss in finite]
    assert all(
        target == max(targets) for target, loss in zip(targets, losses, strict=True) if math.isnan(loss)
    )
    assert math.fsum(targets) == pytest.approx(0, abs=1e-9)
    assert {0.0} <= {scaling.height(max(finite))} <= {0.0, scaling.height(min(finite))}
    assert scaling.target(min(finite) - 1) < min(targets)


@pytest.mark.parametrize(
    "losses", [[1e308, -1e308, 1.0, 2.0], [1e308] * 3 + [-1e308] * 3, [0.0, 5e-324, 1.0]]
)
def test_targets_of_any_finite_losses_are_finite(losses):
    scaling = Scaling.of(losses)
    told = [*losses, 1e308, -1e308, math.nan]
    assert all(math.isfinite(scaling.target(loss)) for loss in told)
    assert all(math.isfinite(scaling.height(loss)) for loss in told)
    assert all(math.isfinite(Scaling.of([1.0, 1.0 + 2e-16, 2.0]).target(loss)) for loss in told)


def test_one_that_learns_first_does_not_make_all_others_alike():
    losses = [-10.0, -11.0, -12.0, -9.0, -84.0]
    targets = [Scaling.of(losses).target(loss) for loss in losses]
    assert targets[3] - targets[2] > 0.5


def told(cap, lengths):
    model = CurveModel(SPACE, range(1, 60), 0, FitSettings(10**9, 1, 1, 1, 0.1, cap, 100, 0.01))
    for trial, length in enumerate(lengths):
        for level in range(length):
            model.begin(trial, SPACE.from_unit([0.5]), level, None)
            model.arrived(trial, SPACE.from_unit([0.5]), float(trial), goes_on=True)
    return model


def test_as_long_as_there_is_room_everything_is_fitted():
    assert len(told(10, [3, 4, 3])._chosen()) == 10


def test_beyond_it_whole_curves_of_the_best_and_last_losses_of_others():
    chosen = told(20, [4, 5, 6, *[2] * 40])._chosen()
    assert len(chosen) == 20
    assert chosen[:9] == [*((0, level) for level in range(4)), *((1, level) for level in range(5))]
    rest = chosen[9:]
    assert len({trial for trial, _ in rest}) == len(rest) == 11
    assert all(level == len(told(20, [4, 5, 6, *[2] * 40])._curves[trial]) - 1 for trial, level in rest)
    assert rest[0][0] == 2
    assert rest[-1][0] > 35


def test_a_fit_that_breaks_down_is_told():
    pytest.importorskip("gpytorch")
    from asha_core.surrogates import deep_kernel

    points = deep_kernel.points([[0.1], [0.9]], [[1.0], [1.0]], [[0.0] * 3] * 2)
    import torch

    bad = torch.tensor([1.0, math.nan], dtype=torch.float64)
    kept = {"epochs": 3, "learning_rate": 0.1, "seed": 1}
    assert deep_kernel.fit(points, bad, None, unwanted=lambda: False, **kept) is None
    good = torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert deep_kernel.fit(points, good, None, unwanted=lambda: True, **kept) is None
    assert deep_kernel.fit(points, good, None, unwanted=lambda: False, **kept) is not None
