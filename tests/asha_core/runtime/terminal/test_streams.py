"""Standard streams that are no files: an object that only writes, a closed one, none at all."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, tune
from asha_core.cli.run import main
from asha_core.runtime.terminal.console import PROGRESS
from asha_core.runtime.terminal.streams import descriptor, is_terminal, say
from asha_core.study import progress_view
from tests.asha_core.cli.searches import TASK, environment
from tests.trials import jobs


class Writer:
    """As some loggers: it can do no more than write."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class FlushingWriter(Writer):
    """As those of ray#12784."""

    def flush(self) -> None:
        pass


class Refusing(FlushingWriter):
    """Nobody reads any more, or the disk is full."""

    def write(self, text: str) -> None:
        raise BrokenPipeError


def closed() -> Any:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: list[Callable[[], Any]] = [Writer, FlushingWriter, Refusing, closed, lambda: None]
odd_streams = pytest.mark.parametrize("made", STREAMS, ids=["writes", "flushes", "refuses", "closed", "none"])


@odd_streams
def test_none_of_them_is_a_terminal_or_a_file_and_saying_something_does_no_harm(made: Any) -> None:
    stream = made()
    assert not is_terminal(stream)
    assert descriptor(stream) is None
    with contextlib.redirect_stderr(made()):
        say("hello", stream)


def test_what_only_writes_is_told_whole_lines() -> None:
    for stream in (Writer(), FlushingWriter()):
        say("one", stream)  # type: ignore[arg-type]
        say("two", stream)  # type: ignore[arg-type]
        assert stream.text == "one\ntwo\n"


@odd_streams
@pytest.mark.parametrize("progress", PROGRESS)
def test_a_search_runs_to_its_end_whatever_the_streams_are(
    made: Any, progress: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = made()
    for name, stream in (("stdin", made()), ("stdout", made()), ("stderr", error)):
        monkeypatch.setattr(sys, name, stream)
    scheduler = ASHA(jobs.SPACE, max_resource=3, max_trials=3)
    result = tune(jobs.reports, scheduler, gpus="inline", progress=progress, results_dir=tmp_path / "run")
    assert result.best_value == 3
    if isinstance(error, Writer) and not isinstance(error, Refusing) and progress in ("auto", "plain"):
        assert "search complete: 3 trials" in error.text


@odd_streams
@pytest.mark.parametrize("options", [(), ("--json",), ("--max-trials", "none")])
def test_the_command_ends_with_its_status_whatever_the_streams_are(
    made: Any, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, made())
    command = [*TASK, "--gpus", "inline", "--max-trials", "2", "--results-dir", str(tmp_path / "run")]
    status = main([*command, *options])
    assert status == (2 if "none" in options else 0)
    assert (tmp_path / "run" / "results.json").exists() == ("none" not in options)


@odd_streams
@pytest.mark.parametrize("progress", progress_view.PROGRESS)
def test_a_study_s_view_shows_what_it_can(
    made: Any, progress: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    error = made()
    monkeypatch.setattr(sys, "stdout", made())
    monkeypatch.setattr(sys, "stderr", error)
    view = progress_view.make_view(progress, 3, 0)
    view.show("one of three", loud=True)
    view.show("two of three", loud=True)
    view.tick()
    view.close()
    assert not recwarn  # of an exception in a thread
    if isinstance(error, Writer) and not isinstance(error, Refusing) and progress in ("auto", "plain"):
        assert error.text == "one of three\ntwo of three\n"


@pytest.mark.long
@pytest.mark.processes
def test_a_search_that_is_started_without_standard_files_has_workers_all_the_same(tmp_path: Path) -> None:
    """As some services start one. Else a pipe to a worker is its standard error, and it logs there."""
    program = (
        "from asha_core import ASHA, tune; from tests.trials import jobs\n"
        "if __name__ == '__main__':\n"
        "    tune(jobs.tells_its_environment, ASHA(jobs.SPACE, max_resource=1, max_trials=2), gpus='cpu',\n"
        "         workers_per_gpu=1, results_dir='run')\n"
    )
    (tmp_path / "script.py").write_text(program)
    command = 'exec "$0" script.py <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == 0
    assert (tmp_path / "run" / "results.json").exists()
    assert "from a child process" in (tmp_path / "run" / "trials" / "0" / "log.txt").read_text()
