"""``tune`` as a library: what it returns, and what it leaves behind when something is wrong."""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.journals.metrics import time_to_target
from analysis.journals.runs import load_run
from analysis.report.run_report import summary_of
from asha_core import ASHA, AshaError, Choice, Float, GridSearch, Int, SearchSpace, tune
from asha_core.errors import TaskError, WorkerError
from asha_core.launch.result import Reached
from asha_core.launch.time_to_target import TargetWatch
from asha_core.messages import Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.observers import Leaderboard, Observer, SearchView
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalGone, read_journal
from asha_core.runtime.storage.lock import RunLock
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.user_files import importing
from tests.trials import jobs
from trials.checkpoints.files import load_checkpoint
from trials.task import Task
from trials.trial import Trial

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def run(function: Any, folder: Path, **settings: Any) -> Any:
    scheduler = ASHA(SPACE, **{"max_resource": 9, "max_trials": 4, "min_resource": 9, **settings})
    return tune(function, scheduler, gpus="inline", results_dir=folder / "run", progress="none")


def test_result_results_file_and_checkpoint_name_the_same_trial_on_ties(tmp_path: Path) -> None:
    result = run(jobs.every_third, tmp_path)  # all trials tie
    stored = json.loads((result.directory / "results.json").read_text())
    assert stored["best"]["trial"] == result.best.trial
    assert (stored["best"]["value"], stored["best"]["resource"]) == (result.best_value, result.best.resource)
    assert [entry["trial"] for entry in stored["top"]] == [0, 1, 2, 3]


def converges(trial: Trial) -> None:
    """The larger x, the sooner and the better."""
    for unit in trial.units():
        trial.report(trial.config["x"] * min(unit, 2))
        if trial.config["x"] > 0.4 and unit == 2:
            trial.stop_early()
            return


@pytest.mark.parametrize("name", MODEL_FREE)
def test_trials_that_stop_early_are_not_lost_and_cost_no_more_units(name: str, tmp_path: Path) -> None:
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=18, seed=1)
    result = tune(converges, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    early = [trial for trial in scheduler.trials if trial.finished]
    assert early
    assert all(trial.resource == 2 for trial in early)
    assert result.outcome.failures == 0
    assert result.best.trial in {trial.id for trial in early}
    assert result.summary["stopped_early"] == len(early)
    run = load_run(result.directory)
    assert {trial.id for trial in run.trials.values() if trial.state == "finished"} == {t.id for t in early}
    assert len(run.units) == run.units[-1] == scheduler.units  # a report a unit
    assert summary_of(run, [0.5])["stopped_early"] == len(early)
    again = scheduler_class(name)(SPACE, max_resource=9, max_trials=18, seed=1)
    replay(result.directory / "journal.jsonl", run.records, again)
    assert again.counts() == scheduler.counts()


def needs_a_file(trial: Trial) -> None:
    for unit in trial.units():
        if unit == 2 and trial.id % 2 and not Path(os.environ["ASHA_TEST_FLAG"]).exists():
            raise FileNotFoundError("weights.pt")
        trial.save({"unit": unit})
        trial.report(trial.config["x"])


@pytest.mark.parametrize("name", MODEL_FREE)
def test_trials_that_failed_of_what_is_mended_are_tried_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "weights.pt"
    monkeypatch.setenv("ASHA_TEST_FLAG", str(flag))

    def search(**options: Any) -> Any:
        scheduler = scheduler_class(name)(SPACE, max_resource=9, min_resource=3, max_trials=6, seed=2)
        where: dict[str, Any] = {"gpus": "inline", "results_dir": tmp_path / "run", "progress": "none"}
        return tune(needs_a_file, scheduler, **where, **options)

    assert search().outcome.failures == 3
    assert search(resume=True).outcome.failures == 3
    flag.touch()
    done = search(resume=True, retry_failed=True)
    assert (done.outcome.failures, done.outcome.trials) == (0, 6)
    records = read_journal(done.directory / "journal.jsonl").records
    assert [record["trial"] for record in records if record["type"] == "retried"] == [1, 3, 5]
    again = [record for record in records if record["type"] == "job" and record["attempt"] == 1]
    assert [(record["trial"], record["start"]) for record in again][:3] == [(1, 1), (3, 1), (5, 1)]
    assert search(resume=True).outcome.units == done.outcome.units  # replayed, exactly
    assert not any(trial.state == "failed" for trial in load_run(done.directory).trials.values())


def test_trying_failed_ones_again_needs_a_search_that_goes_on(tmp_path: Path) -> None:
    with pytest.raises(AshaError, match="retry_failed=True goes with resume=True"):
        tune(needs_a_file, ASHA(SPACE, max_trials=2), results_dir=tmp_path / "run", retry_failed=True)
    assert not (tmp_path / "run").exists()


def delete(directory: Path) -> None:
    shutil.rmtree(directory)


def move(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))


