"""Searches that earlier versions left behind are read, replayed, reported and gone on with.

``schema-1``: written by version 0.1.0, a search in virtual time in which workers die, a configuration proves
invalid, a trial fails, and values are not finite. ``rules-1-*``: begun before a rule of theirs changed.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from analysis import best_so_far, load_run, rung_survival, time_split, time_to_target
from analysis.report.run_report import summary_of
from asha_core import Float, SearchSpace, SuccessiveHalving, tune
from asha_core.errors import JournalError, SettingError
from asha_core.runtime.budget import Budget
from asha_core.runtime.loop import Search
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.schedulers.state import RungCounts, Status
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock, eventful
from tests.asha_core.runtime.replay import replay as rebuild
from tests.asha_core.runtime.replay import scheduler_of
from tests.golden.diverging import most_diverge

HERE = Path(__file__).resolve().parent
OLD = HERE / "schema-1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy that can be changed."""
    return Path(shutil.copytree(OLD, tmp_path / "run"))


def test_it_is_read_as_it_was_written() -> None:
    contents = read_journal(OLD / "journal.jsonl")
    assert contents.header == {
        "type": "journal",
        "schema": 1,
        "created": "2026-11-22T03:50:08.185597+00:00",
    }
    assert (contents.torn, contents.ended) == (False, True)
    assert Counter(record["type"] for record in contents.records) == {
        "job": 21,
        "report": 23,
        "lost": 3,
        "failed": 2,
        "worker": 2,
        "end": 1,
    }


def test_its_scheduler_is_rebuilt_from_its_manifest() -> None:
    scheduler = rebuild(OLD)
    assert scheduler.counts() == [
        RungCounts(1, paused=8, promoted=4),
        RungCounts(3, paused=3, promoted=1),
        RungCounts(9, failed=1),
    ]
    assert (scheduler.units, scheduler.failures, scheduler.rejected) == (23, 1, 1)
    best = scheduler.best
    assert best is not None
    assert (best.trial, best.resource, best.value) == (4, 1, 0.934276016663236)
    assert [trial.faults for trial in scheduler.trials] == [0, 2, *[0] * 9, 1, 0]


def test_its_report_has_the_numbers_that_are_in_it() -> None:
    run = load_run(OLD)
    assert (run.reason, run.end, run.torn) == ("complete", 7.813776, False)
    assert [(session.start, session.held, session.slots) for session in run.sessions] == [(0.0, 2, 2)]
    states = Counter(trial.state for trial in run.trials.values())
    assert states == {"paused": 11, "failed": 1, "rejected": 1}
    assert (run.trials[8].state, run.trials[7].state) == ("failed", "rejected")
    assert [run.trials[trial].faults for trial in (1, 8, 11)] == [2, 0, 1]
    assert not any(trial.alone for trial in run.trials.values())
    assert best_so_far(run).value.tolist() == [0.40021430662365043, 0.8367329242641498, 0.934276016663236]
    assert best_so_far(run).t.tolist() == [0.196054, 0.910195, 1.477426]
    reached = time_to_target(run, 0.9)
    assert (reached.seconds, reached.units, reached.censored) == (1.477426, 5, False)
    assert reached.gpu_hours == pytest.approx(2 * 1.477426 / 3600)
    assert [(rung.level, rung.trials) for rung in rung_survival(run)] == [(1, 12), (3, 4), (9, 0)]
    split = time_split(run)
    assert (split.training, split.warm_start) == (11.5, 0.0)
    summary = summary_of(run, [0.9])
    assert (summary["trials"], summary["rejected"], summary["failed"], summary["units"]) == (12, 1, 1, 23)
    assert summary["sessions"] == 1
    assert summary["gpu_hours"] == pytest.approx(2 * 7.813776 / 3600)


def go_on(directory: Path) -> Path:
    """Resume the search in ``directory`` as this version does, and see it through."""
    journal = directory / "journal.jsonl"
    manifest = json.loads((directory / "run.json").read_text())
    contents = read_journal(journal)
    scheduler, clock = scheduler_of(manifest), ManualClock()
    earlier = replay(journal, contents.records, scheduler, manifest["budget"]["devices"])
    clock.time = earlier.t
    earlier.record = {"devices": ["fake:0", "fake:1"]}
    budget = Budget(devices=2, spent=earlier.t, gpu_spent=earlier.device_seconds)
    writer = JournalWriter(journal, contents, sync=False)
    executor = FakeExecutor(clock, 2, eventful)
    assert Search(scheduler, executor, writer, clock, budget, earlier=earlier).run().reason == "complete"
    return journal


