"""Uncertainty over configurations: what more seeds cannot take away, and more configurations do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.configurations import MetRows
from analysis.stats.effects import ratio_of_times, spread_ratio
from analysis.stats.over_configurations import (
    difference_over,
    mean_over,
    ratio_of_times_over,
    restricted_mean_over,
    spread_ratio_over,
    wilcoxon_over,
)
from analysis.stats.paired import paired_difference, wilcoxon_log
from asha_core.errors import SettingError


def searches(
    configurations: int, seeds: int, *, gain: float = 0.8, long: int = 20, seed: int = 0
) -> tuple[MetRows, Any, Any]:
    """Random searches for the first of a table's good configurations: (rows met, times of two arms)."""
    rng = np.random.default_rng(seed)
    table = rng.exponential(1.0, configurations)  # the time that a configuration takes
    good = rng.random(configurations) < 0.2
    other = table * gain * np.exp(rng.normal(0, 0.2, configurations))
    rows = rng.integers(0, configurations, (seeds, long))
    found = good[rows]
    place = np.where(found.any(axis=1), found.argmax(axis=1), long - 1)
    until = np.arange(long) <= place[:, None]
    times = [np.where(until, each[rows], 0).sum(axis=1) for each in (table, other)]
    return MetRows(configurations, rows.tolist(), (place + 1).tolist()), *times


def uncensored(times: Any) -> Any:
    return np.zeros(len(times), bool)


def test_a_mean_over_single_draws_is_as_uncertain_as_the_mean_of_the_table() -> None:
    """Each search is one row's value: over configurations, the mean has the variance of the values / N."""
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, 50)
    rows = np.repeat(np.arange(50), 400)
    found = MetRows(50, rows[:, None].tolist(), [1] * len(rows)).uncertainty(values[rows])
    assert found.over_configurations == pytest.approx(values.var(ddof=1) / 50, rel=0.01)
    assert found.over_seeds == pytest.approx(values.var() / len(rows), rel=1e-3)
    assert 20 < found.df < 60  # of a normal sample it is near N - 1


def test_one_configuration_that_decides_all_leaves_next_to_no_degrees_of_freedom() -> None:
    rows = np.repeat(np.arange(50), 400)
    values = (rows == 7).astype(float)
    found = MetRows(50, rows[:, None].tolist(), [1] * len(rows)).uncertainty(values)
    assert found.df < 3


def test_what_no_configuration_decides_is_uncertain_over_seeds_alone() -> None:
    met, *_ = searches(50, 4_000)
    noise = np.random.default_rng(1).normal(0, 1, 4_000)
    found = met.uncertainty(noise)
    assert found.over_configurations < found.over_seeds
    assert found.se == pytest.approx(1 / math.sqrt(4_000), rel=0.5)


def test_more_seeds_do_not_narrow_it_and_more_configurations_do() -> None:
    def squared(configurations: int, seeds: int) -> float:
        found = []
        for seed in range(6):
            met, base, other = searches(configurations, seeds, seed=seed)
            found.append(met.uncertainty(other / other.mean() - base / base.mean()).over_configurations)
        return float(np.mean(found))

    few, many, larger = squared(60, 1_000), squared(60, 8_000), squared(960, 8_000)
    assert many == pytest.approx(few, rel=0.25)
    assert math.sqrt(many / larger) == pytest.approx(4, rel=0.3)  # 1 / sqrt(N)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 400), st.integers(2, 300))
def test_it_is_never_surer_than_the_seeds_are(seed: int, configurations: int, seeds: int) -> None:
    met, base, other = searches(configurations, seeds, seed=seed)
    difference = other - base
    found = met.uncertainty(difference)
    assert found.over_configurations >= 0
    assert found.over_seeds == pytest.approx(difference.var(ddof=1) / seeds)
    assert found.df >= 1
    assert found.se >= math.sqrt(found.over_seeds)
    seeds_p, p = wilcoxon_log(base, other).p, wilcoxon_over(met, base, other).p
    assert (p is None) == (seeds_p is None)
    if p is not None and seeds_p is not None:
        assert seeds_p <= p <= 1


def test_with_a_huge_table_it_is_what_seeds_alone_tell() -> None:
    met, base, other = searches(200_000, 400)
    none = uncensored(base)
    over, alone = difference_over(met, base, other), paired_difference(base, other)
    assert over.mean == alone.mean
    assert [over.low, over.high] == pytest.approx([alone.low, alone.high], rel=0.15)
    ratio = ratio_of_times_over(met, base, none, other, none, 100.0)
    naive = ratio_of_times(base, none, other, none, 100.0)
    assert ratio.value == pytest.approx(naive.value)
    assert math.log(ratio.high / ratio.low) == pytest.approx(math.log(naive.high / naive.low), rel=0.3)