def replace(directory: Path) -> None:
    move(directory)
    directory.mkdir()


def delete_the_journal(directory: Path) -> None:
    (directory / "journal.jsonl").unlink()


@pytest.mark.parametrize("units", [0, 1, 2])
@pytest.mark.parametrize("away", [delete, move, replace, delete_the_journal])
def test_a_results_directory_that_goes_ends_the_search_and_is_not_made_again(
    away: Any, units: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"

    def train(trial: Trial) -> None:
        for unit in trial.units():
            if trial.id == 1 and unit == units + 1 and (directory / "journal.jsonl").exists():
                away(directory)
            trial.save({"unit": unit})  # which may fail, and that is no failure of the trial
            trial.report(0.5)

    with pytest.raises(JournalGone) as caught:
        run(train, tmp_path, min_resource=3)
    assert str(directory) in str(caught.value)
    assert ("deleted" in str(caught.value)) == (away in (delete, delete_the_journal))
    assert "cannot be written" not in capsys.readouterr().err
    assert directory.exists() == (away in (replace, delete_the_journal))
    assert not (directory / "results.json").exists()
    assert away is not replace or not any(directory.iterdir())
    if away is move:
        moved = tmp_path / "elsewhere"
        assert not any(record["type"] == "failed" for record in read_journal(moved / "journal.jsonl").records)
        scheduler = ASHA(SPACE, max_resource=9, max_trials=4, min_resource=3)
        again = tune(train, scheduler, gpus="inline", results_dir=moved, progress="none", resume=True)
        assert again.outcome.reason == "complete"


def test_a_checkpoint_of_another_unit_than_the_best_says_so(tmp_path: Path) -> None:
    result = run(jobs.every_third, tmp_path)
    assert result.best.resource == 8
    assert result.summary["best_checkpoint"] == {"value": 8.0, "resource": 9}
    assert load_checkpoint(result.directory / "checkpoints" / "best.pt")["resource"] == 9


@pytest.mark.long
@pytest.mark.parametrize("trials", [(4,), (2, 4), (4, 6)])
def test_the_target_is_reached_when_the_report_says_so_whatever_the_sessions(
    tmp_path: Path, trials: tuple[int, ...]
) -> None:
    for target in (0.0, 4.0, 9.0, 10.0):
        for many in trials:
            scheduler = ASHA(SPACE, max_resource=9, max_trials=many, min_resource=9)
            folder = tmp_path / f"run-{target}"
            result = tune(
                jobs.work, scheduler, gpus="inline", results_dir=folder, progress="none", target=target,
                resume=True,
            )  # fmt: skip
        judged = time_to_target(load_run(folder), target)
        assert (result.reached is None) == judged.censored
        if result.reached is not None:
            assert result.reached.units == judged.units
            assert result.reached.seconds == pytest.approx(judged.seconds, abs=0.05)
            assert result.reached.gpu_hours == pytest.approx(judged.gpu_hours, abs=0.05 / 3600)


def test_device_hours_to_a_target_are_those_of_each_session() -> None:
    leaderboard = Leaderboard("max")
    watch = TargetWatch(0.5, leaderboard, [(0.0, 4), (100.0, 1), (300.0, 2)])
    view = SearchView(ASHA(SPACE, max_trials=1), Budget(), [])
    for t, value in ((50.0, 0.4), (200.0, float("nan")), (320.0, 0.5), (330.0, 0.9)):
        view.now = t
        event = Report(0, 0, leaderboard.reports + 1, value, 1.0)
        leaderboard.on_event(view, event)
        watch.on_event(view, event)
    assert watch.reached == Reached(320.0, (100 * 4 + 200 * 1 + 20 * 2) / 3600, 3)


def test_a_task_that_never_saves_has_no_checkpoint(tmp_path: Path) -> None:
    result = run(jobs.tells_its_environment, tmp_path)
    assert result.summary["best_checkpoint"] is None


def test_a_scheduler_is_used_once(tmp_path: Path) -> None:
    scheduler = ASHA(SPACE, max_resource=3, max_trials=2)
    tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "a", progress="none")
    with pytest.raises(AshaError, match="make a new one"):
        tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "b", progress="none")
    assert not (tmp_path / "b").exists()


