"""One contract, over every executor; then what processes alone can do: die."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import TaskError, WorkerError
from asha_core.messages import Failed, Finished, Lost, Refined, Report
from asha_core.runtime.executor import WorkerReady
from asha_core.runtime.interrupts import stop_signals
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.trials import jobs
from tests.trials.executors.pools import Make, SharedPool, collect, finish, gone, maker, pids, shared_pool
from trials.checkpoints.files import load_checkpoint
from trials.executors.inline import InlineExecutor
from trials.executors.worker_slot import StartLimits
from trials.worker.job_runner import WorkerSettings


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPool]:
    yield from shared_pool(tmp_path_factory.mktemp("shared"))


@pytest.fixture(params=["inline", "pool"])
def running(request: pytest.FixtureRequest, shared: SharedPool, tmp_path: Path) -> Iterator[Make]:
    """Gives an executor, which is shared with other tests, for a function."""
    if request.param == "pool":
        yield shared.running
    else:
        yield from maker("inline", tmp_path)


@pytest.fixture(params=["inline", "pool"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes an executor of the test's own."""
    yield from maker(request.param, tmp_path)


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Make]:
    yield from maker("pool", tmp_path)


def test_a_trial_resumes_on_another_worker(shared: SharedPool, tmp_path: Path) -> None:
    pool = shared.running(jobs.work)
    finish(shared.inline(jobs.work), jobs.job(until=1))
    events = finish(pool, jobs.job(start=1, until=2))
    assert [(e.resource, e.value) for e in events if isinstance(e, Report)] == [(2, 0.5)]


def test_a_worker_keeps_a_checkpoint_that_the_journal_knows_of(shared: SharedPool) -> None:
    """What ``wait`` gave is journalled by its next call; if the engine dies before that, it never was."""
    pool, directory = shared.running(jobs.hurries), shared.directory
    pool.submit(jobs.job(until=9), 0)
    seen = 0
    deadline = time.monotonic() + 60
    while seen < 9 and time.monotonic() < deadline:
        events = pool.wait(1.0)
        time.sleep(0.05)  # the engine is slow, or dead
        kept = [
            load_checkpoint(path)["resource"]
            for kind in ("last", "previous")
            if (path := directory.trial_checkpoint(0, kind)).exists()
        ]
        assert not seen or min(kept) <= seen
        seen += sum(isinstance(event, Report) for event in events)
    assert seen == 9


def test_a_raised_exception_is_failed_with_its_traceback_and_the_slot_lives_on(
    running: Make, shared: SharedPool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    executor = running(jobs.fails_at_unit_two)
    *_, last = finish(executor, jobs.job(trial=4, until=3))
    assert isinstance(last, Failed)
    assert last.error == "ValueError: no such luck"
    inline = isinstance(executor, InlineExecutor)
    log = RunDirectory(tmp_path / "run" if inline else shared.directory.path).trial_log(4)
    text = log.read_text() + "".join(capfd.readouterr())
    assert "about to fail" in text
    assert "Traceback" in text
    assert list(executor.free()) == [0]
    assert isinstance(finish(executor, jobs.job(trial=5, until=1))[-1], Report)


@pytest.mark.parametrize(
    ("function", "until", "expected"),
    [
        (jobs.converges_before_it_reports, 5, [1, 2, Finished(0, 0, 2)]),
        (jobs.breaks_off, 5, [1, 2, Finished(0, 0, 2)]),
        (jobs.breaks_off, 3, [1, 2, Finished(0, 0, 2)]),
    ],
)
def test_a_trial_that_stops_early_has_finished(
    function: Any, until: int, expected: list[Any], running: Make
) -> None:
    executor = running(function)
    events = finish(executor, jobs.job(until=until))
    assert [event.resource if isinstance(event, Report) else event for event in events] == expected
    assert list(executor.free()) == [0]


def test_a_trial_that_notices_only_after_a_resume_has_finished_where_it_was(running: Make) -> None:
    executor = running(jobs.notices_after_a_resume)
    finish(executor, jobs.job(until=2))
    assert finish(executor, jobs.job(start=2, until=5)) == [Finished(0, 0, 2)]


def test_a_trial_that_restarted_and_stops_earlier_has_finished_at_its_last_report(running: Make) -> None:
    events = finish(running(jobs.converges_after_two), jobs.job(start=3, until=5))
    assert events[-1] == Finished(0, 0, 3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (jobs.has_converged_at_nothing, "trial 0 stopped early before its first trial.report"),
        (jobs.converges_and_fails, "ValueError: no such luck"),
        (jobs.never_reports, "or call trial.stop_early() if it has converged"),
    ],
)
def test_a_trial_that_cannot_have_finished_has_failed(running: Make, function: Any, message: str) -> None:
    *_, last = finish(running(function), jobs.job(until=3))
    assert isinstance(last, Failed)
    assert message in last.error


