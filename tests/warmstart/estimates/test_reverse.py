"""The reference route: what it needs, and that it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core.errors import TaskError
from tests.warmstart.networks import SGD_PSI, SGD_SPACE, Toy, sgd_group
from warmstart.base import Losses
from warmstart.estimates.estimate import estimate
from warmstart.problem.smoothing import cross_entropy


def toy() -> Toy:
    return Toy(SGD_SPACE, SGD_PSI, sgd_group)


def no_batches(draw: int, kind: str) -> Any:
    raise AssertionError


def test_a_smoothing_that_takes_no_tensor_is_an_error_and_not_a_zero() -> None:
    setup = toy()

    def plain(outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
        return nn.functional.cross_entropy(outputs, batch[1], label_smoothing=config["label_smoothing"])

    setup.criterion = plain  # type: ignore[method-assign]
    with pytest.raises(TaskError, match=r'label_smoothing.*route "reverse".*tensor.*"auto"'):
        setup.estimate("reverse", 1)


def test_a_coordinate_made_into_a_plain_number_is_an_error_and_not_a_zero() -> None:
    setup = toy()
    criterion = setup.criterion

    def plain(outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
        number = config["temperature"]
        number = number.item() if isinstance(number, Tensor) else number
        return criterion(
            outputs, batch, {"temperature": number, "label_smoothing": config["label_smoothing"]}
        )

    setup.criterion = plain  # type: ignore[method-assign]
    with pytest.raises(TaskError, match=r'route "reverse" cannot follow temperature.*plain number.*"auto"'):
        setup.estimate("reverse", 2)
    assert setup.estimate("tangents", 2).gradient["temperature"] != 0.0
    # what moves the optimiser too is found out all the same
    inner = setup.groups
    setup.groups = lambda config: [  # type: ignore[method-assign]
        type(group)(group.parameters, 0.1 * config["temperature"]) for group in inner(config)
    ]
    with pytest.raises(TaskError, match="cannot follow temperature"):
        setup.estimate("reverse", 2)


def test_routes_by_name_through_one_door() -> None:
    setup = toy()
    after = lambda config, train, heldout: setup.heldout_after(config, len(train))  # noqa: E731
    losses = Losses(no_batches, after, setup.network())
    for route, steps in (
        ("closed", 1),
        ("tangents", 1),
        ("tangents", 2),
        ("reverse", 2),
        ("auto", 1),
        ("auto", 2),
    ):
        found = estimate(
            losses,
            SGD_SPACE,
            SGD_PSI,
            setup.batches[:steps],
            setup.batches[5],
            route=route,  # type: ignore[arg-type]
        )
        assert found.route == {"auto": "closed" if steps == 1 else "tangents"}.get(route, route)
        assert found.fallback is None


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
