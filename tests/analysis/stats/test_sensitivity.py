"""Shifts, divergences and trends of hyper-parameters: closed forms and limits."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.sensitivity import benefit_by_gradient, kl_divergence, kl_of_categories, loess, shift
from asha_core.errors import SettingError

samples = st.lists(st.floats(-5, 5), min_size=2, max_size=60)


class TestShift:
    def test_moves_are_summed_up(self) -> None:
        moved = shift([0, 0, 0, -1], [0, 1, -1, 1])
        assert (moved.n, moved.mean, moved.median, moved.mean_absolute) == (4, 0.5, 0.5, 1)
        assert moved.share_moved == 0.75
        assert moved.sd == pytest.approx(math.sqrt(5 / 3))
        assert (moved.low, moved.high) == pytest.approx((-0.85, 1.85))

    def test_rounding_is_no_move(self) -> None:
        before = np.random.default_rng(0).uniform(-4, 0, 500)
        after = np.log10(10.0**before)  # there and back
        assert (after != before).any()
        assert shift(before, after).share_moved == 0
        assert kl_divergence(before, after) == 0

    def test_one_configuration_has_no_spread(self) -> None:
        assert math.isnan(shift([1], [2]).sd)


def gaussian(mean: float, sd: float) -> float:
    """KL(N(mean, sd^2) || N(0, 1)) in nats."""
    return (sd**2 + mean**2 - 1) / 2 - math.log(sd)


class TestDivergence:
    @pytest.mark.parametrize(
        ("n", "mean", "sd", "bias"),
        # the error that the docstring states: of the mean over many samples, for at most 1 nat
        [
            (100, 0, 1, 0.10),
            (500, 0, 1, 0.04),
            (5000, 0, 1, 0.01),
            (100, 1, 1, 0.04),
            (500, 1, 1, 0.03),
            (5000, 1, 1, 0.03),
            (500, 0, 0.5, 0.04),
            (5000, 0, 0.5, 0.02),
            (5000, 0.5, 0.7, 0.01),
        ],
    )
    def test_of_gaussians_it_is_the_closed_form_within_the_error_stated(
        self, n: int, mean: float, sd: float, bias: float
    ) -> None:
        rng = np.random.default_rng(0)
        found = [kl_divergence(rng.normal(size=n), rng.normal(mean, sd, n)) for _ in range(60)]
        assert np.mean(found) == pytest.approx(gaussian(mean, sd), abs=bias)
        assert np.std(found) < 1.7 / math.sqrt(n)

    @given(samples)
    def test_of_equal_samples_it_is_zero_in_any_order(self, before: list[float]) -> None:
        assert kl_divergence(before, before) == 0
        assert kl_divergence(before, before[::-1]) == 0

    @given(samples, samples, st.integers(2, 9))
    def test_it_is_never_negative_and_bounded_by_the_rarest_part(
        self, before: list[float], after: list[float], bins: int
    ) -> None:
        divergence = kl_divergence(before, after, bins)
        assert divergence >= 0
        if len(set(before)) > 1:
            assert divergence <= math.log(len(before)) + 1e-9

    @given(st.lists(st.integers(-9, 9), min_size=3, max_size=50), st.lists(st.integers(-9, 9), min_size=1))
    def test_a_change_of_scale_changes_nothing(self, before: list[int], after: list[int]) -> None:
        b, a = np.array(before, float), np.array(after, float)
        assert kl_divergence(4 * b - 8, 4 * a - 8) == pytest.approx(kl_divergence(b, a))

    def test_by_hand(self) -> None:
        # two parts, cut at 2.5: shares 1/2, 1/2 before and 1/4, 3/4 after
        expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
        assert kl_divergence([1, 1, 4, 4], [0, 3, 4, 9], bins=2) == pytest.approx(expected)
        # the median is the least value: the cut is above it. Shares 3/5, 2/5 before and 1/3, 2/3 after
        expected = 1 / 3 * math.log(5 / 9) + 2 / 3 * math.log(5 / 3)
        assert kl_divergence([1, 1, 1, 2, 9], [1, 3, 3], bins=2) == pytest.approx(expected)

    def test_of_a_constant_it_is_zero_or_infinite(self) -> None:
        assert kl_divergence([2, 2, 2], [2, 2]) == 0
        assert kl_divergence([2, 2, 2], [2, 3]) == math.inf

    @given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
    def test_of_equal_categories_it_is_zero(self, before: list[str]) -> None:
        assert kl_of_categories(before, before[::-1]) == 0

    def test_of_categories_it_is_that_of_smoothed_counts(self) -> None:
        # counts (3, 1, 0) and (1, 1, 2), half added to each: sums of 5.5
        p, q = np.array([1.5, 1.5, 2.5]) / 5.5, np.array([3.5, 1.5, 0.5]) / 5.5
        expected = float((p * np.log(p / q)).sum())
        assert kl_of_categories("aaab", "abcc") == pytest.approx(expected)
        assert kl_of_categories([1, 1, 1, None], [1, None, 2, 2]) == pytest.approx(expected)
        many = kl_of_categories("ab" * 5000, "aaab" * 2500)
        assert many == pytest.approx(stats.entropy([0.75, 0.25], [0.5, 0.5]), abs=1e-3)


class TestBenefit:
    @given(
        st.lists(
            st.tuples(st.sampled_from([0.0, 1e-3, 0.02, 0.1, 4.0]), st.floats(-1, 1)), min_size=1
        ).filter(lambda rows: any(x > 0 for x, _ in rows)),
        st.integers(1, 6),
    )
    def test_every_configuration_is_in_the_grid_or_told_as_zero(self, rows: list, bins: int) -> None:
        x, y = np.array(rows).T
        grid = benefit_by_gradient(x, y, bins)
        assert grid.counts.shape == (bins, bins)
        assert grid.counts.sum() + grid.zeros == grid.n == len(rows)
        assert (np.diff(grid.x_edges) > 0).all()
        assert (np.diff(grid.y_edges) > 0).all()
        filled = grid.counts.sum(axis=1) > 0
        assert (np.isnan(grid.mean) == ~filled).all()
        total = np.nansum(grid.mean * grid.counts.sum(axis=1))
        assert total == pytest.approx(y[x > 0].sum(), abs=1e-9)

    def test_columns_are_even_in_the_logarithm(self) -> None:
        grid = benefit_by_gradient([1e-4, 1e-2, 1.0], [0, 1, 2], (4, 2))
        np.testing.assert_allclose(grid.x_edges, [1e-4, 1e-3, 1e-2, 1e-1, 1])
        np.testing.assert_allclose(grid.y_edges, [0, 1, 2])
        assert grid.counts.tolist() == [[1, 0], [0, 0], [0, 1], [0, 1]]

    def test_the_correlation_is_of_ranks(self) -> None:
        x = np.random.default_rng(1).lognormal(size=50)
        assert benefit_by_gradient(x, np.log(x)).correlation == pytest.approx(1)
        assert benefit_by_gradient(x, -(x**3)).correlation == pytest.approx(-1)
        noise = np.random.default_rng(2).normal(size=50)
        grid = benefit_by_gradient(x, noise)
        theirs = stats.spearmanr(x, noise)
        assert (grid.correlation, grid.p) == (theirs.statistic, theirs.pvalue)

    def test_a_constant_has_no_correlation(self) -> None:
        grid = benefit_by_gradient([1, 2, 3], [5, 5, 5])
        assert math.isnan(grid.correlation)
        assert grid.p is None


class TestLoess:
    def test_few_distinct_x_give_means_and_students_intervals(self) -> None:
        rng = np.random.default_rng(3)
        x = np.repeat(np.log10([1e-4, 3e-4, 1e-3, 3e-3]), 8)
        y = rng.normal(size=32)
        curve = loess(x, y, grid=[-4, -3.7])
        assert curve.method == "means by x"
        np.testing.assert_array_equal(curve.grid, np.unique(x))
        for i, place in enumerate(curve.grid):
            here = y[x == place]
            interval = stats.ttest_1samp(here, 0).confidence_interval()
            assert (curve.centre[i], curve.low[i], curve.high[i]) == pytest.approx((here.mean(), *interval))

    def test_one_point_at_an_x_has_no_interval(self) -> None:
        curve = loess([1, 1, 2], [0, 2, 7])
        assert curve.centre.tolist() == [1, 7]
        assert np.isnan(curve.low).tolist() == [False, True]

    def test_a_line_is_found_exactly(self) -> None:
        pytest.importorskip("statsmodels")
        x = np.linspace(0, 3, 30)
        curve = loess(x, 2 * x - 1, draws=20)
        assert curve.method == "LOESS"
        assert (curve.grid[0], curve.grid[-1], len(curve.grid)) == (0, 3, 50)
        for line in (curve.centre, curve.low, curve.high):
            np.testing.assert_allclose(line, 2 * curve.grid - 1, atol=1e-9)

    def test_a_curve_is_followed_within_its_band(self) -> None:
        pytest.importorskip("statsmodels")
        rng = np.random.default_rng(4)
        x = rng.uniform(-2, 2, 150)
        y = np.sin(x) + rng.normal(0, 0.2, 150)
        curve = loess(x, y, np.linspace(-1.8, 1.8, 25), frac=0.3, draws=80)
        assert (curve.low <= curve.high).all()
        assert np.abs(curve.centre - np.sin(curve.grid)).max() < 0.15
        inside = (curve.low <= np.sin(curve.grid)) & (np.sin(curve.grid) <= curve.high)
        assert inside.mean() > 0.7

    def test_it_is_rs_lowess_of_cars(self) -> None:
        pytest.importorskip("statsmodels")
        speed = np.repeat(
            [4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25],
            [2, 2, 1, 1, 3, 2, 4, 4, 4, 3, 2, 3, 4, 3, 5, 1, 1, 4, 1],
        )
        dist = [
            2,
            10,
            4,
            22,
            16,
            10,
            18,
            26,
            34,
            17,
            28,
            14,
            20,
            24,
            28,
            26,
            34,
            34,
            46,
            26,
            36,
            60,
            80,
            20,
            26,
        ]
        dist += [
            54,
            32,
            40,
            32,
            40,
            50,
            42,
            56,
            76,
            84,
            36,
            46,
            68,
            32,
            48,
            52,
            56,
            64,
            66,
            54,
            70,
            92,
            93,
            120,
        ]
        dist += [85]
        curve = loess(speed, dist, [4, 7, 7.5, 10, 15, 20, 25], frac=2 / 3, draws=5)
        # R, lowess(cars): 4.965459, 13.124495, (15.858633 at 8), 21.280313, 36.757728, 56.491224, 84.328698
        expected = [
            4.965459,
            13.124495,
            (13.124495 + 15.858633) / 2,
            21.280313,
            36.757728,
            56.491224,
            84.328698,
        ]
        np.testing.assert_allclose(curve.centre, expected, atol=1e-6)

    def test_seeds_are_drawn_whole(self) -> None:
        pytest.importorskip("statsmodels")
        x = np.tile(np.arange(6.0), 5)
        seeds = np.repeat(np.arange(5), 6)
        level = np.random.default_rng(5).normal(size=5)
        y = level[seeds]  # all points of a seed move together
        wide = loess(x, y, draws=100, groups=seeds.tolist())
        narrow = loess(x, y, draws=100)
        assert (wide.high - wide.low).mean() > 1.3 * (narrow.high - narrow.low).mean()

    def test_where_points_have_no_weight_there_is_neither_warning_nor_hole(self) -> None:
        pytest.importorskip("statsmodels")
        for x in ([1, 2, 3, 4, 5], [0, 0, 0, 2, 4, 4, 4, 5, 5, 6]):
            curve = loess(x, np.arange(len(x)) % 4, draws=60)
            for line in (curve.centre, curve.low, curve.high):
                assert np.isfinite(line).all()
        alone = loess([0, 0, 0, 2, 4, 4, 4, 5, 5, 6], [1, 2, 3, 9, 1, 2, 3, 4, 4, 7], [2], draws=3)
        assert alone.centre == 9  # its window's other six are equally far: none of them counts
        assert np.isnan(loess([1, 2, 3, 4, 5], [1, 3, 2, 5, 4], [0, 6], draws=3).centre).all()

    def test_without_statsmodels_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (
            "statsmodels",
            "statsmodels.nonparametric",
            "statsmodels.nonparametric.smoothers_lowess",
        ):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(SettingError, match=r"pip install 'asha-core\[loess\]'"):
            loess(np.arange(9), np.arange(9))
        assert loess([1, 2], [3, 4]).method == "means by x"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shift([], []), "before has 0 values"),
        (lambda: shift([1, 2], [1]), "after has 1 values and before 2"),
        (lambda: kl_divergence([1], [1]), "before has 1 values; at least 2"),
        (lambda: kl_divergence([1, 2], [1], bins=1), "bins is 1"),
        (lambda: kl_divergence([1, math.nan], [1]), r"before\[1\] is nan"),
        (lambda: kl_of_categories("", "a"), "before has 0 values"),
        (lambda: kl_of_categories("a", "a", 0), "smoothing is 0"),
        (lambda: benefit_by_gradient([-1], [1]), "magnitude has values from -1"),
        (lambda: benefit_by_gradient([0], [1]), "magnitude has values from 0"),
        (lambda: benefit_by_gradient([1], [1, 2]), "benefit has 2 values"),
        (lambda: benefit_by_gradient([1], [1], (0, 2)), "bins is 0"),
        (lambda: loess([1], [1, 2]), "y has 2 values"),
        (lambda: loess([1], [1], frac=0), "frac is 0"),
        (lambda: loess([1], [1], draws=0), "draws is 0"),
        (lambda: loess(range(6), range(6), groups=[1]), "groups has 1"),
    ],
)
def test_what_is_wrong_is_named(call, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        call()
