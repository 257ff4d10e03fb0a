"""Models in a wrapper: compiled, scripted, distributed."""

from __future__ import annotations

import warnings

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.warmstart.gallery.case import Loop, kind, mlp


@kind(marks=("long",))
def compiled() -> Loop:
    """``torch.compile``, whose wrapper has the model's weights under other names."""
    return Loop(torch.compile(mlp(), backend="eager"))


@kind(marks=("long",))
def compiled_in_place() -> Loop:
    """``model.compile()``."""
    model = mlp()
    model.compile(backend="eager")
    return Loop(model)


@kind()
def scripted() -> Loop:
    """TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Loop(torch.jit.script(mlp()))


@kind()
def data_parallel() -> Loop:
    """``nn.DataParallel``, without GPUs (pytorch#2720)."""
    return Loop(nn.DataParallel(mlp()))


@kind()
def distributed_in_one_process() -> Loop:
    """``DistributedDataParallel`` (learn2learn#170)."""
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    return Loop(nn.parallel.DistributedDataParallel(mlp()))


@kind()
def averaged_model() -> Loop:
    """A module that holds the trained one, and an average of it that is not trained."""

    class WithAverage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = mlp()
            self.average = torch.optim.swa_utils.AveragedModel(self.student).requires_grad_(
                requires_grad=False
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.student(x) + 0.1 * self.average(x)

    return Loop(WithAverage())


@kind()
def functional_inside() -> Loop:
    """A model that runs another one by ``torch.func.functional_call`` with weights that it makes."""

    class Hyper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code, self.make = nn.Parameter(torch.randn(3)), nn.Linear(3, 28)
            self.__dict__["shape"] = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            made = self.make(self.code)
            weights = {"weight": made[:24].view(4, 6), "bias": made[24:]}
            return torch.func.functional_call(self.__dict__["shape"], weights, (x,))

    return Loop(Hyper().double())


@kind()
def ensemble_by_vmap() -> Loop:
    """``torch.vmap`` over stacked weights (functorch#372)."""

    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(0.4 * torch.randn(3, 4, 6))

        def forward(self, x: Tensor) -> Tensor:
            each = torch.vmap(lambda weight: torch.tanh(x @ weight.t()))(self.weights)
            return each.mean(0)

    return Loop(Ensemble().double())


@kind()
def lazy_layer() -> Loop:
    """A layer that has no shape yet."""
    return Loop(nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.Linear(8, 4)).double())
