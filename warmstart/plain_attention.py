"""Attention by plain matrix products, in this thread alone.

Not ``torch.nn.attention.sdpa_kernel``: its flags are the process's: they would change the attention of other
threads, and two threads that set them at once would leave them set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PLAIN = {Tensor, torch.nn.Parameter}


class PlainAttention(TorchFunctionMode):
    """Calls of ``scaled_dot_product_attention`` go to the operator that differentiates twice.

    Args:
        with_dropout_alone: only those with dropout.
    """

    def __init__(self, *, with_dropout_alone: bool = False) -> None:
        super().__init__()
        attention = _attention_if_dropout if with_dropout_alone else _attention
        self._instead: Any = {
            F.scaled_dot_product_attention: attention,
            F.multi_head_attention_forward: _multi_head_attention(attention),  # its calls would not come by
        }

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if _PLAIN.issuperset(types):  # others have ways of their own
            func = self._instead.get(func, func)
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


def _attention_if_dropout(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    attention: Any = _attention if dropout_p else F.scaled_dot_product_attention
    found: Tensor = attention(query, key, value, attn_mask, dropout_p, *args, **kwargs)
    return found


def _multi_head_attention(attention: Any) -> FunctionType:
    """PyTorch's function with other globals: it asks nobody whether it is to be replaced, and attends so."""
    original: Any = F.multi_head_attention_forward
    known = {
        **vars(F),
        "scaled_dot_product_attention": attention,
        "has_torch_function": lambda tensors: False,
    }
    made = FunctionType(original.__code__, known, argdefs=original.__defaults__)
    made.__kwdefaults__ = original.__kwdefaults__
    return made
