"""Work shared among processes: all of it is done, whoever dies."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from analysis.together import do_all


def touch(path: Path, parent: int, *, dies: bool = False) -> None:
    if dies and os.getpid() != parent:
        os._exit(9)
    path.write_text(str(os.getpid()))


def refuse() -> None:
    raise ValueError("no")


def test_all_is_done_in_several_processes(tmp_path: Path) -> None:
    names = [f"task {n}" for n in range(5)]
    do_all({name: partial(touch, tmp_path / name, os.getpid()) for name in names}, processes=2)
    assert len({(tmp_path / name).read_text() for name in names}) == 2


def test_what_a_process_that_died_left_is_done(tmp_path: Path) -> None:
    names = [f"task {n}" for n in range(6)]
    do_all({n: partial(touch, tmp_path / n, os.getpid(), dies=n == "task 3") for n in names}, processes=2)
    assert all((tmp_path / name).exists() for name in names)
    assert (tmp_path / "task 3").read_text() == str(os.getpid())


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_seen_here_wherever_it_was(tmp_path: Path, bad: int) -> None:
    tasks = {str(n): partial(touch, tmp_path / str(n), os.getpid()) for n in range(2)}
    tasks[str(bad)] = partial(refuse)
    with pytest.raises(ValueError, match="no"):
        do_all(tasks, processes=2)
