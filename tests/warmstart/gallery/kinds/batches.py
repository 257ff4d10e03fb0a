"""Mini-batches that are more than two tensors, and forwards that write to them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset

from tests.warmstart.gallery.case import Loop, kind, mlp, rows


class Sentences(nn.Module):
    """A packed LSTM over sequences of given lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: Tensor, lengths: Any) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        return self.head(last[-1])


def sentences() -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.randn(12, 6, 3, dtype=torch.float64),
        torch.randint(1, 7, (12,)),
        torch.randint(0, 4, (12,)),
    )


@kind()
def lengths_in_a_list() -> Loop:
    """``((x, lengths.tolist()), y)``: the list belongs to the samples as the tensors do."""
    x, lengths, y = sentences()
    return Loop(Sentences().double(), data=((x, lengths.tolist()), y))


@kind()
def lengths_in_a_tensor() -> Loop:
    """A packed LSTM, with its lengths as a tensor."""
    x, lengths, y = sentences()
    return Loop(Sentences().double(), data=((x, lengths), y))


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.inner(x * mask)


@kind()
def inputs_by_name() -> Loop:
    """A dictionary of inputs."""
    x, y = rows()
    return Loop(Named(), data=({"x": x, "mask": (x > -1).double()}, y))


@kind()
def inputs_with_none() -> Loop:
    """An optional input that is not there."""

    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor, mask: Any) -> Tensor:
            return self.inner(x if mask is None else x * mask)

    x, y = rows()
    return Loop(Optional(), data=((x, None), y))


@kind()
def words_as_strings() -> Loop:
    """A list of strings, which the model looks up."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(4, 5)
            self.head = nn.Linear(11, 4)

        def forward(self, x: Tensor, words: list[str]) -> Tensor:
            found = self.table(torch.tensor([len(word) for word in words]))
            return self.head(torch.cat([x, found], 1))

    x, y = rows()
    return Loop(Tokens().double(), data=((x, ["abc"[: i % 4] for i in range(12)]), y))


@kind()
def targets_of_several_kinds() -> Loop:
    """A dictionary of targets, with a weight for each sample."""
    x, y = rows()

    def loss(outputs: Tensor, targets: Any, c: Any) -> Tensor:
        each = nn.functional.cross_entropy(outputs, targets["class"], reduction="none")
        return (each * targets["weight"]).mean()

    return Loop(mlp(), loss, (x, {"class": y, "weight": torch.rand(12, dtype=torch.float64)}))


@kind()
def forward_that_normalises_in_place() -> Loop:
    """``x.sub_(.5).div_(.5)`` in ``forward``: each pass has to get the samples as they were."""

    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.sub_(0.5).div_(0.5))

    batch = rows()
    return Loop(InPlace(), data=lambda draw: batch)


@kind()
def forward_that_adds_positions_in_place() -> Loop:
    """``x += self.position``: the samples would become part of the graph."""

    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.randn(6))
            self.head = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x += self.position
            return self.head(torch.tanh(x))

    return Loop(Positions().double())


@kind()
def loss_that_writes_to_its_targets() -> Loop:
    """Targets that are clamped in place."""
    x, _ = rows()

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return nn.functional.mse_loss(outputs, targets.mul_(0.9).clamp_(-1, 1))

    return Loop(mlp(), loss, (x, torch.randn(12, 4, dtype=torch.float64)))


@kind()
def function_of_a_draw() -> Loop:
    """Data by a function of a draw number."""
    batches = [rows() for _ in range(3)]
    return Loop(mlp(), data=lambda draw: batches[draw % 3])


@kind()
def shuffled_loader() -> Loop:
    """A ``DataLoader`` with a generator of its own, which stays where it is."""
    generator = torch.Generator().manual_seed(1)
    return Loop(mlp(), data=DataLoader(TensorDataset(*rows(40)), 12, shuffle=True, generator=generator))


@kind()
def data_set_with_a_generator_of_its_own() -> Loop:
    """Samples that are augmented where they are read, from a generator that the data set holds."""

    class Noisy(TensorDataset):
        def __init__(self, *tensors: Tensor) -> None:
            super().__init__(*tensors)
            self.noise = torch.Generator().manual_seed(3)

        def __getitem__(self, index: Any) -> Any:
            x, y = super().__getitem__(index)
            return x + torch.randn(x.shape, generator=self.noise, dtype=x.dtype), y

    return Loop(mlp(), data=DataLoader(Noisy(*rows(24)), 12))


@kind()
def list_of_two_batches() -> Loop:
    """``data=[batch, batch]``: two batches, and no pair of inputs and targets."""
    return Loop(mlp(), data=[rows(), rows()])


@kind()
def ragged_sequences() -> Loop:
    """A list of sequences of their own lengths."""

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(9, 5), nn.Linear(5, 4)

        def forward(self, *sequences: Tensor) -> Tensor:
            return self.head(torch.stack([self.table(each).mean(0) for each in sequences]))

    texts = [torch.randint(0, 9, (1 + i % 4,)) for i in range(12)]
    return Loop(Bag().double(), data=(texts, torch.randint(0, 4, (12,))))
