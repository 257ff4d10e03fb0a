"""One engine a directory, as the kernel sees it: with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from asha_core.errors import ResultsError
from asha_core.runtime.storage.lock import RunLock

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[4]
HOLDER = """
import subprocess, sys
from pathlib import Path
from asha_core.runtime.storage.lock import RunLock
lock = RunLock(Path(sys.argv[1]), sys.argv[2])
child = subprocess.Popen(["sleep", "60"], close_fds=False) if "child" in sys.argv else None
print(child.pid if child else lock.before, flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path, token, *more):
    """(process, what it said) of another engine that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), token, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine.lock"


def refused(path):
    with pytest.raises(ResultsError) as caught:
        RunLock(path, "late")
    return str(caught.value)


def test_the_first_engine_finds_nothing_before_it(path):
    lock = RunLock(path, "one")
    assert lock.before is None
    content = json.loads(path.read_text())
    assert content == {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "token": "one",
        "file": [path.stat().st_dev, path.stat().st_ino],
    }
    lock.release()


def test_a_copy_of_a_directory_is_not_of_the_engine_that_searches_in_the_first(path, tmp_path):
    lock = RunLock(path, "one")
    copy = Path(shutil.copy(path, tmp_path / "copy.lock"))
    other = RunLock(copy, "two")
    assert other.before is None
    lock.release()
    other.release()
    again = RunLock(copy, "three")
    assert again.before == "two"
    again.release()


def test_a_second_engine_is_refused_and_told_who_is_first(path):
    with holder(path, "one") as (process, said):
        assert said == "None"
        message = refused(path)
        assert f"{path.parent} is in use by process {process.pid} on {socket.gethostname()}" in message
        assert "--resume" in message
        assert json.loads(path.read_text())["token"] == "one"  # the refused one wrote nothing


def test_the_same_process_is_refused_as_well_until_it_let_go(path):
    lock = RunLock(path, "one")
    assert f"process {os.getpid()} on" in refused(path)
    assert "process" in refused(path)  # being refused takes nothing away
    lock.release()
    lock.release()
    again = RunLock(path, "two")
    assert again.before == "one"
    again.release()


def test_a_killed_engines_lock_is_taken_over_with_its_token(path):
    with holder(path, "one") as (process, _):
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        lock = RunLock(path, "two")
        assert lock.before == "one"
        with holder(path, "three") as (other, said):
            assert said == ""
            assert other.wait() == 1
        lock.release()
    with holder(path, "four") as (_, said):
        assert said == "two"


def test_what_an_engine_started_does_not_hold_its_lock(path):
    with holder(path, "one", "child") as (process, child):
        try:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            os.kill(int(child), 0)  # it is still there
            lock = RunLock(path, "two")
            assert lock.before == "one"
            lock.release()
        finally:
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00" * 50, b"{", b"[1]", b"null", b'"x"', b"7", b"\xff\xfe\xfd", b"x" * 10_000, b"[" * 4000],
    ids=lambda garbage: repr(garbage[:6]),
)
def test_a_lock_file_with_anything_in_it_is_a_lock_file(path, garbage):
    path.write_bytes(garbage)
    lock = RunLock(path, "one")
    assert lock.before is None
    assert json.loads(path.read_text())["token"] == "one"
    path.write_bytes(garbage)
    message = refused(path)
    assert "in use by process ? on ?" in message
    lock.release()


@pytest.mark.parametrize("token", [5, ["x"]])
def test_a_token_that_is_none_is_none(path, token):
    path.touch()
    here = [path.stat().st_dev, path.stat().st_ino]
    path.write_text(json.dumps({"pid": 1, "host": "x", "token": token, "file": here}))
    lock = RunLock(path, "one")
    assert lock.before is None
    lock.release()


def test_of_many_engines_at_once_one_has_it(path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom asha_core.runtime.storage.lock import RunLock\n"
        "sys.stdin.readline()\n"
        "try:\n    lock = RunLock(Path(sys.argv[1]), 'x')\n    print('has it', flush=True)\n"
        "    time.sleep(0.5)\nexcept Exception as error:\n    print(type(error).__name__, flush=True)\n"
    )
    many = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(5)
    ]
    time.sleep(0.3)
    for process in many:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].strip() for process in many)
    assert said == ["ResultsError"] * 4 + ["has it"]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_directory_that_is_not_there_leaves_nothing_open(tmp_path):
    before = open_files()
    with pytest.raises(ResultsError, match="cannot be opened: No such file"):
        RunLock(tmp_path / "none" / "engine.lock", "one")
    (tmp_path / "engine.lock").touch()
    lock = RunLock(tmp_path / "engine.lock", "one")
    for _ in range(3):
        refused(tmp_path / "engine.lock")
    lock.release()
    assert open_files() == before
