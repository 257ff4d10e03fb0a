"""A plain PyTorch loop, and what `refine` leaves behind: nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.integrations.contract import check_added_lines, check_runs
from tests.integrations.driver import results
from warmstart import Float, ModelProblem, SearchSpace, refine

SPACE = SearchSpace({"lr": Float(1e-4, 3.0, log=True), "momentum": Float(0.0, 0.99)})


def test_the_example_adds_at_most_twenty_lines() -> None:
    check_added_lines("plain_loop")


def test_the_example_runs_and_only_lr_is_changed(tmp_path: Path) -> None:
    check_runs(results("plain_loop", tmp_path))


def _states() -> list[bytes]:
    numpy_state = np.random.get_state(legacy=True)
    return [
        torch.get_rng_state().numpy().tobytes(),
        numpy_state[1].tobytes() + str(numpy_state[2:]).encode(),  # type: ignore[union-attr, index]
        repr(random.getstate()).encode(),
    ]


def _train(variation: str | None, training: bool) -> tuple[list[Any], bool]:
    """An epoch in which a configuration may be refined; what came out of it, and whether lr was moved."""
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    inputs = torch.randn(96, 8)
    data = TensorDataset(inputs, (inputs[:, 0] > 0).long())
    loader = DataLoader(data, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3))
    model.train(training)
    iterator = iter(loader)
    seen: list[Any] = [next(iterator)[1].tolist()]  # an iterator that is under way is not advanced
    moved = False
    if variation is not None:
        problem = ModelProblem(
            SPACE,
            model=model,
            optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"], momentum=c["momentum"]),
            data=loader,
            loss=lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
        )
        outcome = refine(variation, problem, {"lr": 1e-2, "momentum": 0.9})
        moved = outcome.configuration["lr"] != 1e-2
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())
    seen += [_states(), {name: value.tolist() for name, value in model.state_dict().items()}]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, labels in iterator:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        seen += [labels.tolist(), loss.item()]
    return [*seen, _states()], moved


@pytest.mark.parametrize("variation", ["ohgw-trust", "ohgw-3step", "ohgw-screen-trust", "random-warm"])
@pytest.mark.parametrize("training", [True, False])
def test_weights_buffers_generators_loader_and_mode_are_as_before(variation: str, training: bool) -> None:
    without, _ = _train(None, training)
    after, moved = _train(variation, training)
    assert moved
    assert after == without


def test_the_answer_is_the_same_each_time() -> None:
    torch.manual_seed(0)
    batch = torch.randn(64, 8), torch.randint(0, 3, (64,))
    problem = ModelProblem(
        SPACE,
        model=nn.Linear(8, 3),
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"], momentum=c["momentum"]),
        data=batch,
        loss=lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
    )
    first = refine("ohgw-trust", problem, {"lr": 1e-3, "momentum": 0.5}, check=False)
    torch.randn(7)
    assert refine("ohgw-trust", problem, {"lr": 1e-3, "momentum": 0.5}, check=False) == first
