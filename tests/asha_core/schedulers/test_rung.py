"""A rung against a brute-force oracle that sorts everything every time."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.schedulers.rung import Rung


class Oracle:
    """The definition: of n entries, the best of the top floor(n/eta) that was not promoted and is finite.

    The top holds at least ``least``, if there are so many.
    """

    def __init__(self, eta: int, least: int = 0) -> None:
        self.eta = eta
        self.least = least
        self.entries: list[tuple[float, int, int]] = []
        self.gone: set[int] = set()

    def add(self, trial: int, loss: float) -> bool:
        self.entries.append((loss if math.isfinite(loss) else math.inf, len(self.entries), trial))
        return math.isfinite(loss) and self.entries[-1] in self.top()

    def top(self) -> list[tuple[float, int, int]]:
        return sorted(self.entries)[: max(len(self.entries) // self.eta, self.least)]

    def promotable(self) -> int | None:
        top = self.top()
        waiting = [trial for loss, _, trial in top if trial not in self.gone and loss < math.inf]
        return waiting[0] if waiting else None


# few different values, so that ties are common
losses = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-1e9, 1e9),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0]),
)
steps = st.lists(st.tuples(losses, st.integers(0, 4)), max_size=120)


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2), steps)
@example(2, 0, [(1.0, 0), (1.0, 0), (1.0, 1), (1.0, 2)])
@example(3, 0, [(math.nan, 1)] * 9)
@example(3, 1, [(math.nan, 1), (1.0, 0), (1.0, 1)])
@example(2, 0, [(3.0, 0), (2.0, 0), (1.0, 0), (0.0, 3)])
def test_promotable_is_the_best_of_the_top_not_yet_promoted(eta, least, arrivals):
    rung, oracle = Rung(1, eta, least), Oracle(eta, least)
    for number, (loss, promotions) in enumerate(arrivals):
        trial = 1000 - number  # so that trial number and arrival are told apart
        assert rung.add(trial, loss) is oracle.add(trial, loss)
        assert rung.promotable() == oracle.promotable()
        for _ in range(promotions):
            expected = oracle.promotable()
            assert rung.promotable() == expected
            assert rung.promote() == expected
            if expected is not None:
                assert expected not in oracle.gone
                oracle.gone.add(expected)
            assert rung.promoted == len(oracle.gone)
        assert rung.promotable() == oracle.promotable()
        assert rung.n == number + 1


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 4), st.lists(st.sampled_from([math.nan, math.inf, -math.inf]), max_size=40))
def test_values_that_are_not_finite_count_and_are_never_promoted(eta, odd):
    rung = Rung(1, eta)
    for trial, loss in enumerate(odd):
        rung.add(trial, loss)
        assert rung.promote() is None
    assert (rung.n, rung.promoted) == (len(odd), 0)
    # they count in n: with enough of them before it, one finite entry is in the top at once
    rung.add(len(odd), 5.0)
    assert rung.promote() == (len(odd) if (len(odd) + 1) // eta else None)


def test_of_equal_losses_the_earlier_arrival_goes_first():
    rung = Rung(1, 3)
    for trial in (8, 2, 5, 1, 7, 3):
        rung.add(trial, 1.0)
    assert [rung.promote(), rung.promote(), rung.promote()] == [8, 2, None]


def test_looking_changes_nothing():
    rung = Rung(1, 2)
    for trial, loss in enumerate([3.0, 1.0, 2.0, 0.0]):
        rung.add(trial, loss)
    assert [rung.promotable() for _ in range(3)] == [3, 3, 3]
    assert rung.promoted == 0


def promoted(order: list[float], eta: int, *, drain: bool) -> list[int]:
    """Who is promoted when every arrival is followed by all promotions (drain), or all come at the end."""
    rung, went = Rung(1, eta), []
    for trial, loss in enumerate(order):
        rung.add(trial, loss)
        while drain and (trial := rung.promote()) is not None:
            went.append(trial)
    while (trial := rung.promote()) is not None:
        went.append(trial)
    return went


WORSENING = [float(i) for i in range(81)]
IMPROVING = WORSENING[::-1]


@pytest.mark.parametrize(
    ("order", "drain", "expected"),
    [
        (WORSENING, True, list(range(27))),
        (WORSENING, False, list(range(27))),
        (IMPROVING, False, list(range(80, 53, -1))),
        # each is the best when it comes: all but those that came while floor(n/3) was 0
        (IMPROVING, True, list(range(2, 81))),
    ],
)
def test_of_81_arrivals_27_are_promoted_unless_they_improve(order, drain, expected):
    assert promoted(order, 3, drain=drain) == expected


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(81)), st.sampled_from([2, 3, 4]))
def test_the_final_top_is_always_promoted_whatever_the_order(order, eta):
    k = 81 // eta
    best = {order.index(loss) for loss in range(k)}
    at_the_end = promoted([float(x) for x in order], eta, drain=False)
    as_they_come = promoted([float(x) for x in order], eta, drain=True)
    assert at_the_end == [order.index(loss) for loss in range(k)]
    assert best <= set(as_they_come)
    assert len(as_they_come) == len(set(as_they_come)) >= k


@pytest.mark.parametrize("eta", [2, 3, 10])
@pytest.mark.parametrize("kind", ["improving", "worsening", "random", "equal", "sawtooth"])
def test_the_heaps_stay_linear_in_the_number_of_entries(eta, kind):
    n = 3000
    generator = random.Random(7)
    losses = {
        "improving": lambda i: float(n - i),
        "worsening": float,
        "random": lambda _: generator.random(),
        "equal": lambda _: 1.0,
        "sawtooth": lambda i: float(i % 17) - i * 1e-6,
    }[kind]
    rung = Rung(1, eta)
    for i in range(n):
        rung.add(i, losses(i))  # nobody is promoted: the hardest case for what is kept
        assert len(rung._candidates) <= 2 * rung.n
        assert len(rung._top) == rung.n // eta
        assert len(rung._top) + len(rung._rest) == rung.n
    while rung.promote() is not None:
        pass
    assert rung._candidates == []
