"""Workers that are forked are in nothing worse off than workers that are Pythons of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asha_core.messages import Lost, Report
from asha_core.runtime.executor import WorkerReady
from tests.trials import jobs
from tests.trials.executors.pools import Make, collect, finish, gone, maker, pids
from trials.executors import fork_server
from trials.worker import entrance, processes

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not processes.HAVE_PROC, reason="there is no /proc here"),
]


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Make]:
    yield from maker("pool", tmp_path)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which modules can be imported."""
    monkeypatch.syspath_prepend(tmp_path / "modules")
    (tmp_path / "modules").mkdir()
    return tmp_path / "modules"


def server(*names: str, patience: float = 30.0) -> tuple[fork_server.Server, bool | None]:
    """A new one, and whether workers can be forked from it."""
    made = fork_server.Server(names, {})
    assert gone(lambda: made.ready() is None, patience)
    return made, made.ready()


def forked(pid: int) -> bool:
    return b"preloading" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_workers_show_marks_of_their_own_and_hand_them_down(make_pool: Make) -> None:
    pool = make_pool(jobs.has_a_family, slots=2, environment={"ASHA_TEST_FLAG": "/nonexistent"})
    ready = 0
    while ready < 2:
        ready += sum(isinstance(event, WorkerReady) for event in pool.wait(1.0))
    first, second = pids(pool)
    assert forked(first)
    assert forked(second)
    assert processes.marked(pool.search_token, "0.1") == {first}
    assert processes.marked(pool.search_token, "1.1") == {second}
    shown = Path(f"/proc/{first}/environ").read_bytes()
    assert entrance.room_for_a_mark().keys().isdisjoint(name.decode() for name in shown.split(b"="))
    assert os.getsid(first) == first


def test_the_next_worker_has_loaded_what_the_first_one_s_server_had(make_pool: Make, modules: Path) -> None:
    """A module that takes two seconds to import is imported once, however many workers there are."""
    (modules / "slow_to_load.py").write_text("import os, time; time.sleep(1); loaded_by = os.getpid()\n")
    pool = make_pool(jobs.tells_who_loaded, slots=2, preload=["slow_to_load"])
    collect(pool, WorkerReady)
    values = set()
    for number in range(2):
        [report] = [e for e in finish(pool, jobs.job(trial=number, until=1), number) if isinstance(e, Report)]
        values.add(report.value)
    assert len(values) == 1
    assert not values & set(pids(pool))
    os.kill(pids(pool)[0], signal.SIGKILL)
    began = time.monotonic()
    collect(pool, WorkerReady)
    assert time.monotonic() - began < 1.0  # it did not wait for the import


