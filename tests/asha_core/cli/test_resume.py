"""Searches that were killed or damaged, and ``asha-run --resume``: the real command, real signals."""

from __future__ import annotations

import json
import os
import pickle
import pty
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.cli import main as report
from analysis.journals.metrics import describe_sessions
from analysis.journals.runs import load_run
from asha_core.cli.run import main
from asha_core.launch.option_kinds import FLAG
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.option_table import OPTIONS, Scope, keys_of
from asha_core.runtime.replay import EarlierSessions, changed_settings, replay
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.schedulers import MODEL_FREE
from tests.asha_core.cli.odd_tasks import Paced
from tests.asha_core.cli.searches import PACED, TASK, Command, records, results, run
from tests.asha_core.runtime.replay import scheduler_of
from trials.checkpoints.files import load_checkpoint

INLINE = [*TASK, "--gpus", "inline", "--progress", "none"]


def replayed(directory: Path, *, saves: bool = False) -> EarlierSessions:
    """Replay a journal as the next session would, with its units in order and its clock never going back.

    saves: every unit must be there once; a trial without a checkpoint begins at its first one again.
    """
    journal = read_journal(directory / "journal.jsonl").records
    scheduler = scheduler_of(json.loads((directory / "run.json").read_text()))
    scheduler.max_trials = changed_settings(journal).get("max_trials", scheduler.max_trials)
    earlier = replay(directory / "journal.jsonl", journal, scheduler)
    reached: dict[int, int] = {}
    times = [record["t"] for record in journal]
    assert times == sorted(times)
    for record in journal:
        if record["type"] == "report":
            unit = record["resource"]
            assert unit == reached.get(record["trial"], 0) + 1 or (unit == 1 and not saves), record
            reached[record["trial"]] = record["resource"]
    return earlier


def contents(directory: Path) -> Mapping[str, bytes]:
    """Every file of a directory but the lock, in which the next engine leaves its name."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "engine.lock"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def one_line(text: str) -> str:
    """What a refused command said."""
    assert text.count("\n") == 1, text
    assert text.startswith("asha-run: error: ")
    return text


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small complete search of seed 0; read only."""
    directory = tmp_path_factory.mktemp("complete") / "run"
    assert main([*INLINE, "--max-trials", "4", "--results-dir", str(directory)]) == 0
    return directory


@pytest.fixture
def used(complete: Path, tmp_path: Path) -> Path:
    """A copy of it, in a directory that becomes the current one."""
    shutil.copytree(complete, tmp_path / "run")
    return tmp_path / "run"


Refused = Callable[..., str]


