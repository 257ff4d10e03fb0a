"""Work shared among processes: all of it is done, whoever dies."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.study.parallel import do_all


def touch(path: Path, parent: int, *, dies: bool = False) -> str:
    if dies and os.getpid() != parent:
        os._exit(9)
    print("this is no result")
    path.write_text(str(os.getpid()))
    return path.name


def refuse() -> None:
    raise ValueError("no")


@pytest.mark.processes
def test_all_is_done_in_several_processes(tmp_path: Path) -> None:
    names = [f"task {n}" for n in range(5)]
    assert do_all([partial(touch, tmp_path / name, os.getpid()) for name in names], processes=2) == names
    assert len({(tmp_path / name).read_text() for name in names}) == 2


@pytest.mark.processes
def test_what_a_process_that_died_left_is_done(tmp_path: Path) -> None:
    names = [f"task {n}" for n in range(6)]
    tasks = [partial(touch, tmp_path / n, os.getpid(), dies=n == "task 3") for n in names]
    assert do_all(tasks, processes=2) == names
    assert all((tmp_path / name).exists() for name in names)
    assert (tmp_path / "task 3").read_text() == str(os.getpid())


@pytest.mark.processes
@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_seen_here_wherever_it_was(tmp_path: Path, bad: int) -> None:
    tasks: list[Any] = [partial(touch, tmp_path / str(n), os.getpid()) for n in range(2)]
    tasks[bad] = partial(refuse)
    with pytest.raises(ValueError, match="no"):
        do_all(tasks, processes=2)
