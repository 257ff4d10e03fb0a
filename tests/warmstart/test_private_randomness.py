"""Beside other threads a warm start draws from generators of its own, and the process's are not touched."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asha_core.errors import TaskError
from warmstart.private_randomness import PrivateRandomness, alone
from warmstart.problem.randomness import own_randomness, seeded_generators

ONES = torch.ones(3, 4)
LSTM = nn.LSTM(4, 4, 2, dropout=0.3)


def _states() -> list[Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return [torch.get_rng_state().tolist(), random.getstate(), (kind, bytes(keys), *rest)]


@contextmanager
def _company() -> Iterator[None]:
    """Another thread, which might draw."""
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join()


DRAWS: dict[str, Callable[[], Any]] = {
    "dropout": lambda: F.dropout(ONES, 0.5),
    "dropout in place": lambda: F.dropout(ONES.clone(), 0.5, inplace=True),
    "dropout, with its gradient": lambda: _with_gradient(lambda x: F.dropout(x, 0.5)),
    "dropout2d": lambda: F.dropout2d(ONES.view(1, 3, 2, 2), 0.3),
    "alpha dropout": lambda: F.alpha_dropout(ONES, 0.3, training=True),
    "feature alpha dropout": lambda: F.feature_alpha_dropout(ONES[None], 0.3, training=True),
    "native dropout": lambda: torch.native_dropout(ONES, 0.3, True),
    "native dropout of all": lambda: torch.native_dropout(ONES, 1.0, True),
    "native dropout, not in training": lambda: torch.native_dropout(ONES, 0.3, False),
    "recurrent dropout": lambda: LSTM(ONES[None])[0],
    "attention with dropout": lambda: F.scaled_dot_product_attention(ONES, ONES, ONES, dropout_p=0.2),
    "rrelu": lambda: F.rrelu(-ONES, training=True),
    "gumbel": lambda: F.gumbel_softmax(ONES),
    "rand": lambda: torch.rand(3),
    "rand into": lambda: torch.rand(3, out=torch.empty(3)),
    "randn": lambda: torch.randn(3, dtype=torch.float64),
    "rand_like": lambda: torch.rand_like(ONES),
    "randn_like": lambda: torch.randn_like(ONES),
    "randint": lambda: torch.randint(9, (4,)),
    "randint from": lambda: torch.randint(3, 9, (4,)),
    "randint_like": lambda: torch.randint_like(ONES, 9),
    "randint_like from": lambda: torch.randint_like(ONES, 3, 9),
    "randperm": lambda: torch.randperm(9),
    "normal": lambda: torch.normal(0.0, 1.0, (3,)),
    "normal of tensors": lambda: torch.normal(ONES, ONES),
    "bernoulli": lambda: torch.bernoulli(ONES / 2),
    "multinomial": lambda: torch.multinomial(ONES, 2),
    "poisson": lambda: torch.poisson(ONES),
    "binomial": lambda: torch.binomial(ONES * 9, ONES / 2),
    "gamma": lambda: torch.distributions.Gamma(1.0, 1.0).rsample(),
    "beta": lambda: torch.distributions.Beta(1.0, 1.0).sample(),
    "exponential": lambda: torch.empty(3).exponential_(),
    "initial weights": lambda: nn.init.trunc_normal_(nn.Linear(3, 2).weight),
    "fractional pooling": lambda: F.fractional_max_pool2d(torch.rand(1, 1, 6, 6), 2, output_size=2),
    "low rank": lambda: torch.svd_lowrank(torch.eye(4))[1],
    "vmap": lambda: torch.vmap(lambda x: F.dropout(x, 0.5), randomness="different")(ONES),
    "jvp": lambda: torch.func.jvp(lambda x: F.dropout(x, 0.5), (ONES,), (ONES,)),
    "inference mode": lambda: _in_inference(lambda x: LSTM(F.dropout(x[None], 0.5))[0]),
    "inference mode, features": lambda: _in_inference(lambda x: F.dropout2d(x.view(1, 3, 2, 2), 0.3)),
    "the process's generator by name": lambda: torch.rand(3, generator=torch.default_generator),
    "numpy": lambda: [np.random.rand(2), np.random.beta(1, 2), np.random.permutation(5), np.random.sample()],
    "random": lambda: [random.random(), random.gauss(0, 1), random.sample(range(9), 3)],
    "seeded inside": lambda: [torch.manual_seed(3) and torch.rand(2), _seeded_others()],
    "kept and set": lambda: _kept_and_set(),  # noqa: PLW0108 - defined below
    "forked": lambda: _forked(),  # noqa: PLW0108
}


def _with_gradient(function: Callable[[Tensor], Tensor]) -> list[Tensor]:
    inputs = ONES.clone().requires_grad_()
    outputs = function(inputs)
    return [outputs.detach(), *torch.autograd.grad(outputs.square().sum(), inputs)]


def _in_inference(function: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.inference_mode():
        return function(ONES.clone())


def _seeded_others() -> list[Any]:
    np.random.seed(4)
    random.seed(5)
    return [np.random.rand(2), random.random()]


def _kept_and_set() -> list[Any]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    first = [torch.rand(2), np.random.rand(), random.random()]
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    return [first, torch.rand(2), np.random.rand(), random.random()]


def _forked() -> list[Tensor]:
    with torch.random.fork_rng():
        inside = torch.rand(2)
    return [inside, torch.rand(2)]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch.func.jvp's own
@pytest.mark.parametrize("name", DRAWS)
def test_its_numbers_are_those_of_the_processs_generators_with_the_same_seed(name: str) -> None:
    """To the last bit, whatever draws them; and the process's do not move."""
    draw = DRAWS[name]
    with seeded_generators(7, "cpu"):
        expected = draw()
    before = _states()
    with PrivateRandomness(7):
        found = draw()
    assert _states() == before
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_a_checkpoint_draws_the_same_again_in_the_backward_pass() -> None:
    layer = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))

    def gradient(*, again: bool) -> list[Tensor]:
        with own_randomness(7, "cpu"):  # as a pass is measured, whose backward pass comes later
            outputs = checkpoint(layer, ONES, use_reentrant=False) if again else layer(ONES)
        return list(torch.autograd.grad(outputs.sum(), list(layer.parameters())))

    expected = gradient(again=False)
    with PrivateRandomness():
        assert all(map(torch.equal, gradient(again=True), expected))


