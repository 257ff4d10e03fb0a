"""A study's directory is read; whatever is wrong with a run is named, and no run is lost on the way."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import load_study
from analysis.journals.replicate import time_to_target
from analysis.study import parallel
from analysis.study.loading import Study
from analysis.study.problems import KINDS, UNUSED
from asha_core.errors import ResultsError, SettingError
from tests.analysis.studies import ARMS, GROUP, HARDWARE, TARGETS, VERSIONS, write_search, write_study

TWO = {"baseline": 1.0, "ohgw-1step": 0.8}
ARM = "ohgw-1step"


def where(folder: Path, arm: str, seed: int) -> Path:
    return folder / "runs" / f"digits-asha-{arm}" / f"seed-{seed}"


def kinds(study: Study) -> set[str]:
    return {problem.kind for problem in study.problems}


def seeds(study: Study, arm: str = ARM, group: str | None = None) -> list[tuple[int, int]]:
    return [(base.seed, other.seed) for base, other in study.pairs(group or study.groups[0], arm)]


def edit(file: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def rewrite(run: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a journal, with checksums as if it had been written so."""
    crc, lines = 0, []
    for line in change((run / "journal.jsonl").read_bytes()).splitlines():
        text = line.rpartition(b', "crc": "')[0]
        crc = zlib.crc32(text, crc)
        lines.append(b'%s, "crc": "%08x"}\n' % (text, crc))
    (run / "journal.jsonl").write_bytes(b"".join(lines))


# -- what a sound study is -------------------------------------------------------------------------------


def test_a_study_is_its_groups_arms_and_pairs(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, seeds=[3, 1, 2], measure="units"))
    assert (study.name, study.baseline, study.measure, study.planned) == ("a study", "baseline", "units", 9)
    assert study.groups == [GROUP]
    assert study.arms(GROUP) == ["baseline", "random-warm", "ohgw-1step"]
    assert seeds(study) == [(1, 1), (2, 2), (3, 3)]
    assert study.targets(GROUP) == TARGETS
    assert study.problems == []
    assert [each.seed for each in study.of(GROUP, "baseline")] == [1, 2, 3]
    assert len(study.of(GROUP)) == 9
    first = study.of(GROUP, "baseline")[0]
    assert (first.task, first.scheduler, first.experiment) == ("digits", "asha", "main")
    assert first.id == "digits-asha-baseline/seed-1"


@pytest.mark.parametrize("measure", ["seconds", "gpu_hours", "units"])
def test_a_folder_of_plain_runs_gives_the_same_pairs(tmp_path: Path, measure: Any) -> None:
    planned = load_study(write_study(tmp_path / "a"))
    plain = load_study(write_study(tmp_path / "b", plan=False))
    assert plain.problems == []
    assert plain.groups == planned.groups
    assert plain.targets(GROUP) == TARGETS[-1:]  # of --target
    assert set(plain.arms(GROUP)) == set(planned.arms(GROUP))
    for arm in ARMS:
        one, other = (study.times(GROUP, arm, 0.9, measure) for study in (planned, plain))
        for column in ("seeds", "base", "base_censored", "times", "censored"):
            assert np.array_equal(getattr(one, column), getattr(other, column))
        assert one.horizon == other.horizon


def test_a_pace_is_the_ratio_of_times_where_the_warm_start_costs_nothing(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, {"baseline": 1.0, ARM: 0.8}, warm_seconds=0.0))
    times = study.times(GROUP, ARM, 0.9)
    assert times.times / times.base == pytest.approx(np.full(5, 0.8), abs=1e-4)
    assert not times.censored.any()
    units = study.times(GROUP, ARM, 0.9, "units")
    assert (units.times > units.base).all()  # the warm starts' FLOPs


