"""What cannot be differentiated is refused with what works, or is had by differences, and said to be."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asha_core import AshaError, Configuration
from tests.warmstart.models import (
    PSI,
    expected,
    loss,
    measured,
    net,
    problem,
)
from tests.warmstart.networks import assert_agrees

UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "RMSprop": (lambda m, c: torch.optim.RMSprop(m.parameters(), c["lr"]), "RMSprop"),
    "LBFGS": (lambda m, c: torch.optim.LBFGS(m.parameters(), c["lr"], max_iter=3), "LBFGS"),
    "amsgrad": (
        lambda m, c: torch.optim.Adam(m.parameters(), c["lr"], eps=0.1, amsgrad=True),
        r"Adam\(amsgrad",
    ),
    "maximize": (lambda m, c: torch.optim.SGD(m.parameters(), c["lr"], maximize=True), r"SGD\(maximize"),
    "a subclass": (lambda m, c: type("Mine", (torch.optim.SGD,), {})(m.parameters(), c["lr"]), "gave Mine"),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_an_unsupported_optimiser_is_named_with_what_works_and_that_works(kind: str) -> None:
    optimizer, name = UNSUPPORTED[kind]
    given = problem(optimizer=optimizer)
    for route in ("closed", "tangents"):
        with pytest.raises(AshaError, match=rf"torch\.optim\.SGD, Adam and AdamW.*{name}.*route=differences"):
            measured(given, route=route)
    found = measured(given, 2, route="differences")
    left_open = measured(given, 2)
    assert (left_open.route, left_open.gradient) == ("differences", found.gradient)
    assert re.search(name, str(left_open.fallback))
    slopes = expected(given, 2)
    assert found.finite
    assert found.gradient["lr"] == pytest.approx(slopes["lr"], rel=0.05)
    assert found.gradient["lr"] != 0.0
    assert found.ignored == ("weight_decay", "momentum")


def test_an_optimiser_of_another_model_is_refused_with_the_fix() -> None:
    model = net()
    given = problem(lambda c: net(), optimizer=lambda m, c: torch.optim.SGD(model.parameters(), c["lr"]))
    with pytest.raises(AshaError, match=r"4 parameters that are not the model's.*optimizer\(model, conf"):
        measured(given)


class OnceDifferentiable(torch.autograd.Function):
    """tanh, by an extension whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class Extension(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return OnceDifferentiable.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def test_a_backward_pass_that_somebody_wrote_is_not_taken_for_the_derivative() -> None:
    model, plain = net(), net()
    model[1] = Extension()  # type: ignore[operator, index]
    for steps in (1, 2):
        found, exact = measured(problem(model), steps), measured(problem(plain), steps)
        assert found.route == "differences"
        assert "OnceDifferentiable" in str(found.fallback)
        assert_agrees(found.gradient, exact.gradient, rel=0.02, noise=1e-5)
        with pytest.raises(AshaError, match=r"OnceDifferentiable.*route=differences"):
            measured(problem(model), steps, route="tangents")


class Checkpointed(nn.Module):
    """Its first layers are run again in the backward pass, instead of keeping what they made."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = net()

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.layers
        return nn.Sequential(*rest)(checkpoint(first, x, use_reentrant=False))


@pytest.mark.parametrize("steps", [1, 2])
def test_activation_checkpointing_changes_nothing(steps: int) -> None:
    # run again, the layers have the weights that they had, which is not so where only a call is given others
    routes: list[Any] = ["auto", "tangents", *(["closed"] if steps == 1 else [])]
    for route in routes:
        found = measured(problem(Checkpointed()), steps, route=route)
        assert found.fallback is None
        assert_agrees(found.gradient, measured(problem(net()), steps, route=route).gradient, rel=1e-9)


def test_a_model_that_is_the_callers_own_is_left_without_hooks() -> None:
    model = net()
    assert measured(problem(lambda config: model)).route == "closed"
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_defect_of_the_loss_is_its_own_error() -> None:
    def defect(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        return outputs @ torch.ones(3, dtype=torch.float64)

    for steps in (1, 2):
        with pytest.raises(RuntimeError, match="size mismatch"):
            measured(problem(loss=defect), steps)
    with pytest.raises(torch.OutOfMemoryError):

        def full(*arguments: Any) -> Any:
            raise torch.OutOfMemoryError

        measured(problem(loss=full))


def test_without_a_held_out_loss_the_training_loss_is_taken_at_the_configurations_own_values() -> None:
    given = problem(heldout_loss=None)
    fixed = problem(heldout_loss=lambda out, t: loss(out, t, PSI))
    assert measured(given) == measured(fixed)
    assert_agrees(measured(given, 2).gradient, expected(given, 2), noise=1e-11)
