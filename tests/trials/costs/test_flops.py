"""Operations of training, in closed form and as PyTorch counts them; and that counting changes nothing."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from tests.trials.workers import digits_job, events_of
from trials.costs.flops import FlopCounter
from trials.models.resnet import resnet20
from trials.models.small import mlp, small_cnn
from trials.tasks.digits import Digits

SAMPLES, INPUTS, OUTPUTS = 6, 20, 7


def linear_flops(inputs: int, outputs: int, first: bool) -> tuple[int, int]:
    """(forward, backward): outputs, and gradients of weights and, but for the first layer, of inputs."""
    forward = 2 * SAMPLES * inputs * outputs
    return forward, forward * (1 if first else 2)


def flops(model: nn.Module, inputs: Any, backward: bool = True) -> float | None:
    seen = FlopCounter(model, {}, backward=backward)
    seen(inputs)
    return seen.flops()


def test_a_linear_layer_in_closed_form() -> None:
    model, inputs = nn.Linear(INPUTS, OUTPUTS), torch.randn(SAMPLES, INPUTS)
    assert flops(model, inputs) == sum(linear_flops(INPUTS, OUTPUTS, first=True))
    assert flops(model, inputs, backward=False) == linear_flops(INPUTS, OUTPUTS, first=True)[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_layers_after_another_in_closed_form(widths: list[int]) -> None:
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    expected = [linear_flops(a, b, first=n == 0) for n, (a, b) in enumerate(itertools.pairwise(widths))]
    assert flops(model, torch.randn(SAMPLES, widths[0])) == sum(map(sum, expected))
    assert flops(model, torch.randn(SAMPLES, widths[0]), backward=False) == sum(f for f, _ in expected)
    for weight in model[0].parameters():  # a layer that is frozen has no gradient to take
        weight.requires_grad_(False)
    if len(widths) > 2:
        changed = expected[0][0] + linear_flops(widths[1], widths[2], first=True)[1]
        changed += expected[1][0] + sum(map(sum, expected[2:]))
        assert flops(model, torch.randn(SAMPLES, widths[0])) == changed


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), [(8, 3, 1, 1), (9, 3, 2, 0), (5, 1, 1, 0)])
def test_a_convolution_in_closed_form(size: int, kernel: int, stride: int, padding: int) -> None:
    model = nn.Conv2d(3, 5, kernel, stride, padding)
    side = (size + 2 * padding - kernel) // stride + 1
    forward = 2 * SAMPLES * side * side * 5 * 3 * kernel * kernel
    assert flops(model, torch.randn(SAMPLES, 3, size, size)) == 2 * forward
    assert flops(model, torch.randn(SAMPLES, 3, size, size), backward=False) == forward


def test_a_digits_trial_in_closed_form(tmp_path: Path) -> None:
    """8x8 images: 3x3 convolutions 1 -> 16 and, on 4x4, 16 -> 24, and a linear layer of 96 to 10 classes."""
    first, second, last = 2 * 64 * 16 * 9, 2 * 16 * 24 * 16 * 9, 2 * 96 * 10
    forward = first + second + last
    step = 32 * (2 * first + 3 * second + 3 * last)
    for report in events_of(Digits(), tmp_path, [digits_job()]):
        assert report.costs["flops"] == 1077 // 32 * step
        assert report.costs["evaluate_flops"] == 360 * forward


@pytest.mark.parametrize(
    ("model", "shape"),
    [(small_cnn, (8, 1, 8, 8)), (mlp, (8, 1, 8, 8)), (resnet20, (2, 3, 32, 32))],
    ids=["cnn", "mlp", "resnet20"],
)
def test_a_network_costs_what_pytorch_counts_of_a_real_step(model: Any, shape: tuple[int, ...]) -> None:
    network, inputs = model(), torch.randn(shape)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(network(inputs), torch.zeros(shape[0], dtype=torch.long)).backward()
    assert flops(network, inputs) == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(inputs)
    assert flops(network, inputs, backward=False) == counter.get_total_flops()


def test_batches_of_several_shapes_are_counted_one_by_one() -> None:
    model = nn.Linear(INPUTS, OUTPUTS)
    seen = FlopCounter(model, {}, backward=True)
    for batch in (4, 4, 3, 4, 1):
        seen(torch.randn(batch, INPUTS))
    assert seen.flops() == 16 * 4 * INPUTS * OUTPUTS
    assert seen.flops() is None  # the next unit begins at nothing
    seen(torch.randn(3, INPUTS))
    assert seen.flops() == 3 * 4 * INPUTS * OUTPUTS


def test_a_cache_is_not_mistaken_for_another_network() -> None:
    """The same weights, and another stride; the same rate of dropout or not does not matter."""
    cache: dict[Any, Any] = {}
    counted = []
    for model in (nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3)):
        seen = FlopCounter(model, cache, backward=False)
        seen(torch.randn(1, 1, 9, 9))
        counted.append(seen.flops())
    assert counted == [2 * 9 * 49, 2 * 9 * 16, 2 * 9 * 49]
    assert len(cache) == 2
    for rate in (0.1, 0.2):
        seen = FlopCounter(nn.Sequential(nn.Dropout(rate), nn.Linear(INPUTS, OUTPUTS)), cache, backward=False)
        seen(torch.randn(SAMPLES, INPUTS))
        seen.flops()
    assert len(cache) == 3


class ByItsNumbers(nn.Module):
    """How much it computes depends on what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(INPUTS, INPUTS)

    def forward(self, x: Tensor) -> Tensor:
        while x.abs().max() > 1e-3:
            x = 0.1 * torch.tanh(self.linear(x))
        return x


