"""Many networks of one shape as one: their weights in rows, their passes by ``torch.func.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from warmstart.problem.data.samples import call


class Networks:
    """N networks of one shape.

    Args:
        models: freshly initialised, on the CPU.
        first: names of weights that are to lie together, at the beginning of a row.
        rates: of dropout, one for each network; None: they have none.

    Attributes:
        template: one of them, which lends its code.
        weights: by name, (N, ...) views of ``flat``.
        flat: (N, P) float32, all trained weights of a network in a row.
        order: names in the order in which they lie in a row, and how many numbers each is.
    """

    def __init__(
        self, models: Sequence[nn.Module], rates: Sequence[float] | None, first: Sequence[str] = ()
    ) -> None:
        self.template = models[0]
        shapes = {name: weight.shape for name, weight in models[0].named_parameters()}
        self.order = [(name, shapes[name].numel()) for name in dict.fromkeys([*first, *shapes])]
        named = [dict(model.named_parameters()) for model in models]
        rows = [torch.cat([each[name].detach().flatten() for name, _ in self.order]) for each in named]
        self.flat = torch.stack(rows)
        self._flat_gradients = torch.zeros_like(self.flat)
        self.weights: dict[str, Tensor] = {}
        self._gradients: list[Tensor] = []
        start = 0
        for name, count in self.order:
            weight, gradient = (
                each[:, start : start + count].view(len(models), *shapes[name])
                for each in (self.flat, self._flat_gradients)
            )
            self.weights[name] = weight.requires_grad_()
            self._gradients.append(gradient)
            start += count
        states = [dict(model.named_buffers()) for model in models]
        self.buffers = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        self.rates = None if rates is None else torch.tensor(rates)
        self._rate = None if rates is None else rates[0]  # the template's own

    def forward(self, inputs: Any) -> Any:
        """Outputs (N, B, ...) in training mode for inputs (N, B, ...)."""
        self.template.train()

        def one(weights: Any, buffers: Any, given: Any, rate: Any) -> Any:
            def run(*positional: Any, **named: Any) -> Any:
                return functional_call(self.template, (weights, buffers), positional, named)

            with _Alike(self._rate, rate):
                return call(run, given)

        rate = 0 if self.rates is not None else None
        each = vmap(one, in_dims=(0, 0, 0, rate), randomness="different")
        return each(self.weights, self.buffers, inputs, self.rates)

    def gradients(self, losses: Tensor) -> Tensor:
        """(N, P): of each network's own loss, from losses (N,); the same memory every time."""
        found = torch.autograd.grad(losses.sum(), list(self.weights.values()))
        for place, each in zip(self._gradients, found, strict=True):
            place.copy_(each)
        return self._flat_gradients

    def at(self, row: int) -> nn.Module:
        """The template with the weights and state of one network."""
        for name, weight in self.template.named_parameters():
            weight.data = self.weights[name].detach()[row]
        for name, buffer in self.template.named_buffers():
            buffer.data = self.buffers[name][row]
        return self.template


class _Alike(TorchFunctionMode):
    """Functions that ``vmap`` takes no tensor of rates for, or is slow with, by others of the same result."""

    def __init__(self, given: float | None, rate: Tensor | None) -> None:
        super().__init__()
        self._given, self._rate = given, rate

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        other = _OTHERS.get(func)
        named = dict(kwargs or {})
        return func(*args, **named) if other is None else other(self, *args, **named)

    def dropped(self, x: Tensor, rate: float) -> Tensor:
        """Dropout by the network's own rate, where the template's is given."""
        if rate == self._given and self._rate is not None:
            kept = torch.rand_like(x) >= self._rate
            return x * kept / (1 - self._rate)
        return functional.dropout(x, rate) if rate else x


def _dropout(mode: _Alike, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return mode.dropped(x, p) if training else x


def _attention(
    mode: _Alike, query: Tensor, key: Tensor, value: Tensor, *, dropout_p: float, is_causal: bool
) -> Tensor:
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return mode.dropped(scores.softmax(-1), dropout_p) @ value


def _linear(mode: _Alike, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    # in two dimensions, or the weights would be repeated for each sample
    flat = x.flatten(0, -2) @ weight.t()
    product = flat.unflatten(0, x.shape[:-1])
    return product if bias is None else product + bias


_OTHERS: dict[Any, Callable[..., Tensor]] = {
    functional.dropout: _dropout,
    functional.linear: _linear,
    functional.scaled_dot_product_attention: _attention,
}
