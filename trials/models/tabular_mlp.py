"""A multilayer perceptron for rows of a table: numbers, and categories by embeddings.

Source: the MLP of Gorishniy et al. 2021, "Revisiting deep learning models for tabular data",
arXiv:2106.11959: linear, ReLU, dropout in each layer; embeddings of one size for all categories, beside the
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TabularMlp(nn.Module):
    """(B, d) numbers and (B, c) codes -> (B, outputs), or (B,) for one output.

    Args:
        numbers: columns of numbers.
        cardinalities: of each categorical column; codes are below its.
        outputs: how many.
        layers, width: hidden layers, and the units of each.
        embedding: numbers that stand for a category.
        dropout: probability, after each hidden layer.
    """

    def __init__(
        self,
        numbers: int,
        cardinalities: Sequence[int],
        outputs: int,
        layers: int = 2,
        width: int = 128,
        embedding: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings: nn.Embedding | None = None
        starts = torch.tensor([0, *cardinalities], dtype=torch.int64).cumsum(0)[:-1]
        self.register_buffer("starts", starts, persistent=False)  # one table holds all columns' categories
        if cardinalities:
            self.embeddings = nn.Embedding(sum(cardinalities), embedding)
        size = numbers + len(cardinalities) * embedding
        hidden: list[nn.Module] = []
        for _ in range(layers):
            hidden += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)]
            size = width
        self.hidden = nn.Sequential(*hidden)
        self.head = nn.Linear(size, outputs)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """One batch."""
        if self.embeddings is not None:
            assert isinstance(self.starts, Tensor)
            numbers = torch.cat([numbers, self.embeddings(codes + self.starts).flatten(1)], 1)
        outputs: Tensor = self.head(self.hidden(numbers))
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs
