"""The routes to a hyper-gradient, by name; and that the judge's own label smoothing is PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from asha_core import Float, SearchSpace
from tests.warmstart.networks import SGD_PSI, SGD_SPACE, Toy, sgd_group
from tests.warmstart.smoothing import cross_entropy
from warmstart.base import Losses
from warmstart.estimates.dependence import optimizer_settings
from warmstart.estimates.estimate import estimate


def no_batches(draw: int, kind: str) -> Any:
    raise AssertionError


def test_routes_by_name_through_one_door() -> None:
    setup = Toy(SGD_SPACE, SGD_PSI, sgd_group)
    after = lambda config, train, heldout: setup.heldout_after(config, len(train))  # noqa: E731
    losses = Losses(no_batches, after, setup.network())
    for route, steps, taken in (
        ("closed", 1, "closed"),
        ("tangents", 1, "tangents"),
        ("tangents", 2, "tangents"),
        ("first-order", 1, "closed"),
        ("first-order", 2, "first-order"),
        ("differences", 2, "differences"),
        ("auto", 1, "closed"),
        ("auto", 2, "tangents"),
    ):
        batches = setup.batches[:steps], setup.batches[5]
        found = estimate(losses, SGD_SPACE, SGD_PSI, *batches, route=route)  # type: ignore[arg-type]
        assert found.route == taken
        assert found.fallback is None


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_settings_that_are_known_already_give_the_same_estimate(momentum: float) -> None:
    """Measured of all coordinates, where one is wanted; and where Nesterov's momentum begins beside it."""
    space = SearchSpace({**SGD_SPACE, "momentum": Float(0.0, 0.95)})
    psi = space.configuration({**SGD_PSI, "momentum": momentum})
    setup = Toy(space, psi, lambda config: sgd_group(config, nesterov=config["momentum"] > 0))
    losses = Losses(no_batches, lambda *a: 0.0, setup.network())
    settings = optimizer_settings(setup.groups, space, psi, setup.movable)
    for route, steps in (("closed", 1), ("tangents", 3), ("first-order", 3)):
        given = losses, space, psi, setup.batches[:steps], setup.batches[5]
        found = estimate(*given, route=route, only=["lr"], settings=settings)  # type: ignore[arg-type]
        assert found == estimate(*given, route=route, only=["lr"])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 3)])
def test_smoothing_by_a_tensor_is_pytorchs_by_a_number(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(shape, generator=generator, dtype=torch.float64)
    classes = torch.randint(0, 5, (shape[0], *shape[2:]), generator=generator)
    padded = classes.clone()
    padded[0] = -100  # what PyTorch ignores
    shares = torch.rand(shape, generator=generator, dtype=torch.float64).softmax(1)
    for targets in (classes, padded, shares):
        for strength in (0.0, 0.1, 1.0):
            expected = nn.functional.cross_entropy(outputs, targets, label_smoothing=strength)
            found = cross_entropy(outputs, targets, torch.tensor(strength, dtype=torch.float64))
            assert found.item() == pytest.approx(expected.item(), rel=1e-12)
            assert torch.equal(cross_entropy(outputs, targets, strength), expected)
