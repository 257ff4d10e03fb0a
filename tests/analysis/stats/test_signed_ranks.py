"""The paired Hodges-Lehmann estimate: against every Walsh average written out, R's numbers, and the test."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.configurations import MetRows
from analysis.stats.over_configurations import hodges_lehmann_over
from analysis.stats.paired import wilcoxon_log
from analysis.stats.signed_ranks import hodges_lehmann_ratio
from asha_core.errors import SettingError
from tests.analysis.stats.test_configurations import searches

# depression scores before and after treatment: Hollander, Wolfe and Chicken 2014, table 3.1,
# and R's help of wilcox.test
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
TIMES = st.lists(st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0, 9.0, 20.0]), min_size=18, max_size=18)


def averages(base: Any, other: Any) -> list[float]:
    ratios = np.round(np.log(np.divide(other, base)), 12)
    return sorted((a + b) / 2 for a, b in combinations_with_replacement(ratios.tolist(), 2))


def test_the_depression_scale_as_the_textbook_has_it() -> None:
    """wilcox.test(BEFORE, AFTER, paired, conf.int = TRUE): pseudomedian 0.46, interval 0.01 to 0.786."""
    found = hodges_lehmann_ratio(np.exp(AFTER), np.exp(BEFORE))
    assert [math.log(e) for e in (found.value, found.low, found.high)] == pytest.approx([0.46, 0.01, 0.786])


@settings(max_examples=40, deadline=None)
@given(TIMES, TIMES)
def test_it_is_the_median_of_all_walsh_averages(base: list[float], other: list[float]) -> None:
    found = hodges_lehmann_ratio(base, other)
    assert math.log(found.value) == pytest.approx(float(np.median(averages(base, other))), abs=1e-11)
    assert found.low <= found.value <= found.high
    back = hodges_lehmann_ratio(other, base)
    assert [back.value, back.low, back.high] == pytest.approx(
        [1 / found.value, 1 / found.high, 1 / found.low]
    )


@pytest.mark.parametrize("n", [6, 9, 14])
def test_its_interval_holds_the_shifts_that_the_test_does_not_reject(n: int) -> None:
    """Every assignment of signs written out; at the ends of the interval p passes .05."""
    rng = np.random.default_rng(n)
    base, other = rng.lognormal(3, 0.5, n), rng.lognormal(2.8, 0.5, n)
    found = hodges_lehmann_ratio(base, other)
    sums = np.array(list(product([0, 1], repeat=n))) @ np.arange(1, n + 1)
    for shift, inside in ((found.low, 1.0001), (found.high, 0.9999)):
        for factor, rejected in ((shift * inside, False), (shift / inside, True)):
            signed = np.log(other / base) - math.log(factor)
            ranks = stats.rankdata(np.abs(signed))
            smaller = min(ranks[signed > 0].sum(), ranks[signed < 0].sum())
            assert (2 * (sums <= smaller).mean() <= 0.05) == rejected


def test_five_pairs_have_no_interval_and_six_have_their_range() -> None:
    base = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    other = [8.0, 9.5, 8.0, 12.0, 9.0, 14.0]
    assert math.isnan(hodges_lehmann_ratio(base[:5], other[:5]).low)
    six = hodges_lehmann_ratio(base, other)
    ratios = np.divide(other, base)
    assert (six.low, six.high) == pytest.approx((ratios.min(), ratios.max()))
    assert not math.isnan(hodges_lehmann_ratio(base[:5], other[:5], 0.9).low)


def test_beyond_two_hundred_pairs_it_goes_on_as_it_was() -> None:
    rng = np.random.default_rng(0)
    base, other = rng.lognormal(3, 0.5, 201), rng.lognormal(2.9, 0.5, 201)
    found, near = hodges_lehmann_ratio(base, other), hodges_lehmann_ratio(base[:-1], other[:-1])
    assert [found.low, found.value, found.high] == pytest.approx([near.low, near.value, near.high], rel=0.01)
    p = wilcoxon_log(base, other).p
    assert p is not None
    assert (p < 0.05) == (not found.low <= 1 <= found.high)


def test_censored_pairs_draw_it_towards_one() -> None:
    base, other = np.full(20, 40.0), np.full(20, 20.0)
    base[10:], other[10:] = 100.0, 100.0  # neither got there
    found = hodges_lehmann_ratio(base, other)
    assert 0.5 < found.value < 1
    assert hodges_lehmann_ratio(base[8:], other[8:]).value == 1  # of twelve pairs ten are censored twice
    other[10:] = 20.0  # now the arm did, and the baseline needs at least the budget
    assert hodges_lehmann_ratio(base, other).value < 0.5


def test_over_configurations_it_is_the_same_estimate_and_less_sure() -> None:
    met, base, other = searches(60, 1_000, seed=3)
    over, alone = hodges_lehmann_over(met, base, other), hodges_lehmann_ratio(base, other)
    assert (over.value, over.of, over.draws, over.n) == (alone.value, alone.of, 0, 1_000)
    assert math.log(over.high / over.low) > 2 * math.log(alone.high / alone.low)
    back = hodges_lehmann_over(met, other, base)
    assert [back.value, back.low, back.high] == pytest.approx(
        [1 / over.value, 1 / over.high, 1 / over.low], rel=1e-3
    )


def test_over_a_huge_table_it_is_as_sure_as_the_test_is() -> None:
    met, base, other = searches(200_000, 400)
    over, alone = hodges_lehmann_over(met, base, other), hodges_lehmann_ratio(base, other)
    assert math.log(over.high / over.low) == pytest.approx(math.log(alone.high / alone.low), rel=0.15)


def test_arms_that_are_alike_and_single_searches() -> None:
    met, base, _ = searches(80, 100)
    same = hodges_lehmann_over(met, base, base)
    assert (same.value, same.low, same.high) == (1, 1, 1)
    one = hodges_lehmann_over(MetRows(5, [[1]], [1]), [4.0], [3.0])
    assert (one.value, one.n) == (pytest.approx(0.75), 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match="other has 2 values and base 1"):
        hodges_lehmann_ratio([1.0], [1.0, 2.0])
    with pytest.raises(SettingError, match="base"):
        hodges_lehmann_ratio([], [])
    with pytest.raises(SettingError, match=r"other\[0\] is 0"):
        hodges_lehmann_ratio([1.0], [0.0])
    with pytest.raises(SettingError, match="confidence is 1"):
        hodges_lehmann_ratio([1.0], [1.0], 1.0)