def test_times_are_censored_at_one_horizon_in_all_runs_of_a_group(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, TWO, seeds=range(6), trials=30, budget=16.0))
    assert {each.reason for each in study.replicates} == {"budget"}
    times = study.times(GROUP, ARM, 0.9)
    assert times.horizon == 16.0
    assert 0 < times.base_censored.sum() < 6  # some reach it, and some do not
    for array, censored in ((times.base, times.base_censored), (times.times, times.censored)):
        assert (array[censored] == 16.0).all()
        assert (array[~censored] <= 16.0).all()
    ends = [each.ends["units"] for each in study.replicates if time_to_target(each, 0.9)[1]]
    assert study.horizon(GROUP, "units", 0.9) == min(ends)


def test_groups_of_plain_runs_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    write_study(tmp_path / "runs" / "long", TWO, range(2), plan=False, trials=12)
    write_study(tmp_path / "runs" / "short", TWO, range(2), plan=False, trials=6)
    study = load_study(tmp_path)
    assert set(study.groups) == {"digits, asha, max_trials=12", "digits, asha, max_trials=6"}
    assert all(seeds(study, group=group) == [(0, 0), (1, 1)] for group in study.groups)


def test_arms_of_plain_runs_are_told_apart_by_their_settings(tmp_path: Path) -> None:
    arms = {"baseline": 1.0, "ohgw-1step (eta_h=0.001)": 0.9, "ohgw-1step (eta_h=0.01)": 0.8}
    study = load_study(write_study(tmp_path, arms, range(2), plan=False))
    assert set(study.arms(GROUP)) == set(arms)
    one = load_study(tmp_path / "runs" / "digits-asha-ohgw-1step-eta-h-0.001")
    assert one.arms(one.groups[0]) == ["ohgw-1step"]  # there is no other to tell it from


def test_several_directories_are_one_study(tmp_path: Path) -> None:
    write_study(tmp_path / "a", TWO, range(3))
    write_study(tmp_path / "b", TWO, range(3, 5))
    study = load_study([tmp_path / "a", tmp_path / "b"])
    assert [base for base, _ in seeds(study)] == [0, 1, 2, 3, 4]
    assert study.problems == []
    twice = load_study([tmp_path / "a", tmp_path / "a"])
    assert kinds(twice) == {"duplicate"}
    write_study(tmp_path / "c", TWO, range(2), measure="units")
    with pytest.raises(ResultsError, match=r"by seconds, and .* by units: report on them separately"):
        load_study([tmp_path / "a", tmp_path / "c"])


def test_one_run_is_a_study(tmp_path: Path) -> None:
    study = load_study(write_search(tmp_path / "run"))
    assert [each.id for each in study.replicates] == ["run"]
    assert kinds(study) == set()


# -- processes -------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_processes_read_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, seeds=range(3), skip=[("baseline", 1)])
    (where(tmp_path, ARM, 2) / "run.json").write_text("{")
    alone = repr(load_study(tmp_path, processes=1))
    assert repr(load_study(tmp_path, processes=3)) == alone
    few = where(tmp_path, ARM, 2).parent  # fewer runs than processes
    assert repr(load_study(few, processes=6)) == repr(load_study(few, processes=1))
    monkeypatch.setattr(parallel, "_CHILD", "import os; os._exit(1)")  # as if it were killed
    assert repr(load_study(tmp_path, processes=3)) == alone


# -- what can be wrong -----------------------------------------------------------------------------------


def missing(folder: Path) -> None:
    shutil.rmtree(where(folder, ARM, 1))


def failed(folder: Path) -> None:
    run = where(folder, ARM, 1)
    shutil.rmtree(run)
    run.mkdir()
    (run / "outcome.json").write_text('{"status": 2}')
    (run / "stderr.log").write_text("asha-run: the data is not there\n\n")


def unfinished(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 1, reason=None)


def damaged(folder: Path) -> None:
    journal = where(folder, ARM, 1) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"resource": 1', b'"resource": 2', 1))


def mislabelled(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 7)


def duplicate(folder: Path) -> None:
    def twice(content: Any) -> None:
        again = next(run for run in content["runs"] if (run["arm"], run["seed"]) == (ARM, 1))
        content["runs"].append({**again, "id": "again"})

    edit(folder / "study.json", twice)


def unplanned(folder: Path) -> None:
    write_search(folder / "runs" / "stray", ARM, 9)


def metric(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 1, metric="loss")


