"""Hyper-gradients through Adam and AdamW, against float64 differences through PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from asha_core import Float, SearchSpace
from tests.warmstart.networks import (
    ADAM_PSI,
    ADAM_SPACE,
    IGNORED,
    WAYS,
    Toy,
    adam_group,
    assert_agrees,
    reference,
)
from warmstart.base import Network
from warmstart.estimates.closed_form import one_step
from warmstart.estimates.tangents import unrolled
from warmstart.optimizers import Adam

EPSILONS = (1e-1, 1e-3, 1e-8)


def toy(decoupled: bool, eps: float, **values: float) -> Toy:
    """With a small eps the first update is d / |d|, and next to nothing acts through the loss."""
    psi = ADAM_SPACE.configuration({**ADAM_PSI, "eps": eps, **values})
    return Toy(ADAM_SPACE, psi, partial(adam_group, decoupled=decoupled))


KINDS: dict[str, Callable[[], Toy]] = {
    f"{'AdamW' if decoupled else 'Adam'}-{eps}": partial(toy, decoupled, eps)
    for decoupled in (False, True)
    for eps in EPSILONS
}


@pytest.mark.long
@pytest.mark.parametrize(("route", "steps"), WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_differences_through_the_real_optimiser(kind: str, route: str, steps: int) -> None:
    found = KINDS[kind]().estimate(route, steps)
    # with a small eps the update is next to the gradient's sign, which jumps where a gradient is 0: nearer
    # differences, which have more rounding
    signs = kind.endswith("1e-08")
    final, slopes = reference(KINDS[kind], steps, 1e-4 if signs else 1e-3)
    assert found.final == pytest.approx(final, rel=1e-12)
    assert found.ignored == (IGNORED,)
    assert_agrees(found.gradient, slopes, noise=5e-11 if signs else 2e-12)
    acting = {"lr", "weight_decay", "label_smoothing", "temperature", "warp", "eps"}
    if not signs:
        assert all(abs(found.gradient[name]) > 1e-9 for name in acting)
    for name in ("beta1", "beta2"):
        if route == "reverse":  # whose bias correction rounds
            assert (abs(found.gradient[name]) < 1e-14) == (steps == 1)
        else:
            assert (found.gradient[name] == 0.0) == (steps == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_routes_agree_with_one_another_to_rounding(kind: str) -> None:
    smooth = [name for name in KINDS[kind]().movable if name not in ("warp", "temperature")]
    for steps, routes in ((1, ("closed", "tangents", "reverse")), (3, ("tangents", "reverse"))):
        first, *others = (KINDS[kind]().estimate(route, steps, only=smooth).gradient for route in routes)
        for other in others:
            assert_agrees(other, first, rel=1e-8, noise=1e-13)


def test_betas_of_0_are_no_special_case() -> None:
    space = SearchSpace({**ADAM_SPACE, "beta1": Float(-0.5, 0.9), "beta2": Float(-0.5, 0.9)})

    def make() -> Toy:
        group = adam_group
        return Toy(space, space.configuration({**ADAM_PSI, "beta1": 0.0, "beta2": 0.2, "eps": 0.1}), group)

    for steps in (1, 2, 3):
        # PyTorch refuses a beta below 0, so differences through it are taken from above
        setup = make()
        found = setup.estimate("tangents", steps).gradient
        h = 1e-4
        here, one, two = (
            setup.heldout_after(space.configuration({**setup.psi, "beta1": i * h}), steps) for i in range(3)
        )
        assert found["beta1"] == pytest.approx((-3 * here + 4 * one - two) / (2 * h), rel=1e-5, abs=1e-9)
        assert found["beta1"] == pytest.approx(
            setup.estimate("reverse", steps).gradient["beta1"], rel=1e-9, abs=1e-14
        )


def test_a_weight_without_a_gradient_stays_put_and_its_slopes_are_numbers() -> None:
    """sqrt(0) in the denominator: its derivative is taken as 0, not as infinity."""
    theta = {"used": torch.ones(3, dtype=torch.float64), "unused": torch.ones(2, dtype=torch.float64)}

    def loss(parameters: Mapping[str, Any], batch: Any, config: Any = None) -> Any:
        return (parameters["used"] ** 2).sum() + 0.0 * parameters["unused"].sum()

    def groups(config: Mapping[str, Any]) -> list[Adam]:
        return [replace(adam_group(config), parameters=tuple(theta), weight_decay=0.0)]

    network = Network(theta, lambda p, b, c: loss(p, b), lambda o, b, c: o, loss, groups)
    closed = one_step(network, ADAM_SPACE, ADAM_PSI, None, None)
    tangents = unrolled(network, ADAM_SPACE, ADAM_PSI, [None, None, None], None)
    assert closed.finite
    assert tangents.finite
    assert tangents.gradient["beta1"] != 0.0


def test_float32_is_good_to_four_digits() -> None:
    """The precision of training: moments of 1e-10 squared must not be lost."""
    for eps in EPSILONS:
        double = toy(True, eps)
        expected = double.estimate("tangents", 3, only=["lr", "weight_decay", "beta1", "beta2"]).gradient
        single = toy(True, eps)
        single.model.float()
        single.batches = [(x.float(), y) for x, y in single.batches]
        found = single.estimate("tangents", 3, only=list(expected)).gradient
        assert_agrees(found, expected, rel=1e-3, noise=1e-6)
