"""A function in a process of its own: what it shares with this one, and when it ends."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from warmstart.problem.data import forked
from warmstart.problem.data.forked import ForkedFunction

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def itself(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    "value",
    [
        torch.arange(6).reshape(2, 3).t(),
        torch.zeros(0, 3),
        torch.tensor(2.5, dtype=torch.bfloat16),
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([True, False]),
        torch.ones(2, requires_grad=True),
        torch.eye(3).to_sparse(),
        torch.nn.Parameter(torch.ones(2)),
        torch.full((600, 700), 3.0),
    ],
    ids=lambda value: f"{value.dtype} {tuple(value.shape)}",
)
def test_tensors_come_as_they_are(value: torch.Tensor) -> None:
    call = ForkedFunction(lambda: {"x": [value, "text", np.ones(3)]})
    found, text, array = call()["x"]
    assert (type(found), found.dtype, found.shape, found.layout) == (
        type(value),
        value.dtype,
        value.shape,
        value.layout,
    )
    assert torch.equal(found.to_dense(), value.to_dense())
    assert found.requires_grad == value.requires_grad
    assert text == "text"
    assert not torch._utils._sparse_tensors_to_validate  # which the caller's next torch.load would look at
    array += 1  # to be written to, as one of one's own
    if not found.requires_grad:
        found.to_dense().zero_()


def test_it_is_one_process_whose_changes_stay_there() -> None:
    seen: list[int] = []

    def add(value: int) -> Any:
        seen.append(value)
        return list(seen), os.getpid(), torch.get_num_threads()

    call = ForkedFunction(add)
    (_, first, threads), (found, second, _) = call(1), call(2)
    assert (found, seen, threads) == ([1, 2], [], 1)
    assert first == second != os.getpid()
    call.close()
    assert call(3)[0] == [3]


def test_a_file_that_is_open_keeps_its_position(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    with path.open("rb", buffering=0) as file, path.open("r+b", buffering=0) as other:
        file.seek(10)
        call = ForkedFunction(lambda: (file.read(5), other.read(5)))
        assert call() == (bytes(range(10, 15)), bytes(range(5)))
        assert (file.tell(), other.tell()) == (10, 0)
        assert file.read(1) == b"\x0a"


# what other tests left behind is collected here, too
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_nothing_that_the_parent_left_is_finished_in_the_child(tmp_path: Path) -> None:
    path = tmp_path / "ended"

    class Ends:
        def __del__(self) -> None:
            with path.open("a") as file:
                file.write(f"{os.getpid()}\n")

    gc.collect()
    gc.disable()
    try:
        ends = Ends()
        ends.itself = ends  # type: ignore[attr-defined]
        del ends
        ForkedFunction(gc.collect)()
        assert not path.exists()
    finally:
        gc.enable()
    gc.collect()
    assert path.read_text() == f"{os.getpid()}\n"


def test_ctrl_c_ends_it_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """To the whole group, while a mini-batch is read."""
    read, write = os.pipe()

    def reads() -> None:
        os.write(write, b"x")
        time.sleep(60)

    def interrupts() -> None:
        os.read(read, 1)
        (child,) = [child for child in forked._children if child not in before]
        os.kill(child.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    call, before = ForkedFunction(reads), list(forked._children)
    thread = threading.Thread(target=interrupts)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    thread.join()
    assert call._child is None
    assert capfd.readouterr() == ("", "")
    os.close(read)
    os.close(write)


def test_a_child_of_this_process_does_not_end_or_keep_it() -> None:
    call = ForkedFunction(os.getpid)
    reader = call()
    pid = os.fork()
    if pid == 0:  # a DataLoader's worker, say
        try:
            call.close()
            os._exit(0 if ForkedFunction(itself)(3) == 3 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert call() == reader


def test_an_idle_one_ends_and_the_next_call_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds it may be in a circle that is not collected for long."""
    monkeypatch.setattr(forked, "IDLE", 0.001)
    call = ForkedFunction(os.getpid)
    first = call()
    child = call._child
    assert child is not None
    while os.waitid(os.P_PID, first, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)
    monkeypatch.setattr(forked, "IDLE", 60.0)
    assert call() not in (first, os.getpid())

    monkeypatch.setattr(forked, "IDLE", 0.001)
    other = ForkedFunction(os.getpid)
    ended = other()
    while os.waitid(os.P_PID, ended, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)
    ForkedFunction(itself)(1)  # whoever begins one looks after those that ended
    assert not Path(f"/proc/{ended}").exists()
    other.close()


def test_who_waits_long_is_told_why_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "SAID_AFTER", 0.001)
    with pytest.warns(UserWarning, match="threads of the data set do not run"):
        assert ForkedFunction(lambda: time.sleep(0.05))() is None


def test_it_ends_in_the_middle_of_a_mini_batch_when_its_owner_is_killed() -> None:
    """Or what waits for the owner's end (its pipes are open here as well) would wait for a slow disk."""
    read, write = os.pipe()
    owner = os.fork()
    if owner == 0:
        os.close(read)
        try:
            ForkedFunction(lambda: (os.write(write, b"x"), time.sleep(60)))()
        finally:
            os._exit(1)
    os.close(write)
    assert os.read(read, 1) == b"x"
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    waiting = select.poll()
    waiting.register(read, select.POLLIN)
    assert waiting.poll(10_000), "the reader outlives its owner"
    assert os.read(read, 1) == b""
    os.close(read)


@pytest.mark.processes
@pytest.mark.long
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal
            from warmstart.problem.data.forked import ForkedFunction
            call = ForkedFunction(os.getpid)
            print(call(), flush=True)
            print("once", end="")
            ForkedFunction(os.getpid)()
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    pid, rest = done.stdout.split()
    assert (rest, done.stderr) == ("once", "")
    until = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}")
