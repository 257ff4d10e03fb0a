"""A warm start in one thread and random numbers in another: neither sees the other."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asha_core import Configuration, Float, SearchSpace
from asha_core.errors import TaskError
from warmstart import ModelProblem, Outcome, refine

SPACE = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.99)})
pytestmark = pytest.mark.usefixtures("unchecked")
CONFIG = {"lr": 0.1, "momentum": 0.5}


class Net(nn.Module):
    """Dropout, and whatever is to be done in each forward pass."""

    def __init__(self, seed: int = 0, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 1)).double()
        self.meanwhile = [meanwhile]

    def forward(self, x: Tensor) -> Tensor:
        self.meanwhile[0]()
        found: Tensor = self.layers(x)
        return found


def sgd(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=config["momentum"])


def squares(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
    return (outputs - targets).square().mean()


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(16, 6, generator=generator, dtype=torch.float64)
    return inputs, inputs[:, :1].sin()


def refined(
    model: nn.Module, loss: Any = squares, name: str = "ohgw-trust", mask: Sequence[str] = ("lr", "momentum")
) -> Outcome:
    problem = ModelProblem(SPACE, model=model, optimizer=sgd, data=data(), loss=loss)
    return refine(name, problem, CONFIG, mask=list(mask))


@contextmanager
def _drawing() -> Iterator[tuple[Callable[[], None], list[float]]]:
    """(what has another thread draw four numbers of each kind, and waits for them; what it has drawn)."""
    asked, answered, drawn = threading.Semaphore(0), threading.Semaphore(0), []
    over = False

    def draw() -> None:
        while asked.acquire() and not over:
            drawn.extend(
                [
                    *torch.rand(4, dtype=torch.float64).tolist(),
                    *np.random.rand(4),
                    *[random.random() for _ in "four"],
                ]
            )
            answered.release()

    def ask() -> None:
        asked.release()
        assert answered.acquire(timeout=60)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield ask, drawn
    finally:
        over = True
        asked.release()
        thread.join()


@pytest.mark.parametrize("name", ["ohgw-1step", "ohgw-3step", "ohgw-trust", "ohgw-brake"])
def test_what_another_thread_draws_is_what_it_would_have_drawn(name: str) -> None:
    def drawn(meanwhile: Callable[[Callable[[], None]], None]) -> list[float]:
        torch.manual_seed(1)
        np.random.seed(2)
        random.seed(3)
        with _drawing() as (ask, found):
            meanwhile(ask)
        return found

    found = drawn(lambda ask: [refined(Net(meanwhile=ask), name=name) for _ in range(3)] and None)
    assert len(found) == len(set(found)) >= 12
    assert found == drawn(lambda ask: [ask() for _ in range(len(found) // 12)] and None)


def _noisy(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
    """A loss that draws: mixup, and layers that are dropped at random, are written so."""
    share = np.random.beta(0.4, 0.4) + random.random() + torch.rand(())
    return squares(outputs * share, targets, config)


def test_its_values_are_those_that_it_gives_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    expected = refined(Net(), _noisy)
    with _drawing():
        found = refined(Net(), _noisy)
    assert found == expected
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert all(map(torch.equal, before[:1], after[:1]))
    assert before[1:] == after[1:]


@pytest.mark.parametrize("name", ["ohgw-trust", "ohgw-3step"])
def test_two_at_once_give_what_each_gives_alone(name: str) -> None:
    expected = [refined(Net(seed), _noisy, name) for seed in range(2)]
    together = threading.Barrier(2)

    def pass_in_turn() -> None:
        try:
            together.wait(timeout=60)
        except threading.BrokenBarrierError:
            return  # the other has ended

    nets = [Net(seed, pass_in_turn) for seed in range(2)]  # here: they seed the process's generators

    def one(seed: int) -> Outcome:
        found = refined(nets[seed], _noisy, name)
        together.abort()
        return found

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == expected


def test_what_another_thread_estimates_is_not_taken_for_hooks_of_this_one() -> None:
    other = Net(1)

    def meanwhile() -> None:
        thread = threading.Thread(target=refined, args=(other, squares, "ohgw-1step", ["lr"]))
        thread.start()
        thread.join()

    assert "fallback" not in refined(Net(meanwhile=meanwhile)).diagnostics


def test_one_model_in_two_threads_is_refused() -> None:
    """The second would measure the weights that the first has put in."""
    inside, leave = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert leave.wait(timeout=60)

    net = Net(meanwhile=wait)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refined, net)
        try:
            assert inside.wait(timeout=60)
            with pytest.raises(
                TaskError, match=r"^a warm start in another thread measures the same Net"
            ) as raised:
                refined(net)
        finally:
            leave.set()
        assert first.result() == refined(net)  # it is over, and the model is free again
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shared", ["trained", "frozen"])
def test_models_that_share_what_is_trained_are_refused_too(shared: str) -> None:
    """The running statistics that the first leaves would be put back as the second's own."""
    inside, leave = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert leave.wait(timeout=60)

    part = nn.BatchNorm1d(6).double()
    if shared == "frozen":
        part.requires_grad_(False).eval()
    first, second = Net(meanwhile=wait), Net(1)
    for net in (first, second):
        net.layers.insert(0, part)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(refined, first)
        try:
            assert inside.wait(timeout=60)
            if shared == "frozen":
                assert refined(second)
            else:
                with pytest.raises(TaskError, match=r"measures the same BatchNorm1d"):
                    refined(second)
        finally:
            leave.set()
        assert found.result()
