"""What the analysis makes of searches of every scheduler, and of spaces with conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import load_run, rung_survival
from analysis.journals.metrics import bracket_survival
from analysis.journals.runs import Run, _assemble
from analysis.report.run_drawings import drawings_of
from analysis.report.run_figures import plot_rung_survival
from analysis.report.run_page import run_page
from analysis.report.run_report import summary_of
from analysis.report.run_tables import best_table, brackets_table, text_tables
from asha_core.errors import ResultsError
from asha_core.messages import Event, Failed, Finished, Job, Lost, Refined, Rejected, Report, Retried, closes
from asha_core.runtime.replay import check_max_trials, replay
from asha_core.runtime.storage.journal import JournalContents, JournalWriter
from asha_core.runtime.storage.json_files import write_json
from asha_core.runtime.storage.records import Record, event_record, job_record
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status
from asha_core.space import Choice, Float, SearchSpace
from asha_core.streams import uniforms
from tests.analysis.journals.test_metrics import REPORTS, write_run

SPACE = SearchSpace(
    {"kind": Choice(["adam", "sgd"]), "lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.99)},
    conditions={"momentum": {"kind": "sgd"}},
)
Searched = Callable[[str], tuple[Scheduler, Run]]
every_scheduler = pytest.mark.parametrize("name", MODEL_FREE)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run.json says, but for its scheduler."""
    folder = write_run(tmp_path_factory.mktemp("run"), [])
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def happens(job: Any) -> list[Event]:
    """What a worker says of a job: reports, or now and then that it failed."""
    luck = uniforms(2, "luck", 100 * job.trial + job.attempt, 1)[0]
    if job.start == 0 and luck < 0.1:
        return [Rejected(job.trial, "diverges", 0.1)]
    if job.start == 0 and job.until > 1 and luck < 0.25:  # a unit, and then it proves to be invalid
        return [
            Report(job.trial, job.attempt, 1, luck, 1.0),
            Failed(job.trial, job.attempt, "bad", "invalid"),
        ]
    if luck < 0.4:
        return [Failed(job.trial, job.attempt, "worse", "invalid" if job.start else "error")]
    if luck < 0.45:
        return [Failed(job.trial, job.attempt, "no memory", "oom")]
    if luck < 0.55:
        kind = ("died", "hung", "stopped", "engine", "disk")[int(luck * 1000) % 5]
        return [Lost(job.trial, job.attempt, "gone", kind)]
    values = [uniforms(3, "value", 100 * job.trial + unit, 1)[0] for unit in range(job.until + 1)]
    return [Report(job.trial, job.attempt, u, values[u], 1.0) for u in range(job.start + 1, job.until + 1)]


