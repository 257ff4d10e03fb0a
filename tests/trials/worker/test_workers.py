"""Worker processes that are stopped, stuck, asked to leave, out of memory, or never up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import ReportError, TaskError, WorkerError
from asha_core.messages import Failed, Lost, Report
from asha_core.runtime.executor import Notice, Retired, WorkerReady
from tests.trials import jobs, slow_imports
from tests.trials.executors.pools import Make, SharedPool, collect, finish, gone, maker, pids, shared_pool
from trials.executors.worker_slot import StartLimits
from trials.worker import memory, processes
from trials.worker.failures import closing_event
from trials.worker.heartbeat import EventSender

pytestmark = pytest.mark.skipif(not processes.HAVE_PROC, reason="there is no /proc here")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPool]:
    yield from shared_pool(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Make]:
    yield from maker("pool", tmp_path)


def test_silent_workers_are_hung_ended_and_replaced_unless_they_compute(
    make_pool: Make, tmp_path: Path
) -> None:
    """One is stopped with a child of its own, one sleeps with Python's lock, one computes with it; one is
    stopped while it starts. The limits are 2 s.
    """
    flag = tmp_path / "flag"
    pool = make_pool(
        jobs.silent_by_number,
        slots=4,
        environment={"ASHA_TEST_FLAG": str(flag)},
        heartbeat_timeout=2.0,
        start_timeout=2.0,
    )
    first = pids(pool)
    os.kill(first[3], signal.SIGSTOP)
    for number in range(4):
        pool.submit(jobs.job(trial=number, until=3 if number == 0 else 1), number)
    ended: dict[int, Any] = {}
    while len(ended) < 4:
        for event in pool.wait(1.0):
            if isinstance(event, Lost) or (isinstance(event, Report) and event.trial):
                ended[event.trial] = event
    assert ended[0].kind == "hung"
    assert ended[0].reason.startswith("worker 0 gave no sign of life for 2 s (state T: stopped), and heart")
    assert ended[0].counts
    assert not any(jobs.alive(int(pid)) for pid in flag.read_text().split())
    assert ended[1].kind == "hung"
    assert "(state S: waiting)" in ended[1].reason
    assert ended[2].seconds > 2.2  # over the limit
    assert isinstance(ended[3], Report)  # by the next worker
    assert not jobs.alive(first[3])
    assert isinstance(finish(pool, jobs.job(start=1, until=3, attempt=1))[-1], Report)


def test_when_the_engine_was_frozen_no_worker_is_to_blame(make_pool: Make) -> None:
    """Its clock jumps by an hour between two looks, as after SIGSTOP and SIGCONT of it all."""
    jump = 0.0
    pool = make_pool(jobs.reports, heartbeat_timeout=10.0, clock=lambda: time.monotonic() + jump)
    collect(pool, WorkerReady)
    [worker] = pids(pool)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(0.1)
    for _ in range(3):
        jump += 3600.0
        assert pool.wait(0.1) == []
    assert pids(pool) == [worker]
    assert jobs.alive(worker)
    os.kill(worker, signal.SIGCONT)
    assert isinstance(finish(pool, jobs.job(until=1))[-1], Report)


def test_kill_ends_a_worker_and_closes_its_job_with_the_event(shared: SharedPool) -> None:
    pool = shared.running(jobs.slow_units)
    pool.submit(jobs.job(until=100_000), 0)
    collect(pool, Report)
    [first] = pids(pool)
    event = Failed(0, 0, "it took too long", "timeout")
    pool.kill(0, event)
    assert not jobs.alive(first)
    assert list(pool.free()) == []  # not before the event is out
    *reports, last = pool.wait(1.0)
    assert all(isinstance(report, Report) for report in reports)
    assert last == event
    assert list(pool.free()) == [0]
    assert isinstance(finish(pool, jobs.job(trial=1, until=1))[-1], Report)


def test_kill_leaves_a_worker_alone_whose_job_has_closed(shared: SharedPool) -> None:
    pool = shared.running(jobs.reports)
    [worker] = pids(pool)
    pool.submit(jobs.job(trial=1, until=1), 0)
    time.sleep(0.3)  # it has closed, and nobody has heard of it
    pool.kill(0, Failed(1, 0, "it took too long", "timeout"))
    [report] = pool.wait(1.0)
    assert isinstance(report, Report)
    assert pool.wait(0.2) == []
    assert pids(pool) == [worker]
    assert jobs.alive(worker)
    assert isinstance(finish(pool, jobs.job(trial=2, until=1))[-1], Report)


def test_sigterm_lets_a_worker_finish_its_unit_and_is_no_fault_of_its_trial(shared: SharedPool) -> None:
    pool = shared.running(jobs.slow_units_saved)
    pool.submit(jobs.job(until=100_000), 0)
    collect(pool, Report)
    [worker] = pids(pool)
    os.kill(worker, signal.SIGTERM)
    events = collect(pool, Lost)
    *reports, lost = [event for event in events if not isinstance(event, WorkerReady)]
    assert lost == Lost(0, 0, "worker 0 was asked to leave (SIGTERM)", "stopped")
    assert gone(lambda: jobs.alive(worker))
    inline = shared.inline(jobs.slow_units_saved)
    again = finish(inline, jobs.job(start=len(reports) + 1, until=len(reports) + 2, attempt=1))
    assert [event.resource for event in again] == [len(reports) + 2]


@pytest.mark.parametrize("function", jobs.ANSWERS_TO_SIGTERM)
def test_however_a_task_answers_sigterm_its_trial_is_not_to_blame(function: Any, shared: SharedPool) -> None:
    pool = shared.running(function)
    pool.submit(jobs.job(until=3), 0)
    collect(pool, Report)
    [worker] = pids(pool)
    os.killpg(worker, signal.SIGTERM)  # with all that it has started
    lost = collect(pool, Lost)[-1]
    assert lost == Lost(0, 0, "worker 0 was asked to leave (SIGTERM)", "stopped")
    assert gone(lambda: jobs.alive(worker))


@pytest.mark.parametrize("function", jobs.ANSWERS_TO_SIGTERM + jobs.DEATHS_OF_SIGTERM)
def test_a_stop_is_lost_as_stopped_however_the_task_answers(function: Any, make_pool: Make) -> None:
    pool = make_pool(function)
    pool.submit(jobs.job(until=3), 0)
    collect(pool, Report)
    pool.stop()
    if function is jobs.loses_a_reader_to_sigterm:
        os.killpg(pids(pool)[0], signal.SIGTERM)
    lost = collect(pool, Lost)[-1]
    assert (lost.kind, lost.reason.partition(" (")[0]) == ("stopped", "the search was stopped")


def test_sigterm_to_idle_workers_time_and_again_is_no_failed_start(shared: SharedPool) -> None:
    pool = shared.running(jobs.reports)
    for _ in range(3):  # as many as would retire the slot
        os.kill(pids(pool)[0], signal.SIGTERM)
        collect(pool, WorkerReady)
    assert isinstance(finish(pool, jobs.job(until=1))[-1], Report)


def test_sigterm_ends_a_worker_at_once_while_it_is_set_up(make_pool: Make, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    pool = make_pool(jobs.SlowToSetUp(), environment={"ASHA_TEST_FLAG": str(flag)})
    assert gone(lambda: not flag.exists(), 30)
    [worker] = pids(pool)
    os.kill(worker, signal.SIGTERM)
    assert gone(lambda: jobs.alive(worker), 1.0)
    assert isinstance(finish(pool, jobs.job(until=1))[-1], Report)


def test_a_forked_child_of_a_worker_ends_with_sigterm(shared: SharedPool) -> None:
    [report] = finish(shared.running(jobs.forks), jobs.job(until=1))
    assert report.value == 1.0


def test_a_job_that_finds_its_worker_gone_is_the_next_one_s(shared: SharedPool) -> None:
    pool = shared.running(jobs.reports)
    [worker] = pids(pool)
    os.kill(worker, signal.SIGTERM)
    assert gone(lambda: jobs.alive(worker))
    pool.submit(jobs.job(until=1), 0)  # the pool has not looked since
    assert [type(e) for e in collect(pool, Report) if not isinstance(e, WorkerReady)] == [Report]


def test_a_worker_that_closes_its_files_and_lives_on_holds_up_nobody(shared: SharedPool) -> None:
    pool = shared.running(jobs.closes_its_files)
    pool.submit(jobs.job(), 0)
    began = time.monotonic()
    collect(pool, Lost)
    assert time.monotonic() - began < 20


def test_a_reaper_that_was_killed_is_renewed(make_pool: Make) -> None:
    pool = make_pool(jobs.work)
    collect(pool, WorkerReady)
    first = pool._reaper._process
    first.kill()
    deadline = time.monotonic() + 10
    while pool._reaper._process is first and time.monotonic() < deadline:
        pool.wait(0.2)
    assert pool._reaper.alive
    assert pool._reaper._process is not first


def test_a_worker_whose_gpu_forgets_no_error_is_replaced(make_pool: Make, tmp_path: Path) -> None:
    pool = make_pool(jobs.spoils_its_gpu)
    *_, failed = finish(pool, jobs.job(trial=0))
    assert isinstance(failed, Failed)
    assert "device-side assert" in failed.error
    *_, last = finish(pool, jobs.job(trial=1, until=1))
    assert isinstance(last, Report)
    first = (tmp_path / "run" / "trials" / "0" / "log.txt").read_text().split()[1]
    assert last.value != int(first)


def test_workers_outlive_the_thread_that_started_them(make_pool: Make) -> None:
    made: list[Any] = []

    def start() -> None:
        made.append(make_pool(jobs.reports))
        collect(made[0], WorkerReady)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    [pool] = made
    [worker] = pids(pool)
    time.sleep(0.1)
    assert [type(event) for event in finish(pool, jobs.job(until=1))] == [Report]
    assert pids(pool) == [worker]


def test_what_cannot_be_read_here_fails_its_trial_and_not_the_search(shared: SharedPool) -> None:
    pool = shared.running(jobs.sends_what_cannot_be_read)
    *_, failed = finish(pool, jobs.job())
    assert isinstance(failed, Failed)
    assert "worker 0 sent what cannot be read here: ZeroDivisionError" in failed.error
    assert isinstance(finish(pool, jobs.job(trial=1, until=1, x=1.0))[-1], Report)


def test_what_cannot_be_sent_is_refused_whole() -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    with reader, writer:
        with pytest.raises(ReportError, match="function cannot be sent to the engine"):
            EventSender(writer).send(lambda: None)
        assert not reader.poll()


def test_a_full_disk_costs_the_output_and_not_the_worker(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = (
        "import sys; from pathlib import Path; from trials.worker.output import output_to\n"
        "with output_to(Path('/dev/full')): print('lost')\n"
        "with output_to(Path(sys.argv[1]) / 'file' / 'log'): print('no directory')\n"
        "print('after')"
    )
    command = [sys.executable, "-E", "-c", program, str(tmp_path)]  # buffered, whatever is set
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("no directory\nafter\n")


HOWS = [
    ("exit", "worker 1 exited with status 3 while starting: the driver is not there"),
    ("mistake", "this GPU is too old"),
]


@pytest.mark.parametrize(("how", "reason"), HOWS)
def test_a_slot_without_a_worker_retires_and_the_others_go_on(how: str, reason: str, make_pool: Make) -> None:
    pool = make_pool(
        jobs.DiesWhere(), environment=[{}, {"ASHA_TEST_HOW": how}], limits=StartLimits(pause=0.05)
    )
    pool.submit(jobs.job(trial=5, until=1), 1)
    events = collect(pool, WorkerReady, Retired, Lost)
    [retired] = [event for event in events if isinstance(event, Retired)]
    assert (retired.slot, retired.reason.partition(" (more in ")[0]) == (1, reason)
    assert [event for event in events if isinstance(event, Lost)] == [Lost(5, 0, retired.reason, "not-begun")]
    assert list(pool.free()) == [0]
    assert isinstance(finish(pool, jobs.job(until=1))[-1], Report)
    with pytest.raises(ValueError, match="slot 1 is not free"):
        pool.submit(jobs.job(), 1)


def test_an_exception_in_set_up_is_tried_again_where_others_can_be_set_up(
    make_pool: Make, tmp_path: Path
) -> None:
    pool = make_pool(
        jobs.DiesWhere(), environment=[{}, {"ASHA_TEST_HOW": "exception"}], limits=StartLimits(pause=0.05)
    )
    *_, retired = collect(pool, Retired)
    assert retired.slot == 1
    assert "the task cannot be set up: RuntimeError: no memory yet (jobs.py, line" in retired.reason
    log = (tmp_path / "run" / "workers" / "1.log").read_text()
    assert log.count("RuntimeError: no memory yet") == 3


def test_a_worker_that_ends_when_it_imports_the_task_ends_the_search_at_once(make_pool: Make) -> None:
    end = "import os; os.kill(os.getppid(), 11)"
    environment = {"ASHA_TEST_CHILD": end}
    pool = make_pool(slow_imports.Compiled(), environment=environment, limits=StartLimits(pause=1000.0))
    said = "worker 0 was killed by SIGSEGV while starting, and said nothing$"
    with pytest.raises(WorkerError, match=said):
        finish(pool, jobs.job())


@pytest.mark.long
def test_imports_may_wait_for_a_compiler_and_for_nothing_no_longer_than_the_start_timeout(
    make_pool: Make,
) -> None:
    """ray#8890. One worker's child computes for longer than the limit, the other's does nothing."""
    computes, sleeps = "import time\nwhile time.process_time() < 1.5: pass", "import time; time.sleep(60)"
    pool = make_pool(
        slow_imports.Compiled(),
        environment=[{"ASHA_TEST_CHILD": computes}, {"ASHA_TEST_CHILD": sleeps}],
        start_timeout=0.7,
        limits=StartLimits(pause=0.0),
    )
    events = collect(pool, WorkerReady, Retired)
    said = "gave no sign of life for 0.7 s while starting (state S: waiting), and start-timeout is 0.7 s: "
    [retired] = [event for event in events if isinstance(event, Retired)]
    assert (retired.slot, retired.reason.startswith(f"worker 1 {said}")) == (1, True)
    notices = [event for event in events if isinstance(event, Notice)]
    again = f"worker 1 is started again: it {retired.reason.removeprefix('worker 1 ')}"
    assert [notice.text for notice in notices] == [again, again]
    assert [event.slot for event in events if isinstance(event, WorkerReady)] == [0]


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ("exit", WorkerError, "worker 0 exited with status 3"),
        ("mistake", TaskError, "this GPU is too old"),
        ("exception", TaskError, "the task cannot be set up: RuntimeError: no memory yet"),
    ],
)
def test_when_no_slot_is_left_the_search_ends(
    how: str, error: type[Exception], match: str, make_pool: Make
) -> None:
    pool = make_pool(
        jobs.DiesWhere(), slots=2, environment={"ASHA_TEST_HOW": how}, limits=StartLimits(pause=1000.0)
    )
    pool.submit(jobs.job(), 0)
    pool.submit(jobs.job(trial=1), 1)
    with pytest.raises(error, match=match):
        for _ in range(100):
            pool.wait(0.5)