def test_a_killed_worker_is_noticed_though_its_child_lives_on_and_the_child_is_ended(
    shared: SharedPool,
) -> None:
    """A forked child holds the worker's pipes open, as a data loader's would."""
    pool = shared.running(jobs.dies_with_a_child)
    began = time.monotonic()
    *_, last = finish(pool, jobs.job())
    assert isinstance(last, Lost)
    assert time.monotonic() - began < 30  # the child would sleep for 300
    child = int(shared.flag.read_text())
    assert gone(lambda: jobs.alive(child))


def test_a_killed_worker_is_lost_once_and_costs_the_unit_between_save_and_report_alone(
    shared: SharedPool,
) -> None:
    pool = shared.running(jobs.killed_between_save_and_report)
    [first] = pids(pool)
    *reports, lost = finish(pool, jobs.job(until=3))
    assert isinstance(lost, Lost)
    assert "SIGKILL" in lost.reason
    # reports that left the worker before it died are not lost with it
    assert [e.resource for e in reports if isinstance(e, Report)] == [1, 2]
    again = finish(pool, jobs.job(start=2, until=3, attempt=1))
    assert [(e.resource, e.value) for e in again if isinstance(e, Report)] == [(3, 0.75)]
    assert pids(pool) != [first]


def test_a_task_that_cannot_be_sent_to_a_worker_is_explained(make_pool: Make) -> None:
    lock = threading.Lock()
    said = r"cannot be sent to worker processes: the closure variable 'lock' of .*<lambda> is a lock .*inline"
    with pytest.raises(WorkerError, match=said):
        make_pool(lambda trial: lock)


def test_a_task_that_no_worker_can_read_is_explained_at_once(make_pool: Make) -> None:
    pool = make_pool(jobs.ReadNowhere())
    with pytest.raises(TaskError, match=r"cannot be read by worker processes \(ValueError: not here"):
        finish(pool, jobs.job())


