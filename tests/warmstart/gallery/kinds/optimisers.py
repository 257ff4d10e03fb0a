"""Optimisers, what loops do around them, and how they are handed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from asha_core import Float, SearchSpace
from tests.warmstart.gallery.case import ADAM_SPACE, DECAY, LR, Loop, adamw, heavy_ball, kind, mlp

LR_ONLY = SearchSpace({"lr": LR})
NORM = SearchSpace({"lr": LR, "weight": Float(1e-3, 1.0, log=True)})
LR_DECAY = SearchSpace({"lr": LR, "weight_decay": DECAY})
EPS_SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "weight": Float(1e-5, 1.0, log=True)})


@kind()
def nesterov() -> Loop:
    """SGD with Nesterov's momentum: momentum acts from the first step on."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            model.parameters(), c["lr"], c["momentum"], weight_decay=c["weight_decay"], nesterov=True
        )

    return Loop(mlp(), optimizer=optimizer)


@kind()
def dampened_fused_sgd() -> Loop:
    """Dampening, in the fused kernel."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        decay = c["weight_decay"]
        return torch.optim.SGD(model.parameters(), c["lr"], c["momentum"], 0.3, decay, fused=True)

    return Loop(mlp(), optimizer=optimizer)


@kind(EPS_SPACE, lr=0.01)
def adam_with_coupled_decay() -> Loop:
    """Adam, with its eps searched, and decay in the gradient."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), c["lr"], eps=c["weight"], weight_decay=0.1, foreach=True)

    return Loop(mlp(), optimizer=optimizer)


@kind(ADAM_SPACE, lr=0.01)
def fused_adamw() -> Loop:
    """The fused kernel, with a rate that is a tensor in one group."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        betas, decay = (c["beta1"], 0.95), c["weight_decay"]
        return torch.optim.AdamW(model.parameters(), c["lr"], betas, 1e-3, decay, fused=True)

    return Loop(mlp(), optimizer=optimizer)


@kind(ADAM_SPACE, lr=0.01)
def rate_as_a_tensor() -> Loop:
    """``lr=torch.tensor(...)``, as for capturable optimisers."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        rate = torch.tensor(float(c["lr"]), dtype=torch.float64)
        return torch.optim.AdamW(
            model.parameters(), rate, (c["beta1"], 0.95), 1e-3, c["weight_decay"], foreach=False
        )

    return Loop(mlp(), optimizer=optimizer)


@kind()
def rates_by_depth() -> Loop:
    """Groups: no decay for biases, a lower rate for the first layer."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        weights = [p for p in model.parameters() if p.ndim > 1]
        biases = [p for p in model.parameters() if p.ndim == 1]
        groups = [
            {"params": weights[:1], "lr": 0.3 * c["lr"], "weight_decay": c["weight_decay"]},
            {"params": weights[1:], "weight_decay": c["weight_decay"]},
            {"params": biases},
        ]
        return torch.optim.SGD(groups, c["lr"], c["momentum"])

    return Loop(mlp(), optimizer=optimizer)


@kind()
def clipped_by_norm() -> Loop:
    """The loop clips the norm of its gradient, hard."""
    return Loop(mlp(), max_grad_norm=0.1)


@kind(ADAM_SPACE, lr=0.01)
def clipped_by_norm_with_adamw() -> Loop:
    """The same with AdamW; the norm is a function of the configuration."""
    return Loop(mlp(), optimizer=adamw, max_grad_norm=lambda c: 0.1)


@kind()
def clipped_by_value() -> Loop:
    """Each element of the gradient by itself."""
    return Loop(mlp(), max_grad_value=0.01)


@kind(NORM)
def clipped_by_a_norm_that_is_searched() -> Loop:
    """The limit is a coordinate, and the norm is the largest element."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), c["lr"], 0.9)

    return Loop(mlp(), optimizer=optimizer, max_grad_norm=lambda c: c["weight"], norm_type=float("inf"))


def warming_up(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))


