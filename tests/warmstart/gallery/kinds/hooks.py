"""Hooks on modules, activations and weights, and passes that are run again in the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.warmstart.gallery.case import Loop, kind, mlp


@kind()
def activation_hook_that_scales() -> Loop:
    """``activation.register_hook``: the held-out loss has its true derivative."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.first(x))
            if h.requires_grad:
                h.register_hook(lambda grad: -0.3 * grad)
            return self.second(h)

    return Loop(Scaled().double())


@kind()
def module_backward_hook() -> Loop:
    """``register_full_backward_hook`` that changes what it passes on."""
    model = mlp()
    model[1].register_full_backward_hook(lambda module, given, got: tuple(0.5 * g for g in given))
    return Loop(model)


@kind()
def weight_hook_with_a_mask() -> Loop:
    """``weight.register_hook``: only a part of a weight is trained."""
    model = mlp()
    mask = (torch.rand(8, 6) < 0.5).double()
    model[0].weight.register_hook(lambda grad: grad * mask)
    return Loop(model)


@kind()
def weight_hooks_registered_in_forward() -> Loop:
    """Hooks that ``forward`` puts on the weights, and that would pile up on them."""

    class Piling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor) -> Tensor:
            handle = self.inner[0].weight.register_hook(lambda grad: 0.5 * grad)
            self.__dict__["handle"] = handle
            return self.inner(x)

    return Loop(Piling())


@kind()
def hook_that_records_gradients() -> Loop:
    """A hook that only looks, and keeps what it saw."""
    model = mlp()
    norms: list[float] = []
    model[0].weight.register_hook(lambda grad: norms.append(grad.norm().item()))
    return Loop(model, also=(norms,))


@kind()
def hook_after_a_gradient_has_come() -> Loop:
    """``register_post_accumulate_grad_hook``, which halves it, as clipping in the backward pass does."""

    def halved(weight: Tensor) -> None:
        assert weight.grad is not None
        weight.grad.mul_(0.5)

    model = mlp()
    model[0].weight.register_post_accumulate_grad_hook(halved)
    return Loop(model)


@kind()
def forward_hook_that_changes_outputs() -> Loop:
    """A hook that adds to a layer's outputs what another layer made of its inputs."""
    model = nn.Sequential(mlp(), nn.Linear(4, 4).double())
    extra = nn.Linear(6, 4).double()
    model.add_module("extra", nn.ModuleList([extra]))
    model.forward = lambda x: model[1](model[0](x))  # type: ignore[method-assign]
    model[0].register_forward_hook(lambda module, inputs, output: output + torch.tanh(extra(inputs[0])))
    return Loop(model)


class Checkpointed(nn.Module):
    """A block that is run again in the backward pass.

    Args:
        how: "block" (a module), or "method" (a function that reads a weight of ``self``).
    """

    def __init__(self, how: str, *, reentrant: bool = False) -> None:
        super().__init__()
        self.how, self.reentrant = how, reentrant
        self.block = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        self.weight = nn.Parameter(torch.randn(8, 4))

    def last(self, h: Tensor) -> Tensor:
        return torch.tanh(h @ self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "block":
            return checkpoint(self.block, x, use_reentrant=self.reentrant) @ self.weight
        return checkpoint(self.last, self.block(x), use_reentrant=self.reentrant)


@kind()
def checkpointed_block() -> Loop:
    """``torch.utils.checkpoint`` of a module (pytorch#42212)."""
    return Loop(Checkpointed("block").double())


@kind()
def checkpointed_method() -> Loop:
    """... of a method that reads ``self.weight``."""
    return Loop(Checkpointed("method").double())


@kind()
def checkpointed_reentrant() -> Loop:
    """The old kind, which cannot be differentiated by ``torch.autograd.grad`` (pytorch#11944)."""
    return Loop(Checkpointed("method", reentrant=True).double())


@kind()
def checkpointed_batch_norm() -> Loop:
    """Running statistics that are updated twice a step (pytorch#42212)."""
    model = Checkpointed("block")
    model.block = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh())
    return Loop(model.double())


@kind()
def checkpointed_dropout() -> Loop:
    """Random layers that are run again with the same draw."""
    model = Checkpointed("block")
    model.block = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.3))
    return Loop(model.double())


@kind()
def saved_tensors_packed() -> Loop:
    """Saved tensors go through hooks, as where they are offloaded."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor) -> Tensor:
            with torch.autograd.graph.save_on_cpu():
                return self.inner(x)

    return Loop(Packed())


@kind()
def pre_hook_that_changes_inputs() -> Loop:
    """A pre-hook with keyword arguments that changes what goes in."""
    model = mlp()
    model.register_forward_pre_hook(lambda module, args, kwargs: ((2.0 * args[0],), kwargs), with_kwargs=True)
    return Loop(model)
