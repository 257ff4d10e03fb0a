"""Whatever a user's code writes while a snapshot is taken is put back, bit for bit and object for object."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.warmstart.problem.pictures import describe
from warmstart.problem.snapshot import Snapshot


def undone(roots: list[Any], act: Any) -> None:
    """The law: after ``restore`` all is as before, and ``act`` did change something."""
    before = describe(*roots)
    snapshot = Snapshot(roots)
    act()
    during = describe(*roots)
    snapshot.restore()
    assert describe(*roots) == before
    assert [line for line in during if " at" not in line[0]] != [
        line for line in before if " at" not in line[0]
    ]


def test_an_embedding_that_renormalises_its_rows_keeps_them() -> None:
    layer = nn.Embedding(50, 6, max_norm=1)
    undone([layer], lambda: layer(torch.arange(50)))


def test_weights_that_are_trained_for_a_step_are_as_before() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()

    step()
    undone([model, optimizer], step)


def test_lstm_weights_stay_in_their_flat_chunk() -> None:
    model = nn.LSTM(3, 4)
    snapshot = Snapshot([model])
    with torch.no_grad():
        model.weight_ih_l0.add_(1)
    assert snapshot.written() == ["weight_ih_l0"]
    assert model._flat_weights[0] is model.weight_ih_l0
    snapshot.restore()


def test_a_buffer_that_views_a_weight_goes_with_it() -> None:
    model = nn.Linear(3, 2)
    model.register_buffer("row", model.weight.detach()[1])
    snapshot = Snapshot([model])
    with torch.no_grad():
        model.weight.fill_(7)
    row: Tensor = model.row
    assert row.tolist() == [7, 7, 7]
    snapshot.rewind()
    assert row.tolist() == model.weight[1].tolist() != [7, 7, 7]
    snapshot.restore()
    assert row.data_ptr() == model.weight[1].data_ptr()
