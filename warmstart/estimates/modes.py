"""What PyTorch does otherwise while an estimate is made: in the thread that makes it, and in no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

from warmstart.plain_attention import PlainAttention
from warmstart.private_randomness import PrivateRandomness, alone, private_randomness


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients are recorded inside, in the weights' own precision, whatever the caller has set about it.

    Beside other threads, what is drawn inside comes from generators of this thread's own.
    """
    with ExitStack() as stack:
        if private_randomness() is None and not alone():
            stack.enter_context(PrivateRandomness())
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):  # a backward pass under it would be in half precision
                # nor may a pass take, or leave for the caller, weights that were cast before
                stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        yield


def twice_differentiable() -> AbstractContextManager[Any]:
    """Attention by plain matrix products inside: PyTorch's fused kernels have no second derivative."""
    return PlainAttention()