@pytest.fixture
def refused(used: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command on the used directory, which it must refuse in one line and leave as it is."""

    def refuse(*arguments: str) -> str:
        before = contents(used)
        assert main([*arguments, "--results-dir", str(used)]) == 2
        assert contents(used) == before
        return one_line(capsys.readouterr().err)

    return refuse


# -- killed, and gone on with ----------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.usefixtures("undrawn")
def test_killed_in_the_middle_it_goes_on_with_the_options_it_was_begun_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = [
        *(*TASK, "--task-option", "saves=true", "--task-option", "seconds=0.05", "--gpus", "cpu"),
        *("--workers-per-gpu", "1", "--max-trials", "9", "--seed", "3", "--max-resource", "4"),
        *("--reduction-factor", "2", "--variation", "random-warm", "--max-retries", "1"),
        *("--results-dir", "run"),
    ]
    with Command(tmp_path, *begun) as engine:
        engine.wait_for(tmp_path / "run", "report", 5)
        engine.kill()
        assert engine.nobody_left(10)
    reported = len(records(tmp_path / "run", "report"))
    assert not (tmp_path / "run" / "results.json").exists()
    directory = tmp_path / "run"
    # in this process, which has torch already
    assert main(["--resume", "--results-dir", str(directory), *TASK, "--gpus", "inline"]) == 0
    errors = capsys.readouterr().err
    assert "going on with a search that was killed after" in errors
    assert f"{reported} steps" in errors
    assert "search complete: 9 trials" in errors
    earlier = replayed(directory, saves=True)
    assert (earlier.sessions, earlier.reason) == (2, "complete")
    (again,) = records(directory, "resume")
    assert again["changes"] == {"gpus": "inline"}
    assert (again["held"], again["devices"]) == (1, ["inline"])
    stored = results(directory)
    assert (stored["reason"], stored["trials"]) == ("complete", 9)
    assert stored["units"] == len(records(directory, "report"))
    assert stored["gpu_hours"] == pytest.approx(stored["seconds"] / 3600, rel=1e-6)
    best = load_checkpoint(directory / "checkpoints" / "best.pt")
    assert best["state"]["sum"] == stored["best"]["value"]
    assert sum(each["promoted"] for each in stored["rungs"]) > 0

    assert report([str(directory), "--json"]) == 0
    (said,) = tmp_path.rglob("comparison.json")
    assert '"sessions": 2' in said.read_text()


@pytest.mark.processes
@pytest.mark.slow
def test_the_same_command_with_resume_appended(tmp_path: Path) -> None:
    command = [*PACED, "--max-trials", "6", "--results-dir", "run"]
    with Command(tmp_path, *command, "--resume") as engine:  # nothing is there: it begins
        engine.wait_for(tmp_path / "run", "report", 2)
        engine.kill()
    done = run("--resume", *TASK, "--results-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert replayed(tmp_path / "run").sessions == 2
    assert records(tmp_path / "run", "resume")[0]["changes"] == {}
    first = results(tmp_path / "run")
    done = run(*command, "--resume", "--json", cwd=tmp_path)  # complete already
    assert done.returncode == 0
    assert "going on" in done.stderr
    again = json.loads(done.stdout)
    for name in ("reason", "best", "top", "trials", "units", "failed", "rungs"):
        assert again[name] == first[name], name
    assert again["training_seconds"] == pytest.approx(first["training_seconds"], rel=1e-3)
    assert again["seconds"] - first["seconds"] < 3
    assert replayed(tmp_path / "run").sessions == 3


def test_resume_without_a_directory_takes_the_newest_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*INLINE, "--max-trials", "2", "--seed", "4", "--resume"]
    assert main(command) == 2
    assert "there is no results/paced-asha-baseline-seed4-*" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "results").exists()
    for moment in ("0101-120000", "0102-120000-9", "0102-120000-10"):
        name = f"results/paced-asha-baseline-seed4-2026{moment}"
        assert main([*command, "--results-dir", name]) == 0
    assert main([*command[:-3], "--seed", "5", "--results-dir", "results/paced-asha-baseline-seed5-9"]) == 0
    assert main(command) == 0
    assert capsys.readouterr().out.rstrip().endswith("0102-120000-10")
    sessions = {path.name: len(records(path, "resume")) for path in (tmp_path / "results").iterdir()}
    assert [sessions[name] for name in sorted(sessions)] == [0, 1, 0, 0]


def test_without_one_of_that_name_the_newest_is_named(
    used: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(used.parent)
    for number, name in enumerate(["older", "newest", "script"]):
        shutil.copytree(used, used.parent / "results" / name)
        os.utime(used.parent / "results" / name / "run.json", (number, number))
    manifest = used.parent / "results" / "script" / "run.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"settings": {}}))
    assert main(["--resume", *TASK, "--seed", "7"]) == 2
    assert "with --results-dir (the newest is results/newest), or" in one_line(capsys.readouterr().err)


def test_a_complete_search_stays_complete_whatever_its_budget(
    used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = ["--resume", *TASK, "--results-dir", str(used), "--budget", "0.001s"]
    for _ in range(2):
        assert main(go_on) == 0
        assert results(used)["reason"] == "complete"
        assert "the budget is spent" not in capsys.readouterr().err
    assert main([*go_on, "--max-trials", "9"]) == 0
    assert results(used)["reason"] == "budget"
    assert main([*go_on, "--max-trials", "9"]) == 0
    assert results(used)["reason"] == "budget"


def test_where_nothing_has_failed_retry_failed_says_so(
    used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = ["--resume", *TASK, "--results-dir", str(used), "--retry-failed"]
    assert main([*go_on, "--progress", "plain"]) == 0
    assert "note: no trial has failed, so none is tried again\n" in capsys.readouterr().err


def test_a_search_that_completed_and_went_on_was_neither_stopped_nor_killed(
    used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--resume", *TASK, "--results-dir", str(used), "--max-trials", "6"]) == 0
    run = load_run(used)
    assert "stopped" not in describe_sessions(run)
    assert "killed" not in describe_sessions(run)


def test_resume_of_a_directory_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "nothing"
    assert main(["--resume", "--results-dir", str(directory)]) == 2
    assert f"there is no search in {directory}" in one_line(capsys.readouterr().err)
    assert not directory.exists()
    assert main([*INLINE, "--max-trials", "2", "--resume", "--results-dir", str(directory)]) == 0
    assert replayed(directory).sessions == 1


def test_a_search_of_a_script_is_resumed_by_the_script(used: Path, refused: Refused) -> None:
    manifest = json.loads((used / "run.json").read_text())
    (used / "run.json").write_text(json.dumps(manifest | {"settings": {}}))
    assert "was begun by a script" in refused("--resume", *TASK)
    assert "go on with it by tune(..., resume=True)" in refused(*INLINE, "--max-trials", "4")


@pytest.mark.parametrize("option", [".inf", "1e-3", "'1e-3'", "[1, 2]", "{a: .inf}", "true", "null"])
def test_a_task_option_comes_back_as_it_was_given(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(Paced, "setup", lambda task, device: seen.append(task.slow_after))
    monkeypatch.setattr(Paced, "run", lambda task, trial: [trial.report(0.0) for _ in trial.units()])
    command = [*INLINE, "--max-trials", "2", "--task-option", f"slow_after={option}"]
    assert main([*command, "--results-dir", str(tmp_path / "run")]) == 0
    assert main(["--resume", *TASK, "--results-dir", str(tmp_path / "run")]) == 0
    assert main([*command, "--resume", "--results-dir", str(tmp_path / "run")]) == 0
    assert seen == [seen[0]] * 3


# -- without --resume ------------------------------------------------------------------------------


def test_a_used_directory_is_refused_without_resume(refused: Refused) -> None:
    assert "holds a search: go on with it with --resume" in refused(*INLINE, "--max-trials", "4")


def at_a_terminal(answer: str, *arguments: str, cwd: Path) -> tuple[int, str]:
    """Run the command on a pseudo-terminal, and answer its question."""
    ours, theirs = pty.openpty()
    with Command(cwd, *arguments, stdin=theirs, stdout=theirs, stderr=theirs) as engine:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                asked = b"[y/N]" in text
                text += chunk
                if b"[y/N]" in text and not asked:
                    os.write(ours, answer.encode())
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        return engine.process.wait(30), text.decode()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
def test_at_a_terminal_it_asks(answer: str, goes_on: bool, used: Path) -> None:
    before = contents(used)
    status, text = at_a_terminal(
        answer, *INLINE, "--max-trials", "4", "--results-dir", "run", cwd=used.parent
    )
    assert "run holds a search. Go on with it? [y/N]" in text
    assert status == (0 if goes_on else 2), text
    assert ("--resume" in text) is not goes_on
    assert len(records(used, "resume")) == goes_on
    assert goes_on or contents(used) == before


# -- options that differ ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--seed", "1"], "scheduler has seed 0, and this one 1"),
        (["--task-option", "seconds=0.5"], "task has options {}, and this one {'seconds': 0.5}"),
        (["--scheduler", "pasha"], "scheduler has name 'asha', and this one 'pasha'"),
        (["--variation", "random-warm"], "variation has name 'baseline', and this one 'random-warm'"),
        (["--max-resource", "3"], "levels [1, 3, 9], and this one [1, 3]"),
        (["--reduction-factor", "2"], "levels [1, 3, 9], and this one [1, 2, 4, 8, 9]"),
        (["--max-retries", "5"], "max_retries 2, and this one 5"),
        (["--searcher", "halton"], "searcher 'random', and this one 'halton'"),
        (["--freeze", "x=0.5"], "dimension x"),
    ],
)
def test_other_options_are_refused_by_name(option: list[str], named: str, refused: Refused) -> None:
    assert named in refused("--resume", *TASK, *option)


def test_another_task_is_refused(refused: Refused) -> None:
    assert "tests.asha_core.cli.odd_tasks:Paced" in refused(
        "--resume", "--task", "tests.asha_core.cli.odd_tasks:Texts"
    )
    assert "give --task tests.asha_core.cli.odd_tasks:Paced too" in refused("--resume")


def test_larger_limits_are_accepted_written_down_and_inherited(
    used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--max-trials", "9", "--budget", "1h", "--workers-per-gpu", "3"]
    assert main(["--resume", *TASK, "--results-dir", str(used), *more]) == 0
    assert "search complete: 9 trials" in capsys.readouterr().err or results(used)["trials"] == 9
    assert main(["--resume", *TASK, "--results-dir", str(used), "--max-trials", "12"]) == 0
    assert results(used)["trials"] == 12
    assert main(["--resume", *TASK, "--results-dir", str(used)]) == 0
    assert results(used)["trials"] == 12
    said = [record["changes"] for record in records(used, "resume")]
    assert said == [{"max_trials": 9, "budget": "1h", "workers_per_gpu": 3}, {"max_trials": 12}, {}]
    assert changed_settings(records(used)) == {"max_trials": 12, "budget": "1h", "workers_per_gpu": 3}
    assert replayed(used).sessions == 4


@pytest.mark.parametrize("scheduler", MODEL_FREE)
def test_more_trials_with_every_scheduler(
    scheduler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go on, or say in plain words that this scheduler cannot."""
    command = [*TASK, "--results-dir", str(tmp_path / "run")]
    assert main([*INLINE, *command, "--scheduler", scheduler, "--max-trials", "5"]) == 0
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    capsys.readouterr()
    status = main(["--resume", *command, "--max-trials", "11"])
    error = capsys.readouterr().err
    if status == 0:
        assert results(tmp_path / "run")["trials"] == 11
        replayed(tmp_path / "run")
    else:
        assert scheduler in ("sh", "sync-hyperband"), error  # their brackets follow from the number of trials
        assert "the journal has the job" not in one_line(error)
        assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before


def test_fewer_trials_than_there_are_is_said_in_plain_words(refused: Refused) -> None:
    error = refused("--resume", *TASK, "--max-trials", "2")
    assert "max" in error
    assert "trials" in error
    assert "the scheduler has none to give" not in error


# -- two engines -----------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_second_engine_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    command = [*PACED, "--max-trials", "500", "--results-dir", "run"]
    with Command(tmp_path, *command) as engine:
        engine.wait_for(tmp_path / "run", "report", 2)
        done = run("--resume", *TASK, "--results-dir", "run", cwd=tmp_path)
        assert done.returncode == 2
        assert f"is in use by process {engine.process.pid} on" in one_line(done.stderr)
        heard = len(records(tmp_path / "run", "report"))
        engine.wait_for(tmp_path / "run", "report", heard + 5)
        engine.kill()
    assert not records(tmp_path / "run", "lost")
    assert not records(tmp_path / "run", "resume")


@pytest.mark.processes
@pytest.mark.slow
def test_going_on_with_a_copy_leaves_the_original_alone(tmp_path: Path) -> None:
    command = [*PACED, "--max-trials", "500", "--results-dir", "run"]
    with Command(tmp_path, *command) as engine:
        engine.wait_for(tmp_path / "run", "report", 2)
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        done = run("--resume", *TASK, "--results-dir", "copy", "--budget", "1s", cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        heard = len(records(tmp_path / "run", "report"))
        engine.wait_for(tmp_path / "run", "report", heard + 5)
        engine.kill()
    assert not records(tmp_path / "run", "lost")


# -- damage ----------------------------------------------------------------------------------------


def test_a_torn_last_line_is_cut_off_with_a_warning(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = used / "journal.jsonl"
    whole = journal.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    journal.write_bytes(whole + whole[last : last + 30])
    command = ["--resume", *TASK, "--results-dir", str(used), "--progress", "plain"]
    assert main(command) == 0
    assert "warning: the journal's last line was torn" in capsys.readouterr().err
    assert journal.read_bytes().startswith(whole)
    assert records(used, "resume")[0]["torn"] is True
    assert main(command) == 0
    assert "torn" not in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_flipped_bit_is_an_error_that_names_the_line(share: float, used: Path, refused: Refused) -> None:
    data = bytearray((used / "journal.jsonl").read_bytes())
    place = int(len(data) * share)
    data[place] ^= 1
    (used / "journal.jsonl").write_bytes(data)
    error = refused("--resume", *TASK)
    line = data[:place].count(b"\n") + 1
    assert f"line {line}, is damaged" in error


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        '{"schema": 1}',
        "\udcff",
        '{"settings": 5}',
        '{"settings": {"task_option": 5, "task": "tests.asha_core.cli.odd_tasks:Paced"}}',
    ],
)
def test_a_damaged_manifest_is_one_line(content: str, used: Path, refused: Refused) -> None:
    (used / "run.json").write_bytes(content.encode(errors="surrogateescape"))
    refused("--resume", *TASK)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (None, "budget", None),
        ("budget", "devices", None),
        ("space", "dimensions", []),
        ("settings", "gpus", 5),
        ("settings", "scheduler", {}),
        ("settings", "variation", None),
        ("settings", "max_trials", "many"),
        ("settings", "budget", []),
        ("settings", "task_option", "x"),
        ("settings", "workers_per_gpu", "two"),
    ],
)
def test_a_manifest_with_a_wrong_value_is_one_line(
    section: str | None, key: str, value: Any, used: Path, refused: Refused
) -> None:
    manifest = json.loads((used / "run.json").read_text())
    (manifest if section is None else manifest[section])[key] = value
    (used / "run.json").write_text(json.dumps(manifest))
    refused("--resume", *TASK)


