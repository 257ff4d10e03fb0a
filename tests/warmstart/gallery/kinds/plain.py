"""Weights of every kind, in models that are functions of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from asha_core import Float, SearchSpace
from tests.warmstart.gallery.case import ADAM_SPACE, LR, Loop, adamw, kind, mlp

SMOOTH = SearchSpace({"lr": LR, "smoothing": Float(0.0, 0.5)})
DROPPED = SearchSpace({"lr": LR, "rate": Float(0.1, 0.6)})
MIXED = SearchSpace({"lr": LR, "size": Float(0.1, 0.9)})


def sgd(model: nn.Module, c: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), c["lr"])


@kind()
def perceptron() -> Loop:
    """Nothing special."""
    return Loop(mlp())


@kind(ADAM_SPACE, lr=0.01)
def perceptron_with_adamw() -> Loop:
    """Nothing special, with AdamW."""
    return Loop(mlp(), optimizer=adamw)


@kind(SMOOTH)
def label_smoothing() -> Loop:
    """A coordinate that acts through the training loss alone."""

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=float(c["smoothing"]))

    return Loop(mlp(), loss, optimizer=sgd, heldout_loss=nn.functional.cross_entropy)


@kind(MIXED, exact=1e-3)
def augmented_inputs() -> Loop:
    """A coordinate that acts through the augmentation; held-out samples are not augmented."""

    def augment(x: Tensor, c: Any, noise: torch.Generator) -> Tensor:
        return x + c["size"] * torch.randn(x.shape, generator=noise, dtype=x.dtype)

    return Loop(mlp(), optimizer=sgd, augment=augment, prepare=lambda x: 1.1 * x)


@kind(DROPPED, exact=1e-3)
def factory_of_the_configuration() -> Loop:
    """A function of the configuration that makes the model: how much a layer lets through is searched."""

    def model(c: Any) -> nn.Module:
        torch.manual_seed(2)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), Scaled(1.0 - c["rate"]), nn.Linear(8, 4)).double()

    return Loop(model, optimizer=sgd)


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@kind()
def dropout() -> Loop:
    """Random layers: the same draw for the same samples."""
    return Loop(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 4)).double())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(6, 4, bias=False)
        self.decode = nn.Linear(6, 4)
        self.decode.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(x + torch.tanh(self.encode(x)) @ self.encode.weight)


@kind()
def tied_weights() -> Loop:
    """One weight under two names (pytorch#86708, learn2learn#174)."""
    return Loop(Tied().double())


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.complex128))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(torch.fft.irfft(torch.fft.rfft(x) @ self.weight, n=6)))


@kind()
def complex_weights() -> Loop:
    """A Fourier layer with complex weights."""
    model = Fourier()
    model.head.double()
    return Loop(model)


@kind()
def frozen_layer() -> Loop:
    """Fine-tuning: a layer without gradients (higher#8)."""
    model = mlp()
    model[0].requires_grad_(requires_grad=False)
    return Loop(model)


@kind()
def weight_norm() -> Loop:
    """A weight that is computed from two others."""
    first = parametrizations.weight_norm(nn.Linear(6, 8))
    return Loop(nn.Sequential(first, nn.Tanh(), nn.Linear(8, 4)).double())


@kind(exact=5e-3, coarse=0.03)
def single_precision() -> Loop:
    """float32, as nearly everybody trains."""
    x, y = torch.randn(12, 6), torch.randint(0, 4, (12,))
    return Loop(mlp().float(), data=(x, y))


@kind()
def weight_that_is_not_contiguous() -> Loop:
    """A transposed weight."""
    model = mlp()
    model[0].weight = nn.Parameter(model[0].weight.detach().t().contiguous().t())
    return Loop(model)


@kind()
def parameter_list_in_a_plain_function() -> Loop:
    """Weights outside any layer, and a loop in ``forward``."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList(0.5 * torch.randn(6, 6, dtype=torch.float64) for _ in range(2))
            self.shift = nn.ParameterDict({"b": nn.Parameter(torch.zeros(6, dtype=torch.float64))})

        def forward(self, x: Tensor) -> Tensor:
            for weight in self.weights:
                x = torch.tanh(x @ weight + self.shift["b"])
            return x

    return Loop(Own())


@kind()
def ill_placed_modes() -> Loop:
    """A model that was left in eval mode, with gradients and hooks from before."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4)).double()
    model(torch.randn(5, 6, dtype=torch.float64)).sum().backward()
    model.eval()
    return Loop(model, data=(torch.randn(12, 6, dtype=torch.float64), torch.randint(0, 4, (12,))))