class Remembers(nn.Module):
    """Draws from every generator, keeps what it saw, and has buffers: what a copy must not touch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(INPUTS, OUTPUTS)
        self.norm = nn.BatchNorm1d(OUTPUTS)
        self.calls = 0
        self.history: list[float] = []
        self.mean = torch.zeros(OUTPUTS)  # no buffer

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(random.random() + np.random.rand())
        y = self.norm(nn.functional.dropout(self.linear(x), 0.5) + torch.rand(OUTPUTS, device=x.device))
        self.mean = 0.9 * self.mean + 0.1 * y.detach().mean(0)
        self.mean.mul_(0.5)
        return y + self.mean


def states() -> list[Any]:
    return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]


def test_a_network_that_needs_its_numbers_has_no_figure_and_no_harm_done() -> None:
    model = ByItsNumbers()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = states()
    assert flops(model, torch.ones(SAMPLES, INPUTS)) is None
    assert states() == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_counting_leaves_the_network_and_the_generators_as_they_were() -> None:
    model = Remembers()
    inputs = torch.randn(SAMPLES, INPUTS)
    model(inputs)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    mean, history, before = model.mean.clone(), list(model.history), states()
    assert flops(model, inputs) == sum(linear_flops(INPUTS, OUTPUTS, first=True))
    assert states() == before
    assert model.calls == 1
    assert model.history == history
    assert torch.equal(model.mean, mean)
    assert model.training
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None and not weight.is_meta for weight in model.parameters())


def test_a_network_whose_hooks_could_remember_is_not_run_for_it() -> None:
    seen: list[Any] = []
    model = nn.Linear(INPUTS, OUTPUTS)
    model.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert flops(model, torch.randn(SAMPLES, INPUTS)) is None
    assert seen == []
    normed = nn.utils.parametrizations.weight_norm(
        nn.Linear(INPUTS, OUTPUTS)
    )  # hooks of PyTorch's own do no harm
    assert flops(normed, torch.randn(SAMPLES, INPUTS)) is not None


class RememberingTask(Digits):
    def model(self, config: Any) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, INPUTS), Remembers(), nn.Linear(OUTPUTS, 10))


def test_a_trial_is_the_same_to_the_last_bit_whether_it_is_counted_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = events_of(RememberingTask(), tmp_path / "counted", [digits_job(until=2)])
    monkeypatch.setattr(FlopCounter, "flops", lambda self: None)
    plain = events_of(RememberingTask(), tmp_path / "plain", [digits_job(until=2)])
    assert [(r.value, r.metrics) for r in counted] == [(r.value, r.metrics) for r in plain]
    assert all("flops" in report.costs for report in counted)
    assert not any("flops" in report.costs for report in plain)
