"""Processes are found by their mark and by descent, and ended; what nobody has marked is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asha_core.messages import Lost, Report
from asha_core.runtime.executor import Notice, Retired, WorkerReady
from tests.trials import jobs
from tests.trials.executors.pools import Make, collect, gone, maker, pids
from trials.executors.worker_slot import StartLimits
from trials.worker import processes

pytestmark = pytest.mark.skipif(not processes.HAVE_PROC, reason="there is no /proc here")

OWNER = """
import sys, time
from pathlib import Path
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.trials import jobs
from trials.devices import Slot
from trials.executors.pool import ProcessPool
from trials.worker.job_runner import WorkerSettings

directory = RunDirectory(Path(sys.argv[1]))
directory.create()
settings = WorkerSettings(jobs.function_task(jobs.has_a_family), str(directory.path), 9)
environment = {"ASHA_TEST_FLAG": sys.argv[1] + "/flag"}
pool = ProcessPool(settings, [Slot("cpu", "cpu", environment)] * 2, token=sys.argv[2])
for number in range(2):
    pool.submit(jobs.job(trial=number, until=100_000), number)
seen = {}
while True:
    for event in pool.wait(0.1):
        if hasattr(event, "pid"):
            seen[event.pid] = None
        elif event.trial not in seen:
            seen[event.trial] = None
            if len(seen) == 4:
                print(*seen, flush=True)