def test_streams_go_on_after_a_block_with_a_seed_of_its_own() -> None:
    with PrivateRandomness(7):
        first = torch.rand(2)
        with own_randomness(8, "cpu"):
            other = torch.rand(2)
        second = torch.rand(2)
    with PrivateRandomness(7):
        assert torch.equal(torch.rand(4), torch.cat([first, second]))
    with PrivateRandomness(8):
        assert torch.equal(torch.rand(2), other)


def test_a_generator_that_is_given_is_used() -> None:
    generator = torch.Generator().manual_seed(3)
    with PrivateRandomness(7):
        found = torch.rand(2, generator=generator)
    assert torch.equal(found, torch.rand(2, generator=torch.Generator().manual_seed(3)))


def test_an_operator_that_takes_no_generator_is_refused() -> None:
    """By the one that PyTorch attends with on a GPU; here it is asked how it would be called."""
    flash: Any = torch.ops.aten._scaled_dot_product_flash_attention.default
    half = torch.ones(1, 1, 2, 8, device="meta")
    with PrivateRandomness():
        flash(half, half, half, 0.0)
        with pytest.raises(
            TaskError, match=r"^aten._scaled_dot_product_flash_attention.* n_jobs=1"
        ) as raised:
            flash(half, half, half, 0.1)
    assert "\n" not in str(raised.value)


def test_functions_are_put_back_when_the_last_thread_has_left() -> None:
    before = torch.get_rng_state, np.random.rand, random.random, torch.cuda.manual_seed
    with pytest.raises(KeyError), PrivateRandomness(), PrivateRandomness():
        assert random.random is not before[2]
        raise KeyError
    assert (torch.get_rng_state, np.random.rand, random.random, torch.cuda.manual_seed) == before


_imported_by_name = random.random


def test_draws_that_it_cannot_see_are_warned_of() -> None:
    moved = "random's global generator moved meanwhile, beside other threads"
    with pytest.warns(UserWarning, match=moved), PrivateRandomness():
        _imported_by_name()


def test_only_threads_that_may_draw_count() -> None:
    assert alone()
    with _company():
        assert not alone()
        before = _states()
        with own_randomness(7, "cpu"):
            found = torch.rand(2)
            assert _states() != before  # this thread's
        assert _states() == before
    with own_randomness(7, "cpu"):
        assert torch.equal(torch.rand(2), found)


@pytest.mark.parametrize("device", ["mps", "xpu:0"])
def test_generators_of_other_devices_are_left_alone(device: str) -> None:
    assert isinstance(own_randomness(7, device), PrivateRandomness)
