"""Comparisons of studies whose truth is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison import Comparison, compare
from analysis.comparison.as_json import as_json
from analysis.comparison.contrasts import contrasts
from analysis.comparison.data import derived, group_data
from analysis.comparison.sweeps import ticks_of
from analysis.journals.metrics import BestCurve
from analysis.study.loading import load_study
from benchmarks import warm_start_study
from tests.analysis.studies import write_study
from tests.analysis.synthetic import TARGETS, replicate, study, times, two_arms

PRIMARY = TARGETS[-1]
INFINITE = math.inf


def effect(comparison: Comparison, arm: str = "ohgw-1step") -> Any:
    against = next(each for each in comparison.groups[0].against if each.arm == arm)
    return against.at(PRIMARY, comparison.measure)


def effect_of(base: Any, other: Any, **options: Any) -> Any:
    """The effect on the time to the primary target, without all else that a comparison holds."""
    data, _ = group_data(study(two_arms(base, other, **options)), "digits, asha")
    assert data is not None
    return contrasts(data)[0][0].at(PRIMARY, "seconds")


def test_an_arm_that_is_a_fifth_faster_in_every_pair() -> None:
    base = times(20, 0.4)
    found = effect_of(base, 0.8 * base)
    assert (found.n, found.base_reached, found.reached) == (20, 20, 20)
    assert found.ratio.of == "medians"
    assert [found.ratio.value, found.ratio.low, found.ratio.high] == pytest.approx([0.8] * 3)
    paired = found.hodges_lehmann
    assert [paired.value, paired.low, paired.high] == pytest.approx([0.8] * 3)
    assert found.p == pytest.approx(2**-19)  # all 20 signs alike
    assert found.p_holm == found.p
    assert found.sd_log_ratio == pytest.approx(0, abs=1e-9)


def test_an_arm_that_is_the_baseline_again() -> None:
    base = times(20, 0.4)
    found = effect_of(base, base)
    assert (found.ratio.value, found.p, found.p_holm) == (1.0, 1.0, 1.0)
    assert (found.mcnemar.only_base, found.mcnemar.only_other, found.mcnemar.p) == (0, 0, 1.0)
    assert found.log_rank.p == pytest.approx(1)


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 7.3]))
def test_scaling_all_times_changes_no_ratio_and_no_p(seed: int, scale: float) -> None:
    base, other = times(8, 0.5, seed), times(8, 0.5, seed + 1)
    base[0] = INFINITE
    one, two = (effect_of(base, other, scale=each) for each in (1.0, scale))
    assert two.ratio.value == pytest.approx(one.ratio.value)
    assert (two.ratio.low, two.ratio.high) == pytest.approx((one.ratio.low, one.ratio.high))
    assert (two.p, two.p_permutation) == pytest.approx((one.p, one.p_permutation))
    assert two.sd_log_ratio == pytest.approx(one.sd_log_ratio)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_swapping_the_baseline_inverts_the_ratio(seed: int) -> None:
    base, other = times(9, 0.5, seed), times(9, 0.5, seed + 1)
    one, two = effect_of(base, other), effect_of(other, base)
    assert two.ratio.value == pytest.approx(1 / one.ratio.value)
    assert two.p == pytest.approx(one.p)
    assert two.mcnemar.only_base == one.mcnemar.only_other


def test_the_order_of_runs_and_of_arms_does_not_matter() -> None:
    base = times(10, 0.4)
    arms = two_arms(base, times(10, 0.4, 1)) + two_arms(base, times(10, 0.4, 2), "ohgw-trust")[10:]
    forwards, backwards = (compare(study(runs)) for runs in (arms, arms[::-1]))
    for arm in ("ohgw-1step", "ohgw-trust"):
        assert as_json(effect(forwards, arm)) == as_json(effect(backwards, arm))
        assert as_json(forwards.groups[0].arm(arm)) == as_json(backwards.groups[0].arm(arm))
    assert backwards.groups[0].arms[0].name == "baseline"


def test_which_seed_has_which_pair_does_not_matter() -> None:
    base, other = times(10, 0.4), times(10, 0.4, 1)
    order = np.random.default_rng(0).permutation(10)
    one, two = effect_of(base, other), effect_of(base[order], other[order])
    assert (two.ratio.value, two.p) == pytest.approx((one.ratio.value, one.p))
    assert two.sd_log_ratio == pytest.approx(one.sd_log_ratio)


def test_times_never_reached_stay_in_as_censored_at_the_horizon() -> None:
    base, other = times(12, 0.1), times(12, 0.1, 1)
    base[:8] = INFINITE
    comparison = compare(study(two_arms(base, other)))
    group = comparison.groups[0]
    told = group.arm("baseline").at(PRIMARY, "seconds")
    assert (told.reached.k, told.reached.n) == (4, 12)
    assert told.median == INFINITE
    assert [t for t, c in zip(told.times, told.censored, strict=True) if c] == [100.0] * 8
    found = effect(comparison)
    assert found.ratio.of == "restricted means"
    assert found.ratio.value < 1
    assert (found.mcnemar.only_base, found.mcnemar.only_other) == (0, 8)
    assert found.mcnemar.p == pytest.approx(2 * 0.5**8)
    assert found.permutation is not None
    assert found.p_holm_permutation == found.p_permutation
    horizon = group.horizon("seconds", PRIMARY)
    assert (horizon.value, horizon.source) == (100.0, "half")


def test_a_target_that_nobody_reached() -> None:
    found = effect_of([INFINITE] * 7, [INFINITE] * 7)
    assert (found.ratio.of, found.ratio.value) == ("restricted means", 1.0)
    assert found.seeds_needed is None
    assert math.isnan(found.detectable)
    assert found.note == "no search of either reached the target"


def test_pairs_that_are_both_censored_do_not_make_a_study_look_precise() -> None:
    base, other = times(12, 0.5), times(12, 0.5, 4)
    whole = effect_of(base, other)
    never = [INFINITE] * 12
    half = effect_of([*base, *never], [*other, *never])
    assert half.sd_log_ratio < whole.sd_log_ratio
    assert half.seeds_needed == 2 * whole.seeds_needed
    assert half.detectable == whole.detectable
    few = effect_of([*base[:2], *never], [*other[:2], *never])
    assert few.seeds_needed is None
    assert math.isnan(few.detectable)


def test_one_seed_gives_no_interval_and_no_p() -> None:
    comparison = compare(study(two_arms([40.0], [30.0])))
    found = effect(comparison)
    assert found.ratio.value == pytest.approx(0.75)
    assert math.isnan(found.ratio.low)
    assert found.p is None
    assert found.p_holm is None
    assert found.seeds_needed is None
    assert comparison.groups[0].arms[0].best.n == 1
    assert comparison.groups[0].against[0].spread is None


def test_seeds_without_a_partner_are_dropped_and_named() -> None:
    runs = two_arms(times(8, 0.2), times(8, 0.2, 1))
    runs = [each for each in runs if (each.arm, each.seed) not in {("baseline", 2), ("ohgw-1step", 5)}]
    comparison = compare(study(runs, apart=frozenset({("digits, asha", "ohgw-1step", 7)})))
    against = comparison.groups[0].against[0]
    assert against.seeds == (0, 1, 3, 4, 6)
    assert [each.seed for each in against.dropped] == [2, 5, 7]
    assert [each.why.partition(":")[0] for each in against.dropped[:2]] == ["baseline", "ohgw-1step"]
    assert "hardware" in against.dropped[2].why
    assert comparison.groups[0].arm("baseline").seeds == (
        0,
        1,
        3,
        4,
        5,
        6,
        7,
    )  # alone it keeps all of its own


def test_an_arm_without_any_pair_is_told_of_alone() -> None:
    runs = [*(replicate(seed=s, reached={PRIMARY: 30}) for s in range(3)), replicate("far", 9, {PRIMARY: 20})]
    comparison = compare(study(runs))
    against = comparison.groups[0].against[0]
    assert (against.seeds, against.best, effect(comparison, "far").n) == ((), None, 0)
    json.dumps(comparison.to_json(), allow_nan=False)


def test_a_group_without_a_baseline_is_described_and_not_compared() -> None:
    comparison = compare(study([replicate("far", seed, {PRIMARY: 20}) for seed in range(3)]))
    assert (len(comparison.groups[0].arms), comparison.groups[0].against) == (1, ())
    assert comparison.criteria.verdicts == ()


def test_a_search_that_spent_nothing_is_left_out_and_named() -> None:
    runs = two_arms(times(7, 0.2), times(7, 0.2, 1))
    nothing = replace(runs[0], ends={"seconds": 3.0, "gpu_hours": 1e-3, "units": 0.0})
    comparison = compare(study([nothing, *runs[1:]]))
    assert [each.run for each in comparison.problems] == [nothing.id]
    assert comparison.used == 13
    assert 0 not in comparison.groups[0].against[0].seeds


def test_targets_chosen_after_the_runs_are_not_tested() -> None:
    base = times(10, 0.3)
    comparison = compare(study(two_arms(base, 0.5 * base)), targets=(0.93, PRIMARY))
    group = comparison.groups[0]
    assert (group.targets, group.later, group.primary) == (TARGETS, (0.93,), PRIMARY)
    later = group.against[0].at(0.93, "seconds")
    assert later.ratio.value == pytest.approx(0.5)
    assert (later.wilcoxon, later.p, later.p_holm) == (None, None, None)
    assert effect(comparison).p < 0.05


def test_without_fixed_targets_they_are_derived_from_the_best_value() -> None:
    base = times(10, 0.3)
    comparison = compare(study(two_arms(base, 0.5 * base, targets=(), best=0.98)))
    group = comparison.groups[0]
    assert (group.targets, group.later) == ((), (0.882, 0.931, 0.9702))
    assert all(each.p is None for each in group.against[0].times)
    errors = [replicate(seed=s, reached={0.5: 10, 0.2 - s / 100: 30}, mode="min") for s in range(2)]
    assert derived(errors) == (0.2111, 0.2, 0.1919)
    assert derived([replicate(reached={-3.0: 10})]) == ()


def test_other_measures_are_told_and_not_tested() -> None:
    base = times(10, 0.3)
    comparison = compare(study(two_arms(base, 0.5 * base), measure="units"))
    against = comparison.groups[0].against[0]
    assert against.at(PRIMARY, "units").p < 0.05
    assert against.at(PRIMARY, "seconds").p is None
    assert against.at(PRIMARY, "seconds").ratio.value == pytest.approx(0.5)
    assert [each.measure for each in comparison.groups[0].bands] == ["units", "seconds"]


def test_holms_correction_is_over_the_arms_of_one_experiment() -> None:
    base = times(10, 0.3)
    runs = two_arms(base, base * np.linspace(0.7, 1.1, 10))
    runs += two_arms(base, base * np.linspace(0.6, 1.2, 10), "ohgw-trust")[10:]
    runs += two_arms(base, base * np.linspace(0.7, 1.1, 10), "swept", experiment="eta-h")[10:]
    comparison = compare(study(runs))
    assert comparison.groups[0].families == (("ohgw-1step", "ohgw-trust"), ("swept",))
    one, two, alone = (effect(comparison, arm) for arm in ("ohgw-1step", "ohgw-trust", "swept"))
    assert (one.family, two.family, alone.family) == (2, 2, 1)
    assert alone.p_holm == alone.p == one.p
    assert one.p_holm == pytest.approx(2 * one.p)  # the smaller of two
    assert two.p_holm == pytest.approx(max(two.p, 2 * one.p))


def test_a_budget_is_the_horizon_where_there_is_one() -> None:
    comparison = compare(study(two_arms([40.0, INFINITE], [30.0, 70.0], budget=60.0)))
    group = comparison.groups[0]
    assert (group.horizon("seconds", PRIMARY).source, group.horizon("seconds", PRIMARY).value) == (
        "budget",
        60,
    )
    assert group.arm("ohgw-1step").at(PRIMARY, "seconds").censored == (False, True)


def test_areas_are_of_the_best_value_from_zero_to_the_horizon() -> None:
    runs = [replicate(seed=0, reached={0.5: 20.0}), replicate("far", 0, {0.5: 60.0})]
    group = compare(study(runs)).groups[0]
    assert group.auc_start == 0
    assert [arm.auc["seconds"].mean for arm in group.arms] == pytest.approx([0.4, 0.2])
    assert group.against[0].auc["seconds"].mean == pytest.approx(-0.2)


def test_areas_of_errors_begin_at_the_worst_first_value_of_any_arm() -> None:
    runs = [
        replicate(seed=0, reached={0.8: 50.0}, mode="min"),
        replicate("far", 0, {1.0: 10.0, 0.5: 20.0}, mode="min"),
    ]
    group = compare(study(runs)).groups[0]
    assert group.auc_start == 1.0
    assert [arm.auc["seconds"].mean for arm in group.arms] == pytest.approx([0.9, 0.6])
    assert group.against[0].gain.value == pytest.approx(0.3)  # a smaller error is a gain
    assert group.against[0].best is not None
    assert group.against[0].best.mean == pytest.approx(-0.3)


def test_overheads_are_shares_of_the_total_and_what_is_added() -> None:
    runs = [*two_arms([40.0] * 3, [30.0] * 3, warm=5.0)]
    arm = compare(study(runs)).groups[0].arm("ohgw-1step")
    assert (arm.overhead.seconds_share.value, arm.overhead.seconds_extra.value) == pytest.approx(
        (0.05, 5 / 95)
    )
    assert arm.overhead.flops_share.value == pytest.approx(1e10 / (1.11e12))
    assert arm.overhead.flops_extra.value == pytest.approx(1e10 / 1.1e12)
    base = compare(study(runs)).groups[0].arm("baseline")
    assert base.overhead.flops_share.value == 0


def test_flops_that_were_not_recorded_are_unknown_and_not_zero() -> None:
    runs = [replace(each, spent_from="seconds", warm_start_costs={}) for each in two_arms([40.0], [30.0])]
    overhead = compare(study(runs)).groups[0].arm("ohgw-1step").overhead
    assert math.isnan(overhead.flops_share.value)
    assert overhead.flops_share.n == 0


def test_memory_and_costs_are_ratios_of_pairs() -> None:
    runs = [
        replace(r, peaks={"host_bytes": (1.1 if r.seed else 1.2) * 1e9})
        for r in two_arms([40.0] * 2, [9.0] * 2)
    ]
    runs = [replace(r, peaks={"host_bytes": 1e9}) if r.arm == "baseline" else r for r in runs]
    against = compare(study(runs)).groups[0].against[0]
    assert against.peaks["host_bytes"].value == pytest.approx(math.sqrt(1.1 * 1.2))
    assert against.costs["seconds"].value == pytest.approx(1)
    assert against.costs["flops"].value == pytest.approx(1.11 / 1.1)


def test_final_scores_keep_every_seed() -> None:
    runs = [replicate(seed=s, reached={0.9 + s / 100: 10.0}, test=0.8 if s else math.nan) for s in range(5)]
    arm = compare(study(runs)).groups[0].arms[0]
    assert arm.best.values == pytest.approx((0.9, 0.91, 0.92, 0.93, 0.94))
    assert (arm.best.mean, arm.best.median, arm.best.iqm) == pytest.approx((0.92, 0.92, 0.92))
    assert arm.best.sd == pytest.approx(math.sqrt(0.00025))
    assert 0.9 <= arm.best.low < 0.92 < arm.best.high <= 0.94
    assert arm.test is not None
    assert arm.test.seeds == (1, 2, 3, 4)


def test_shifts_and_divergences_are_of_the_dimension_that_was_moved() -> None:
    runs = two_arms([40.0] * 5, [30.0] * 5, trials=40, moved=0.5)
    told = compare(study(runs)).groups[0].diagnostics
    assert [each.arm for each in told] == ["ohgw-1step"]
    shifts = {each.name: each for each in told[0].dimensions}
    assert {name: each.scale for name, each in shifts.items()} == {
        "lr": "log", "momentum": "linear", "batch": "linear", "optimizer": "category",
    }  # fmt: skip
    assert shifts["lr"].shift is not None
    assert shifts["lr"].shift.mean == pytest.approx(0.5)
    assert shifts["lr"].kl > 0.05
    assert [shifts[name].kl for name in ("momentum", "batch", "optimizer")] == [0, 0, 0]
    assert shifts["lr"].after / shifts["lr"].before == pytest.approx(10**0.5)
    slopes = np.concatenate([each.trials["gradient.lr"] for each in runs[5:]])
    assert shifts["lr"].gradient == pytest.approx(np.median(slopes))
    assert math.isnan(shifts["momentum"].gradient)


def test_benefits_are_over_the_twin_in_the_baselines_search() -> None:
    runs = two_arms([40.0] * 5, [30.0] * 5, trials=30)
    first, best = compare(study(runs)).groups[0].diagnostics[0].benefits
    assert (first.of, best.of) == ("first unit", "best")
    assert (first.pairs, first.unlike, first.note) == (150, 0, "")
    assert first.grid is not None
    assert first.grid.correlation == pytest.approx(1)  # the builder's gain is a hundredth of the slope


def test_configurations_that_were_proposed_otherwise_have_no_twin() -> None:
    runs = two_arms([40.0] * 2, [30.0] * 2, trials=30)
    moved = runs[2].trials | {"proposed.lr": runs[2].trials["proposed.lr"] + np.arange(30) % 2}
    mixed = [*runs[:2], replace(runs[2], trials=moved), runs[3]]
    benefit = compare(study(mixed)).groups[0].diagnostics[0].benefits[0]
    assert (benefit.pairs, benefit.unlike) == (45, 15)
    other = [replace(each, seed=1 - each.seed) if each.arm == "baseline" else each for each in runs]
    benefit = compare(study(other)).groups[0].diagnostics[0].benefits[0]
    assert (benefit.grid, benefit.pairs, benefit.unlike) == (None, 0, 60)
    assert "proposed other configurations" in benefit.note


def test_arms_that_differ_in_one_number_are_a_sweep() -> None:
    base = times(6, 0.3)
    effects = {1e-4: 1.0, 3e-4: 0.95, 1e-3: 0.8, 3e-3: 1.2}
    runs = two_arms(base, base, "random-warm", strategy="random")
    settings = [(f"ohgw-1step (eta_h={eta:g})", ratio, eta, 1) for eta, ratio in effects.items()]
    for arm, ratio, eta, steps in [*settings, ("ohgw-3step", 1.0, 1e-3, 3)]:
        given = {"eta_h": eta, "steps": steps}
        runs += two_arms(base, ratio * base, arm, strategy="hypergradient", settings=given)[6:]
    sweeps = compare(study(runs)).groups[0].sweeps
    assert [(each.setting, each.variation) for each in sweeps] == [("eta_h", "ohgw-1step")]
    sweep = sweeps[0]
    assert len(sweep.x) == 24
    for x, y in zip(sweep.x, sweep.log_ratio, strict=True):
        assert y == pytest.approx(math.log(effects[x]))
    assert sweep.log_ratio_curve is not None
    assert sweep.log_ratio_curve.method == "means by x"
    assert sweep.log_ratio_curve.grid == pytest.approx(list(effects))
    assert np.exp(sweep.log_ratio_curve.centre) == pytest.approx(list(effects.values()))


def test_best_configurations_lie_in_the_unit_cube() -> None:
    told = compare(study(two_arms([40.0] * 4, [30.0] * 4, moved=0.0))).groups[0].best_configurations
    assert told is not None
    values = np.array(told.values)
    assert values.shape == (8, 4)
    assert ((values >= 0) & (values <= 1)).all()
    assert told.dimensions == ("lr", "momentum", "batch", "optimizer")
    assert told.ticks["optimizer"] == ((0.0, 1.0), ("sgd", "adam"))
    assert told.ticks["lr"][1] == ("0.0001", "0.001", "0.01", "0.1", "1")
    assert told.ticks["lr"][0] == pytest.approx((0, 0.25, 0.5, 0.75, 1))


@given(st.floats(1e-9, 1e3), st.floats(1.01, 1e9), st.booleans())
def test_ticks_are_rising_places_within_the_axis(lower: float, factor: float, log: bool) -> None:
    places, labels = ticks_of({"type": "float", "lower": lower, "upper": lower * factor, "log": log})
    assert len(places) == len(labels) <= 7
    assert (places[0], places[-1]) == (0.0, pytest.approx(1.0))
    assert all(a < b for a, b in pairwise(places))


def test_bands_are_interquartile_means_over_seeds_on_a_common_grid() -> None:
    bands = compare(study(two_arms([40.0] * 5, [20.0] * 5))).groups[0].bands[0]
    assert (len(bands.grid), bands.grid[0], bands.grid[-1]) == (200, 0, 100)
    base, other = bands.arms["baseline"].centre, bands.arms["ohgw-1step"].centre
    assert np.isnan(base[bands.grid < 20]).all()
    assert [base[-1], other[-1]] == pytest.approx([PRIMARY, PRIMARY])
    assert (other[bands.grid > 20] >= base[bands.grid > 20]).all()


def test_what_is_written_is_strict_json() -> None:
    comparison = compare(study(two_arms([40.0, INFINITE, INFINITE], [30.0, 20.0, 10.0])))
    text = json.dumps(comparison.to_json(["in short"]), allow_nan=False)
    content = json.loads(text)
    arm = content["groups"][0]["arms"][0]
    assert (arm["name"], arm["times"][3]["median"]) == ("baseline", "inf")
    assert arm["test"] is None
    assert content["groups"][0]["against"][0]["times"][3]["p"] is None
    dimension = content["groups"][0]["diagnostics"][0]["dimensions"][0]
    assert "before" not in dimension
    assert (content["schema"], content["words"]) == (1, ["in short"])


def test_the_same_study_gives_the_same_comparison() -> None:
    runs = two_arms(times(8, 0.3), times(8, 0.3, 1))
    assert compare(study(runs)).to_json() == compare(study(runs)).to_json()


def test_where_it_came_from_is_told_by_kind() -> None:
    runs = two_arms([40.0] * 3, [30.0] * 3)
    mixed = [
        replace(each, manifest=each.manifest | {"commit": "abc"}) if each.seed else each for each in runs
    ]
    sources = compare(study(mixed)).sources
    assert sorted((str(each.commit), len(each.runs)) for each in sources) == [("None", 2), ("abc", 4)]


def test_of_real_journals(tmp_path: Path) -> None:
    """Every unit of the arm takes .8 of the time, without warm starts that take any."""
    arms = {"baseline": 1.0, "ohgw-1step": 0.8}
    write_study(tmp_path, arms, range(7), targets=(0.5, 0.7), warm_seconds=0.0)
    comparison = compare(load_study(tmp_path, processes=1))
    found = comparison.groups[0].against[0].at(0.7, "seconds")
    assert found.ratio.value == pytest.approx(0.8)
    assert comparison.problems == ()
    units = comparison.groups[0].against[0].at(0.7, "units")
    assert units.ratio.value > 1  # there the warm starts' arithmetic counts
    assert comparison.groups[0].diagnostics[0].benefits[0].unlike == 0


@pytest.mark.long
@pytest.mark.parametrize(("tau", "others", "of"), [(0.6, 1, "medians"), (0.95, 2, "restricted means")])
def test_agrees_with_the_first_studys_own_statistics(tau: float, others: int, of: str) -> None:
    """benchmarks/warm_start_study.py computes them otherwise: draw by draw, SciPy's Wilcoxon and curves."""
    rng, seeds, units = np.random.default_rng(5), 24, 60
    arms = ("baseline", "ohgw-other", "random-warm")[: 1 + others]
    first: dict[str, list[Any]] = {arm: [] for arm in arms}
    runs = []
    for arm, pace in zip(arms, (1.0, 0.6, 0.9), strict=False):
        for seed, rate in enumerate(rng.lognormal(-3.2, 0.5, seeds) / pace):
            spent = np.append(np.cumsum(rng.uniform(0.9, 1.0, units - 1)), float(units))
            value = 1 - np.exp(-rate * spent) + 0.01 * rng.random(units)
            first[arm].append(SimpleNamespace(value=value, units=spent, t=spent, trial=np.zeros(units, int)))
            new = value > np.concatenate([[-np.inf], np.maximum.accumulate(value)[:-1]])
            curve = BestCurve(spent[new], np.arange(new.sum()), value[new], np.zeros(new.sum(), int))
            one = replicate(arm, seed, end=float(units), targets=(tau,))
            runs.append(replace(one, curve=curve, spent_units=spent[new], gpu_hours=spent[new] / 3600))
    shape: Any = SimpleNamespace(arms=arms, steps=33)
    told = {row["arm"]: row for row in warm_start_study.compare(shape, first, tau, float(units))}
    comparison = compare(study(runs, measure="units"))
    for against in comparison.groups[0].against:
        row, found = told[against.arm], against.at(tau, "units")
        assert found.ratio.of == row["ratio_of"] == of
        assert found.ratio.value == pytest.approx(row["ratio"])
        assert (found.ratio.low, found.ratio.high) == pytest.approx(row["interval"], rel=0.02)
        assert found.sd_log_ratio == pytest.approx(row["sd"])
        # with pairs of equal times, both censored, SciPy's p is an approximation
        ties = found.wilcoxon is not None and found.wilcoxon.differing < seeds
        assert (found.p, found.p_holm) == pytest.approx((row["p"], row["p_holm"]), abs=0.1 if ties else 1e-9)
        assert found.reached == row["reached"]