def torn(folder: Path) -> None:
    with open(where(folder, ARM, 1) / "journal.jsonl", "ab") as file:
        file.write(b'{"t": 99')


def resumed(folder: Path) -> None:
    """As if it had been interrupted before its last record, and gone on with."""

    def between(text: bytes) -> bytes:
        *before, last = text.splitlines(keepends=True)
        t = json.loads(last)["t"]
        records = (
            {"t": t, "type": "end", "reason": "interrupted", "crc": ""},
            {"t": t, "type": "resume", "held": 1, "devices": ["cpu"], "changes": {}, "crc": ""},
        )
        return b"".join([*before, *(json.dumps(record).encode() + b"\n" for record in records), last])

    rewrite(where(folder, ARM, 1), between)


def no_value(folder: Path) -> None:
    rewrite(where(folder, ARM, 1), lambda text: re.sub(rb'"value": [0-9.]+', b'"value": "nan"', text))


def short(folder: Path) -> None:
    shutil.rmtree(folder)
    write_study(folder, TWO, range(3), budget=1000.0)


def settings(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 1, trials=7)


def targets(folder: Path) -> None:
    edit(folder / "study.json", lambda content: content["runs"][1].update(targets=[0.8, 0.95]))


def target(folder: Path) -> None:
    edit(folder / "study.json", lambda content: [run.update(targets=[2.0]) for run in content["runs"]])


def schema(folder: Path) -> None:
    journal = where(folder, ARM, 1) / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        del record["crc"]
    records[0]["schema"] = 1
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))


def hardware(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 1, hardware={**HARDWARE, "cores": 64})


def versions(folder: Path) -> None:
    write_search(where(folder, ARM, 1), ARM, 1, versions={**VERSIONS, "torch": "3.0"})


def proposals(folder: Path) -> None:
    lr = b'"configuration": {"lr": 0.'
    rewrite(where(folder, ARM, 1), lambda text: text.replace(lr, lr + b"5", 1))


def no_baseline(folder: Path) -> None:
    edit(folder / "study.json", lambda content: content.update(baseline="none"))


def few_seeds(folder: Path) -> None:
    shutil.rmtree(folder)
    write_study(folder, TWO, [1])


# kind -> (what to do to a study, also said, whether the pair of seed 1 is still there)
CASES: dict[str, tuple[Callable[[Path], None], set[str], bool]] = {
    "missing": (missing, {"unpaired"}, False),
    "failed": (failed, {"unpaired"}, False),
    "unfinished": (unfinished, {"unpaired"}, False),
    "damaged": (damaged, {"unpaired"}, False),
    "mislabelled": (mislabelled, {"unpaired"}, False),
    "duplicate": (duplicate, set(), True),
    "unplanned": (unplanned, set(), True),
    "metric": (metric, {"unpaired"}, False),
    "torn": (torn, set(), True),
    "resumed": (resumed, set(), True),
    "no value": (no_value, set(), True),
    "short": (short, set(), True),
    "settings": (settings, set(), True),
    "targets": (targets, set(), True),
    "target": (target, set(), True),
    "schema": (schema, set(), True),
    "hardware": (hardware, set(), False),
    "versions": (versions, set(), True),
    "proposals": (proposals, set(), True),
    "no baseline": (no_baseline, set(), False),
    "unpaired": (missing, {"missing"}, False),
    "few seeds": (few_seeds, set(), True),
}