class Stumbles(ASHA):
    def arrived(self, trial: Any, loss: float) -> None:
        if self.units >= 3:
            raise RuntimeError("a scheduler's own defect")
        super().arrived(trial, loss)


def test_an_error_after_hours_of_reports_leaves_the_results(tmp_path: Path) -> None:
    scheduler = Stumbles(SPACE, max_resource=3, max_trials=6)
    with pytest.raises(RuntimeError, match="own defect"):
        tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["reason"] == "error"
    assert stored["best"]["trial"] == scheduler.best.trial  # type: ignore[union-attr]
    assert (tmp_path / "run" / "checkpoints" / "best.pt").exists()


class Broken(ASHA):
    def ask(self) -> Any:
        raise ZeroDivisionError


def test_a_search_that_ends_before_its_first_report_leaves_nothing_whatever_ends_it(tmp_path: Path) -> None:
    scheduler = Broken(SPACE, max_resource=1, max_trials=1)
    folder = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        tune(jobs.work, scheduler, gpus="inline", results_dir=folder, progress="none")
    assert not folder.exists()


@pytest.mark.processes
def test_a_task_that_cannot_be_sent_leaves_nothing_and_mended_it_runs(tmp_path: Path) -> None:
    task = jobs.function_task(partial(jobs.work_with, threading.Lock()))
    settings: Any = {"gpus": "cpu", "results_dir": tmp_path / "run", "progress": "none"}
    with pytest.raises(WorkerError, match="cannot be sent"):
        tune(task, ASHA(SPACE, max_resource=1, max_trials=1), **settings)
    assert not (tmp_path / "run").exists()
    assert run(jobs.work, tmp_path).directory == tmp_path / "run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"progress": "bogus"}, "progress is 'bogus'"),
        ({"variation": "ohgw-1step"}, r"the task has none: subclass trials\.TorchTask"),
        ({"variation": "nope"}, "unknown variation"),
        ({"budget": "soon"}, "budget is 'soon'"),
    ],
)
def test_a_wrong_argument_leaves_nothing(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    settings: Any = {"gpus": "cpu", "results_dir": tmp_path / "run", "progress": "none", **arguments}
    with pytest.raises(AshaError, match=message):
        tune(jobs.work, ASHA(SPACE, max_trials=2, max_resource=1), **settings)
    assert not (tmp_path / "run").exists()


def test_importing_a_task_begins_no_search(tmp_path: Path) -> None:
    with (
        importing("script.py"),
        pytest.raises(AshaError, match=r"script\.py begins a search when it is imported"),
    ):
        run(jobs.work, tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.processes
@pytest.mark.long
def test_where_no_worker_can_be_set_up_a_line_says_why_and_its_log_is_all_that_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    settings: Any = {"workers_per_gpu": 2, "gpus": "cpu", "results_dir": folder, "progress": "plain"}
    with pytest.raises(TaskError) as caught:
        tune(jobs.RaisesInSetUp(), ASHA(SPACE, max_resource=1, max_trials=2), **settings)
    reason, _, log = str(caught.value).removesuffix(")").partition(" (more in ")
    assert reason.startswith("the task cannot be set up: KeyError: 'rows' (jobs.py, line")
    assert Path(log).read_text().count("Traceback") == 1
    assert "Traceback" not in "".join(capfd.readouterr())
    left = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert left <= {"workers", "workers/0.log", "workers/1.log"}
    run(jobs.work, tmp_path)  # mended: into the same directory
    assert (folder / "results.json").exists()


def resumed(folder: Path, scheduler: ASHA, **settings: Any) -> Any:
    return tune(
        jobs.work,
        scheduler,
        gpus="inline",
        results_dir=folder / "run",
        progress="none",
        **{"resume": True, **settings},
    )


def test_resume_begins_where_nothing_is_and_goes_on_where_something_is(tmp_path: Path) -> None:
    first = resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=3))
    assert first.outcome.reason == "complete"
    assert first.outcome.trials == 3
    more = resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=6))
    assert more.outcome.trials == 6
    calm = tune(
        jobs.work,
        ASHA(SPACE, max_resource=3, max_trials=6),
        gpus="inline",
        results_dir=tmp_path / "calm",
        progress="none",
    )
    assert more.best == calm.best
    assert sorted(map(repr, more.summary["top"])) == sorted(map(repr, calm.summary["top"]))
    assert more.outcome.seconds >= first.outcome.seconds


