"""Tests, effects and intervals on paired seeds: published numbers, exact laws, slow ways to the same end."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.paired import (
    holm,
    interquartile_mean,
    interquartile_mean_band,
    mcnemar,
    paired_difference,
    permutation_restricted_mean,
    ratio_of_times,
    spread_ratio,
    success_rate,
    wilcoxon_log,
)
from analysis.stats.resampling import bootstrap_weights
from analysis.stats.survival import kaplan_meier
from asha_core.errors import SettingError

# Darwin's maize, cross- minus self-fertilised, in eighths of an inch: Fisher 1935, The Design of Experiments
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)
# hours of sleep gained with two drugs: Student 1908, `sleep` of R
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# depression before and after a tranquilliser: Hollander and Wolfe 1973, p. 29, example of R's wilcox.test
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]

times = st.integers(1, 12).map(float)
pairs_of_times = st.lists(st.tuples(times, times), min_size=6, max_size=14)
observations = st.tuples(times, st.booleans())
paired = st.lists(st.tuples(observations, observations), min_size=1, max_size=12).map(
    lambda rows: tuple(
        np.array(column) for pair in zip(*rows, strict=True) for column in zip(*pair, strict=True)
    )
)  # base_times, base_censored, times, censored


class TestWilcoxon:
    def test_it_is_rs_on_hollander_and_wolfes_depression_scores(self) -> None:
        result = wilcoxon_log(np.exp(BEFORE), np.exp(AFTER))
        # R: wilcox.test(x, y, paired = TRUE): V = 40, p-value = 0.03906; 45 - 40 = 5
        assert (result.statistic, round(result.p, 5)) == (5, 0.03906)
        assert result.exact
        assert result.note == ""

    @pytest.mark.long
    @settings(max_examples=30)
    @given(st.lists(st.tuples(times, times), min_size=6, max_size=8))
    def test_it_is_scipys_exact_permutation_test_with_ties_and_zeros(self, rows: list) -> None:
        base, other = np.array(rows).T
        result = wilcoxon_log(base, other)
        difference = np.round(np.log(other) - np.log(base), 12)
        if not difference.any():
            assert result.p == 1
            return
        exact = stats.PermutationMethod(n_resamples=2**8)
        theirs = stats.wilcoxon(difference, zero_method="pratt", method=exact)
        assert result.statistic == theirs.statistic
        assert result.p == pytest.approx(theirs.pvalue)
        assert result.differing == np.count_nonzero(difference)

    def test_it_is_scipys_exact_test_without_ties(self) -> None:
        rng = np.random.default_rng(1)
        for n in (6, 20, 32, 50):
            base, other = rng.lognormal(size=n), rng.lognormal(size=n)
            theirs = stats.wilcoxon(np.log(other / base), method="exact")
            assert wilcoxon_log(base, other).p == pytest.approx(theirs.pvalue, rel=1e-9)

    def test_it_is_scipys_approximation_for_very_many(self) -> None:
        rng = np.random.default_rng(2)
        base = rng.integers(1, 9, 300).astype(float)
        other = rng.integers(1, 9, 300).astype(float)
        result = wilcoxon_log(base, other)
        assert not result.exact
        assert (
            result.p == stats.wilcoxon(np.round(np.log(other) - np.log(base), 12), zero_method="pratt").pvalue
        )
        assert wilcoxon_log(base, base).p == 1

    def test_where_exact_ends_the_approximation_is_close(self) -> None:
        rng = np.random.default_rng(3)
        base = rng.integers(1, 9, 200).astype(float)
        other = np.maximum(base - rng.integers(-2, 3, 200), 1)
        exact = wilcoxon_log(base, other)
        assert exact.exact
        approximate = stats.wilcoxon(np.round(np.log(other) - np.log(base), 12), zero_method="pratt").pvalue
        assert exact.p == pytest.approx(approximate, rel=0.02)

    @given(pairs_of_times, st.floats(0.01, 100), st.randoms())
    def test_neither_side_nor_unit_nor_order_of_pairs_matters(self, rows: list, unit: float, random) -> None:
        base, other = np.array(rows).T
        result = wilcoxon_log(base, other)
        assert wilcoxon_log(other, base).p == result.p
        assert wilcoxon_log(unit * base, unit * other).p == result.p
        shuffled = random.sample(rows, len(rows))
        assert wilcoxon_log(*np.array(shuffled).T).p == result.p

    @pytest.mark.parametrize("n", range(1, 6))
    def test_at_five_pairs_or_fewer_it_says_that_there_is_no_p(self, n: int) -> None:
        result = wilcoxon_log(np.full(n, 10.0), np.arange(1.0, n + 1))
        assert result.p is None
        assert result.least_p == 2.0 ** (1 - n) > 0.05
        assert f"{n} pair" in result.note
        assert f"{result.least_p:g}" in result.note
        assert "6 pairs are needed" in result.note

    def test_at_six_pairs_the_least_p_is_one_in_thirty_two(self) -> None:
        result = wilcoxon_log(np.full(6, 10.0), np.arange(1.0, 7))
        assert result.p == result.least_p == 1 / 32

    def test_pairs_without_difference_are_told(self) -> None:
        result = wilcoxon_log([1.0] * 8, [1.0] * 5 + [2.0, 3.0, 4.0])
        assert result.p == 0.25  # three signs: 2 / 2^3
        assert result.note == "5 of 8 pairs have equal times: with so many equal the least p is 0.25"
        assert wilcoxon_log([1.0] * 8, [1.0] * 8).p == 1

    def test_the_spread_of_log_ratios_is_told(self) -> None:
        result = wilcoxon_log([1, 1, 1, 1, 1, 1], [1, math.e, 1, math.e, 1, math.e])
        assert result.sd_log_ratio == pytest.approx(math.sqrt(0.3))
        assert math.isnan(wilcoxon_log([1], [2]).sd_log_ratio)


magnitudes = st.lists(st.integers(0, 6), min_size=6, max_size=8)


@pytest.mark.long
@settings(max_examples=25)
@given(magnitudes)
def test_no_test_rejects_more_often_than_it_says(sizes: list[int]) -> None:
    """Over all 2^n assignments of signs, which "no difference" makes equally likely; those that mirror one
    another have one p, and half of them are enough.
    """
    size = np.array(sizes, float)
    none = np.zeros(len(size), bool)
    found: list[list[float]] = [[], [], []]
    for signs in itertools.product((1,), *[(-1, 1)] * (len(size) - 1)):
        base, other = 20 + size * signs, 20 - size * signs
        found[0].append(wilcoxon_log(np.exp(base / 9), np.exp(other / 9)).p or 0)
        found[1].append(permutation_restricted_mean(base, none, other, none, 99).p or 0)
        found[2].append(paired_difference(base, other).p or 0)
    for p_values in found:
        p = np.sort(p_values)
        share = np.searchsorted(p, p + 1e-9, side="right") / len(p)  # of assignments with a p no larger
        assert (share <= p + 1e-9).all()


class TestPermutation:
    def test_it_counts_what_fisher_counted_for_darwins_maize(self) -> None:
        base = np.full(len(DARWIN), 100.0)
        none = np.zeros(len(DARWIN), bool)
        result = permutation_restricted_mean(base, none, base + DARWIN, none, 1000)
        # Fisher 1935, section 21: 863 of 32,768 as large, 1,726 in both directions
        assert result.p == 1726 / 32768
        assert result.difference == pytest.approx(314 / 15)
        assert result.exact

    def test_at_random_it_is_about_the_same_and_never_zero(self) -> None:
        rng = np.random.default_rng(4)
        base = rng.lognormal(3, 0.3, 20)
        other = base * rng.lognormal(-0.1, 0.3, 20)
        none = np.zeros(20, bool)
        many = [permutation_restricted_mean(base, none, other, none, 99, 5000, seed).p for seed in range(8)]
        differences = other - base
        signs = ((np.arange(2**19)[:, None] >> np.arange(20)) & 1) * 2 - 1
        exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
        assert np.mean(many) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))
        assert len(set(many)) > 1
        surely = permutation_restricted_mean(base, none, base / 100, none, 99, 99)
        assert (surely.p, surely.exact) == (0.01, False)

    @pytest.mark.long
    @given(paired)
    def test_censored_before_the_horizon_it_is_a_test_of_kaplan_meier_areas(self, data: tuple) -> None:
        t0, c0, t1, c1 = data
        result = permutation_restricted_mean(t0, c0, t1, c1, 10)

        def area(t: np.ndarray, c: np.ndarray) -> float:
            curve = kaplan_meier(t, c)
            edges = np.concatenate([[0.0], np.minimum(curve.times, 10), [10]])
            return float(np.diff(edges) @ np.concatenate([[1.0], curve.survival]))

        assert result.difference == pytest.approx(area(t1, c1) - area(t0, c0), abs=1e-9)

    @pytest.mark.long
    @settings(max_examples=20)
    @given(st.lists(st.tuples(observations, observations), min_size=6, max_size=7))
    def test_of_areas_every_swap_is_counted(self, rows: list) -> None:
        def test(some: list) -> tuple[float, float | None]:
            columns = [np.array(c) for pair in zip(*some, strict=True) for c in zip(*pair, strict=True)]
            result = permutation_restricted_mean(*columns, 13)
            return abs(result.difference), result.p

        swaps = itertools.product((False, True), repeat=len(rows))
        ways = [
            test([(b, a) if swap else (a, b) for (a, b), swap in zip(rows, s, strict=True)])[0] for s in swaps
        ]
        observed, p = test(rows)
        assert p == np.mean(np.array(ways) >= observed - 1e-9)

    def test_times_past_the_horizon_count_as_the_horizon(self) -> None:
        base, other, none = np.arange(1.0, 9), np.arange(3.0, 11), np.zeros(8, bool)
        result = permutation_restricted_mean(base, none, other, none, 4)
        assert result.difference == (np.minimum(other, 4) - np.minimum(base, 4)).mean()
        late = permutation_restricted_mean(base + 9, none, other + 9, ~none, 4)
        assert (late.difference, late.p) == (0, 1)

    def test_at_five_pairs_it_says_that_there_is_no_p(self) -> None:
        five = np.arange(1.0, 6)
        result = permutation_restricted_mean(five, [False] * 5, five + 1, [False] * 5, 9)
        assert result.p is None
        assert "6 pairs are needed" in result.note
        assert result.difference == 1


class TestDifference:
    def test_its_interval_is_students_for_his_sleep_data(self) -> None:
        result = paired_difference(SLEEP_1, SLEEP_2)
        # R: t.test(extra ~ group, sleep, paired = TRUE): -1.58, 95 percent interval -2.4598858 to -0.7001142
        assert result.mean == pytest.approx(1.58)
        assert (result.low, result.high) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)
        assert result.n == 10

    def test_its_p_is_fishers_for_darwins_maize(self) -> None:
        result = paired_difference(np.zeros(15), DARWIN)
        assert result.p == 1726 / 32768
        # Fisher 1935, section 17: mean 20.933, t = 2.148 with 14 degrees of freedom
        assert result.mean == pytest.approx(20.933, abs=5e-4)
        assert result.mean / (result.sd / math.sqrt(15)) == pytest.approx(2.148, abs=5e-4)

    def test_one_pair_has_neither_interval_nor_p(self) -> None:
        result = paired_difference([1], [3])
        assert result.mean == 2
        assert math.isnan(result.low)
        assert math.isnan(result.sd)
        assert result.p is None
        assert result.note.startswith("1 pair:")


class TestMcNemar:
    @given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 3))
    def test_p_is_twice_the_smaller_tail_of_a_fair_coin(self, b: int, c: int, both: int) -> None:
        base = [True] * b + [False] * c + [True] * both + [False]
        other = [False] * b + [True] * c + [True] * both + [False]
        result = mcnemar(base, other)
        assert (result.only_base, result.only_other) == (b, c)
        tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) / 2 ** (b + c)
        assert result.p == pytest.approx(min(1, 2 * tail))


class TestHolm:
    def test_it_is_rs(self) -> None:
        # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), which is (m - i + 1) p by hand
        np.testing.assert_allclose(holm([0.01, 0.02, 0.03, 0.04, 0.05]), [0.05, 0.08, 0.09, 0.09, 0.09])

    @given(st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(0, 1)), max_size=9))
    def test_what_it_rejects_is_what_the_steps_of_holm_reject(self, p_values: list) -> None:
        adjusted = holm(p_values)
        present = [p for p in p_values if p is not None and not math.isnan(p)]
        for p, value in zip(p_values, adjusted, strict=True):
            if p is None or math.isnan(p):
                assert math.isnan(value)
                continue
            assert p <= value <= min(1, len(present) * p)
        for alpha in (0.01, 0.05, 0.2):
            rejected = 0
            for step, p in enumerate(sorted(present)):
                if p * (len(present) - step) > alpha:
                    break
                rejected += 1
            assert int((adjusted <= alpha).sum()) == rejected

    def test_what_is_no_probability_is_refused(self) -> None:
        with pytest.raises(SettingError, match=r"p_values\[1\] is 1.5"):
            holm([0.1, 1.5])


class TestRatioOfTimes:
    @staticmethod
    def slowly(data: tuple, horizon: float, draws: int, seed: int) -> tuple[float, np.ndarray, bool, float]:
        """One Kaplan-Meier curve at a time, from the same draws."""
        t0, c0, t1, c1 = data
        n = len(t0)
        cut = [(np.minimum(t, horizon), c | (t > horizon)) for t, c in ((t0, c0), (t1, c1))]
        chosen = [np.arange(n), *np.random.default_rng(seed).integers(0, n, (draws, n))]
        curves = [[kaplan_meier(t[i], c[i]) for t, c in cut] for i in chosen]
        of_medians = all(math.isfinite(curve.median) for curve in curves[0])

        def middle(curve) -> float:
            if of_medians:
                return min(curve.median, horizon)
            edges = np.concatenate([[0.0], curve.times, [horizon]])
            return float(np.diff(edges) @ np.concatenate([[1.0], curve.survival]))

        ratios = np.array([middle(other) / middle(base) for base, other in curves])
        missing = np.mean([any(math.isinf(c.median) for c in two) for two in curves[1:]]) if of_medians else 0
        return ratios[0], ratios[1:], of_medians, float(missing)

    @pytest.mark.long
    @settings(max_examples=40)
    @given(paired, st.integers(3, 13), st.integers(0, 5))
    def test_it_is_the_bootstrap_of_kaplan_meier_curves_one_by_one(
        self, data: tuple, horizon: int, seed: int
    ) -> None:
        result = ratio_of_times(*data, horizon, draws=40, seed=seed)
        value, draws, of_medians, missing = self.slowly(data, horizon, 40, seed)
        assert result.value == pytest.approx(value)
        assert result.of == ("medians" if of_medians else "restricted means")
        assert result.undefined == pytest.approx(missing)
        if len(data[0]) == 1:
            assert math.isnan(result.low)
            assert math.isnan(result.high)
        else:
            draws.sort()
            assert (result.low, result.high) == pytest.approx((draws[1], draws[-2]))  # 2.5% of 40 is one

    @settings(max_examples=40)
    @given(paired)
    def test_other_over_base_is_one_over_base_over_other(self, data: tuple) -> None:
        t0, c0, t1, c1 = data
        one, other = ratio_of_times(*data, 13, 50), ratio_of_times(t1, c1, t0, c0, 13, 50)
        ends = (1 / other.value, 1 / other.high, 1 / other.low)
        assert (one.value, one.low, one.high) == pytest.approx(ends, nan_ok=True)
        assert ratio_of_times(t0, c0, t0, c0, 13, 50).value == 1

    def test_a_constant_factor_is_found_without_doubt(self) -> None:
        base = np.random.default_rng(5).lognormal(3, 0.5, 25)
        none = np.zeros(25, bool)
        result = ratio_of_times(base, none, 0.8 * base, none, 1e6)
        assert (result.value, result.low, result.high) == pytest.approx((0.8, 0.8, 0.8))
        assert (result.of, result.undefined, result.n) == ("medians", 0, 25)

    def test_a_median_that_was_never_reached_makes_it_a_ratio_of_restricted_means(self) -> None:
        base, other = np.array([2.0, 4, 6, 8]), np.array([2.0, 8, 8, 8])
        result = ratio_of_times(base, [0, 0, 0, 1], other, [0, 1, 1, 1], 8)
        assert result.of == "restricted means"
        assert result.value == pytest.approx(26 / 20)

    def test_the_interval_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(6)
        base = rng.lognormal(0, 0.3, (300, 24))
        other = 0.85 * base * rng.lognormal(0, 0.3, (300, 24))
        none = np.zeros(24, bool)
        results = [ratio_of_times(b, none, t, none, 1e9, 400) for b, t in zip(base, other, strict=True)]
        covered = np.mean([r.low <= 0.85 <= r.high for r in results])
        assert 0.90 <= covered <= 0.99  # 300 repeats: a standard error of .013

    def test_a_hundred_comparisons_of_32_pairs_take_seconds(self) -> None:
        rng = np.random.default_rng(7)
        base, other = rng.lognormal(size=(2, 32))
        censored = other > np.quantile(other, 0.6)
        ratio_of_times(base, censored, other, censored)
        start = time.process_time()
        for seed in range(5):
            ratio_of_times(base, censored, other, censored, draws=2000, seed=seed)
        assert (time.process_time() - start) / 5 < 0.1  # 5 ms on the machine it was written on

    def test_by_default_the_horizon_is_where_both_were_tried(self) -> None:
        data = ([1.0, 2, 3, 9], [0, 0, 0, 1], [2.0, 3, 4, 7], [0, 0, 0, 1])
        assert ratio_of_times(*data) == ratio_of_times(*data, 7.0)


class TestSpreadRatio:
    def test_of_a_power_it_is_the_exponent(self) -> None:
        base = np.random.default_rng(8).lognormal(1, 0.4, 20)
        result = spread_ratio(base, base**1.5)
        assert (result.value, result.low, result.high) == pytest.approx((1.5, 1.5, 1.5))
        assert result.of == "standard deviations of log time"

    @settings(max_examples=40)
    @given(st.lists(st.tuples(times, times), min_size=2, max_size=9), st.integers(0, 3))
    def test_it_is_the_bootstrap_of_standard_deviations_one_by_one(self, rows: list, seed: int) -> None:
        base, other = np.array(rows).T
        result = spread_ratio(base, other, draws=40, seed=seed)
        n = len(base)
        chosen = np.random.default_rng(seed).integers(0, n, (40, n))
        spread = [(np.log(base)[i].std(ddof=1), np.log(other)[i].std(ddof=1)) for i in chosen]
        ratios = np.array(
            [b / a if a > 1e-9 else math.inf if b > 1e-9 else math.nan for a, b in spread], float
        )
        assert result.undefined == np.isnan(ratios).mean()
        a, b = np.log(base).std(ddof=1), np.log(other).std(ddof=1)
        if a < 1e-9:
            assert math.isnan(result.value) if b < 1e-9 else result.value == math.inf
        else:
            assert result.value == pytest.approx(b / a, abs=1e-12)
        defined = np.sort(ratios[~np.isnan(ratios)])
        if len(defined) and not math.isnan(result.value):
            outside = int(len(defined) == 40)  # 2.5% of 40 is one, of fewer none
            ends = defined[outside], defined[-1 - outside]
            assert (result.low, result.high) == pytest.approx(ends, abs=1e-12)

    def test_censored_times_do_not_make_a_spread_small(self) -> None:
        rng = np.random.default_rng(9)
        base = np.exp(rng.normal(0, 0.5, 400))
        budget = np.quantile(base, 0.8)
        late = base > budget
        result = spread_ratio(base, np.minimum(base, budget), np.zeros(400, bool), late)
        assert result.of == "interquartile ranges of log time"
        assert result.value == pytest.approx(1)  # the quartiles lie before the budget; 20% lie at it

    def test_where_a_quartile_is_never_reached_there_is_no_spread(self) -> None:
        result = spread_ratio([1, 2, 3, 4], [1, 2, 5, 5], [0] * 4, [0, 0, 1, 1])
        assert math.isnan(result.value)
        assert math.isnan(result.low)


class TestSummaries:
    def test_the_interquartile_mean_is_of_the_middle_half(self) -> None:
        assert interquartile_mean([8, 1, 2, 7, 100, 3, 6, -50]) == 4.5  # of 2, 3, 6, 7
        assert interquartile_mean([1, 2, 6]) == 3  # nothing can be left out

    @pytest.mark.long
    @settings(max_examples=30)
    @given(st.integers(1, 9), st.integers(0, 3))
    def test_the_band_is_the_bootstrap_of_whole_curves_one_by_one(self, seeds: int, seed: int) -> None:
        matrix = np.random.default_rng(seed).normal(size=(seeds, 4)).cumsum(axis=1).round(1)
        band = interquartile_mean_band(matrix, draws=50, seed=seed)
        np.testing.assert_allclose(band.centre, stats.trim_mean(matrix, 0.25, axis=0), atol=1e-15)
        chosen = np.random.default_rng(seed).integers(0, seeds, (50, seeds))
        drawn = np.array([stats.trim_mean(matrix[i], 0.25, axis=0) for i in chosen])
        if seeds == 1:
            assert np.isnan(band.low).all()
        else:
            np.testing.assert_allclose([band.low, band.high], np.quantile(drawn, [0.025, 0.975], axis=0))

    def test_where_a_seed_has_no_value_yet_there_is_no_mean(self) -> None:
        band = interquartile_mean_band([[math.nan, 1, 2], [0.5, 1, 2], [math.nan, 4, 5]])
        assert np.isnan(band.centre).tolist() == np.isnan(band.low).tolist() == [True, False, False]
        assert band.centre[1] == 2
        assert band.n == 3

    @pytest.mark.parametrize(
        ("k", "n", "low", "high"),
        # Newcombe 1998, Statistics in Medicine 17:857, table I: score method, no continuity correction
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_intervals_of_shares_are_newcombes(self, k: int, n: int, low: float, high: float) -> None:
        rate = success_rate([True] * k + [False] * (n - k))
        assert (rate.k, rate.n, rate.share) == (k, n, k / n)
        assert (rate.low, rate.high) == pytest.approx((low, high), abs=5e-5)


def test_bootstrap_weights_count_what_was_drawn() -> None:
    weights = bootstrap_weights(7, 500, 3)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    chosen = np.random.default_rng(3).integers(0, 7, (500, 7))
    assert (weights[17] == np.bincount(chosen[17], minlength=7)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilcoxon_log([], []), "base has 0 values"),
        (lambda: wilcoxon_log([1, 2], [1]), "other has 1 values and base 2"),
        (lambda: wilcoxon_log([1, 0], [1, 2]), r"base\[1\] is 0"),
        (lambda: ratio_of_times([1], [0], [1, 2], [0, 0]), "times has 2 values and base_times 1"),
        (lambda: ratio_of_times([1], [0, 1], [1], [0]), "base_censored has 2 values and base_times 1"),
        (lambda: ratio_of_times([1], [0], [1], [0], 0), "horizon is 0"),
        (lambda: ratio_of_times([1], [0], [1], [0], draws=0), "draws is 0"),
        (lambda: ratio_of_times([1], [0], [1], [0], seed=-1), "seed is -1"),
        (lambda: permutation_restricted_mean([1], [0], [1], [0], math.nan), "horizon is nan"),
        (lambda: paired_difference([1, math.nan], [1, 2]), r"base\[1\] is nan"),
        (lambda: paired_difference([1, 2], [1, 2], confidence=1.0), "confidence is 1.0"),
        (lambda: mcnemar([], []), "pairs is 0"),
        (lambda: mcnemar([True], [True, False]), "reached has 2 values and base_reached 1"),
        (lambda: spread_ratio([1], [1]), "base_times has 1 values; at least 2"),
        (lambda: interquartile_mean([]), "values has 0"),
        (lambda: interquartile_mean_band([1, 2]), "matrix must be"),
        (lambda: interquartile_mean_band([[1, math.inf]]), "infinite"),
        (lambda: success_rate([]), "reached"),
        (lambda: success_rate([0.5]), "truth values"),
        (lambda: success_rate([[True], [True, False]]), "reached must be a vector of truth values"),
        (lambda: mcnemar([[1], [1, 0]], [1, 0]), "base_reached must be a vector of truth values"),
        (lambda: kaplan_meier([1, 2], [[1], [1, 0]]), "censored must be a vector of truth values"),
        (lambda: permutation_restricted_mean([1], [0], [1], [0], "5"), "horizon is '5'"),
        (lambda: paired_difference([1, 2], [1, 2], confidence="0.9"), "confidence is '0.9'"),
        (lambda: interquartile_mean_band([[1, 2], [1]]), "matrix must be numbers, .seeds, grid."),
        (lambda: interquartile_mean_band([["a", "b"]]), "matrix must be numbers, .seeds, grid."),
        (lambda: interquartile_mean_band(None), "matrix must be"),
        (lambda: holm(0.01), "p_values is 0.01: .*a vector"),
        (lambda: holm(np.array(0.01)), "p_values is .*a vector"),
        (lambda: holm({"a": 0.01}), "p_values is {'a': 0.01}: .*a vector"),
        (lambda: holm({0.01, 0.02}), "p_values is .*a vector"),
        (lambda: holm("0.01"), "p_values is '0.01': .*a vector"),
        (lambda: holm(["a"]), r"p_values is \['a'\]: .*a vector"),
        (lambda: holm([[0.1, 0.2], [0.3, 0.4]]), r"p_values has shape \(2, 2\)"),
        (lambda: holm(np.full((2, 2), 0.1)), r"p_values has shape \(2, 2\)"),
        (lambda: holm([[0.1], [0.2, 0.3]]), "p_values is .*a vector"),
    ],
)
def test_what_is_wrong_is_named(call, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        call()
