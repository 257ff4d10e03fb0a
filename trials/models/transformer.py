"""A decoder-only Transformer language model: pre-norm, with tied embeddings.

As GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3): learned
positions, layer norm before attention and before the MLP and at the end, GELU, an MLP four times as wide,
weights from N(0, 0.02), and those that lead back into the residual stream divided by sqrt(2 layers). The
output layer is the table of embeddings (Press and Wolf 2017, arXiv:1608.05859).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, linear, scaled_dot_product_attention

_DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is.

    Attributes:
        vocabulary: tokens that there are.
        context: tokens that it sees at most.
        layers: blocks of attention and MLP.
        width: of a token.
        heads: of attention, which share the width out.
        dropout: of embeddings, attention weights, and what each half of a block adds; in [0, 1).
    """

    vocabulary: int
    context: int
    layers: int
    width: int
    heads: int
    dropout: float = 0.0


class Transformer(nn.Module):
    """(B, T) tokens, T at most the context -> (B, T, vocabulary) scores of the token after each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        for name, weight in self.named_parameters():
            if weight.ndim >= 2:
                back = name.endswith(("attention_out.weight", "mlp_out.weight"))
                nn.init.normal_(weight, std=_DEVIATION / math.sqrt(2 * shape.layers if back else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        positions = self.positions.weight[: tokens.shape[1]]
        x = dropout(self.tokens(tokens) + positions, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return linear(self.norm(x), self.tokens.weight)


class Block(nn.Module):
    """(B, T, width) -> the same: attention to what came before, then an MLP, each added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.dropout = shape.heads, shape.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        rate = self.dropout if self.training else 0.0
        query, key, value = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in self.attention_in(self.attention_norm(x)).chunk(3, 2)
        )
        seen = scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        x = x + dropout(self.attention_out(seen.transpose(1, 2).flatten(2)), rate, self.training)
        added = self.mlp_out(gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh"))
        return x + dropout(added, rate, self.training)


def decayed(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights that weight decay is for, matrices and tables; and the others, biases and norms."""
    weights = list(model.parameters())
    return [each for each in weights if each.ndim >= 2], [each for each in weights if each.ndim < 2]
