"""Kaplan-Meier, restricted means and log-rank tests against published numbers and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank

from analysis.stats.resampling import weighted_curves
from analysis.stats.survival import kaplan_meier, log_rank, log_rank_many, restricted_mean
from asha_core.errors import SettingError

# Remission of acute leukaemia in weeks, 6-mercaptopurine against placebo, 21 each: Freireich et al. 1963,
# Blood 21:699, as in Gehan 1965 and Cox and Oakes 1984, table 1.1. (times, censored)
SIX_MP = (
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
    [0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1],
)
PLACEBO = ([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [0] * 21)
# Acute myelogenous leukaemia, maintained or not: Miller 1981, p. 49; `aml` of R's survival package.
MAINTAINED = ([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1])
NOT = ([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])

samples = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=30).map(
    lambda rows: (np.array([t for t, _ in rows], float), np.array([c for _, c in rows]))
)


def test_the_curve_of_freireichs_6_mp_arm_is_the_published_one() -> None:
    curve = kaplan_meier(*SIX_MP)
    # the estimates of every textbook that has these data, e.g. Kleinbaum and Klein 2012, chapter 2
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.events.tolist() == [3, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(
        curve.survival, [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], atol=5e-5
    )
    # lifelines 0.30.3, KaplanMeierFitter().fit(...).confidence_interval_ (log(-log), Greenwood)
    low = [0.619718, 0.563147, 0.503200, 0.431610, 0.367511, 0.267779, 0.188052]
    high = [0.951552, 0.922809, 0.889362, 0.849066, 0.804912, 0.746791, 0.680143]
    np.testing.assert_allclose(curve.low, low, atol=5e-7)
    np.testing.assert_allclose(curve.high, high, atol=5e-7)


@pytest.mark.parametrize(
    ("group", "median", "interval"),
    [
        # medians: Gehan 1965, R's survfit of aml; intervals: lifelines 0.30.3, median_survival_times
        (SIX_MP, 23, (13, math.inf)),
        (PLACEBO, 8, (4, 11)),
        (MAINTAINED, 31, (13, math.inf)),
        (NOT, 23, (5, 33)),
    ],
)
def test_medians_and_their_intervals_are_the_published_ones(
    group: tuple[list[int], list[int]], median: float, interval: tuple[float, float]
) -> None:
    curve = kaplan_meier(*group)
    assert (curve.median, curve.median_interval) == (median, interval)


def test_log_rank_statistics_are_the_published_ones() -> None:
    leukaemia = log_rank(*SIX_MP, *PLACEBO)
    # R, survdiff; lifelines 0.30.3, logrank_test: 16.7929409892, p = 4.168809e-05, expected 19.250501
    assert leukaemia.statistic == pytest.approx(16.7929409892, abs=1e-9)
    assert leukaemia.p == pytest.approx(4.168809e-05, rel=1e-6)
    np.testing.assert_allclose(leukaemia.observed, [9, 21])
    np.testing.assert_allclose(leukaemia.expected, [19.250501, 10.749499], atol=5e-7)
    myelogenous = log_rank(*MAINTAINED, *NOT)
    # R, survdiff(Surv(time, status) ~ x, data = aml): 10.69 and 7.31 expected, chi-square 3.4, p = 0.0653
    assert (round(myelogenous.statistic, 1), round(myelogenous.p, 4)) == (3.4, 0.0653)
    np.testing.assert_allclose(myelogenous.expected, [10.69, 7.31], atol=5e-3)
    four = log_rank_many([SIX_MP, PLACEBO, MAINTAINED, NOT])
    assert four.degrees == 3
    assert four.statistic == pytest.approx(
        32.98664902, rel=1e-9
    )  # lifelines 0.30.3, multivariate_logrank_test
    assert four.p == pytest.approx(3.2416248e-07, rel=1e-6)


@pytest.mark.parametrize("groups", [(SIX_MP, PLACEBO), (MAINTAINED, NOT), (NOT, PLACEBO)])
def test_the_log_rank_test_of_two_groups_is_scipys(groups: tuple[tuple[list[int], list[int]], ...]) -> None:
    ours = log_rank(*groups[0], *groups[1])
    theirs = logrank(*(CensoredData.right_censored(times, censored) for times, censored in groups))
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic**2, theirs.pvalue), rel=1e-9)


def test_restricted_means_are_those_of_lifelines() -> None:
    # lifelines 0.30.3, restricted_mean_survival_time
    assert restricted_mean(*SIX_MP, 20)[0] == pytest.approx(16.116526610644254)
    assert restricted_mean(*MAINTAINED, 103)[0] == pytest.approx(41.968181818181826)
    assert restricted_mean(*NOT, 35)[0] == pytest.approx(20.958333333333332)


@given(samples)
def test_the_standard_error_is_the_infinitesimal_jackknifes(sample: tuple[np.ndarray, np.ndarray]) -> None:
    times, censored = sample
    step, ones = 1e-6, np.ones(len(times))
    moved = ones + step * np.vstack([np.eye(len(times)), -np.eye(len(times))])
    horizon = float(times.max())
    means = weighted_curves(times, censored, moved).restricted_means(horizon)
    influence = (means[: len(times)] - means[len(times) :]) / (2 * step)
    # Greenwood's variance is the sum of squared influences (Efron 1981)
    assert restricted_mean(times, censored, horizon)[1] == pytest.approx(
        math.sqrt((influence**2).sum()), rel=1e-5, abs=1e-6
    )


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(1, 25))
def test_without_censoring_the_restricted_mean_is_the_mean_of_min_t_and_horizon(
    times: list[int], horizon: int
) -> None:
    restricted = np.minimum(times, horizon).astype(float)
    mean, error = restricted_mean(times, [False] * len(times), horizon)
    assert mean == pytest.approx(restricted.mean())
    assert error == pytest.approx(restricted.std() / math.sqrt(len(times)), abs=1e-9)


@given(samples)
def test_the_curve_is_scipys(sample: tuple[np.ndarray, np.ndarray]) -> None:
    times, censored = sample
    curve = kaplan_meier(times, censored)
    theirs = ecdf(CensoredData.right_censored(times, censored)).sf
    grid = np.linspace(0, times.max(), 57)
    np.testing.assert_allclose(curve.at(grid), theirs.evaluate(grid), atol=1e-12)


@given(samples)
def test_a_curve_falls_within_its_band_and_nothing_is_known_past_the_last_censored_time(
    sample: tuple[np.ndarray, np.ndarray],
) -> None:
    curve = kaplan_meier(*sample)
    assert (np.diff(curve.survival) < 0).all()
    defined = curve.survival > 0
    assert (curve.low[defined] <= curve.survival[defined]).all()
    assert (curve.survival[defined] <= curve.high[defined]).all()
    assert np.isnan(curve.low[~defined]).all()
    assert np.isnan(curve.high[~defined]).all()
    low, high = curve.median_interval
    assert low <= curve.median <= high
    assert curve.at(0) == 1
    beyond = curve.at(curve.last + 1)
    assert np.isnan(beyond) if defined.all() else beyond == 0


@given(samples, st.floats(0.1, 50))
def test_a_change_of_unit_changes_times_and_nothing_else(
    sample: tuple[np.ndarray, np.ndarray], unit: float
) -> None:
    times, censored = sample
    one, other = kaplan_meier(times, censored), kaplan_meier(unit * times, censored)
    np.testing.assert_allclose(other.survival, one.survival)
    np.testing.assert_allclose(other.low, one.low)
    assert other.median == pytest.approx(unit * one.median)


def test_a_survival_of_one_half_is_one_half_however_it_was_multiplied_together() -> None:
    for n in range(2, 60, 2):
        assert kaplan_meier(np.arange(1, n + 1), [False] * n).median == n // 2


@given(samples, samples)
def test_log_rank_takes_no_side(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = log_rank(*a, *b), log_rank(*b, *a)
    assert one.statistic == pytest.approx(other.statistic, abs=1e-9)
    assert one.observed.sum() == pytest.approx(one.expected.sum())
    assert log_rank(*a, *a).statistic == pytest.approx(0, abs=1e-9)
    assert log_rank_many([a, b]).p == one.p
    assert 0 <= one.p <= 1


@pytest.mark.long
@given(samples, samples)
def test_two_groups_statistic_is_the_square_of_the_difference_over_its_variance(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> None:
    difference, variance = 0.0, 0.0
    for t in np.unique(np.concatenate([a[0][~a[1]], b[0][~b[1]]])):
        m, n = (a[0] >= t).sum(), (a[0] >= t).sum() + (b[0] >= t).sum()
        x = ((a[0] == t) & ~a[1]).sum()
        d = x + ((b[0] == t) & ~b[1]).sum()
        difference += x - d * m / n  # the hypergeometric mean and variance of x
        variance += d * (m / n) * (1 - m / n) * (n - d) / (n - 1) if n > 1 else 0
    expected = difference**2 / variance if variance > 0 else 0.0
    assert log_rank(*a, *b).statistic == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("times", "censored", "message"),
    [
        ([], [], "times has 0 values"),
        ([1, -2], [0, 0], r"times\[1\] is -2: all values must be positive"),
        ([1, math.nan], [0, 0], r"times\[1\] is nan"),
        ([1, math.inf], [0, 1], r"times\[1\] is inf"),
        ([1, 2], [0], "censored has 1 values and times 2"),
        ([1, 2], [0.5, 1.0], "truth values"),
        ([1, 2], [0, 2], "truth values"),
        ([[1, 2]], [[0, 0]], "one dimension"),
        (["a"], [0], "vector of numbers"),
    ],
)
def test_what_is_no_time_is_refused_by_name(times: list, censored: list, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        kaplan_meier(times, censored)


def test_what_the_data_do_not_tell_is_refused() -> None:
    with pytest.raises(SettingError, match=r"horizon is 36, but the largest time, 35, is censored"):
        restricted_mean(*SIX_MP, 36)
    with pytest.raises(SettingError, match="horizon"):
        restricted_mean(*SIX_MP, math.inf)
    with pytest.raises(SettingError, match="compares at least 2"):
        log_rank_many([SIX_MP])
    with pytest.raises(SettingError, match="times of group 1"):
        log_rank(*SIX_MP, [0], [False])
    with pytest.raises(SettingError, match="confidence is 95"):
        kaplan_meier(*SIX_MP, confidence=95)
    with pytest.raises(SettingError, match="share is 1"):
        kaplan_meier(*SIX_MP).quantile(1)


def test_two_times_say_nothing_of_how_late_the_median_may_be() -> None:
    # both lie before the median with probability 1/4; R prints NA
    assert kaplan_meier([1, 2], [False, False]).median_interval[1] == math.inf


def test_all_censored_is_a_flat_curve_that_has_no_median() -> None:
    curve = kaplan_meier([3, 3, 3], [True] * 3)
    assert len(curve.times) == 0
    assert curve.median == math.inf
    assert curve.median_interval == (math.inf, math.inf)
    assert restricted_mean([3, 3, 3], [True] * 3, 3) == (3, 0)
    assert log_rank([3, 3], [True] * 2, [2, 2], [True] * 2).p == 1
