"""How a network is run: in which precision, compiled or not, and how images lie in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """Mixed precision of a task's training steps on one device; see ``TorchTask.precision``."""

    def __init__(self, precision: str, device: str) -> None:
        self.kind = device.partition(":")[0]
        cuda = self.kind == "cuda"
        self.mixed = precision in _HALVES or (precision == "auto" and cuda)
        half = cuda and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = _HALVES.get(precision, torch.float16 if half else torch.bfloat16)
        self.scaler = torch.amp.GradScaler(self.kind, enabled=self.mixed and self.dtype is torch.float16)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(self.kind, dtype=self.dtype, enabled=self.mixed)


def compiled(model: nn.Module, mode: str) -> nn.Module:
    """The model through ``torch.compile`` in a mode, sharing its weights; without a mode as it is."""
    return cast(nn.Module, torch.compile(model, mode=mode)) if mode else model


def placed(model: nn.Module, device: str, channels_last: bool) -> nn.Module:
    """The model on its device, its weights laid out as its inputs are."""
    model = model.to(device)
    if channels_last:
        for parameter in model.parameters():
            if parameter.ndim == 4:  # of a convolution in two dimensions
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


@contextmanager
def repeatable(deterministic: bool) -> Iterator[None]:
    """Deterministic algorithms inside, if they are wanted."""
    if not deterministic:
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


def laid_out(inputs: Tensor, channels_last: bool) -> Tensor:
    """Images as they lie in memory best: pixel by pixel, if that is wanted."""
    if channels_last and isinstance(inputs, Tensor) and inputs.ndim == 4:
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs
