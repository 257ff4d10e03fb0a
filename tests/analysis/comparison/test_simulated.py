"""Simulated studies: what is compared is over configurations, not over seeds alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.comparison import Comparison, compare
from analysis.report.sentences import in_words
from analysis.report.study_contents import tables_of
from analysis.study.loading import Drawn, Study
from asha_core.searchers.drawn_rows import drawn_rows
from tests.analysis.synthetic import TARGETS, study, two_arms

GROUP = "digits, asha"
SEEDS = 150


def simulated(configurations: int, gain: float = 0.8, *, exact: bool = True, arms: int = 1) -> Study:
    """Searches for the first good one of a table; the arm needs ``gain`` of the baseline's time."""
    rng = np.random.default_rng(1)
    good = rng.random(configurations) < 0.3
    cost = rng.uniform(1, 4, configurations)
    faster = gain * cost * np.exp(rng.normal(0, 0.3, configurations))
    base, other, met = [], [], []
    for seed in range(SEEDS):
        rows = drawn_rows(5, seed, configurations)[:20]
        count = next((place for place, row in enumerate(rows, 1) if good[row]), 20)
        base.append(float(cost[rows[:count]].sum()))
        other.append(float(faster[rows[:count]].sum()))
        met.append(count)
    runs = two_arms(base, other)
    for number in range(1, arms):
        runs += [each for each in two_arms(base, other, f"arm-{number}") if each.arm != "baseline"]
    runs = [
        replace(
            each,
            met=20 if exact else met[each.seed],
            met_at=np.array([met[each.seed]] * 2) if exact else None,
        )
        for each in runs
    ]
    return replace(study(runs), drawn={GROUP: Drawn(5, configurations)})


def effect(comparison: Comparison) -> Any:
    return comparison.groups[0].against[0].at(TARGETS[-1], "seconds")


def test_a_simulated_study_is_less_sure_than_its_seeds() -> None:
    made = simulated(40)
    found, alone = compare(made), compare(replace(made, drawn={}))
    one, other = effect(found), effect(alone)
    assert one.ratio.value == pytest.approx(other.ratio.value)
    assert math.log(one.ratio.high / one.ratio.low) > 1.5 * math.log(other.ratio.high / other.ratio.low)
    one_paired, paired = one.hodges_lehmann, other.hodges_lehmann
    assert one_paired.value == paired.value
    assert one_paired.high / one_paired.low > paired.high / paired.low
    found_in = tables_of(found, found.groups[0], "")[0]
    assert "paired ratio [95%]" in found_in.header
    assert any(f"estimate, it was {paired.value:.2f} of it" in words for words in in_words(found))
    assert one.p > 100 * other.p
    assert one.p_holm == one.p
    assert (one.configurations, other.configurations) == (40, 0)
    assert (one.log_rank, one.ratio.draws) == (None, 0)
    against, plain = found.groups[0].against[0], alone.groups[0].against[0]
    assert (against.configurations, plain.configurations) == (40, 0)
    for measure, difference in against.auc.items():
        assert difference.mean == plain.auc[measure].mean
        assert difference.high - difference.low > plain.auc[measure].high - plain.auc[measure].low


def test_only_rows_met_before_the_target_count_where_that_is_known() -> None:
    """Rows that were met afterwards had no part in it: the interval is the same as if there had been none."""
    exact, short = effect(compare(simulated(40))), effect(compare(simulated(40, exact=False)))
    assert [exact.ratio.low, exact.ratio.high] == [short.ratio.low, short.ratio.high]
    every = simulated(40)
    every = replace(every, replicates=[replace(each, met_at=None) for each in every.replicates])
    assert effect(compare(every)).ratio.low != exact.ratio.low


def test_holms_correction_is_over_the_arms() -> None:
    comparison = compare(simulated(40, 1.0, arms=3))
    effects = [against.at(TARGETS[-1], "seconds") for against in comparison.groups[0].against]
    assert [each.family for each in effects] == [3] * 3
    assert effects[0].p_holm == pytest.approx(min(1.0, 3 * effects[0].p))


def test_the_report_says_what_its_numbers_are_over() -> None:
    comparison = compare(simulated(40, 0.97))
    words = " ".join(in_words(comparison))
    assert "simulated over 40 recorded configurations" in words
    assert f"{SEEDS} pairs over 40 recorded configurations" in words
    assert "no difference that these configurations can tell" in words
    assert "these seeds" not in words
    assert "recorded configurations would be needed" in words
    table = tables_of(comparison, comparison.groups[0], "one")[0]
    notes = " ".join(table.notes)
    assert "over 40 recorded configurations" in notes
    assert "Wilcoxon" not in notes
    assert "configurations for 15%" in table.header


def test_a_study_of_runs_says_nothing_of_configurations() -> None:
    comparison = compare(replace(simulated(40), drawn={}))
    words = " ".join(in_words(comparison))
    assert "recorded configurations" not in words
    assert "Wilcoxon" in " ".join(tables_of(comparison, comparison.groups[0], "one")[0].notes)
