"""Forwards that write: to weights, buffers and attributes; what they leave is there in the next step."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from tests.warmstart.gallery.case import Loop, kind, mlp, rows, squares


def words(count: int = 12) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 20, (count, 3)), torch.randint(0, 4, (count,))


@kind()
def embedding_with_a_largest_norm() -> Loop:
    """``nn.Embedding(max_norm=1)`` shortens the rows that it reads (pytorch#26596)."""
    return Loop(
        nn.Sequential(nn.Embedding(20, 6, max_norm=1.0), nn.Flatten(), nn.Linear(18, 4)).double(),
        data=words(),
    )


class Momentum(nn.Module):
    """An encoder and one that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(6, 4)
        self.key = copy.deepcopy(self.query).requires_grad_(requires_grad=False)
        with torch.no_grad():
            self.key.weight.add_(0.2 * torch.randn(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            for old, new in zip(self.key.parameters(), self.query.parameters(), strict=True):
                old.lerp_(new, 0.3)
        return self.query(x) * torch.tanh(self.key(x))


@kind()
def momentum_encoder() -> Loop:
    """Frozen weights that follow the trained ones in each pass."""
    return Loop(Momentum().double())


@kind()
def layer_that_shortens_its_weight() -> Loop:
    """A weight is renormalised in place before it is used."""

    class Short(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.weight.copy_(torch.renorm(self.weight, 2, 0, 0.5))
            return super().forward(x)

    return Loop(nn.Sequential(Short(6, 8), nn.Tanh(), nn.Linear(8, 4)).double())


class ActNorm(nn.Module):
    """Scale and shift from the first samples that it sees."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(count)), nn.Parameter(torch.zeros(count))
        self.register_buffer("ready", torch.tensor(data=False))

    def forward(self, x: Tensor) -> Tensor:
        if not self.ready:
            with torch.no_grad():
                self.scale.copy_(1 / x.std(0))
                self.shift.copy_(-x.mean(0) / x.std(0))
                self.ready.fill_(value=True)
        return x * self.scale + self.shift


@kind()
def initialised_by_its_first_samples() -> Loop:
    """Data-dependent initialisation: once, in the first training pass."""
    return Loop(nn.Sequential(nn.Linear(6, 8), ActNorm(8), nn.Tanh(), nn.Linear(8, 4)).double())


@kind()
def counter_in_an_attribute() -> Loop:
    """An attribute that counts passes, and acts on the outputs."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.passes = mlp(), 0

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            return self.inner(x) / self.passes

    return Loop(Counting())


@kind()
def spectral_norm() -> Loop:
    """One power iteration a pass, in buffers (pytorch#62293)."""
    layer = parametrizations.spectral_norm(nn.Linear(6, 8), n_power_iterations=1)
    return Loop(nn.Sequential(layer, nn.Tanh(), nn.Linear(8, 4)).double())


@kind()
def spectral_norm_by_a_hook() -> Loop:
    """The old one, whose buffers have to advance between steps."""
    return Loop(nn.Sequential(nn.utils.spectral_norm(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 4)).double())


@kind()
def batch_norm() -> Loop:
    """Running statistics, which training does not read (higher#103, HowToTrainYourMAMLPytorch#42)."""
    return Loop(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4)).double())


@kind()
def frozen_batch_norm() -> Loop:
    """In eval mode inside a model in train mode."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4)).double()
    model[1].running_mean.fill_(0.3)  # type: ignore[union-attr, operator]
    model[1].eval()
    return Loop(model)


class Renorm(nn.Module):
    """Normalises by what it has seen up to now, these samples among them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.lerp_(x.mean(0), 0.4)
        return x - self.mean


@kind()
def norm_by_running_statistics() -> Loop:
    """A buffer that a training pass writes and reads."""
    return Loop(nn.Sequential(nn.Linear(6, 8), Renorm(8), nn.Tanh(), nn.Linear(8, 4)).double())


@kind()
def norm_by_a_buffer_that_is_replaced() -> Loop:
    """The same, with a new tensor each time in the place of the buffer (torchopt#161)."""

    class Replacing(Renorm):
        def forward(self, x: Tensor) -> Tensor:
            self.mean = 0.6 * self.mean + 0.4 * x.mean(0).detach()
            return x - self.mean

    return Loop(nn.Sequential(nn.Linear(6, 8), Replacing(8), nn.Tanh(), nn.Linear(8, 4)).double())


class Codebook(nn.Module):
    """The nearest of some vectors, which move after what they stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x.detach(), self.codes).argmin(1)
        chosen = self.codes[nearest]
        with torch.no_grad():
            self.codes.index_add_(0, nearest, 0.1 * (x - chosen))
        return x + (chosen - x).detach()


@kind(exact=1e-4)
def vector_quantised() -> Loop:
    """A codebook that moves, and gradients straight through it."""
    return Loop(nn.Sequential(nn.Linear(6, 8), Codebook(), nn.Linear(8, 4)).double())


@kind()
def memory_bank() -> Loop:
    """A queue of the last features and a pointer, written in place in each pass."""

    class Bank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(6, 5)
            self.register_buffer("queue", torch.randn(18, 5))
            self.place = 0

        def forward(self, x: Tensor) -> Tensor:
            features = self.encoder(x)
            against = features @ self.queue.clone().t()
            rows = torch.arange(self.place, self.place + len(x)) % 18
            self.queue[rows] = features.detach()
            self.place = (self.place + len(x)) % 18
            return against

    return Loop(Bank().double(), data=(rows()[0], torch.randint(0, 18, (12,))))


@kind()
def state_kept_between_batches() -> Loop:
    """A recurrent cell whose last state is the next batch's first."""

    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRUCell(6, 5), nn.Linear(5, 4)
            self.state: Any = None

        def forward(self, x: Tensor) -> Tensor:
            new = self.cell(x, self.state)
            self.state = new.detach()
            return self.head(new)

    return Loop(Keeps().double())


@kind()
def attributes_made_in_the_first_pass() -> Loop:
    """``forward`` makes a cache that was not there before."""

    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor) -> Tensor:
            if not hasattr(self, "mean"):
                self.mean = x.mean(0).detach()
            return self.inner(x - self.mean)

    return Loop(Lazy())


@kind()
def clipped_weights_by_data() -> Loop:
    """A pre-hook that clamps ``weight.data``, as critics of Wasserstein distances do."""
    model = mlp(classes=1)
    model[0].register_forward_pre_hook(_clamped)
    return Loop(model, squares, (rows()[0], torch.randn(12, 1, dtype=torch.float64)))


def _clamped(module: nn.Module, inputs: Any) -> None:
    module.weight.data.clamp_(-0.3, 0.3)  # type: ignore[union-attr, operator]
