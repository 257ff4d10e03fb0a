"""What a search has found is told whatever the locale: no text is refused by a stream, JSON stays JSON."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.cli import main as report
from asha_core.cli.run import main as run
from asha_core.errors import SettingError
from asha_core.runtime.observers import short
from asha_core.runtime.terminal.command import run_command
from asha_core.runtime.terminal.encodings import print_json

TASK = "tests.asha_core.cli.odd_tasks:Foreign"
SEARCH = ["--task", TASK, "--max-trials", "4", "--max-resource", "3", "--gpus", "inline"]
Streams = Callable[[], tuple[bytes, bytes]]
Begin = Callable[[], Streams]


@pytest.fixture(params=["ascii", "latin-1", "utf-8"])
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def begin(encoding: str, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Makes standard output and error strict, and in an encoding; gives what was printed since."""

    def begun() -> Streams:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)

        def since() -> tuple[bytes, bytes]:
            found = []
            for stream in streams:
                assert stream.errors == "strict"  # as it was
                stream.flush()
                assert isinstance(stream.buffer, io.BytesIO)
                found.append(stream.buffer.getvalue())
                stream.seek(0)
                stream.truncate()
            return found[0], found[1]

        return since

    return begun


def test_a_search_its_plan_and_its_report_end_as_they_do_elsewhere(
    begin: Begin, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metric, the unit, the space and what fails are words that most encodings lack."""
    printed, name = begin(), "größe_日本"
    told = name.encode(encoding, "backslashreplace")
    assert run([*SEARCH, "--plan"]) == 0
    assert "époque".encode(encoding, "backslashreplace") in printed()[0]
    folder = str(tmp_path / "run")
    assert run([*SEARCH, "--results-dir", folder]) == 0
    out, err = printed()
    assert told in out
    assert b"search complete" in err
    assert run([*SEARCH, "--resume", "--results-dir", folder, "--json"]) == 0
    found = json.loads(printed()[0].decode(encoding).splitlines()[-1])
    assert found["metric"] == name
    monkeypatch.setattr("analysis.report.run_drawings.drawings_of", lambda *given: [])
    assert report([folder]) == 0
    assert told in printed()[0]
    assert report([folder, "--json"]) == 0
    assert json.loads(printed()[0].decode(encoding))["metric"] == name
    assert run([*SEARCH, "--freeze", "größe=nein"]) == 2
    assert b"it must be one of" in printed()[1]


def test_nothing_is_refused_by_a_commands_streams(begin: Begin, encoding: str) -> None:
    def command() -> int:
        print("5 \N{EN DASH} \N{HORIZONTAL ELLIPSIS}", "é", "file-\udcff", "\ud800")
        raise SettingError("größe: 日本 \udcff")

    printed = begin()
    assert run_command("asha-x", command) == 2
    out, err = printed()
    dash, dots = ("\N{EN DASH}", "\N{HORIZONTAL ELLIPSIS}") if encoding == "utf-8" else ("-", "~")
    letter = r"\xe9" if encoding == "ascii" else "é"
    assert out == f"5 {dash} {dots} {letter} file-".encode(encoding) + b"\xff \\ud800\n"
    assert err == b"asha-x: error: " + "größe: 日本 ".encode(encoding, "backslashreplace") + b"\xff\n"


@pytest.mark.parametrize("value", ["é日😀", "\udcff", "a\ud800b", 'q"\\n'], ids=range(4))
def test_json_is_json_in_every_encoding(begin: Begin, encoding: str, value: str) -> None:
    printed = begin()
    print_json(json.dumps({value: value}, ensure_ascii=False))
    assert json.loads(printed()[0].decode(encoding)) == {value: value}


def test_names_of_files_that_the_locale_cannot_write_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")

    def command() -> int:
        "größe".encode("ascii")
        return 0

    assert run_command("asha-x", command) == 2
    told = capsys.readouterr().err
    assert "names of files are ascii in this locale, which lacks letters of 'größe'" in told

    def other() -> int:
        "größe".encode("latin-1", "strict")
        return "日".encode("latin-1")[0]

    with pytest.raises(UnicodeEncodeError):  # that is another matter
        run_command("asha-x", other)


def test_a_value_of_a_table_is_on_one_line() -> None:
    assert short("a\nb\x1b[1m\udcff") == r"a\nb\x1b[1m\udcff"
    assert short(0.123456) == "0.1235"


@pytest.mark.processes
@pytest.mark.long
def test_a_search_in_a_locale_that_has_only_ascii(tmp_path: Path) -> None:
    """With worker processes, in which a trial prints what the locale lacks."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[4])
    command = [sys.executable, "-m", "asha_core.cli.run", *SEARCH[:-1], "cpu", "--workers-per-gpu", "1"]
    command += ["--results-dir", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"gr\xf6\xdfe_\u65e5\u672c" in done.stdout
    assert "größe 日本" in (tmp_path / "run" / "trials" / "0" / "log.txt").read_text(encoding="utf-8")
