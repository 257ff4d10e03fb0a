"""What an estimate has PyTorch do otherwise holds in its thread alone, as long as the estimate."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from warmstart.estimates.modes import differentiable, twice_differentiable

FLAGS = ("flash", "mem_efficient", "math", "cudnn")


def _flags() -> list[bool]:
    return [getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in FLAGS]


def _elsewhere(function: Callable[[], str]) -> str:
    """What it gives in another thread."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_attention_is_plain_in_this_thread_alone() -> None:
    query = torch.rand(1, 1, 4, 4, requires_grad=True)

    def attended() -> str:
        return str(F.scaled_dot_product_attention(query, query, query).grad_fn)

    before = _flags()
    fused = attended()
    with twice_differentiable():
        assert "ScaledDotProduct" in fused
        assert "ScaledDotProduct" not in attended()
        assert "ScaledDotProduct" in _elsewhere(attended)
        assert _flags() == before
    assert "ScaledDotProduct" in attended()


def _masked(inputs: Tensor) -> Tensor:
    visible = torch.eye(5, dtype=torch.bool) | (torch.arange(25).view(5, 5) % 3 > 0)
    return F.scaled_dot_product_attention(inputs, inputs, inputs, attn_mask=visible, scale=0.3)


_MULTI_HEAD = nn.MultiheadAttention(4, 2, batch_first=True, dropout=0.2).double()
_LAYER = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True).double()
_PADDED = torch.arange(15).view(3, 5) == 4


@pytest.mark.parametrize(
    "function",
    [
        _masked,
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, dropout_p=0.3),
        lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], enable_gqa=True),
        lambda x: _MULTI_HEAD(x, x, x, need_weights=False)[0],
        lambda x: _MULTI_HEAD(x, x, x, key_padding_mask=_PADDED)[0],
        lambda x: _LAYER(x, src_key_padding_mask=_PADDED),
    ],
    ids=["masked", "causal", "grouped", "multi-head", "with weights", "layer"],
)
def test_plain_attention_is_pytorchs(function: Callable[[Tensor], Tensor]) -> None:
    """To the last bit, with its first and second derivative."""
    inputs = torch.rand(3, 5, 4, dtype=torch.float64, requires_grad=True)

    def measured() -> list[Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            value = function(inputs).sin().sum()
        (first,) = torch.autograd.grad(value, inputs, create_graph=True)
        return [value, first, *torch.autograd.grad(first.square().sum(), inputs)]

    with sdpa_kernel(SDPBackend.MATH):
        expected = measured()
    with twice_differentiable():
        found = measured()
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_weights_that_autocast_has_cast_stay_on_their_side() -> None:
    """A cast is kept for a weight as long as autocast lasts, whatever is written into the weight."""
    layer = nn.Linear(1, 1, bias=False)
    inputs = torch.ones(1, 1)

    def output() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            return float(layer(inputs).detach())

    layer.weight.data.fill_(1.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert output() == 1.0
        original = layer.weight.data
        with differentiable():
            layer.weight.data = torch.full((1, 1), 2.0)
            assert output() == 2.0
            layer.weight.data = torch.full((1, 1), 3.0)
            assert output() == 3.0
        layer.weight.data = original
        assert output() == 1.0


def test_multi_head_attention_without_dropout_differentiates_twice() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    inputs = torch.rand(3, 5, 4, dtype=torch.float64, requires_grad=True)
    with twice_differentiable():
        value = layer(inputs, inputs, inputs, key_padding_mask=_PADDED, need_weights=False)[0].sin().sum()
    (first,) = torch.autograd.grad(value, inputs, create_graph=True)
    torch.autograd.grad(first.square().sum(), inputs)
