"""Mini-batches for a warm start: what may be given, and what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import AshaError, Configuration, Float, SearchSpace
from tests.warmstart.models import (
    PSI,
    data,
    expected,
    loss,
    measured,
    net,
    problem,
    trains_of,
)
from tests.warmstart.networks import assert_agrees, central
from warmstart.estimates.estimate import estimate


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_that_cannot_be_split_says_what_to_do(count: int) -> None:
    given = problem(data=data(count), validation=data(5, seed=2))
    with pytest.raises(AshaError, match=rf'halves, and this one has {count} samples.*heldout="validation"'):
        measured(given)
    if count:
        assert_agrees(
            measured(given, kind="validation").gradient, expected(given, kind="validation"), noise=1e-11
        )


def test_held_out_samples_are_other_samples_unless_the_same_are_asked_for() -> None:
    x, y = torch.arange(12.0, dtype=torch.float64)[:, None].expand(12, 6), torch.arange(12) % 4
    losses = problem(data=(x, y), validation=(x + 100, y)).losses(PSI)
    train, held = losses.batches(0, "half")
    assert sorted([*train.inputs[:, 0].tolist(), *held.inputs[:, 0].tolist()]) == list(range(12))
    assert torch.equal(train.inputs[:, 0].long() % 4, train.targets)
    assert losses.batches(0, "half")[0].inputs.equal(train.inputs)
    assert not losses.batches(1, "half")[0].inputs.equal(train.inputs)
    train, held = losses.batches(0, "same")
    assert train is held
    train, held = losses.batches(0, "validation")
    assert len(train.inputs) == len(held.inputs) == 12
    assert held.inputs.min() >= 100
    with pytest.raises(AshaError, match="no validation data"):
        problem().losses(PSI).batches(0, "validation")


class Two(nn.Module):
    """Two inputs, by position or by name; outputs of two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"sum": self.body(left + right), "difference": self.body(left - right)}


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_inputs_and_targets_of_several_parts(kind: type) -> None:
    x, y = data()
    inputs: Any = {"left": x, "right": x.flip(0)} if kind is dict else kind((x, x.flip(0)))
    given = problem(
        Two(),
        data=(inputs, {"a": y, "b": y.flip(0)}),
        loss=lambda out, t, c: loss(out["sum"], t["a"], c) + loss(out["difference"], t["b"], c),
        heldout_loss=lambda out, t: nn.functional.cross_entropy(out["sum"], t["a"]),
    )
    assert_agrees(measured(given).gradient, expected(given), noise=1e-11)


class Rows(torch.utils.data.Dataset[Any]):
    def __init__(self, count: int = 20) -> None:
        self.x, self.y = data(count)
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> Any:
        self.read.append(row)
        return self.x[row] + 0.01 * torch.randn(()), self.y[row]


def test_a_loader_is_read_beside_its_iterator_and_without_its_workers() -> None:
    def order(refined: bool) -> list[Tensor]:
        rows = Rows()
        generator = torch.Generator().manual_seed(0)
        loader = torch.utils.data.DataLoader(rows, batch_size=4, shuffle=True, generator=generator)
        torch.manual_seed(0)
        iterator = iter(loader)
        seen = [next(iterator)[0]]
        if refined:
            rows.read.clear()
            measured(problem(data=loader), 2)
            assert not rows.read  # elsewhere
        return [*seen, *(x for x, _ in iterator)]

    assert all(map(torch.equal, order(refined=True), order(refined=False)))
    rows = Rows()
    loader = torch.utils.data.DataLoader(rows, batch_size=6, num_workers=2, persistent_workers=True)
    assert measured(problem(data=loader)).finite
    assert loader._iterator is None


def test_a_loader_keeps_to_what_its_sampler_may_give() -> None:
    """A split of one data set by samplers: validation samples must not get into training."""
    allowed = [3, 5, 7, 11, 13, 17]
    x, y = torch.arange(20.0, dtype=torch.float64)[:, None].expand(20, 6), torch.arange(20)
    rows = torch.utils.data.TensorDataset(x, y)
    generator = torch.Generator().manual_seed(0)
    sampler = torch.utils.data.SubsetRandomSampler(allowed, generator=generator)
    before = generator.get_state()
    loader = torch.utils.data.DataLoader(rows, batch_size=4, sampler=sampler)
    losses = problem(data=loader).losses(PSI)
    pairs = [losses.batches(draw, "half") for draw in range(8)]
    assert {row for pair in pairs for half in pair for row in half.targets.tolist()} == set(allowed)
    assert torch.equal(generator.get_state(), before)
    assert sampler.generator is generator


def test_data_that_cannot_be_used_is_refused_with_what_can() -> None:
    x, y = data()
    for bad, message in (
        (Rows(), "data is a Rows: it must be.*DataLoader"),
        ((x,), "data: a batch is a tuple without targets: give a pair"),
        (x, "data is a Tensor"),
        (lambda draw: x, "a batch is a Tensor without targets: give a pair"),
        ((x, y[:-1]), r"hold \[11, 12\] samples"),
        ((x.numpy(), y.numpy()), r"inputs \(a ndarray\) must be a tensor"),
        ((x, torch.tensor(3)), r"targets \(a Tensor\) must be"),
    ):
        with pytest.raises(AshaError, match=message):
            measured(problem(data=bad))
    with pytest.raises(AshaError, match="validation is a Rows"):
        problem(validation=Rows())


def test_a_function_of_a_draw_is_called_with_its_number() -> None:
    asked: list[int] = []

    def draw(number: int) -> Any:
        asked.append(number)
        return data(8, seed=number)

    given = problem(data=draw)
    assert_agrees(measured(given, 3).gradient, expected(given, 3), noise=1e-11)
    assert set(asked) == {0, 1, 2}


def test_augmentation_and_preparation() -> None:
    """The strength of noise on the training inputs, in which the inputs are linear."""
    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "strength": Float(0.299, 0.301)})
    psi = space.configuration({"lr": 0.05, "strength": 0.3})

    def augment(inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
        return 2 * (inputs + config["strength"] * noise)

    given = problem(
        space=space,
        optimizer=lambda model, c: torch.optim.SGD(model.parameters(), lr=c["lr"]),
        loss=lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
        augment=augment,
        prepare=lambda inputs: 2 * inputs,
    )
    losses = given.losses(psi)
    for steps in (1, 2):
        batches = trains_of(losses, steps)
        found = estimate(losses, space, psi, *batches).gradient
        for name in space:
            slope = central(lambda c, b=batches: losses.after(c, *b), space, psi, name, 1e-4)  # type: ignore[misc]
            assert found[name] == pytest.approx(slope, rel=1e-6, abs=1e-10)