@kind()
def schedule_that_warms_up_from_zero() -> Loop:
    """The rate is 0 in the first step of a schedule: what counts is its peak."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        made = heavy_ball(model, c)
        warming_up(made)
        return made

    return Loop(mlp(), optimizer=optimizer)


@kind()
def optimiser_and_its_schedule() -> Loop:
    """``(optimizer, scheduler)``."""

    def optimizer(model: nn.Module, c: Any) -> Any:
        made = heavy_ball(model, c)
        return made, warming_up(made)

    return Loop(mlp(), optimizer=optimizer)


def own(step: Callable[[torch.optim.Optimizer, Any], Any]) -> type[torch.optim.Optimizer]:
    """An optimiser of the user's own."""

    class Own(torch.optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def descend(self) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.data.sub_(group["lr"] * torch.tanh(p.grad))

    Own.step = step  # type: ignore[assignment]
    return Own


@kind(LR_ONLY)
def step_without_a_closure() -> Loop:
    """An own optimiser whose ``step()`` takes no argument."""
    made = own(lambda self: self.descend())  # type: ignore[attr-defined, call-arg, misc]
    return Loop(mlp(), optimizer=lambda model, c: made(model.parameters(), c["lr"]))  # type: ignore[call-arg]


@kind(LR_ONLY)
def step_that_ignores_its_closure() -> Loop:
    """An own optimiser that takes a closure and does not call it."""
    made = own(lambda self, closure=None: self.descend())  # type: ignore[attr-defined, misc]
    return Loop(mlp(), optimizer=lambda model, c: made(model.parameters(), c["lr"]))  # type: ignore[call-arg]


@kind(LR_ONLY)
def limited_memory() -> Loop:
    """L-BFGS, which calls its closure several times a step."""
    return Loop(mlp(), optimizer=lambda model, c: torch.optim.LBFGS(model.parameters(), c["lr"], max_iter=3))


@kind(LR_DECAY)
def root_mean_square() -> Loop:
    """RMSprop, which no exact route looks through."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(model.parameters(), c["lr"], eps=1e-2, weight_decay=c["weight_decay"])

    return Loop(mlp(), optimizer=optimizer)


@kind(ADAM_SPACE, lr=0.01)
def largest_second_moment() -> Loop:
    """``amsgrad``."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        betas = (c["beta1"], 0.95)
        return torch.optim.AdamW(model.parameters(), c["lr"], betas, 1e-3, c["weight_decay"], amsgrad=True)

    return Loop(mlp(), optimizer=optimizer)


@kind()
def subclass_of_sgd() -> Loop:
    """A subclass whose step does more than its class's."""

    class Centred(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None and p.ndim > 1:
                        p.grad.sub_(p.grad.mean(1, keepdim=True))
            super().step(closure)

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return Centred(model.parameters(), c["lr"], c["momentum"], weight_decay=c["weight_decay"])

    return Loop(mlp(), optimizer=optimizer)


@kind()
def step_hook_that_decays() -> Loop:
    """A hook before the step that changes the gradients (centralised, in a hook)."""

    def centred(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.mul_(0.25)

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        made = heavy_ball(model, c)
        made.register_step_pre_hook(centred)
        return made

    return Loop(mlp(), optimizer=optimizer)


@kind()
def optimiser_of_another_model() -> Loop:
    """A factory that forgets the model it is given, and takes the one that it closes over."""
    model = mlp()
    return Loop(model, optimizer=lambda given, c: heavy_ball(model, c))


@kind()
def factory_that_gives_the_same_model() -> Loop:
    """``model=lambda c: model``, left in eval mode."""
    model = mlp().eval()
    return Loop(lambda c: model)


@kind()
def one_optimiser_made_before() -> Loop:
    """A factory that sets the rate of an optimiser that there is already."""
    model = mlp()
    made = torch.optim.SGD(model.parameters(), 0.1, 0.9)

    def optimizer(given: nn.Module, c: Any) -> torch.optim.Optimizer:
        made.param_groups[0].update(lr=c["lr"], momentum=c["momentum"], weight_decay=c["weight_decay"])
        return made

    return Loop(model, optimizer=optimizer, also=(made,))


@kind(LR_ONLY)
def two_optimisers() -> Loop:
    """A list of optimisers, one for each part."""

    class Both:
        def __init__(self, *each: torch.optim.Optimizer) -> None:
            self.each = each
            self.param_groups = [group for one in each for group in one.param_groups]

        def zero_grad(self) -> None:
            for one in self.each:
                one.zero_grad()

        def step(self) -> None:
            for one in self.each:
                one.step()

    def optimizer(model: Any, c: Any) -> Any:
        first = torch.optim.SGD(model[0].parameters(), c["lr"], 0.9)
        return Both(first, torch.optim.AdamW(model[2].parameters(), 0.1 * c["lr"], eps=1e-3))

    return Loop(mlp(), optimizer=optimizer)


@kind(exact=0.05, coarse=0.15)
def mixed_precision() -> Loop:
    """bfloat16 autocast."""
    return Loop(mlp().float(), data=(torch.randn(12, 6), torch.randint(0, 4, (12,))), autocast=torch.bfloat16)
