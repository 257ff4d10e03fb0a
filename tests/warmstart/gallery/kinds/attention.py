"""Attention, whose fused kernels have no second derivative."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.warmstart.gallery.case import ADAM_SPACE, Loop, adamw, kind


def tokens(count: int = 8) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 7, (count, 4)), torch.randint(0, 7, (count,))


class Transformer(nn.Module):
    """An encoder of one layer, with the table of its inputs as that of its outputs."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout, batch_first=True)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.table(x)).mean(1))


@kind()
def tied_transformer() -> Loop:
    """Tied tables, dropout (pytorch#116350, learn2learn#429)."""
    return Loop(Transformer().double(), data=tokens())


@kind(ADAM_SPACE, lr=0.01)
def tied_transformer_with_adamw() -> Loop:
    """The same with AdamW."""
    return Loop(Transformer().double(), data=tokens(), optimizer=adamw)


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.project, self.head = nn.Embedding(7, 4), nn.Linear(4, 12), nn.Linear(4, 7)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(self.table(x)).unflatten(-1, (2, 6)).transpose(1, 2).chunk(3, -1)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(mixed.transpose(1, 2).flatten(2)[:, -1])


@kind()
def fused_causal_attention() -> Loop:
    """``scaled_dot_product_attention`` called by the model itself."""
    return Loop(Causal().double(), data=tokens())


@kind()
def attention_with_padding() -> Loop:
    """``nn.MultiheadAttention`` with a mask of padding."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 4, padding_idx=0)
            self.attend, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 7)

        def forward(self, x: Tensor) -> Tensor:
            h = self.table(x)
            mask = x == 0
            mask[:, 0] = False
            out: Any = self.attend(h, h, h, key_padding_mask=mask, need_weights=False)
            return self.head(out[0].mean(1))

    return Loop(Padded().double(), data=tokens())


@kind()
def kernel_chosen_by_the_model() -> Loop:
    """The model asks for a kernel itself; what it asks for may have no second derivative."""

    class Chosen(Causal):
        def forward(self, x: Tensor) -> Tensor:
            with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
                return super().forward(x)

    return Loop(Chosen().double(), data=tokens())


@kind()
def rotary_cache() -> Loop:
    """A table of positions that is made in the first pass and kept in a buffer that is not saved."""

    class Rotary(Causal):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("angles", None, persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            if self.angles is None:
                self.angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * 0.3
            h = self.table(x) * self.angles.cos()
            return self.head(torch.tanh(h.mean(1)))

    return Loop(Rotary().double(), data=tokens())