def test_a_worker_has_the_surroundings_of_the_engine_now_and_not_of_the_server_s_start(
    make_pool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_pool(jobs.reports)  # there is a server
    monkeypatch.setenv("ASHA_TEST_SET_LATER", "yes")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    pool = make_pool(jobs.tells_its_surroundings)
    finish(pool, jobs.job(until=1))
    log = (tmp_path / "run" / "trials" / "0" / "log.txt").read_text()
    assert f"set=yes home=None cwd={tmp_path} room=False" in log


def test_another_path_or_limit_is_another_server(make_pool: Make, modules: Path) -> None:
    before = fork_server.server([], {})
    assert fork_server.server([], {"OF_NO_IMPORT": "1"}) is before
    assert fork_server.server([], {"OMP_NUM_THREADS": "7"}) is not before
    (modules / "there.py").touch()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background; an engine listens
    try:
        after = fork_server.server([], {})
    finally:
        signal.signal(signal.SIGINT, handler)
    assert fork_server.server([], {}) is after
    mask = os.umask(0o077)
    try:
        assert fork_server.server([], {}) is not before
    finally:
        os.umask(mask)


@pytest.mark.parametrize(
    ("content", "fit"),
    [
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            False,
        ),
        ("raise SystemExit(3)", True),
        ("1 / 0", True),
        ("import os; os._exit(0)", False),
        ("import os; os.kill(os.getpid(), 9)", False),
        ("print('this is not for the terminal')", True),
    ],
    ids=["a thread", "exits", "fails", "ends it", "kills it", "prints"],
)
def test_a_server_says_whether_workers_can_be_forked_from_it(
    content: str, fit: bool, modules: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (modules / "preloaded.py").write_text(content + "\n")
    made, answer = server("preloaded")
    assert answer is fit
    made.release()
    assert capfd.readouterr() == ("", "")


IN_USE = """
import sys
from trials.worker import entrance, preloading

entrance.can_be_marked = lambda: True
print(preloading.why_unfit())
preloading.GPUS = (sys.argv[1],)
with open(sys.argv[1] + "/nvidia0", "w"):
    print(preloading.why_unfit())
"""


def test_a_gpu_that_is_in_use_makes_it_unfit(tmp_path: Path) -> None:
    # in a process of its own: threads that other tests' libraries left behind make this one unfit
    done = subprocess.run(
        [sys.executable, "-c", IN_USE, str(tmp_path.resolve())], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["", "a GPU is in use in it"]


def test_without_a_fit_server_workers_import_for_themselves(make_pool: Make, modules: Path) -> None:
    (modules / "ends_it.py").write_text("import os; os._exit(0)\n")
    pool = make_pool(jobs.reports, preload=["ends_it"])
    assert isinstance(finish(pool, jobs.job(until=1))[-1], Report)
    assert not forked(pids(pool)[0])


def test_nobody_waits_for_ever_for_a_server(modules: Path) -> None:
    (modules / "never.py").write_text("import time; time.sleep(1000)\n")
    now = 0.0
    made = fork_server.Server(["never"], {}, clock=lambda: now)
    assert made.ready() is None
    now = 61.0
    assert made.ready() is False
    os.kill(made.pid, signal.SIGKILL)
    made.release()


def test_a_server_that_is_killed_is_replaced_and_its_workers_with_it(make_pool: Make) -> None:
    pool = make_pool(jobs.sleeps)
    pool.submit(jobs.job(), 0)
    collect(pool, WorkerReady)
    [worker] = pids(pool)
    found = processes.stat(worker)
    assert found is not None
    os.kill(found.parent, signal.SIGKILL)
    [lost] = [event for event in collect(pool, Lost) if isinstance(event, Lost)]
    assert "lost the process that it was forked from" in lost.reason
    collect(pool, WorkerReady)
    assert pids(pool) != [worker]


@pytest.mark.parametrize(
    ("module", "draws"),
    [
        ("numpy", jobs.draws_with_numpy),
        pytest.param("torch", jobs.draws_with_torch, marks=pytest.mark.slow),
    ],
)
def test_random_numbers_are_not_the_same_in_every_worker(make_pool: Make, module: str, draws: Any) -> None:
    pool = make_pool(draws, slots=2, preload=[module])
    drawn = {finish(pool, jobs.job(trial=n, until=1), n)[-1].value for n in range(2)}
    assert all(map(forked, pids(pool)))
    assert len(drawn) == 2


def test_what_is_registered_for_the_end_of_python_is_done(make_pool: Make, tmp_path: Path) -> None:
    """Such as the removal of a ``TemporaryDirectory``."""
    pool = make_pool(jobs.leaves_something_to_the_end, environment={"ASHA_TEST_FLAG": str(tmp_path / "flag")})
    finish(pool, jobs.job(until=1))
    assert forked(pids(pool)[0])
    pool.close()
    assert (tmp_path / "at_the_end").read_text() == "the thread is done"


def test_what_an_import_in_the_server_prints_is_not_printed_by_its_workers(
    make_pool: Make, modules: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (modules / "prints.py").write_text("print('this is not for the terminal')\n")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    pool = make_pool(jobs.reports, preload=["prints"])
    finish(pool, jobs.job(until=1))
    assert forked(pids(pool)[0])
    pool.close()
    assert capfd.readouterr() == ("", "")


def test_a_server_does_not_end_with_the_thread_that_began_it() -> None:
    """Two searches in two threads: the end of one is not the end of the other's workers."""
    made = []
    thread = threading.Thread(target=lambda: made.append(server()))
    thread.start()
    thread.join()
    [(found, answer)] = made
    assert answer
    time.sleep(0.1)
    assert found.alive()
    found.release()
    assert not found.alive()


def test_a_path_may_hold_what_import_passes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, Path("src")])
    made, answer = server()
    assert answer
    made.release()


def test_a_server_is_given_up_when_it_is_known_and_not_while_it_loads(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three searches at once would else end each other's for ever."""
    servers = fork_server._Servers()
    (modules / "slow.py").write_text("import time; time.sleep(0.5)\n")
    three = [servers.find(["slow"], {"OMP_NUM_THREADS": str(n)}) for n in range(3)]
    assert [servers.find(["slow"], {"OMP_NUM_THREADS": str(n)}) for n in range(3)] == three
    assert gone(lambda: not all(each.ready() for each in three), 30.0)
    last = servers.find([], {})
    assert [each.alive() for each in three] == [False, False, True]
    assert last.alive()
    servers._keep(0)


def test_what_a_dead_server_held_is_given_back() -> None:
    servers = fork_server._Servers()

    def replaced() -> int:
        found = servers.find([], {})
        assert gone(lambda: found.ready() is None, 30.0)
        os.kill(found.pid, signal.SIGKILL)
        assert gone(found.alive)
        return len(list(Path("/proc/self/fd").iterdir()))

    assert replaced() == replaced()
    servers._keep(0)


@pytest.mark.parametrize("name", ["TMPDIR", "HF_HOME", "OMP_NUM_THREADS"])
def test_what_modules_read_when_they_are_imported_makes_another_server(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fork_server._surroundings()
    monkeypatch.setenv(name, "7")
    assert fork_server._surroundings() != before


def test_a_server_that_ends_while_it_is_asked_is_an_error_of_the_system() -> None:
    """So the slot tries again; Python says EOFError."""
    hears, speaks = os.pipe()
    os.close(speaks)
    with pytest.raises(OSError, match="has ended"):
        fork_server.pid_from(hears)
    os.close(hears)
    with pytest.raises(OSError, match="has ended"):
        fork_server._Servers().numbered(1)


def test_one_that_nobody_hears_any_more_ends_without_a_word(
    modules: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (modules / "slow.py").write_text("import time; time.sleep(0.5)\n")
    made = fork_server.Server(["slow"], {})
    made.release()
    assert gone(made.alive)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_more_may_be_handed_on_than_a_server_takes(make_pool: Make) -> None:
    """Each tensor that a function holds is a descriptor, too."""
    make_pool(jobs.reports)
    many = [multiprocessing.Pipe() for _ in range(126)]
    pool = make_pool(partial(jobs.work_with, many))
    assert finish(pool, jobs.job(until=1))[-1].value == 0.25
    assert not forked(pids(pool)[0])


def test_what_is_handed_on_may_be_so_while_a_server_loads(
    make_pool: Make, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried beforehand whether the task can be sent."""
    (modules / "slow.py").write_text("import time; time.sleep(0.3)\n")
    context = multiprocessing.get_context("spawn")
    things = context.Queue(), context.Lock(), context.Pipe()
    threads = threading.active_count()
    pool = make_pool(partial(jobs.work_with, things), preload=["slow"])
    assert not pids(pool)
    assert finish(pool, jobs.job(until=1))[-1].value == 0.25
    assert threading.active_count() == threads
