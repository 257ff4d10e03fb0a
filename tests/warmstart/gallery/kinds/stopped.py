"""What autograd takes for a constant, or for two things, and does not say so."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tests.warmstart.gallery.case import Loop, kind, mlp, rows


@kind()
def inner_step_without_a_graph() -> Loop:
    """First-order meta-learning: ``forward`` takes a step with gradients that are constants."""

    class Adapts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()

        def forward(self, known: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
            weights = dict(self.net.named_parameters())
            loss = nn.functional.cross_entropy(self.net(known), labels)
            found = torch.autograd.grad(loss, list(weights.values()))
            moved = {name: w - 0.3 * g for (name, w), g in zip(weights.items(), found, strict=True)}
            return functional_call(self.net, moved, (asked,))

    asked, targets = rows()
    return Loop(Adapts(), data=((*rows(), asked), targets))


class Gated(nn.Module):
    """A head on features, of which another function makes a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 8), nn.Linear(4, 4)

    def gate(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        return self.head(torch.tanh(features[:, :4]) * self.gate(features))


@kind()
def stop_inside_vmap() -> Loop:
    """``detach()`` in a function that is mapped, where no tensor says that it requires gradients."""

    class Mapped(Gated):
        def gate(self, features: Tensor) -> Tensor:
            return vmap(lambda row: row.detach()[4:] - row.mean())(features)

    return Loop(Mapped().double())


@kind()
def view_without_gradients() -> Loop:
    """A view made under ``no_grad`` says that it requires gradients, and has none."""

    class Views(Gated):
        @torch.no_grad()
        def gate(self, features: Tensor) -> Tensor:
            return features[:, 4:]

    return Loop(Views().double())


@kind()
def one_of_several_results_without_gradients() -> Loop:
    """``max`` and its place, under ``no_grad``."""

    class Largest(Gated):
        @torch.no_grad()
        def gate(self, features: Tensor) -> Tensor:
            return features.max(1, keepdim=True).values

    return Loop(Largest().double())


@kind()
def two_weights_in_one_memory() -> Loop:
    """Tied by ``.data``: two parameters, and two steps on the same numbers."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4)).double()
    model[2].weight.data = model[0].weight.data
    return Loop(model)


@kind()
def weight_read_through_an_attribute() -> Loop:
    """A decoder that keeps a view of the encoder's ``weight.data``."""

    class Mirrored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.head = nn.Linear(6, 6).double(), nn.Linear(6, 4).double()
            self.mirror = self.encode.weight.data.t()

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.encode(x) @ self.mirror))

    return Loop(Mirrored())


class Bag(nn.Module):
    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(9, 6, **how), nn.Linear(6, 4)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(torch.tanh(self.table(words).mean(1)))


def _texts() -> tuple[Tensor, Tensor]:
    return torch.randint(0, 5, (12, 5)), torch.randint(0, 4, (12,))


@kind()
def padding_that_is_not_zero() -> Loop:
    """A row of ``padding_idx`` that was initialised with all others: decayed, and without a gradient."""
    model = Bag(padding_idx=0).double()
    nn.init.xavier_uniform_(model.table.weight)
    return Loop(model, data=_texts())


@kind()
def gradients_by_frequency() -> Loop:
    """``nn.Embedding(scale_grad_by_freq=True)``."""
    return Loop(Bag(scale_grad_by_freq=True).double(), data=_texts())