def test_without_its_manifest_nothing_is_touched(used: Path, refused: Refused) -> None:
    (used / "run.json").unlink()
    assert "there is no search in" in refused("--resume")
    assert "is not empty" in refused("--resume", *INLINE, "--max-trials", "4")


@pytest.mark.parametrize("content", [None, b"", b'{"type": "journal", "sch'])
def test_without_a_journal_it_begins(
    content: bytes | None, used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if its engine had been killed before the journal's first line was complete."""
    first = records(used, "report")
    (used / "journal.jsonl").unlink()
    (used / "results.json").unlink()
    for room in ("trials", "checkpoints"):
        shutil.rmtree(used / room)
    if content is not None:
        (used / "journal.jsonl").write_bytes(content)
    assert main(["--resume", *TASK, "--results-dir", str(used)]) == 0, capsys.readouterr().err
    assert [r["value"] for r in records(used, "report")] == [r["value"] for r in first]
    assert replayed(used).sessions == 1


@pytest.mark.parametrize("content", [None, b"", bytes(20_000), b'{"type": "journal", "sch'])
def test_without_a_journal_what_was_found_is_not_overwritten(
    content: bytes | None, used: Path, refused: Refused
) -> None:
    (used / "journal.jsonl").unlink()
    if content is not None:
        (used / "journal.jsonl").write_bytes(content)
    said = refused("--resume", *TASK)
    assert "journal.jsonl is" in said
    assert "cannot go on" in said


# -- a results directory from somebody else --------------------------------------------------------

EVIL = """
from pathlib import Path
Path("{proof}").touch()
from tests.asha_core.cli.odd_tasks import Paced as Evil
"""


@pytest.mark.processes
@pytest.mark.parametrize("place", ["settings", "target", "both", "journal"])
def test_what_a_results_directory_names_is_not_imported(place: str, used: Path) -> None:
    proof = used.parent / "imported"
    (used.parent / "evil.py").write_text(EVIL.format(proof=proof))
    manifest = json.loads((used / "run.json").read_text())
    if place in ("settings", "both"):
        manifest["settings"]["task"] = "evil:Evil"
    if place in ("target", "both"):
        manifest["task"]["target"] = "evil:Evil"
    (used / "run.json").write_text(json.dumps(manifest))
    if place == "journal":
        resumed = {"type": "resume", "held": 1, "devices": ["cpu"], "changes": {"task": "evil:Evil"}}
        past = read_journal(used / "journal.jsonl")
        writer = JournalWriter(used / "journal.jsonl", past)
        writer.append(past.records[-1]["t"], [resumed, {"type": "end", "reason": "complete"}])
        writer.close()
    before = contents(used)
    for task in ([], TASK):
        done = run("--resume", "--results-dir", "run", *task, cwd=used.parent)
        assert done.returncode == 2
        assert "evil:Evil" in one_line(done.stderr) or not task
    assert contents(used) == before
    assert not proof.exists()


@pytest.mark.parametrize("number", ["../../x", "0", -1, 1.0, True, [0]])
def test_a_trial_that_is_no_number_names_no_file(number: Any, used: Path, refused: Refused) -> None:
    kept = read_journal(used / "journal.jsonl").records[:-1]
    (used / "journal.jsonl").unlink()
    writer = JournalWriter(used / "journal.jsonl")
    for record in kept:
        writer.append(record.pop("t"), [record])
    writer.append(99.0, [{"type": "lost", "trial": number, "attempt": 0, "kind": "died", "reason": "so"}])
    writer.close()
    around = sorted(used.parent.rglob("*"))
    assert f"line {len(kept) + 2}, is damaged (its trial is not a number)" in refused("--resume", *TASK)
    assert sorted(used.parent.rglob("*")) == around


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("form", ["pickle", "archive"])
def test_a_checkpoint_cannot_run_code(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*INLINE, "--task-option", "saves=true", "--results-dir", str(tmp_path / "run")]
    assert main([*command, "--max-trials", "4"]) == 0
    best = results(tmp_path / "run")["best"]
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    promoted = next(i for i, line in enumerate(lines) if b'"job"' in line and b'"start": 0' not in line)
    journal.write_bytes(b"".join(lines[:promoted]))  # as if it had been killed before the first promotion
    bomb = pickle.dumps({"format": 1, "resource": 1, "state": Bomb(tmp_path / "executed")})
    for path in (tmp_path / "run" / "checkpoints").glob("trial-*.pt"):
        if form == "pickle":
            path.write_bytes(bomb)
            continue
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, bomb if name.endswith("data.pkl") else content)
    assert main(["--resume", *TASK, "--results-dir", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "executed").exists()
    assert results(tmp_path / "run")["best"] == best
    assert any("is damaged" in record["text"] for record in records(tmp_path / "run", "notice"))


# -- help and YAML ---------------------------------------------------------------------------------

NEW = {
    "resume": True,
    "max-retries": 3,
    "trial-timeout": "30m",
    "no-progress-timeout": "20m",
    "heartbeat-timeout": "90s",
    "start-timeout": "20m",
    "checkpoint-budget": "2GB",
    "checkpoint-size": "5MB",
}


def test_the_new_options_are_in_the_help_and_in_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help-all"])
    text = capsys.readouterr().out
    assert [name for name in NEW if f"--{name}" not in text] == []
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(NEW))
    options = parse_arguments(["--config", str(tmp_path / "c.yaml")])
    flags = [option.name for option in OPTIONS if option.kind is FLAG]
    line = [
        word
        for name, v in NEW.items()
        for word in ([f"--{name}"] if name in flags else [f"--{name}", str(v)])
    ]
    assert {**parse_arguments(line), "config": options["config"]} == options
    assert options["checkpoint_budget"] == 2_000_000_000
    assert options["max_retries"] == 3