@pytest.mark.parametrize("gain", [0.8, 1.0])
def test_a_thousand_seeds_over_few_configurations_are_no_thousand_samples(gain: float) -> None:
    met, base, other = searches(60, 1_000, gain=gain, seed=3)
    none = uncensored(base)
    ratio = ratio_of_times_over(met, base, none, other, none, 100.0)
    naive = ratio_of_times(base, none, other, none, 100.0, draws=500)
    assert math.log(ratio.high / ratio.low) > 2 * math.log(naive.high / naive.low)
    p, p_seeds = wilcoxon_over(met, base, other).p, wilcoxon_log(base, other).p
    assert p is not None
    assert p_seeds is not None
    assert p > 100 * p_seeds


def test_the_order_of_searches_and_the_names_of_rows_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 30, (200, 8))
    values = rows.min(axis=1) + rng.random(200)
    counts = rng.integers(1, 9, 200)
    order, names = rng.permutation(200), rng.permutation(30)
    found = MetRows(30, rows.tolist(), counts.tolist()).uncertainty(values)
    other = MetRows(30, names[rows[order]].tolist(), counts[order].tolist()).uncertainty(values[order])
    for field in ("over_configurations", "over_seeds", "df"):
        assert getattr(other, field) == pytest.approx(getattr(found, field))


def test_swapping_the_arms_inverts_the_ratio() -> None:
    met, base, other = searches(80, 500)
    none = uncensored(base)
    one = ratio_of_times_over(met, base, none, other, none, 100.0)
    back = ratio_of_times_over(met, other, none, base, none, 100.0)
    assert [back.value, back.low, back.high] == pytest.approx([1 / one.value, 1 / one.high, 1 / one.low])


def test_where_a_median_is_not_reached_the_ratio_is_of_restricted_means() -> None:
    met, base, other = searches(80, 500)
    horizon = float(np.quantile(base, 0.4))
    ratio = ratio_of_times_over(met, base, base > horizon, other, other > horizon, horizon)
    assert ratio.of == "restricted means"
    assert ratio.value == pytest.approx(np.minimum(other, horizon).mean() / np.minimum(base, horizon).mean())
    p = restricted_mean_over(met, base, other, horizon).p
    assert p is not None
    assert (p < 0.05) == (not ratio.low <= 1 <= ratio.high)
    near = float(np.quantile(np.concatenate([base, other]), 0.62))
    told = ratio_of_times_over(met, base, base > near, other, other > near, near)
    assert told.of == "medians"
    assert 0 < told.undefined < 1


def test_the_spread_is_that_of_the_quartiles() -> None:
    met, base, other = searches(80, 500)
    horizon = float(np.quantile(np.concatenate([base, other]), 0.9))
    cut = np.minimum(base, horizon), np.minimum(other, horizon)
    ratio = spread_ratio_over(met, *cut, base > horizon, other > horizon)
    plain = spread_ratio(*cut, base > horizon, other > horizon)
    assert ratio.of == plain.of
    assert ratio.value == pytest.approx(plain.value)
    assert ratio.low < ratio.value < ratio.high
    never = spread_ratio_over(met, base, other, base > base.min(), other > other.min())
    assert math.isnan(never.value)


def test_two_arms_that_are_alike_do_not_differ() -> None:
    met, base, _ = searches(80, 100)
    found = difference_over(met, base, base)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert wilcoxon_over(met, base, base).p == 1


def test_few_searches_tell_no_p_and_one_no_interval() -> None:
    met, base, other = searches(80, 5)
    assert difference_over(met, base, other).p is None
    assert wilcoxon_over(met, base, other).p is None
    assert restricted_mean_over(met, base, other, 9.0).p is None
    met, base, other = searches(80, 1)
    found = difference_over(met, base, other)
    assert found.mean == other[0] - base[0]
    assert math.isnan(found.low)
    assert math.isnan(mean_over(met, base)[1])
    none = uncensored(base)
    ratio = ratio_of_times_over(met, base, none, other, none, 100.0)
    assert ratio.value == pytest.approx(other[0] / base[0])
    assert math.isnan(ratio.high)
    assert math.isnan(spread_ratio_over(met, base, other, none, none).value)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match="configurations"):
        MetRows(1, [[0]], [1])
    with pytest.raises(SettingError, match="rows reach from 0 to 5: a table of 5 has 0 to 4"):
        MetRows(5, [[0, 5]], [2])
    with pytest.raises(SettingError, match="a search met 3 of the 2 rows"):
        MetRows(5, [[0, 1]], [3])
    with pytest.raises(SettingError, match="met has 1"):
        MetRows(5, [[0, 1], [2, 3]], [1])
    with pytest.raises(SettingError, match="searches"):
        MetRows(5, [], [])
    with pytest.raises(SettingError, match="go together"):
        MetRows(5, [[0, 1]], [1]).uncertainty([1.0, 2.0])