def test_a_daemon_such_as_a_worker_of_a_pool_may_have_workers(
    make_pool: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = multiprocessing.current_process()
    monkeypatch.setitem(this._config, "daemon", True)  # type: ignore[attr-defined]
    *_, last = finish(make_pool(jobs.reports), jobs.job(until=1))
    assert isinstance(last, Report)
    assert this.daemon


def test_a_script_in_a_debugger_may_have_workers(make_pool: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own runs it as a main module that has no spec, not even None."""
    monkeypatch.delattr(sys.modules["__main__"], "__spec__")
    *_, last = finish(make_pool(jobs.reports), jobs.job(until=1))
    assert isinstance(last, Report)


def test_a_worker_killed_while_idle_is_replaced_without_a_word(shared: SharedPool) -> None:
    pool = shared.running(jobs.reports)
    [victim] = pids(pool)
    os.kill(victim, signal.SIGKILL)
    patience = time.monotonic() + 30
    while pids(pool) == [victim] and time.monotonic() < patience:
        assert not [e for e in pool.wait(0.2) if not isinstance(e, WorkerReady)]
    assert pids(pool) != [victim]
    assert isinstance(finish(pool, jobs.job(trial=1, until=1))[-1], Report)


def test_workers_are_pinned_before_anything_can_import_torch(make_pool: Make, tmp_path: Path) -> None:
    pool = make_pool(jobs.tells_its_environment, environment={"CUDA_VISIBLE_DEVICES": "7"})
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    *_, last = finish(pool, jobs.job(until=1))
    assert isinstance(last, Report)
    assert last.value == 7.0
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
    log = (tmp_path / "run" / "trials" / "0" / "log.txt").read_text()
    assert "pinned=7 torch=False" in log
    assert "from a child process" in log


def test_close_kills_what_runs_and_leaves_no_process(make_pool: Make) -> None:
    pool = make_pool(jobs.sleeps, slots=2)
    pool.submit(jobs.job(), 0)
    collect(pool, WorkerReady)
    workers = pids(pool)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 20
    assert len(workers) == 2
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_task_that_cannot_be_set_up_stops_the_search_with_its_own_words(make_pool: Make) -> None:
    pool = make_pool(jobs.CannotSetUp())
    with pytest.raises(TaskError, match="the data is not there: put it somewhere"):
        finish(pool, jobs.job())


def test_an_exception_in_set_up_is_one_line_with_its_place(make_pool: Make) -> None:
    pool = make_pool(jobs.RaisesInSetUp())
    with pytest.raises(TaskError, match=r"cannot be set up: KeyError: 'rows' \(jobs\.py, line \d+\)"):
        finish(pool, jobs.job())


@pytest.mark.parametrize("function", [jobs.replaces_its_output, jobs.takes_its_output_away])
def test_whatever_a_trial_puts_in_the_place_of_its_output_costs_no_worker(
    function: Any, shared: SharedPool
) -> None:
    """ray#12784"""
    pool = shared.running(function)
    before = pids(pool)
    for number in range(3):
        assert isinstance(finish(pool, jobs.job(trial=number))[-1], Report)
    assert pids(pool) == before
    pool.kill(0, Lost(0, 0, "the test is over"))


def test_where_no_worker_can_be_started_the_search_ends_at_the_first_try(
    make_pool: Make, tmp_path: Path
) -> None:
    pool = make_pool(jobs.DiesInSetUp(), limits=StartLimits(pause=1000.0))
    with pytest.raises(WorkerError, match="worker 0 exited with status 3 while starting: a driver crashed"):
        finish(pool, jobs.job())
    assert (tmp_path / "run" / "workers" / "0.log").read_text().count("a driver crashed") == 1


def _swallows_ctrl_c(trial: Any) -> None:
    """As Lightning's Trainer does."""
    try:
        trial.report(1.0)
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        sys.exit(1)


def _answers_sigterm(trial: Any) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    trial.report(1.0)
    signal.raise_signal(signal.SIGTERM)


def _only_looks_at_sigterm(trial: Any) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    for _ in trial.units():
        trial.report(1.0)
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("function", [_swallows_ctrl_c, _answers_sigterm, _only_looks_at_sigterm])
def test_a_search_in_this_process_ends_with_a_signal_that_its_task_answers(
    function: Any, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    told: list[Any] = []
    with stop_signals(then_exit=False, tasks_here=True) as stop:
        settings = WorkerSettings(jobs.function_task(function), str(directory.path), max_resource=9)
        executor = InlineExecutor(settings, interrupted=stop.asked)
        executor.listener = told.append
        executor.submit(jobs.job(until=3), 0)
        with pytest.raises(KeyboardInterrupt):
            executor.wait(1.0)
    assert [type(event) for event in told] == [Report, Lost]
    assert told[-1].kind == "stopped"


def test_a_child_s_signal_is_not_the_search_s(tmp_path: Path) -> None:
    with stop_signals(then_exit=False, tasks_here=True) as stop:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
            signal.raise_signal(signal.SIGTERM)
        os.waitpid(child, 0)
        assert not stop.asked()


def test_a_job_in_its_last_unit_when_the_search_stops_ends_as_ever(make: Make) -> None:
    executor = make(jobs.long_unit)
    executor.submit(jobs.job(until=1), 0)
    if isinstance(executor, InlineExecutor):
        threading.Timer(0.2, executor.stop).start()
    else:
        collect(executor, WorkerReady)
        time.sleep(0.2)
        executor.stop()
    assert collect(executor, Report)[-1].resource == 1


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        (jobs.memory_error, "oom", "MemoryError"),
        (jobs.torch_out_of_memory, "oom", "CUDA out of memory"),
        (jobs.cublas_out_of_memory, "oom", "CUBLAS_STATUS_ALLOC_FAILED"),
        (jobs.disk_full, "disk", "disk full: OSError: [Errno 28] No space left on device"),
        (jobs.stops_oddly, "error", "Odd: \\udc80"),
    ],
)
def test_what_an_exception_means_for_the_search(running: Make, function: Any, kind: str, words: str) -> None:
    executor = running(function)
    *_, last = finish(executor, jobs.job())
    assert isinstance(last, Lost if kind == "disk" else Failed)
    assert last.kind == kind
    assert words in (last.reason if isinstance(last, Lost) else last.error)
    assert isinstance(finish(executor, jobs.job(trial=1, until=1, x=1.0))[-1], Report)  # the slot lives on


def test_a_warm_start_that_gives_what_no_journal_can_hold_is_named(tmp_path: Path) -> None:
    for inline in maker("inline", tmp_path):
        executor = inline(jobs.work)
        executor._runner._warm_start = jobs.Unjournalable()
        *_, last = finish(executor, jobs.job()._replace(refine=True))
        assert isinstance(last, Failed)
        assert last.kind == "setup"
        assert "warm start 'odd': diagnostics['what'] is of type object, which JSON cannot hold" in last.error


def test_a_warm_start_is_told_what_earlier_ones_learned_as_a_journal_has_it(tmp_path: Path) -> None:
    """So it meets the same in a search that is resumed; whatever it does with it stays its own affair."""
    for inline in maker("inline", tmp_path):
        executor = inline(jobs.work)
        executor._runner._warm_start = jobs.Recalls({"lr": 0.5})
        earlier = ({"lr": (math.nan, 2)}, {"lr": [1.0]})
        refined, *_ = finish(executor, jobs.job()._replace(refine=True, earlier=earlier))
        assert refined.diagnostics["told"] == '[{"lr": ["nan", 2]}, {"lr": [1.0]}]'
        assert refined.diagnostics["learned"] == {"lr": 0.5}
        assert earlier[1] == {"lr": [1.0]}


def test_a_warm_start_that_leaves_too_much_to_later_ones_is_named(tmp_path: Path) -> None:
    for inline in maker("inline", tmp_path):
        executor = inline(jobs.work)
        executor._runner._warm_start = jobs.Recalls("x" * 4094)
        first, *_ = finish(executor, jobs.job()._replace(refine=True))
        assert isinstance(first, Refined)
        executor._runner._warm_start = jobs.Recalls("x" * 4095)
        *_, last = finish(executor, jobs.job(trial=1)._replace(refine=True))
        assert (type(last), last.kind) == (Failed, "setup")
        assert "diagnostics['learned'] is 4,097 characters of JSON: give at most 4,096" in last.error