"""


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Make]:
    yield from maker("pool", tmp_path)


def started(path: Path) -> list[int]:
    """The children that a worker has told of."""
    assert gone(lambda: not path.exists(), 30)
    return [int(pid) for pid in path.read_text().split()]


def test_a_mark_is_inherited_and_told_apart(tmp_path: Path) -> None:
    def start(token: str, worker: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
        environment = {**os.environ, **processes.mark(token, worker)}
        return subprocess.Popen(command, env=environment, start_new_session=True)

    all_three = start("a1", "0.1"), start("a1", "0.12"), start("a12", "0.1")
    first, second, other = (process.pid for process in all_three)
    try:
        assert gone(lambda: processes.marked("a1") != {first, second})
        assert processes.marked("a1", "0.1") == {first}
        assert processes.end_marked("a1", but={second}) == {first}
        assert jobs.alive(second)
        assert jobs.alive(other)
        assert processes.end_marked("a1") == {second}
        assert processes.end_marked("a1") == set()
    finally:
        processes.end_marked("a12")
    assert [process.wait(5) for process in all_three] == [-signal.SIGKILL] * 3


@pytest.mark.parametrize("how", ["killed", "kill()", "close()"])
def test_a_worker_s_whole_family_goes_with_it(how: str, make_pool: Make, tmp_path: Path) -> None:
    pool = make_pool(jobs.has_a_family, environment={"ASHA_TEST_FLAG": str(tmp_path / "flag")})
    pool.submit(jobs.job(until=100_000), 0)
    collect(pool, Report)
    [worker] = pids(pool)
    children = started(tmp_path / "flag.0")
    family = processes.marked(pool.search_token)
    assert family >= {worker, *children}
    assert len(family) == 7  # and a tracker, and two whose parents are gone
    assert jobs.left_in_shared_memory(worker).exists()
    if how == "killed":
        os.kill(worker, signal.SIGKILL)
        collect(pool, Lost)
    elif how == "kill()":
        pool.kill(0, Lost(0, 0, "because", "hung"))
    else:
        pool.close()
    assert not family & processes.marked(pool.search_token)
    assert not any(jobs.alive(pid) for pid in family)
    assert not jobs.left_in_shared_memory(worker).exists()


def test_a_tracker_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.3)
    program = "import time; time.sleep(60)  # from multiprocessing.resource_tracker import main"
    command = [sys.executable, "-I", "-S", "-c", program]
    with subprocess.Popen(command, env={**os.environ, **processes.mark("b1", "0.1")}) as tracker:
        assert gone(lambda: processes.marked("b1") != {tracker.pid})
        began = time.monotonic()
        assert processes.end_marked("b1") == {tracker.pid}
        assert 0.3 < time.monotonic() - began < 5.0
        assert tracker.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("stopped", [False, True])
def test_a_killed_owner_leaves_no_process(stopped: bool, tmp_path: Path) -> None:
    token = f"f{os.getpid():x}{stopped:d}"
    command = [sys.executable, "-c", OWNER, str(tmp_path / "run"), token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert len(owner.stdout.readline().split()) == 4
            family = processes.marked(token)
            assert len(family) >= 14
            left = [path for pid in family if (path := jobs.left_in_shared_memory(pid)).exists()]
            assert len(left) == 2
            reapers = [pid for pid in processes._alive() if token in _command(pid) and pid != owner.pid]
            assert len(reapers) == 1
            if stopped:
                for pid in family:
                    os.kill(pid, signal.SIGSTOP)
        finally:
            owner.kill()
    assert gone(lambda: processes.marked(token), 10)
    assert gone(lambda: any(jobs.alive(pid) for pid in family), 1)  # one that is ending carries no mark
    assert gone(lambda: jobs.alive(reapers[0]), 10)
    assert not any(path.exists() for path in left)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_without_a_reaper_the_workers_see_to_it(make_pool: Make, tmp_path: Path) -> None:
    """As on a system where none could be started: the reaper is killed before its engine is."""
    token = f"e{os.getpid():x}"
    command = [
        sys.executable,
        "-c",
        f"from trials.worker import reaper\nreaper.Reaper = {_NO_REAPER}\n" + OWNER,
    ]
    command += [str(tmp_path / "run"), token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert len(owner.stdout.readline().split()) == 4
            family = processes.marked(token)
            assert len(family) >= 14
            left = [path for pid in family if (path := jobs.left_in_shared_memory(pid)).exists()]
            assert len(left) == 2
        finally:
            owner.kill()
    assert gone(lambda: processes.marked(token), 10)
    assert not any(path.exists() for path in left)


_NOTHING = "lambda *a: None"
_NO_REAPER = (
    f"type('None_', (), dict(__init__={_NOTHING}, alive=False, renew={_NOTHING}, release={_NOTHING}))"
)


def test_file_descriptors_are_given_back(make_pool: Make) -> None:
    warm = make_pool(jobs.reports)  # what is opened once for all
    collect(warm, WorkerReady)
    warm.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    pool = make_pool(jobs.reports)
    for _ in range(2):
        collect(pool, WorkerReady)
        os.kill(pids(pool)[0], signal.SIGKILL)
        time.sleep(0.1)
    collect(pool, WorkerReady)
    pool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file from which an nvidia-smi of our own making reads who holds memory."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {tmp_path}/holders\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "holders"


def test_a_gpu_gets_its_next_worker_when_the_last_one_s_memory_is_free(gpu: Path, make_pool: Make) -> None:
    gpu.write_text("")
    limits = StartLimits(memory_interval=0.2, memory_notice=0.6)
    pool = make_pool(jobs.reports, device="cuda:0", limits=limits)
    collect(pool, WorkerReady)
    [worker] = pids(pool)
    gpu.write_text(f"1, 17\n{worker}, 1234\n")
    os.kill(worker, signal.SIGKILL)
    [notice] = collect(pool, Notice)
    assert notice.slot == 0
    assert "slot 0: waiting for the memory of ended processes of worker 0" in notice.text
    assert f"1234 MiB of process {worker}" in notice.text
    assert pool.wait(0.6) == []  # told once
    gpu.write_text("1, 17\n")
    collect(pool, WorkerReady)
    asked = (gpu.parent / "asked").read_text().splitlines()
    assert asked[0] == "--query-compute-apps=pid,used_memory --format=csv,noheader,nounits"
    assert 3 <= len(asked) <= 14  # about once in each interval


def test_a_gpu_that_never_releases_memory_retires_its_slot(gpu: Path, make_pool: Make) -> None:
    gpu.write_text("")
    pool = make_pool(jobs.reports, slots=2, device="cuda:0", limits=StartLimits(memory_limit=0.5))
    events = collect(pool, WorkerReady)
    while len(events) < 2:
        events += pool.wait(1.0)
    gpu.write_text(f"{pids(pool)[1]}, 1234\n")
    os.kill(pids(pool)[1], signal.SIGKILL)
    *_, retired = collect(pool, Retired)
    assert retired.slot == 1
    assert "slot 1 did not release the memory of ended processes of worker 1: 1234 MiB" in retired.reason
    assert list(pool.free()) == [0]