def test_every_kind_of_problem_has_its_case() -> None:
    assert {*CASES, "few configurations"} == set(KINDS)  # which only simulated studies have
    assert set(UNUSED) <= set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_what_is_wrong_is_named_and_pairs_are_what_can_be_compared(tmp_path: Path, kind: str) -> None:
    spoil, also, kept = CASES[kind]
    write_study(tmp_path, TWO, range(3))
    spoil(tmp_path)
    study = load_study(tmp_path)
    assert kinds(study) == {kind} | also
    assert ((1, 1) in seeds(study)) == kept
    if kind not in ("no baseline", "few seeds"):
        assert {(0, 0), (2, 2)} <= set(seeds(study))
    # no run is lost: each is used, or named as one that is not
    left_out = [
        problem.run for problem in study.problems if problem.kind in UNUSED and problem.kind != "unplanned"
    ]
    assert len(study.replicates) + len(left_out) == study.planned
    assert {each.id for each in study.left_out} <= set(left_out)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "failed",
            "digits-asha-ohgw-1step/seed-1: asha-run ended with status 2: asha-run: the data is not there",
        ),
        ("damaged", "its checksum is wrong"),
        ("mislabelled", "its run.json says seed 7, and 1 was planned"),
        ("duplicate", "as digits-asha-ohgw-1step/seed-1: it is left out"),
        ("metric", "it reports loss (max), and others of its group accuracy (max)"),
        ("unfinished", "it goes on when it is resumed"),
        ("unplanned", "runs/stray: study.json does not have this run"),
        (
            "settings",
            "1 run with other settings, max_trials 7, where most have 12: digits-asha-ohgw-1step/seed-1",
        ),
        ("targets", "1 run with other targets, [0.8, 0.95], where most have [0.8, 0.9]"),
        ("target", "no run of the group reached 2 (the best is 0.9"),
        ("hardware", "cores 64, not 2): not in the paired tests"),
        ("versions", "(torch 3.0, not 2.0)"),
        ("unpaired", "baseline has seed 1, and ohgw-1step does not"),
        ("few seeds", "one pair only, seed 1: nothing can be tested"),
        ("no baseline", "no usable run of 'none': nothing can be compared (baseline, ohgw-1step)"),
        ("schema", "schema 1: digits-asha-ohgw-1step/seed-1; schema 2: "),
        ("resumed", "it was stopped and gone on with (2 sessions)"),
        ("short", "6 runs ended before the budget, "),
    ],
)
def test_a_problem_says_which_run_and_what_about_it(tmp_path: Path, kind: str, words: str) -> None:
    write_study(tmp_path, TWO, range(3))
    CASES[kind][0](tmp_path)
    told = [str(problem) for problem in load_study(tmp_path).problems if problem.kind == kind]
    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is damaged"), ("[]", "it holds a list"), ("{}", "lacks what this version expects")],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str, words: str) -> None:
    write_study(tmp_path, TWO, range(3))
    (where(tmp_path, ARM, 1) / "run.json").write_text(content)
    study = load_study(tmp_path)
    assert seeds(study) == [(0, 0), (2, 2)]
    told = [str(problem) for problem in study.problems if problem.kind == "damaged"]
    assert len(told) == 1
    assert words in told[0]
    assert told[0].startswith("digits-asha-ohgw-1step/seed-1: ")


def test_a_search_that_an_error_ended_is_left_out(tmp_path: Path) -> None:
    write_study(tmp_path, TWO, range(3))
    write_search(where(tmp_path, ARM, 1), ARM, 1, reason="error")
    (where(tmp_path, ARM, 1) / "outcome.json").write_text('{"status": 2}')
    study = load_study(tmp_path)
    assert kinds(study) == {"failed", "unpaired"}
    assert "an error ended it (status 2)" in str(study.problems[0])


def test_targets_that_differ_are_put_in_order_of_how_hard_they_are(tmp_path: Path) -> None:
    write_study(tmp_path, TWO, range(2))
    targets(tmp_path)
    assert load_study(tmp_path).targets(GROUP) == (0.8, 0.9, 0.95)


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.update(schema=9), "has schema 9: this version reads schema 1"),
        (lambda content: content.pop("runs"), "study.json is damaged: KeyError 'runs'"),
        (lambda content: content["runs"][0].pop("seed"), "study.json is damaged: KeyError 'seed'"),
        (lambda content: content["runs"][0].update(directory="../x"), "is not inside the study"),
        (lambda content: content["runs"][0].update(group=""), "a run has no group"),
        (lambda content: content.update(measure="epochs"), "measure is 'epochs': it must be one of seconds"),
    ],
)
def test_a_study_json_that_cannot_be_read_is_an_error(
    tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    write_study(tmp_path, TWO, range(1))
    edit(tmp_path / "study.json", change)
    with pytest.raises(ResultsError, match=words):
        load_study(tmp_path)


def test_a_path_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="does not exist"):
        load_study(tmp_path / "nothing")
    with pytest.raises(ResultsError, match=r"has no journal.jsonl, and no folder in it has one"):
        load_study(tmp_path)
    with pytest.raises(ResultsError, match="name at least one"):
        load_study([])
    (tmp_path / "journal.jsonl").write_text("{}\n")
    with pytest.raises(ResultsError, match=r"cannot read .*run\.json"):
        load_study(tmp_path)