def test_resume_and_its_directory_may_stand_in_the_file(used: Path) -> None:
    file = used.parent / "c.yaml"
    file.write_text(f"resume: true\nresults-dir: {used}\ntask: {TASK[1]}\nmax-trials: 6\n")
    assert main(["--config", str(file)]) == 0
    assert results(used)["trials"] == 6
    assert main(["--resume", *TASK, "--results-dir", str(used)]) == 0  # without the file
    assert results(used)["trials"] == 6


def test_a_search_that_is_older_than_an_option_is_resumed_with_its_default(used: Path) -> None:
    manifest = json.loads((used / "run.json").read_text())
    for option in keys_of(Scope.HANDLING):
        manifest["settings"].pop(option)
    (used / "run.json").write_text(json.dumps(manifest))
    assert main(["--resume", *TASK, "--results-dir", str(used), "--max-trials", "6"]) == 0
    assert results(used)["trials"] == 6


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max-retries", "-1"),
        ("max-retries", "1.5"),
        ("trial-timeout", "soon"),
        ("trial-timeout", "0"),
        ("no-progress-timeout", "-3s"),
        ("heartbeat-timeout", "nan"),
        ("checkpoint-budget", "lots"),
        ("checkpoint-budget", "-1GB"),
    ],
)
def test_new_options_say_what_they_take(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*INLINE, f"--{option}={value}", "--results-dir", str(tmp_path / "run")]) == 2
    assert f"--{option} is '{value}': it must be" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()
