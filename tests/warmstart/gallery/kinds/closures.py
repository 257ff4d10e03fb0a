"""Losses that reach more than outputs and targets: the model, copies of it, what its hooks kept."""

from __future__ import annotations

import copy
import random
from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Float, SearchSpace
from tests.warmstart.gallery.case import LR, Loop, kind, mlp, rows

WEIGHTED = SearchSpace({"lr": LR, "weight": Float(1e-4, 1.0, log=True)})
F = nn.functional


def sgd(model: nn.Module, c: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), c["lr"], 0.9)


@kind(WEIGHTED)
def l1_penalty() -> Loop:
    """The loss closes over the model, and adds the size of its weights."""
    model = mlp()

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return F.cross_entropy(outputs, targets) + c["weight"] * sum(
            p.abs().sum() for p in model.parameters()
        )

    return Loop(model, loss, optimizer=sgd, heldout_loss=F.cross_entropy)


@kind(WEIGHTED)
def physics_informed() -> Loop:
    """The loss runs the model itself at other points, and differentiates it by them."""
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    points = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        x = points.clone().requires_grad_()
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return F.mse_loss(outputs, targets) + c["weight"] * (slope + u).square().mean()

    x = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
    return Loop(model, loss, (x, torch.sin(2 * x)), sgd)


@kind(WEIGHTED)
def proximal_term() -> Loop:
    """The loss pulls towards the weights as they were (federated proximal training)."""
    model = mlp()
    start = [p.detach().clone() for p in model.parameters()]

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        away = sum((p - s).square().sum() for p, s in zip(model.parameters(), start, strict=True))
        return F.cross_entropy(outputs, targets) + c["weight"] * away

    return Loop(model, loss, optimizer=sgd, heldout_loss=F.cross_entropy)


@kind(WEIGHTED)
def a_second_view() -> Loop:
    """The loss runs the model on other inputs, which come with the targets."""
    model = mlp()
    (x, y), (other, _) = rows(), rows()

    def loss(outputs: Tensor, targets: Any, c: Any) -> Tensor:
        agreement = F.mse_loss(model(targets["view"]), outputs)
        return F.cross_entropy(outputs, targets["class"]) + c["weight"] * agreement

    return Loop(model, loss, (x, {"view": other, "class": y}), sgd)


@kind(WEIGHTED)
def penalty_on_kept_features() -> Loop:
    """A forward hook keeps features in a list, which the loss reads and clears."""
    model = mlp()
    features: list[Tensor] = []
    model[1].register_forward_hook(lambda module, inputs, output: features.append(output))

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        penalty = features[-1].square().mean()
        features.clear()
        return F.cross_entropy(outputs, targets) + c["weight"] * penalty

    return Loop(model, loss, optimizer=sgd)


class Balanced(nn.Module):
    """Two experts, weighted; it leaves the loss of its balance in an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 2)
        self.experts = nn.ModuleList(nn.Linear(6, 4) for _ in range(2))
        self.balance: Any = None

    def forward(self, x: Tensor) -> Tensor:
        share = self.gate(x).softmax(-1)
        self.balance = share.mean(0).square().sum()
        return sum(share[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


@kind(WEIGHTED)
def loss_in_an_attribute() -> Loop:
    """``forward`` leaves a part of the loss in an attribute (a mixture of experts' balance)."""
    model = Balanced().double()

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return F.cross_entropy(outputs, targets) + c["weight"] * model.balance

    return Loop(model, loss, optimizer=sgd)


@kind()
def loss_is_a_method_of_the_model() -> Loop:
    """A bound method, that reads weights."""

    class WithLoss(nn.Sequential):
        def penalised(self, outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
            return F.cross_entropy(outputs, targets) + 0.1 * self[0].weight.square().sum()

    model = WithLoss(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    return Loop(model, model.penalised)


@kind()
def loss_with_weights_of_its_own() -> Loop:
    """Class centres in the loss, trained by the same optimiser."""
    model = mlp()
    centres = nn.Parameter(torch.randn(4, 4, dtype=torch.float64))

    def optimizer(given: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD([*given.parameters(), centres], c["lr"], c["momentum"])

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return (outputs - centres[targets]).square().mean() + F.cross_entropy(outputs, targets)

    return Loop(model, loss, optimizer=optimizer)


@kind(WEIGHTED)
def mean_teacher() -> Loop:
    """The loss compares with a teacher that it moves after the student each time."""
    model = mlp()
    teacher = copy.deepcopy(model).requires_grad_(requires_grad=False)
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.3 * torch.randn_like(p))

    def loss(outputs: Tensor, targets: Any, c: Any) -> Tensor:
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.5)
        return F.cross_entropy(outputs, targets["class"]) + c["weight"] * F.mse_loss(
            outputs, teacher(targets["x"])
        )

    x, y = rows()
    return Loop(model, loss, (x, {"x": x, "class": y}), sgd)


@kind(WEIGHTED)
def annealed_by_its_calls() -> Loop:
    """The loss counts its calls in a dictionary that it closes over."""
    model = mlp()
    calls = {"n": 0}

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        calls["n"] += 1
        return F.cross_entropy(outputs, targets) + calls["n"] * c["weight"] * outputs.square().mean()

    return Loop(model, loss, optimizer=sgd)


@kind()
def mixup_in_the_loss() -> Loop:
    """The loss draws from the global generators."""

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        share = random.random()
        other = targets[torch.randperm(len(targets))]
        return share * F.cross_entropy(outputs, targets) + (1 - share) * F.cross_entropy(outputs, other)

    return Loop(mlp(), loss, heldout_loss=F.cross_entropy)


@kind()
def average_of_the_weights_by_a_hook() -> Loop:
    """A hook of the optimiser's class keeps an average of the weights, for later use."""
    model = mlp()
    average = torch.optim.swa_utils.AveragedModel(model)

    def optimizer(given: nn.Module, c: Any) -> torch.optim.Optimizer:
        made = torch.optim.SGD(given.parameters(), c["lr"], c["momentum"], weight_decay=c["weight_decay"])
        made.register_step_post_hook(lambda optimizer, args, kwargs: average.update_parameters(model))
        return made

    return Loop(model, optimizer=optimizer, also=(average,))


@kind()
def regression_on_a_global_scale() -> Loop:
    """The loss learns a scale of its targets as it goes, in a tensor that it closes over."""
    scale = torch.ones((), dtype=torch.float64)

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        scale.lerp_(targets.abs().mean(), 0.3)
        return F.mse_loss(outputs / scale, targets / scale)

    return Loop(mlp(), loss, (rows()[0], torch.randn(12, 4, dtype=torch.float64)))