class Impatient(Observer):
    """Breaks off in the middle, as an error or a debugger's user does."""

    def on_event(self, view: Any, event: Any) -> None:
        if view.scheduler.units >= 4:
            raise KeyboardInterrupt


def test_an_interrupted_search_goes_on_to_what_it_would_have_been(tmp_path: Path) -> None:
    made = partial(ASHA, SPACE, max_resource=9, max_trials=7)
    with pytest.raises(KeyboardInterrupt):
        resumed(tmp_path / "a", made(), observers=[Impatient()])
    broken = resumed(tmp_path / "a", made())
    calm = resumed(tmp_path / "b", made())
    assert broken.best == calm.best
    assert broken.summary["top"] == calm.summary["top"]
    assert broken.summary["units"] == calm.summary["units"]


def test_without_resume_a_used_directory_is_refused(tmp_path: Path) -> None:
    resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=3))
    with pytest.raises(AshaError, match="holds a search"):
        resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=3), resume=False)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 1}, "its scheduler has seed 0, and this one 1"),
        ({"max_resource": 9}, "levels"),
        ({"reduction_factor": 2}, "levels"),
        ({"mode": "min"}, "mode"),
    ],
)
def test_a_scheduler_of_another_search_is_refused(other: dict[str, Any], named: str, tmp_path: Path) -> None:
    same = {"max_resource": 3, "max_trials": 3}
    resumed(tmp_path, ASHA(SPACE, **same))
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    with pytest.raises(AshaError, match=named):
        resumed(tmp_path, ASHA(SPACE, **{**same, **other}))
    with pytest.raises(AshaError, match="dimension x"):
        resumed(tmp_path, ASHA(SearchSpace({"x": Float(0.0, 2.0)}), **same))
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before


def test_resume_needs_to_know_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AshaError, match="resume=True needs results_dir"):
        tune(jobs.work, ASHA(SPACE, max_trials=2), gpus="inline", resume=True)
    assert not list(tmp_path.iterdir())


class Sized(Task):
    space, max_resource = SPACE, 3

    def __init__(self, size: Any) -> None:
        self.size = size

    def run(self, trial: Any) -> None:
        for _ in trial.units():
            trial.report(trial.config["x"])


@pytest.mark.parametrize("size", [(64, 64), [1, (2, 3)], {1: "a"}, math.inf, math.nan, None, "\udc80"])
def test_an_option_that_json_writes_otherwise_is_still_the_same_option(size: Any, tmp_path: Path) -> None:
    for _ in range(2):
        scheduler = ASHA(SPACE, max_resource=3, max_trials=2)
        result = tune(
            Sized(size), scheduler, gpus="inline", results_dir=tmp_path, progress="none", resume=True
        )
        assert result.outcome.reason == "complete"


