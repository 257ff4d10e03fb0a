"""How a network is run: in which precision, compiled or not, and how images lie in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from asha_core.space import Configuration
from trials.task import TorchTask, check_speed

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_CPU_BATCH = 128  # beyond it a CPU's tensors are so large that each is mapped anew by the system


class Precision:
    """Mixed precision of a task's training steps on one device; see ``TorchTask.precision``."""

    def __init__(self, task: TorchTask, device: str) -> None:
        check_speed(task.compile, task.precision)
        self.kind = device.partition(":")[0]
        cuda = self.kind == "cuda"
        self.mixed = task.precision in _HALVES or (task.precision == "auto" and cuda)
        half = cuda and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = _HALVES.get(task.precision, torch.float16 if half else torch.bfloat16)
        self.scaler = torch.amp.GradScaler(self.kind, enabled=self.mixed and self.dtype is torch.float16)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(self.kind, dtype=self.dtype, enabled=self.mixed)


def compiled(model: nn.Module, task: TorchTask) -> nn.Module:
    """The model through ``torch.compile``, sharing its weights; or as it is."""
    if not task.compile:
        return model
    return cast(nn.Module, torch.compile(model, mode=task.compile))


def placed(model: nn.Module, task: TorchTask, device: str) -> nn.Module:
    """The model on its device, its weights laid out as its inputs are."""
    model = model.to(device)
    if task.channels_last:
        for parameter in model.parameters():
            if parameter.ndim == 4:  # of a convolution in two dimensions
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


@contextmanager
def repeatable(task: TorchTask) -> Iterator[None]:
    """Deterministic algorithms inside, if the task wants them."""
    if not task.deterministic:
        yield
        return
    # read by cuBLAS when it is first used (NVIDIA's and PyTorch's documentation of reproducibility)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def training_inputs(
    task: TorchTask, inputs: Tensor, config: Configuration, generator: torch.Generator
) -> Tensor:
    """A batch as the network is trained on it."""
    return _laid_out(task, task.training_inputs(inputs, config, generator))


def heldout_inputs(task: TorchTask, inputs: Tensor) -> Tensor:
    """A batch as the network is measured on it."""
    return _laid_out(task, task.normalize(inputs))


def heldout_batch(task: TorchTask, device: torch.device) -> int:
    """How many samples are measured at once."""
    return task.eval_batch_size if device.type == "cuda" else min(task.eval_batch_size, _CPU_BATCH)


def _laid_out(task: TorchTask, inputs: Tensor) -> Tensor:
    if task.channels_last and isinstance(inputs, Tensor) and inputs.ndim == 4:
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs
