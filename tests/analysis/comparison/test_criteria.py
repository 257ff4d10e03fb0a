"""The proposal's criteria: on which side of a threshold an interval is, and what too little data decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison import Comparison, Estimate, Verdict, compare
from analysis.comparison.criteria import (
    CRITERIA,
    FAILS,
    GROUPS,
    HOLDS,
    LEAST_PAIRS,
    OPEN,
    SCORE,
    TIME,
    interval_verdict,
    judge,
    seeds_to_tell,
)
from analysis.stats.effects import Ratio
from tests.analysis.synthetic import GPU, TARGETS, replicate, study, times, two_arms

NAN, INFINITE = math.nan, math.inf
FINITE = st.floats(-5, 5, allow_nan=False)


def verdicts(comparison: Comparison, group: int = 0, arm: str = "ohgw-1step") -> dict[str, Verdict]:
    return {each.criterion: each for each in comparison.criteria.of(comparison.groups[group].name, arm)}


def judged(base: Sequence[float], other: Sequence[float], **options: Any) -> dict[str, Verdict]:
    return verdicts(compare(study(two_arms(base, other, **options))))


@cache
def plain_study() -> Comparison:
    return compare(study(two_arms([40.0] * 20, [30.0] * 20)))


def on_effect(**changes: Any) -> Verdict:
    """The verdict on time, had the primary effect been another."""
    comparison = plain_study()
    (group,) = comparison.groups
    (against,) = group.against
    effects = [
        replace(each, **changes) if (each.target, each.measure) == (TARGETS[-1], "seconds") else each
        for each in against.times
    ]
    changed = replace(group, against=(replace(against, times=tuple(effects)),))
    return judge((changed,), "seconds").verdicts[0]


def ratio(value: float, low: float, high: float, of: str = "medians", undefined: float = 0.0) -> Ratio:
    return Ratio(value, low, high, of, 2000, undefined, 20)


@given(FINITE, FINITE, FINITE, FINITE, st.integers(0, 50))
def test_an_interval_decides_only_if_the_threshold_is_not_in_it(
    value: float, one: float, two: float, threshold: float, n: int
) -> None:
    low, high = sorted((one, two))
    verdict = interval_verdict(value, low, high, threshold, n)
    if low < threshold < high:
        assert verdict == OPEN
    if verdict == HOLDS:
        assert high <= threshold
    if verdict == FAILS:
        assert low > threshold


def test_what_is_unknown_decides_nothing() -> None:
    assert interval_verdict(NAN, 0, 1, 2, 20) == OPEN
    assert interval_verdict(1, NAN, NAN, 2, 20) == OPEN
    assert interval_verdict(1, 1, 1, 2, LEAST_PAIRS - 1) == OPEN  # no width, and too few to believe that
    assert interval_verdict(1, 1, 1, 2, LEAST_PAIRS) == HOLDS


@given(st.floats(0.2, 3), st.floats(0.01, 1), st.floats(0.2, 3), st.integers(2, 100), st.booleans())
def test_with_as_many_seeds_as_it_takes_the_interval_leaves_the_threshold(
    value: float, half: float, threshold: float, n: int, log: bool
) -> None:
    scale, back = (math.log, math.exp) if log else (float, float)
    ends = [back(scale(value) - half), back(scale(value) + half)]
    needed = seeds_to_tell(value, *ends, threshold, n, log=log)
    if needed is None:
        assert half * math.sqrt(n / 2_000) >= 0.99 * abs(scale(value) - scale(threshold))
        return
    shrunk = half * math.sqrt(n / needed)  # widths go with the root of the number
    assert abs(scale(value) - scale(threshold)) >= shrunk * (1 - 1e-9)
    assert needed > n


def test_no_number_of_seeds_is_told_where_none_can_be() -> None:
    assert seeds_to_tell(1.0, 0.9, 1.1, 1.0, 20) is None  # the estimate stands on the threshold
    assert seeds_to_tell(1.0, 0.0, INFINITE, 1.1, 20) is None
    assert seeds_to_tell(1.0, NAN, NAN, 1.1, 1) is None
    assert seeds_to_tell(1.0, -10.0, 10.0, 1.0001, 20) is None  # more than anybody will run


def test_a_fifth_faster_holds_and_the_same_fails() -> None:
    base = times(20, 0.4)
    faster, same = judged(base, 0.8 * base)["time"], judged(base, base)["time"]
    assert (faster.verdict, faster.threshold, faster.n) == (HOLDS, TIME, 20)
    assert faster.p == pytest.approx(2**-19)
    assert faster.seeds_needed is None
    assert same.verdict == FAILS
    assert same.value == 1.0


def test_a_tenth_faster_is_too_little_however_sure() -> None:
    base = times(20, 0.4)
    verdict = judged(base, 0.9 * base)["time"]
    assert (verdict.verdict, verdict.p) == (FAILS, pytest.approx(2**-19))


def test_noise_is_not_enough_data_and_says_how_many_pairs_it_takes() -> None:
    base, other = times(12, 0.5), times(12, 0.5, 4)
    verdict = judged(base, other)["time"]
    assert verdict.verdict == OPEN
    sd = float(np.std(np.log(other / base), ddof=1))
    assert verdict.seeds_needed == pytest.approx(297 * sd**2, rel=0.01)  # the proposal's own figure
    assert f"about {verdict.seeds_needed} pairs would be needed to see 15%" in verdict.sentence


@pytest.mark.parametrize("pairs", range(1, LEAST_PAIRS))
def test_five_pairs_or_fewer_decide_nothing_about_time_or_spread(pairs: int) -> None:
    base = times(pairs, 0.4)
    for factor in (0.3, 1.0, 3.0):
        told = judged(base, factor * np.minimum(base, 30))
        assert (told["time"].verdict, told["time"].p, told["spread"].verdict) == (OPEN, None, OPEN)


def test_a_target_that_nobody_reached_decides_nothing() -> None:
    told = judged([INFINITE] * 20, [INFINITE] * 20)
    assert (told["time"].verdict, told["spread"].verdict) == (OPEN, OPEN)
    assert "no search of either reached accuracy 95%" in told["time"].sentence
    assert told["time"].seeds_needed is None


def test_a_target_chosen_after_the_runs_decides_nothing() -> None:
    base = times(20, 0.4)
    told = judged(base, 0.5 * base, targets=())["time"]
    assert told.verdict == OPEN
    assert "no target was fixed before the runs" in told.sentence


def test_time_holds_by_its_corrected_p_alone() -> None:
    good = ratio(0.8, 0.7, 0.9)
    assert on_effect(ratio=good, p=0.01, p_holm=0.04).verdict == HOLDS
    assert on_effect(ratio=good, p=0.04, p_holm=0.06).verdict == OPEN
    assert on_effect(ratio=ratio(0.86, 0.7, 0.95), p_holm=0.001).verdict == OPEN
    assert on_effect(ratio=ratio(0.95, 0.86, 1.1), p_holm=0.5).verdict == FAILS


def test_unequal_censoring_asks_for_the_permutation_test_too() -> None:
    comparison = compare(study(two_arms([INFINITE] * 3 + [40.0] * 17, [30.0] * 20)))
    permutation = comparison.groups[0].against[0].at(TARGETS[-1], "seconds").permutation
    assert permutation is not None
    good: dict[str, Any] = {"ratio": ratio(0.8, 0.7, 0.9), "p_holm": 0.01, "permutation": permutation}
    assert on_effect(**good, p_holm_permutation=0.01).verdict == HOLDS
    unsure = on_effect(**good, p_holm_permutation=0.2)
    assert unsure.verdict == OPEN
    assert "restricted means does not show it (p = 0.2)" in unsure.sentence


def test_ratios_drawn_towards_one_fail_only_if_they_are_above_one() -> None:
    for changed in ({"of": "restricted means"}, {"undefined": 0.1}):
        assert on_effect(ratio=ratio(0.95, 0.9, 1.0, **changed), p_holm=0.5).verdict == OPEN
        assert on_effect(ratio=ratio(1.1, 1.05, 1.2, **changed), p_holm=0.01).verdict == FAILS


@pytest.mark.parametrize(("warm", "verdict"), [(2.0, HOLDS), (10.0, FAILS)])
def test_cost_is_what_warm_starts_add(warm: float, verdict: str) -> None:
    told = judged([40.0] * 8, [30.0] * 8, warm=warm)["cost"]
    assert (told.verdict, told.value) == (verdict, pytest.approx(warm / (100 - warm)))


def test_cost_that_varies_about_the_threshold_is_not_enough_data() -> None:
    runs = two_arms([40.0] * 8, [30.0] * 8)
    for seed in range(8):
        runs[8 + seed] = replicate("ohgw-1step", seed, {0.9: 20, 0.95: 30}, warm=float(seed))
    told = verdicts(compare(study(runs)))["cost"]
    assert told.verdict == OPEN
    assert told.seeds_needed is not None
    assert told.seeds_needed > 8


def test_memory_is_the_gpus_where_there_is_one_and_says_so_where_there_is_none() -> None:
    runs = two_arms([40.0] * 8, [30.0] * 8)
    on_cpu = verdicts(compare(study(runs)))["memory"]
    assert (on_cpu.verdict, on_cpu.value) == (HOLDS, pytest.approx(1))
    assert "host memory (there was no GPU)" in on_cpu.sentence
    peaks = {"baseline": 1e9, "ohgw-1step": 1.2e9}
    runs = [replace(r, peaks={"host_bytes": 1e9, "gpu_bytes": peaks[r.arm] + r.seed}) for r in runs]
    on_gpu = verdicts(compare(study(runs)))["memory"]
    assert (on_gpu.verdict, on_gpu.value) == (FAILS, pytest.approx(1.2))
    assert "GPU memory" in on_gpu.sentence
    unknown = verdicts(compare(study([replace(each, peaks={}) for each in runs])))["memory"]
    assert (unknown.verdict, unknown.seeds_needed) == (OPEN, None)


@pytest.mark.parametrize(
    ("lost", "verdict"), [(-0.001, HOLDS), (0.001, HOLDS), (0.003, FAILS), (0.002, OPEN)]
)
def test_score_may_lose_a_fifth_of_a_point(lost: float, verdict: str) -> None:
    runs = two_arms([40.0] * 8, [30.0] * 8)
    noise = 2e-4 * np.random.default_rng(0).normal(size=8)
    noise -= noise.mean()
    for seed in range(8):
        runs[seed] = replicate("baseline", seed, {0.95: 40.0}, best=0.96)
        runs[8 + seed] = replicate("ohgw-1step", seed, {0.95: 30.0}, best=0.96 - lost + noise[seed])
    told = verdicts(compare(study(runs)))["score"]
    assert (told.verdict, told.value, told.threshold) == (verdict, pytest.approx(-lost), -SCORE)


def test_score_of_what_is_no_share_may_lose_a_share_of_the_baselines() -> None:
    reached: dict[str, Any] = {"reached": {200.0: 30.0}, "mode": "min", "targets": (250.0,), "metric": "loss"}
    runs = [replicate(arm, seed, **reached) for arm in ("baseline", "ohgw-1step") for seed in range(7)]
    told = verdicts(compare(study(runs)))["score"]
    assert (told.threshold, told.verdict) == (pytest.approx(-0.4), HOLDS)


def test_spread_compares_the_seeds_of_each() -> None:
    base = times(30, 0.3)
    middle = np.exp(np.log(base).mean())
    narrow, wide = (middle * (base / middle) ** power for power in (0.5, 2.0))
    assert judged(base, narrow)["spread"].verdict == HOLDS
    told = judged(base, np.minimum(wide, 98))["spread"]
    assert (told.verdict, told.n) == (FAILS, 30)


def test_a_spread_that_many_draws_lack_decides_nothing() -> None:
    """Searches that never got there make the quartiles infinite in some draws, and these are left out."""
    base = times(20, 0.5)
    other = np.exp(np.log(base).mean()) * (base / np.exp(np.log(base).mean())) ** 0.3
    other[np.argsort(other)[-5:]] = INFINITE
    told = judged(base, other)["spread"]
    assert told.high < 1.1, "or it would be open in any case"
    assert told.verdict == OPEN
    assert "of the draws it is not defined" in told.sentence


def several(effects: Sequence[float]) -> Comparison:
    """A group for each ratio of times."""
    base = times(10, 0.2)
    runs = []
    for index, factor in enumerate(effects):
        runs += two_arms(base, factor * base, group=f"task {index}, asha")
    return compare(study(runs))


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [([0.7, 0.7, 0.7, 1.0], HOLDS), ([0.7, 0.7, 1.0, 1.0], FAILS), ([0.7], HOLDS), ([1.0], FAILS)],
)
def test_all_must_hold_in_three_quarters_of_the_groups(effects: list[float], verdict: str) -> None:
    comparison = several(effects)
    (overall,) = comparison.criteria.overall
    assert (overall.verdict, overall.groups, overall.share) == (verdict, len(effects), GROUPS)
    assert (overall.holds, overall.fails, overall.open) == (effects.count(0.7), effects.count(1.0), 0)
    assert f"in {overall.holds} of {len(effects)} group" in overall.sentence
    if overall.fails:
        assert "(time)" in overall.sentence


def test_groups_that_cannot_be_told_leave_the_whole_open() -> None:
    base = times(10, 0.2)
    runs = two_arms(base, 0.7 * base, group="a, asha") + two_arms(base[:3], 0.7 * base[:3], group="b, asha")
    (overall,) = compare(study(runs)).criteria.overall
    assert (overall.verdict, overall.holds, overall.fails, overall.open) == (OPEN, 1, 0, 1)


def test_every_criterion_has_one_verdict_in_every_group_and_says_it_in_a_sentence() -> None:
    comparison = compare(study(two_arms(times(4, 0.2), times(4, 0.2, 1), hardware=GPU)))
    told = comparison.criteria.verdicts
    assert tuple(each.criterion for each in told) == tuple(CRITERIA)
    for each in told:
        assert each.verdict in (HOLDS, FAILS, OPEN)
        assert each.sentence.endswith(".")
        assert "nan" not in each.sentence
        assert (each.seeds_needed is None) or each.verdict == OPEN
    assert isinstance(comparison.groups[0].against[0].gain, Estimate)
