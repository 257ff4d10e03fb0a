"""Recurrent layers, whose weights are kept in lists of their own."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor, nn

from tests.warmstart.gallery.case import ADAM_SPACE, Loop, adamw, kind


class Last(nn.Module):
    """The last outputs of a recurrent network, classified."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.head = network, nn.Linear(size, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Any = self.network(x)[0]
        return self.head(outputs[:, -1])


def sequences(count: int = 8) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 4, 3, dtype=torch.float64), torch.randint(0, 4, (count,))


@kind()
def lstm() -> Loop:
    """Second derivatives of a fused layer (pytorch#25315, higher#27)."""
    return Loop(Last(nn.LSTM(3, 4, batch_first=True), 4).double(), data=sequences())


@kind(ADAM_SPACE, lr=0.01)
def gru_with_adamw() -> Loop:
    """Two layers, both ways, with dropout between (pytorch#90500)."""
    net = nn.GRU(3, 3, 2, batch_first=True, dropout=0.3, bidirectional=True)
    return Loop(Last(net, 6).double(), data=sequences(), optimizer=adamw)


@kind()
def plain_recurrent() -> Loop:
    """``nn.RNN`` (learn2learn#139)."""
    return Loop(Last(nn.RNN(3, 4, batch_first=True), 4).double(), data=sequences())


@kind()
def projected_lstm() -> Loop:
    """``proj_size``."""
    return Loop(Last(nn.LSTM(3, 4, proj_size=2, batch_first=True), 2).double(), data=sequences())


@kind()
def lstm_with_dropped_weights() -> Loop:
    """Weights of a recurrent layer that a parametrisation makes (AWD-LSTM)."""

    class Halved(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return nn.functional.dropout(weight, 0.3)

    net = nn.LSTM(3, 4, batch_first=True)
    nn.utils.parametrize.register_parametrization(net, "weight_hh_l0", Halved())
    return Loop(Last(net, 4).double(), data=sequences())


@kind()
def connectionist_temporal_classification() -> Loop:
    """CTC, with lengths."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x)[0]).log_softmax(-1)

    def loss(outputs: Tensor, targets: Any, c: Any) -> Tensor:
        return nn.functional.ctc_loss(outputs.transpose(0, 1), *targets)

    lengths = torch.full((8,), 4), torch.randint(1, 3, (8,))
    targets = (torch.randint(1, 4, (8, 2)), *lengths)
    return Loop(Steps().double(), loss, (sequences()[0], targets))


@kind()
def cell_in_a_loop() -> Loop:
    """``nn.LSTMCell``, with teacher forcing by a draw of Python's generator."""

    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.LSTMCell(3, 3), nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = c = torch.zeros(len(x), 3, dtype=x.dtype)
            for step in range(x.shape[1]):
                h, c = self.cell(h if random.random() < 0.5 else x[:, step], (h, c))
            return self.head(h)

    return Loop(Cells().double(), data=sequences())