def test_a_study_of_which_nothing_can_be_used_is_told_as_such(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, TWO, range(2), skip=[(a, s) for a in TWO for s in range(2)]))
    assert (study.replicates, study.groups) == ([], [])
    assert [problem.kind for problem in study.problems] == ["missing"] * 4
    with pytest.raises(SettingError, match="no search is given"):
        study.horizon(GROUP)


def test_seeds_that_the_plan_gives_to_one_arm_alone_are_not_missing(tmp_path: Path) -> None:
    """A sweep on seeds of its own lacks nothing; the same arms without a plan cannot tell."""
    write_study(tmp_path, TWO, range(2))
    write_study(tmp_path, dict.fromkeys(list(TWO)[:1], 1.0), range(2, 5))
    study = load_study(tmp_path)
    assert kinds(study) == set()
    assert seeds(study) == [(0, 0), (1, 1)]
    (tmp_path / "study.json").unlink()
    assert kinds(load_study(tmp_path / "runs")) == {"unpaired"}


def test_a_manifest_of_another_schema_is_named(tmp_path: Path) -> None:
    write_study(tmp_path, TWO, range(3))
    manifest = where(tmp_path, ARM, 1) / "run.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 9}))
    study = load_study(tmp_path)
    assert kinds(study) == {"damaged", "unpaired"}
    assert any("has schema 9: this version reads schema 1" in str(problem) for problem in study.problems)


def test_a_group_or_an_arm_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_study(tmp_path, {"baseline": 1.0, "random-warm": 1.0}, range(1), trials=3)
    study = load_study(tmp_path)
    (group,) = study.groups
    with pytest.raises(SettingError, match=r"'random-warn' is no arm of .*did you mean \"random-warm\""):
        study.times(group, "random-warn", 0.5)
    with pytest.raises(SettingError, match="'elsewhere' is no group"):
        study.pairs("elsewhere", "random-warm")


def test_a_search_with_other_options_than_planned_is_mislabelled(tmp_path: Path) -> None:
    write_study(tmp_path, TWO, range(3))
    ran = {"task": "digits", "max_trials": 12, "subset": 0.5, "warm_start_option": {"eta_h": 0.001}}
    for seed, wanted in enumerate(({**ran, "subset": "0.5"}, {**ran, "max_trials": 27}, {"task": "digits"})):
        edit(where(tmp_path, ARM, seed) / "run.json", lambda content: content.update(settings=ran))

        def plan(content: Any, seed: int = seed, wanted: Any = wanted) -> None:
            (run,) = (r for r in content["runs"] if (r["arm"], r["seed"]) == (ARM, seed))
            run.update(options=wanted)

        edit(tmp_path / "study.json", plan)
    study = load_study(tmp_path)
    assert [each.seed for each in study.of(study.groups[0], ARM)] == [0]  # "0.5" is .5
    told = [str(problem) for problem in study.problems if problem.kind == "mislabelled"]
    assert any("its run.json says max-trials 12, and 27 was planned: it is left out" in each for each in told)
    assert len(told) == 2


def test_a_search_that_ended_long_before_the_others_is_named(tmp_path: Path) -> None:
    write_study(tmp_path, TWO, range(3))
    write_search(where(tmp_path, ARM, 1), ARM, 1, trials=3)
    (told,) = (each for each in load_study(tmp_path).problems if each.kind == "short")
    assert told.run.endswith("ohgw-1step/seed-1")
    assert "from there on it counts with what it had" in told.sentence
