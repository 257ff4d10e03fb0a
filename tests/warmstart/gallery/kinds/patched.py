"""Forwards that somebody has replaced, as libraries of adapters and of sharding do."""

from __future__ import annotations

import types
import warnings
import weakref
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from tests.warmstart.gallery.case import Loop, kind, mlp


def adapters() -> tuple[nn.Module, nn.Module]:
    up = nn.Linear(2, 8, bias=False).double()
    return nn.Linear(6, 2, bias=False).double(), up


class Adapted(nn.Module):
    """A perceptron with low-rank adapters beside its first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()
        self.down, self.up = adapters()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@kind()
def forward_replaced_by_a_lambda() -> Loop:
    """``old = layer.forward; layer.forward = lambda x: old(x) + up(down(x))``."""
    model = Adapted()
    layer, up, down = model.net[0], model.up, model.down
    old = layer.forward
    layer.forward = lambda x: old(x) + up(down(x))  # type: ignore[method-assign]
    return Loop(model)


@kind()
def forward_is_a_partial_of_a_weak_reference() -> Loop:
    """As libraries that move weights between devices patch it."""

    def run(there: Any, old: Any, x: Tensor) -> Tensor:
        return old(there(), x) * 1.5

    model = mlp()
    layer = model[0]
    layer.forward = partial(run, weakref.ref(layer), nn.Linear.forward)  # type: ignore[method-assign]
    return Loop(model)


@kind()
def forward_is_another_objects_method() -> Loop:
    """``types.MethodType``, bound to the layer."""

    def squashed(self: nn.Linear, x: Tensor) -> Tensor:
        return torch.sin(nn.functional.linear(x, self.weight, self.bias))

    model = mlp()
    model[0].forward = types.MethodType(squashed, model[0])  # type: ignore[method-assign]
    return Loop(model)


@kind()
def forward_of_the_whole_model_replaced() -> Loop:
    """The model's own forward, that runs the old one twice."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh()).double()
    old = model.forward
    model.forward = lambda x: old(old(x))[:, :4]  # type: ignore[method-assign]
    return Loop(model)


@kind()
def low_rank_adapters() -> Loop:
    """Adapters as modules beside a frozen layer."""

    class LoRA(nn.Module):
        def __init__(self, base: nn.Linear) -> None:
            super().__init__()
            self.base = base.requires_grad_(requires_grad=False)
            self.down, self.up = adapters()

        def forward(self, x: Tensor) -> Tensor:
            return self.base(x) + 2.0 * self.up(self.down(x))

    model = mlp()
    model[0] = LoRA(model[0])  # type: ignore[arg-type]
    return Loop(model)


@kind()
def pruned() -> Loop:
    """A hook makes the weight from another one and a mask, as a plain attribute."""
    model = mlp()
    prune.random_unstructured(model[0], "weight", amount=0.4)
    return Loop(model)


@kind()
def weight_norm_by_a_hook() -> Loop:
    """The old one, which sets the weight as a plain attribute (pytorch#2720)."""
    model = mlp()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(model[0])
    return Loop(model)


@kind()
def quantised_in_training() -> Loop:
    """A parametrisation that rounds, with the gradient passed straight through."""

    class Rounded(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight + (torch.round(weight * 8) / 8 - weight).detach()

    model = mlp()
    nn.utils.parametrize.register_parametrization(model[0], "weight", Rounded())
    return Loop(model)


@kind()
def weights_in_a_cache() -> Loop:
    """A layer that keeps a list of its weights, made when it was (higher#27, learn2learn#139)."""

    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)
            self.flat = list(self.inner.parameters())

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(torch.tanh(x), *self.flat)

    model = Listed().double()
    return Loop(model)


@kind()
def layer_hidden_from_the_model() -> Loop:
    """A layer in a list of its own, whose weights the optimiser is given apart."""
    hidden = nn.Linear(6, 6).double()

    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = (hidden,)
            self.head = nn.Linear(6, 4, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.layers[0](x)))

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD([*model.parameters(), *hidden.parameters()], c["lr"], c["momentum"])

    return Loop(Hiding(), optimizer=optimizer)
