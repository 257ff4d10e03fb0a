"""The summary in plain words: it says what was found, and leaves out nothing that limits it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison import Comparison, compare
from analysis.comparison.criteria import LEAST_PAIRS
from analysis.report.sentences import SECTIONS, in_sections, in_words
from analysis.study.loading import load_study
from analysis.study.problems import KINDS, UNUSED, Problem
from tests.analysis.studies import write_study
from tests.analysis.synthetic import GPU, replicate, study, times, two_arms

INFINITE = math.inf


def told(base: Sequence[float], other: Sequence[float], **options: Any) -> Comparison:
    measure = options.pop("measure", "seconds")
    return compare(study(two_arms(base, other, **options), measure=measure))


def text(comparison: Comparison) -> str:
    return " ".join(in_words(comparison))


def test_the_words_are_those_of_the_sections_in_order() -> None:
    comparison = told(times(8, 0.3), times(8, 0.3, 1))
    sections = in_sections(comparison)
    assert tuple(sections) == SECTIONS
    assert in_words(comparison) == [each for section in sections.values() for each in section]


def test_a_faster_arm_is_named_first_with_its_ratio_interval_pairs_and_p() -> None:
    base = times(20, 0.4)
    found = in_sections(told(base, 0.8 * base))
    assert found["found"][0] == (
        "40 of 40 planned runs can be used, with 20 seeds; baseline is compared with ohgw-1step."
    )
    assert found["found"][1] == (
        "Shown to be faster to the primary target than the baseline: ohgw-1step (0.80 of the baseline's)."
    )
    (arm,) = found["arms"]
    assert arm.startswith(
        "With ohgw-1step the median time to accuracy 95% was 0.80 of the baseline's (95% interval 0.80 to "
        "0.80, 20 pairs): less than the baseline's (p < 0.001)."
    )


def test_a_slower_arm_is_called_slower() -> None:
    base = times(20, 0.4) / 2
    comparison = told(base, 1.5 * base)
    assert "Shown to be slower to the primary target than the baseline: ohgw-1step (1.50" in text(comparison)
    assert "more than the baseline's (p < 0.001)" in text(comparison)


def test_no_difference_says_how_many_seeds_it_would_take() -> None:
    comparison = told(times(12, 0.5), times(12, 0.5, 4))
    needed = comparison.groups[0].against[0].at(0.95, "seconds").seeds_needed
    assert "No arm was shown to be faster or slower" in text(comparison)
    assert "no difference that these seeds can tell (p = 0.97); about" in text(comparison)
    assert f"about {needed} pairs would be needed to see 15%" in text(comparison)


def test_a_corrected_p_names_the_correction() -> None:
    base = times(10, 0.3)
    runs = two_arms(base, 0.7 * base) + two_arms(base, 0.9 * base, "ohgw-trust")[10:]
    assert "(p = 0.0039 after Holm's correction for 2 arms)" in text(compare(study(runs)))


@pytest.mark.parametrize("pairs", range(2, LEAST_PAIRS))
def test_so_few_pairs_have_no_p_and_it_is_said_why(pairs: int) -> None:
    comparison = told(times(pairs, 0.3), times(pairs, 0.3, 1))
    assert "p = " not in text(comparison)
    assert "With five pairs or fewer no two-sided test can reach p < .05" in text(comparison)
    assert "fewer than 6 pairs cannot show a difference" in text(comparison)


def test_one_seed_is_called_one_seed() -> None:
    comparison = told([40.0], [30.0])
    assert "One pair of seeds cannot show whether an arm helps" in text(comparison)
    assert "one seed says nothing about others" in text(comparison)
    assert "no interval can be given" in text(comparison)


def test_censored_searches_are_counted_and_the_horizon_is_told() -> None:
    comparison = told([INFINITE] * 3 + [40.0] * 9, [30.0] * 12)
    assert "3 of the 24 searches did not get there, and stay in as censored." in text(comparison)
    assert (
        "3 of 24 searches had not reached accuracy 95% by 100.0 s, which is where half of the "
        "searches had ended"
    ) in text(comparison)
    budget = told([INFINITE] * 3 + [40.0] * 9, [30.0] * 12, budget=60.0)
    assert "by 60.0 s, which is the budget" in text(budget)


def test_a_target_that_nobody_reached_is_said_to_be_out_of_reach() -> None:
    comparison = told([INFINITE] * 7, [INFINITE] * 7)
    assert "No search of ohgw-1step or of the baseline reached accuracy 95%" in text(comparison)
    assert "no search had reached accuracy 95% by 100.0 s, which is where half of the searches" in text(
        comparison
    )
    assert "faster" not in text(comparison).replace("shown to be faster or slower", "")


def test_targets_chosen_after_the_runs_are_called_exploratory() -> None:
    base = times(10, 0.3)
    comparison = told(base, 0.5 * base, targets=())
    assert "No target was fixed before the runs (digits, asha)" in text(comparison)
    assert "exploratory" in text(comparison)
    assert "not tested, since the target was chosen after the runs" in text(comparison)
    assert "p = " not in text(comparison)
    assert "p < 0" not in text(comparison)
    added = compare(study(two_arms(base, 0.5 * base)), targets=(0.93,))
    assert "Targets that were chosen after the runs are exploratory" in text(added)


def test_units_are_called_by_their_name() -> None:
    base = times(7, 0.3)
    words = text(told(base, 0.5 * base, measure="units"))
    assert "With ohgw-1step the median number of epochs to accuracy 95% was 0.50 of the baseline's" in words
    never = text(told([INFINITE] * 6 + [40.0], [INFINITE] * 6 + [30.0], measure="units"))
    assert "the mean number of epochs to accuracy 95%, up to the horizon, was" in never


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("seconds", "Times are wall-clock seconds: on a machine that did other work as well they are noisy."),
        ("units", "Seconds stand beside them; on a machine that did other work as well they are noisy."),
        ("gpu_hours", "Times are told in worker-hours: worker processes times wall-clock."),
    ],
)
def test_what_times_are_measured_in_is_said(measure: str, said: str) -> None:
    base = times(7, 0.3)
    assert said in text(told(base, 0.5 * base, measure=measure))


def test_hours_are_of_gpus_where_there_are_some_and_else_of_workers() -> None:
    base, never = times(7, 0.3), [INFINITE] * 6 + [40.0]
    for hardware, hours in ((None, "worker-hours"), (GPU, "GPU-hours")):
        own = {} if hardware is None else {"hardware": hardware}
        found = text(told(base, 0.5 * base, measure="gpu_hours", **own))
        assert f"With ohgw-1step the median number of {hours} to accuracy 95% was 0.50" in found
        assert f"Times are told in {hours}" in found
        late = text(told(never, never, measure="gpu_hours", **own))
        assert re.search(rf"12 of 14 searches had not reached accuracy 95% by [0-9.]+ {hours}, which", late)


def test_unequal_censoring_that_the_permutation_test_does_not_bear_out_is_said() -> None:
    base = times(8, 0.05)
    comparison = told([INFINITE, *base[1:]], [*(0.99 * base[:7]), INFINITE])
    group = comparison.groups[0]
    against = group.against[0]
    effects = [
        replace(each, p=0.01, p_holm=0.01, permutation=_permutation(), p_holm_permutation=0.3)
        for each in against.times
    ]
    changed = replace(group, against=(replace(against, times=tuple(effects)),))
    words = " ".join(in_words(replace(comparison, groups=(changed,))))
    assert "the test of means does not show it" in words
    assert "Shown to be" not in words


def _permutation() -> Any:
    comparison = told([INFINITE] * 4 + [40.0] * 4, [30.0] * 8)
    return comparison.groups[0].against[0].at(0.95, "seconds").permutation


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_problem_is_told_with_its_run_and_sentence(kind: str) -> None:
    problem = Problem(kind, "digits/ohgw/seed-3", "what there is to say of it", "digits, asha", "ohgw")
    comparison = compare(study(two_arms([40.0] * 3, [30.0] * 3), problems=[problem]))
    assert problem in comparison.problems
    how = "Left out" if kind in UNUSED else "To be known"
    assert f"{how} ({kind}): digits/ohgw/seed-3: what there is to say of it." in in_words(comparison)


@given(st.integers(1, 40))
@settings(max_examples=6, deadline=None)
def test_many_problems_of_one_kind_are_counted(count: int) -> None:
    problems = [Problem("missing", f"run-{i}", "planned, and not run") for i in range(count)]
    comparison = compare(study([replicate(reached={0.95: 30.0})], problems=problems, planned=count + 1))
    lines = [each for each in in_words(comparison) if each.startswith("Left out")]
    assert len(comparison.problems) == count
    assert len(lines) == (count if count <= 10 else 1)
    assert lines[0].startswith("Left out (missing): run-0" if count <= 10 else f"Left out: {count} times")
    assert f"1 of {count + 1} planned run" in in_words(comparison)[0]


def test_who_has_no_pairs_is_not_said_to_be_compared() -> None:
    arms = [replicate("far", 1, {0.95: 20.0}), replicate("near", 2, {0.95: 20.0})]
    alone = text(compare(study(arms, planned=4)))
    assert alone.startswith(
        "2 of 4 planned runs can be used, with 2 seeds; none is of baseline, with which far and near would "
        "be compared."
    )
    unpaired = text(compare(study([replicate(seed=0, reached={0.95: 30.0}), *arms])))
    assert "with 3 seeds; no seed has both baseline and far or near: nothing is compared." in unpaired
    one_pair = text(compare(study([replicate(seed=1, reached={0.95: 30.0}), *arms])))
    assert "with 2 seeds; baseline is compared with far." in one_pair
    for told in (alone, unpaired):
        assert "baseline is compared with" not in told


def test_an_arm_without_pairs_and_a_study_without_runs() -> None:
    runs = [replicate(seed=0, reached={0.95: 30.0}), replicate("far", 1, {0.95: 20.0})]
    assert "far has no pair with baseline: nothing can be compared." in text(compare(study(runs)))
    nothing = compare(study([], planned=3))
    assert in_words(nothing) == ["0 of 3 planned runs can be used: nothing can be said."]
    assert nothing.groups == ()


def test_mixed_machines_and_versions_are_said() -> None:
    runs = two_arms([40.0] * 4, [30.0] * 4)
    other = [replace(each, manifest=each.manifest | {"hardware": GPU, "commit": "b"}) for each in runs[2:4]]
    words = text(compare(study([*runs[:2], *other, *runs[4:]])))
    assert "2 kinds of hardware" in words
    assert "several versions of the code" in words
    alike = text(compare(study(runs)))
    assert "kinds of hardware" not in alike
    assert "versions of the code" not in alike


def test_what_the_study_cannot_say() -> None:
    words = in_words(told([40.0] * 3, [30.0] * 3))
    assert words[-1] == (
        "This is about digits with asha, at this budget and in this search space: other tasks, schedulers, "
        "budgets and spaces may come out otherwise; there was no GPU, so what warm starts cost there in time "
        "and memory is not known."
    )
    assert "no GPU" not in in_words(told([40.0] * 3, [30.0] * 3, hardware=GPU))[-1]


def test_scores_are_compared_in_the_direction_that_is_better() -> None:
    runs = []
    for seed in range(8):
        runs.append(replicate("baseline", seed, {0.5: 30.0, 0.2: 40.0}, mode="min", metric="loss"))
        runs.append(replicate("far", seed, {0.5: 30.0, 0.1 + seed / 1000: 40.0}, mode="min", metric="loss"))
    words = text(compare(study(runs)))
    assert "Its best loss on validation data was 0.0965 better (95% interval 0.0945 to 0.0985)." in words


def test_two_groups_are_told_apart() -> None:
    base = times(8, 0.3)
    runs = two_arms(base, 0.7 * base, group="a, asha") + two_arms(base, base, group="b, pasha")
    comparison = compare(study(runs))
    words = in_sections(comparison)
    assert "in 2 groups of task and scheduler" in words["found"][0]
    assert "ohgw-1step (a, asha, 0.70 of the baseline's)" in words["found"][1]
    assert [each.partition(":")[0] for each in words["arms"]] == ["a, asha", "b, pasha"]
    assert (
        "The criteria for ohgw-1step do not hold: all criteria hold in 1 of 2 groups" in words["criteria"][0]
    )


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(0, 3))
def test_no_sentence_holds_a_number_that_is_none(seed: int, pairs: int, lost: int) -> None:
    base, other = times(pairs, 0.5, seed), times(pairs, 0.5, seed + 1)
    base[:lost] = INFINITE
    for sentence in in_words(told(base, other)):
        assert "nan" not in sentence.replace("variance", "")
        assert "None" not in sentence
        assert "inf" not in sentence
        assert sentence.endswith(".")


def test_runs_that_are_missing_failed_killed_or_damaged_are_all_named(tmp_path: Path) -> None:
    arms = {"baseline": 1.0, "ohgw-1step": 0.8}
    write_study(tmp_path, arms, range(6), trials=4, skip=[("ohgw-1step", 0)])
    at = {seed: tmp_path / "runs" / "digits-asha-ohgw-1step" / f"seed-{seed}" for seed in range(6)}
    lines = (at[1] / "journal.jsonl").read_text().splitlines(keepends=True)
    (at[1] / "journal.jsonl").write_text("".join([*lines[:3], "no journal\n", *lines[4:]]))
    lines = (at[2] / "journal.jsonl").read_text().splitlines(keepends=True)
    (at[2] / "journal.jsonl").write_text("".join(lines[:-1]))  # it was killed
    (at[3] / "run.json").unlink()
    with open(at[4] / "journal.jsonl", "a") as journal:
        journal.write('{"t": 1')
    comparison = compare(load_study(tmp_path, processes=1))
    kinds = {each.kind: each.run for each in comparison.problems if each.run}
    named = {kind: run.rpartition("-")[2] for kind, run in kinds.items()}
    assert named == {"missing": "0", "damaged": "3", "unfinished": "2", "torn": "4"}
    assert comparison.groups[0].against[0].seeds == (4, 5)
    assert [each.seed for each in comparison.groups[0].against[0].dropped] == [0, 1, 2, 3]
    for problem in comparison.problems:
        assert any(str(problem) in sentence for sentence in in_words(comparison))
    for seed in range(5):
        assert f"ohgw-1step/seed-{seed}: " in text(comparison)