def test_a_kill_minus_nine_is_called_what_it_probably_was(shared: SharedPool) -> None:
    *_, lost = finish(shared.running(jobs.always_dies), jobs.job())
    assert isinstance(lost, Lost)
    assert (
        "was killed by SIGKILL (nobody here sent it: an out-of-memory kill by a container, or" in lost.reason
    )


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory group of 60 MB."""
    v1 = Path("/sys/fs/cgroup/memory")
    group = (v1 if v1.exists() else v1.parent) / f"asha_test_{os.getpid()}"
    limit = "memory.limit_in_bytes" if v1.exists() else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text("60000000")
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no memory group can be made here: {error}")
    yield group
    group.rmdir()


def test_a_worker_killed_for_memory_is_told_so(make_pool: Make, tmp_path: Path, memory_group: Path) -> None:
    pool = make_pool(jobs.eats_memory, environment={"ASHA_TEST_FLAG": str(memory_group)})
    *_, lost = finish(pool, jobs.job())
    assert isinstance(lost, Lost)
    assert lost.kind == "died"
    assert "was killed by SIGKILL, by the kernel's out-of-memory killer (it held 0.0 GiB" in lost.reason
    assert "use fewer workers" in lost.reason
    pool.close()


def test_counters_of_kills_for_memory() -> None:
    assert not memory.has_risen({"a": 3}, {"a": 3, "b": 5})  # b was not there to be compared with
    assert memory.has_risen({"a": 3}, {"a": 4})
    if "oom_kill " in Path("/proc/vmstat").read_text():
        assert "/proc/vmstat" in memory.oom_kills()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def from_memory_error() -> BaseException:
    error = ValueError("cannot train")
    error.__cause__ = MemoryError()
    return error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "oom", "RuntimeError: Default"),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. "), "oom", "DataLoader"),
        (OSError(12, "Cannot allocate memory"), "oom", "OSError: [Errno 12]"),
        (from_memory_error(), "oom", "cannot train"),
        (ValueError("out of memory"), "error", "ValueError: out of memory"),
        (Unprintable(), "error", "its text cannot be had: RuntimeError"),
        (ValueError("x" * 10**6), "error", "(1000012 characters)"),
        (OSError(122, "Quota exceeded"), "disk", "disk full: OSError: [Errno 122] Quota exceeded"),
    ],
)
def test_exceptions_and_the_events_they_become(error: BaseException, kind: str, text: str) -> None:
    event: Any = closing_event(jobs.job(), error)
    words = event.reason if isinstance(event, Lost) else event.error
    assert event.kind == kind
    assert text in words
    assert len(words) < 5000
    words.encode()
