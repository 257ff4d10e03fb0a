"""What PyTorch does otherwise while an estimate is made: in the thread that makes it, and in no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients are recorded inside, in the weights' own precision, whatever the caller has set about it."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):  # a backward pass under it would be in half precision
                # nor may a pass take, or leave for the caller, weights that were cast before
                stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        yield


def twice_differentiable() -> AbstractContextManager[Any]:
    """Attention by plain matrix products inside: PyTorch's fused kernels have no second derivative.

    Not ``torch.nn.attention.sdpa_kernel``: its flags are the process's, for the attention of other threads as
    well, and two threads that set them at once leave them set.
    """
    return _PlainAttention()


class _PlainAttention(TorchFunctionMode):
    """Calls of ``scaled_dot_product_attention`` go to the operator that differentiates twice."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            func = _attention
        elif func is F.multi_head_attention_forward:  # what it calls would not come by here
            func = _multi_head_attention
        return func(*args, **(kwargs or {}))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        nowhere = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask = nowhere.masked_fill(attn_mask.logical_not(), float("-inf"))
    plain = torch.ops.aten._scaled_dot_product_attention_math.default
    found: Tensor = plain(
        query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
    )[0]
    return found


# PyTorch's function with other globals: it asks nobody whether it is to be replaced, and attends as above
_multi_head_attention = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**vars(F), "scaled_dot_product_attention": _attention, "has_torch_function": lambda tensors: False},
    argdefs=F.multi_head_attention_forward.__defaults__,
)
_multi_head_attention.__kwdefaults__ = F.multi_head_attention_forward.__kwdefaults__