def write_search(folder: Path, name: str, trials: int = 40) -> Scheduler:
    """A search in virtual time, as files."""
    write_run(folder, [])
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=trials, max_retries=1)
    manifest = json.loads((folder / "run.json").read_text())
    manifest |= {"space": SPACE.to_dict(), "scheduler": scheduler.describe()}
    write_json(folder / "run.json", manifest)
    (folder / "journal.jsonl").unlink()
    writer, now = JournalWriter(folder / "journal.jsonl", sync=False), 0.0
    while (job := scheduler.ask()) is not None:
        writer.append(now, [job_record(job, 0)])
        for event in happens(job):
            now += 1.0
            writer.append(now, [event_record(event)])
            scheduler.tell(event)
    writer.append(now, [{"type": "end", "reason": "complete"}])
    writer.close()
    return scheduler


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search by a scheduler, and what was read of it: each is made once."""

    @cache
    def search(name: str) -> tuple[Scheduler, Run]:
        folder = tmp_path_factory.mktemp(name)
        return write_search(folder, name), load_run(folder)

    return search


def page_of(run: Run) -> str:
    return run_page([run], [summary_of(run, [])], [], Path(), failures={})


# -- trials ----------------------------------------------------------------------------------------


@every_scheduler
def test_trials_are_counted_as_the_scheduler_counts_them(name: str, searched: Searched) -> None:
    scheduler, run = searched(name)
    summary = summary_of(run, [])
    assert summary["rejected"] == scheduler.rejected > 0
    assert summary["failed"] == scheduler.failures > 0
    assert summary["trials"] == len(scheduler.trials) - scheduler.rejected == 40
    assert summary["units"] == scheduler.units
    for trial in scheduler.trials:
        history = run.trials[trial.id]
        assert (history.state == "rejected") == (trial.status == Status.REJECTED)
        assert (history.state == "failed") == (trial.status == Status.FAILED)
        assert (history.reached, history.first) == (trial.resource, scheduler.levels[trial.first])
        assert (history.faults, history.alone) == (trial.faults, trial.alone)
    assert any(trial.faults for trial in scheduler.trials)
    assert any(trial.alone and trial.status != Status.FAILED for trial in scheduler.trials)


def what_ends(draw: st.DataObject, job: Job) -> list[Event]:
    """Anything that a worker may say of a job, down to its one closing event."""
    trial, attempt = job.trial, job.attempt
    done = draw.draw(st.integers(job.start, job.until), "units")
    first = draw.draw(st.integers(max(job.start - 1, 0), job.start), "from an older checkpoint")
    events: list[Event] = [Report(trial, attempt, unit, 0.5, 1.0) for unit in range(first + 1, done + 1)]
    if job.refine and draw.draw(st.booleans(), "refined"):
        events.insert(0, Refined(trial, job.configuration, 0.5))
    early = done > 0 and draw.draw(st.booleans(), "early")
    if early:  # before the report that closes the job, or as what closes it
        events.insert(len(events) - (done == job.until), Finished(trial, attempt, done))
    if done == job.until or (early and draw.draw(st.booleans(), "at the end")):
        return events
    if early:
        events[-1] = Finished(trial, attempt, job.until)  # which does not come true
    kinds = [("error", Failed), ("invalid", Failed), ("oom", Failed), ("timeout", Failed)]
    kinds += [(kind, Lost) for kind in ("died", "hung", "stopped", "engine", "disk", "not-begun")]
    kind, ending = draw.draw(st.sampled_from([*kinds, ("rejected", Rejected)]), "ending")
    last = Rejected(trial, "no") if ending is Rejected else ending(trial, attempt, "why", kind)
    return [*events, last]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(MODEL_FREE)), st.integers(0, 2), st.data())
def test_whatever_happens_the_journal_tells_each_trials_state(
    manifest: dict[str, Any], name: str, max_retries: int, data: st.DataObject
) -> None:
    """One rule for failures: the scheduler, a resumed scheduler and the analysis come to the same."""
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=6, max_retries=max_retries)
    records: list[Record] = []
    most = 0  # trials that counted at one time
    running: list[tuple[Job, list[Event]]] = []
    for _ in range(data.draw(st.integers(1, 60), "steps")):
        while len(running) < 3 and (job := scheduler.ask()) is not None:
            records.append({"t": 0.0, **job_record(job, 0)})
            running.append((job, what_ends(data, job)))
            most = max(most, len(scheduler.trials) - scheduler.rejected)
        failed = [trial.id for trial in scheduler.trials if trial.status == Status.FAILED]
        if failed and data.draw(st.integers(0, 9), "retry") == 0:
            again_ = Retried(data.draw(st.sampled_from(failed), "whom"))
            records.append({"t": 0.0, **event_record(again_)})
            scheduler.tell(again_)
        if not running:
            break
        job, events = running[data.draw(st.integers(0, len(running) - 1), "whose")]
        event = events.pop(0)
        records.append({"t": 0.0, **event_record(event)})
        scheduler.tell(event)
        assert closes(event, job) == (not events)
        if not events:
            running.remove((job, events))
    contents = JournalContents({"schema": 2}, records, torn=False, size=0, crc=0)
    run = _assemble(Path(), manifest | {"scheduler": scheduler.describe()}, contents)
    again = scheduler_class(name)(SPACE, max_resource=9, max_trials=6, max_retries=max_retries)
    replay(Path(), records, again, 1)
    assert len(run.trials) == len(scheduler.trials) == len(again.trials)
    for trial, copy in zip(scheduler.trials, again.trials, strict=True):
        history = run.trials[trial.id]
        over = trial.status in (Status.FAILED, Status.REJECTED, Status.DONE)
        if trial.finished and trial.resource < scheduler.levels[-1] and trial.status != Status.RUNNING:
            assert history.state == "finished", trial.id
            continue
        assert history.state in ([trial.status.name.lower()] if over else ["running", "paused"]), trial.id
        assert (history.reached, history.faults, history.alone) == (trial.resource, trial.faults, trial.alone)
        assert (copy.status, copy.faults, copy.alone) == (trial.status, trial.faults, trial.alone)
    check_max_trials(records, most, Path())
    with pytest.raises(ResultsError, match="has begun more trials"):
        check_max_trials(records, most - 1, Path())


def test_what_proves_invalid_is_rejected_before_its_first_report_and_failed_after(searched: Searched) -> None:
    scheduler, run = searched("hyperband")
    failed = {trial.id for trial in scheduler.trials if trial.status == Status.FAILED}
    rejected = {trial.id for trial in scheduler.trials if trial.status == Status.REJECTED}
    assert failed
    assert rejected
    assert {i for i, history in run.trials.items() if history.state == "failed"} == failed
    assert {i for i, history in run.trials.items() if history.state == "rejected"} == rejected
    assert not any(run.trials[i].reached for i in rejected)


@every_scheduler
def test_brackets_hold_every_trial_once(name: str, searched: Searched) -> None:
    scheduler, run = searched(name)
    assert run.brackets == [scheduler.levels[first] for first in scheduler.first_rungs]
    shares = bracket_survival(run)
    assert sum(share.trials for share in shares) == 40
    for share in shares:
        assert len(share.reached) == sum(level >= share.level for level in run.levels)
        assert share.reached == sorted(share.reached, reverse=True)
    if len(shares) == 1:
        assert shares[0].reached == [rung.trials for rung in rung_survival(run)]
    rows = brackets_table(run, summary_of(run, [])).rows
    assert len(rows) == (len(shares) if len(shares) > 1 else 0)


# -- spaces ----------------------------------------------------------------------------------------


def test_a_dimension_that_does_not_exist_is_a_dash(searched: Searched) -> None:
    _, run = searched("asha")
    table = best_table(run, summary_of(run, []), 10)
    header, rows = table.header, table.rows
    assert header[-3:] == ["kind", "lr", "momentum"]
    assert {(row[-3], row[-1] == "-") for row in rows} == {("adam", True), ("sgd", False)}
    assert " -\n" in text_tables([run], [summary_of(run, [])])
    assert "<td>-</td>" in page_of(run)


def test_a_manifest_of_before_conditions_is_read_as_it_was(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", REPORTS, end=10.0))
    assert run.manifest["space"] == {"lr": {"type": "float", "lower": 0.01, "upper": 1.0, "log": True}}
    assert run.dimensions == run.manifest["space"]
    assert run.brackets == [1]
    assert [share.trials for share in bracket_survival(run)] == [3]
    assert "lr" in text_tables([run], [summary_of(run, [])])
    assert "lr" in page_of(run)
    for drawing in drawings_of([run], [summary_of(run, [])], None):
        drawing.draw(Figure().add_subplot())


def test_a_manifest_of_now_names_its_dimensions_and_brackets(searched: Searched) -> None:
    _, run = searched("hyperband")
    assert list(run.dimensions) == ["kind", "lr", "momentum"]
    assert run.dimensions["momentum"]["when"] == {"kind": ["sgd"]}
    assert run.brackets == [1, 3, 9]


# -- figures ---------------------------------------------------------------------------------------


def survival(*runs: Run) -> Axes:
    axes = Figure().add_subplot()
    plot_rung_survival(axes, list(runs))
    return axes


def told(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@every_scheduler
def test_the_ideal_share_is_drawn_where_there_is_one_bracket(name: str, searched: Searched) -> None:
    axes = survival(searched(name)[1])
    assert ("one in 3 of the rung before" in told(axes)) == ("hyperband" not in name)
    assert len(axes.lines) == ("hyperband" not in name)


def test_the_bars_of_schedulers_with_different_rungs_stand_at_their_own(searched: Searched) -> None:
    asha, full = searched("asha")[1], searched("random")[1]
    assert (asha.levels, full.levels) == ([1, 3, 9], [9])
    for runs in ((asha, full), (full, asha)):
        axes = survival(*runs)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "9"]
        for run, bars in zip(runs, axes.containers, strict=True):
            places = [round(bar.get_x() + bar.get_width() / 2) for bar in bars]
            assert places == [[1, 3, 9].index(level) for level in run.levels]
        assert not axes.lines  # no share that is common to both


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_the_page_has_a_table_of_brackets_where_there_are_several(name: str, searched: Searched) -> None:
    assert ("<h3>Brackets</h3>" in page_of(searched(name)[1])) == (name == "hyperband")
