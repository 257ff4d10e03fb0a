"""Backward passes that somebody has written, and gradients that are no derivatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tests.warmstart.gallery.case import Loop, kind


class KeepsIntermediates(torch.autograd.Function):
    """sin(x), whose backward pass uses what ``forward`` left in an attribute."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.slope = x.cos()
        return x.sin()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.slope


class SavesIntermediates(torch.autograd.Function):
    """exp(x)'s neighbour: an intermediate that is saved as a tensor, and has no graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(1.0 - x.tanh().square())
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return grad * slope


class Once(KeepsIntermediates):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.slope


class Cube(torch.autograd.Function):
    """x^3 / 3, with a backward pass that can be differentiated."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3 / 3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * x**2


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x + 0.1 * torch.sin(3 * x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return -0.5 * grad


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function.apply(x)


def network(function: Any) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), Applied(function), nn.Linear(8, 4)).double()


@kind()
def function_that_keeps_intermediates_in_attributes() -> Loop:
    """Its second derivative would be without a part, and no error."""
    return Loop(network(KeepsIntermediates))


@kind()
def function_that_saves_intermediates() -> Loop:
    """The same with ``save_for_backward``."""
    return Loop(network(SavesIntermediates))


@kind()
def function_differentiable_once() -> Loop:
    """``@once_differentiable``."""
    return Loop(network(Once))


@kind()
def function_with_setup_context() -> Loop:
    """A right one, in the new style (DeepSpeed#7323, flash-attention#2071)."""
    return Loop(network(Cube))


@kind()
def straight_through() -> Loop:
    """A function whose gradient is not its derivative, in the held-out pass too."""
    return Loop(network(Sign))


class Adversarial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.label, self.domain = nn.Linear(6, 6), nn.Linear(6, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.tanh(self.body(x))
        return self.label(features), self.domain(Reversal.apply(features))


@kind()
def gradient_reversal() -> Loop:
    """Domain-adversarial training: the held-out loss has its true derivative."""

    def loss(outputs: Any, targets: Any, c: Any) -> Tensor:
        label, domain = outputs
        return nn.functional.cross_entropy(label, targets[0]) + nn.functional.cross_entropy(
            domain, targets[1]
        )

    x = torch.randn(12, 6, dtype=torch.float64)
    targets = torch.randint(0, 4, (12,)), torch.randint(0, 2, (12,))
    return Loop(Adversarial().double(), loss, (x, targets))


@kind()
def detached_branch() -> Loop:
    """A stop of gradients (as in self-distillation): what is detached still moves the held-out loss."""

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.predict = nn.Linear(6, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            z = torch.tanh(self.encode(x))
            return self.predict(z), z.detach()

    def loss(outputs: Any, targets: Tensor, c: Any) -> Tensor:
        return nn.functional.mse_loss(outputs[0], outputs[1] + 0.1 * targets[:, None])

    return Loop(Siamese().double(), loss)