def test_a_journal_without_the_end_of_its_first_line_is_damaged_not_deleted(tmp_path: Path) -> None:
    space = SearchSpace({f"a_dimension_with_a_long_name_{i}": Float(0.0, 1.0) for i in range(30)})

    def once() -> Any:
        scheduler = ASHA(space, max_resource=3, max_trials=3)
        train = jobs.every_third
        return tune(train, scheduler, gpus="inline", results_dir=tmp_path, progress="none", resume=True)

    once()
    journal = tmp_path / "journal.jsonl"
    data = journal.read_bytes().replace(b"\n", b"\x0b", 1)
    journal.write_bytes(data)
    with pytest.raises(AshaError, match=r"journal\.jsonl"):
        once()
    assert journal.read_bytes() == data


def test_who_loses_a_race_for_a_directory_does_not_take_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another engine begins, and ends, between this one's look at the directory and its lock."""

    class Late(RunLock):
        def __init__(self, path: Path, token: str) -> None:
            monkeypatch.undo()
            resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=3), resume=False)
            super().__init__(path, token)

    monkeypatch.setattr("asha_core.launch.session.RunLock", Late)
    with pytest.raises(AshaError):
        resumed(tmp_path, ASHA(SPACE, max_resource=3, max_trials=3, seed=1), resume=False)
    assert (tmp_path / "run" / "results.json").exists()


def looks_at_the_journal(trial: Trial) -> None:
    journal = Path(os.environ["ASHA_TEST_FLAG"]) / "journal.jsonl"
    for unit in trial.units():
        reported = sum(record["type"] == "report" for record in read_journal(journal).records)
        trial.report(reported - (unit - 1))


def test_inline_jobs_are_journalled_as_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Ctrl-C, or a kill, costs a unit and not the job."""
    monkeypatch.setenv("ASHA_TEST_FLAG", str(tmp_path / "run"))
    scheduler = ASHA(SPACE, min_resource=9, max_resource=9, max_trials=1)
    tune(looks_at_the_journal, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    values = [r["value"] for r in read_journal(tmp_path / "run" / "journal.jsonl").records if "value" in r]
    assert values == [0.0] * 9


class _WaitsForTheOthers(Task):
    """Is prepared when all the searches have come so far, each with its directory's name chosen."""

    space = SPACE
    all_named = threading.Barrier(5)

    def prepare(self) -> None:
        self.all_named.wait(30)

    def run(self, trial: Trial) -> None:
        jobs.reports(trial)


def test_of_searches_that_begin_in_the_same_second_each_gets_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """keras-tuner#301"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("asha_core.launch.naming.time.strftime", lambda _: "20260101-120000")

    def search(_: int) -> Path:
        scheduler = ASHA(SPACE, max_resource=3, max_trials=2)
        return tune(_WaitsForTheOthers(), scheduler, gpus="inline", progress="none").directory

    with ThreadPoolExecutor(5) as threads:
        directories = list(threads.map(search, range(5)))
    names = sorted(directory.name for directory in directories)
    assert names[0].endswith("-20260101-120000")
    assert names == [names[0], *(f"{names[0]}-{number}" for number in range(2, 6))]
    assert all((directory / "results.json").exists() for directory in directories)


def test_a_search_that_cannot_begin_leaves_no_directory_that_it_named_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AshaError, match="the data is not there"):
        tune(jobs.CannotSetUp(), ASHA(SPACE, max_trials=2), gpus="inline", progress="none")
    assert list((tmp_path / "results").iterdir()) == []


FEW = SearchSpace({"x": Choice([0.1, 0.2]), "n": Int(1, 2)})


@pytest.mark.parametrize(
    ("trials", "searcher", "said"),
    [
        (5, None, "note: the space has 4 configurations, and 5 trials will repeat them with other seeds"),
        (4, None, ""),
        (5, GridSearch(FEW, 0), ""),
    ],
)  # fmt: skip
def test_more_trials_than_the_space_has_configurations_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trials: int, searcher: Any, said: str
) -> None:
    scheduler = ASHA(FEW, max_resource=1, max_trials=trials, searcher=searcher)
    tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="plain")
    told = capsys.readouterr().err
    assert ("configurations, and" in told) == bool(said)
    assert said in told