def test_cut_anywhere_it_can_be_gone_on_with(old: Path) -> None:
    lines = (old / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (1, 2, 3, 5, 9, 16, 17, 20, 27, 30, 41, 47, 51, 52):
        for torn in (0, 1):
            before = b"".join(lines[:kept])
            cut = before + lines[kept][:20] * torn
            (old / "journal.jsonl").write_bytes(cut)
            contents = read_journal(go_on(old))
            assert (old / "journal.jsonl").read_bytes().startswith(before)
            assert contents.header["schema"] == 1
            assert (contents.records[kept - 1]["type"], contents.torn) == ("resume", False)
            assert b"crc" not in (old / "journal.jsonl").read_bytes()
            scheduler = rebuild(old)
            assert not any(trial.status in (Status.RUNNING, Status.WAITING) for trial in scheduler.trials)
            assert len(scheduler.trials) - scheduler.rejected == 12
            reports = [(r["trial"], r["resource"]) for r in contents.records if r["type"] == "report"]
            assert len(reports) == len(set(reports)) == scheduler.units
            run = load_run(old)
            assert (len(run.sessions), run.reason) == (2, "complete")
            assert summary_of(run, [])["failed"] == scheduler.failures
            assert summary_of(run, [])["units"] == scheduler.units


def test_a_complete_one_that_is_gone_on_with_stays_as_it_is(old: Path) -> None:
    before = rebuild(old)
    after_records = read_journal(go_on(old)).records
    after = rebuild(old)
    assert [record["type"] for record in after_records[-3:]] == ["end", "resume", "end"]
    assert (after.counts(), after.best, after.units) == (before.counts(), before.best, before.units)


def test_no_path_of_a_machine_stands_in_it() -> None:
    manifest = json.loads((OLD / "run.json").read_text())
    assert manifest["command"] == ["asha-run"]
    for file in OLD.iterdir():
        assert "/" not in file.read_text().replace("+00:00", "")


# -- schema 2: a search of the digits, its engine killed by SIGKILL after 13.6 seconds and resumed ------

NEW = HERE / "schema-2"


def test_a_search_of_two_sessions_is_read_replayed_and_reported() -> None:
    contents = read_journal(NEW / "journal.jsonl")
    assert contents.header["schema"] == 2
    kinds = Counter(record["type"] for record in contents.records)
    assert (kinds["resume"], kinds["lost"], kinds["end"]) == (1, 2, 1)
    scheduler = rebuild(NEW)
    run = load_run(NEW)
    assert (run.reason, run.end) == ("complete", 28.066405)
    assert [(session.start, session.held) for session in run.sessions] == [(0.0, 2), (13.565665, 2)]
    assert len(run.t) == run.units[-1] == scheduler.units == 124
    assert scheduler.best is not None
    assert (scheduler.best.trial, scheduler.best.resource) == (23, 9)
    assert not any(trial.faults for trial in scheduler.trials)


@pytest.mark.parametrize("line", [2, 97, 98, 150, 186])
def test_every_line_of_it_is_checked(line: int, tmp_path: Path) -> None:
    lines = (NEW / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b"0", b"1", 1)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=f"line {line}, is damaged"):
        read_journal(tmp_path / "journal.jsonl")


# -- rules 1: at commit e2c07b7, a synchronous rung that was not filled made those above it smaller

BEFORE = [(HERE / "rules-1-sh", [9, 2, 0]), (HERE / "rules-1-sync-hyperband", [18, 15, 9])]


@pytest.mark.parametrize(("old", "counts"), BEFORE)
def test_a_search_is_replayed_by_the_rules_that_it_was_begun_with(old: Path, counts: list[int]) -> None:
    scheduler = rebuild(old)
    assert [row.reached + row.failed for row in scheduler.counts()] == counts
    assert scheduler.describe() == json.loads((old / "run.json").read_text())["scheduler"]


@pytest.mark.parametrize("old", [old for old, _ in BEFORE])
def test_by_the_rules_of_today_it_would_have_been_another(old: Path) -> None:
    manifest = json.loads((old / "run.json").read_text())
    assert "rules" not in manifest["scheduler"]
    today = scheduler_of(manifest)
    today.rules = type(today).rules
    try:
        replay(old / "journal.jsonl", read_journal(old / "journal.jsonl").records, today)
    except JournalError:
        return  # it would give another job
    assert today.ask() is not None  # it would not be over


def as_it_was_made() -> SuccessiveHalving:
    """The scheduler of ``rules-1-sh``, as its script makes it today."""
    space = SearchSpace({"x": Float(0.0, 1.0)})
    return SuccessiveHalving(space, mode="min", max_resource=9, max_trials=9)


@pytest.mark.parametrize("kept", [1, 6, 12, 19, 21, 24])
def test_a_library_call_goes_on_with_it_as_it_was_begun(kept: int, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(HERE / "rules-1-sh", tmp_path / "run"))
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]))  # as if its engine had been killed there
    scheduler = as_it_was_made()
    tune(most_diverge, scheduler, gpus="inline", results_dir=folder, resume=True, progress="none")
    assert [row.reached for row in scheduler.counts()] == [9, 2, 0]
    assert [row.reached for row in rebuild(folder).counts()] == [9, 2, 0]


def test_a_search_that_a_later_version_began_is_left_alone(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(HERE / "rules-1-sh", tmp_path / "run"))
    manifest = json.loads((folder / "run.json").read_text())
    manifest["scheduler"]["rules"] = 7
    (folder / "run.json").write_text(json.dumps(manifest))
    before = (folder / "journal.jsonl").read_bytes()
    with pytest.raises(SettingError, match="by rules 7 of sh, and this version of asha-core knows 1 to 2"):
        tune(most_diverge, as_it_was_made(), gpus="inline", results_dir=folder, resume=True, progress="none")
    assert (folder / "journal.jsonl").read_bytes() == before
