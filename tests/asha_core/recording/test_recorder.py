"""``asha-curves record``: the same configurations in all arms, to the end; stopped, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analysis.journals.runs import load_run
from asha_core import Curves
from asha_core.cli.curves import main
from asha_core.cli.run import main as asha_run
from tests.conftest import ROOT

HERE = ["--gpus", "inline", "--progress", "none"]
PACED = ["--task", "tests.asha_core.cli.odd_tasks:Paced", "--max-resource", "3"]
DUMMY = ["--task", "dummy", "--max-resource", "3"]
ARMS = "baseline,random-warm"


def record(count: int, *others: str, arms: str = ARMS, output: str = "c.npz", task: list[str] = PACED) -> int:
    given = ["record", "--arms", arms, "--configurations", str(count), "--output", output]
    return main([*given, *task, *HERE, *others])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.long
def test_every_arm_has_the_same_configurations_to_the_end(here: Path, capsys) -> None:
    assert record(2, arms=f"{ARMS},ohgw-1step", task=DUMMY) == 0
    curves = Curves.load("c.npz")
    assert (curves.arms, len(curves), curves.units) == ((*ARMS.split(","), "ohgw-1step"), 2, (1, 2, 3))
    assert (curves.length == 3).all()
    assert (curves.metric, curves.mode, curves.timed) == ("accuracy", "max", True)
    assert set(curves.metrics) == {"train_loss", "valid_loss"}
    for place, arm in enumerate(curves.arms):  # the table has what the journals have, and nothing else
        run = load_run(here / "c.npz.runs" / arm)
        for row, trial in run.trials.items():
            assert dict(curves.configurations[row]) == trial.proposed
            assert curves.value[place, row].tolist() == trial.values
            np.testing.assert_allclose(curves.seconds[place, row], trial.seconds, atol=1e-9)
            moved = curves.refined.get((place, row))
            assert (moved is None) == (arm == "baseline")
            assert moved is None or dict(moved) == trial.configuration
            assert curves.warm_seconds[place, row] == trial.warm_start_seconds
        assert [path.name for path in (here / "c.npz.runs" / arm / "checkpoints").iterdir()] == ["best.pt"]
    assert (curves.warm_batches[0] == 0).all()
    assert (curves.warm_batches[2] > 1).all()  # one for the step, and more for its derivatives
    assert (curves.warm_batches[2] < 12).all()
    told = capsys.readouterr()
    assert "recording 2 configurations to 3 epochs under baseline, random-warm, ohgw-1step" in told.err
    assert "table: " in told.out


@pytest.mark.long
def test_initial_weights_and_batches_are_the_same_in_all_arms(here: Path) -> None:
    """A warm start that moves next to nothing leaves the curves as they are."""
    assert record(1, "--warm-start-option", "sigma=1e-15", task=["--task", "dummy"]) == 0
    curves = Curves.load("c.npz")
    assert len(curves.refined) == 1  # the setting is that of the arm which has one
    np.testing.assert_allclose(curves.value[1], curves.value[0], atol=1e-6)
    np.testing.assert_allclose(curves.metrics["train_loss"][1], curves.metrics["train_loss"][0], rtol=1e-4)


def test_more_configurations_and_arms_later_are_the_same_as_at_once(here: Path, capsys) -> None:
    assert record(2, arms="baseline") == 0
    before = Curves.load("c.npz")
    assert record(3, arms="baseline,random-warm") == 0
    assert "2 of 6 curves are there" in capsys.readouterr().err
    assert record(3, arms="baseline,random-warm", output="whole.npz") == 0
    grown, whole = Curves.load("c.npz"), Curves.load("whole.npz")
    np.testing.assert_array_equal(grown.value, whole.value)
    assert grown.configurations == whole.configurations
    np.testing.assert_array_equal(
        grown.seconds[0, :2], before.seconds[0]
    )  # what was there was not trained again
    assert record(2, arms="baseline") == 0  # a table of the first ones
    assert len(Curves.load("c.npz")) == 2


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (["--scheduler", "asha"], "--scheduler asha"),
        (["--variation", "ohgw-1step"], "--arms"),
        (["--max-trials", "3"], "--configurations"),
        (["--budget", "3m"], "to the end"),
        (["--stop-at", "0.9"], "to the end"),
        (["--patience", "9"], "to the end"),
        (["--resume"], "the same command goes on"),
        (["--no-such-option", "3"], "unknown option --no-such-option"),
        (["--task-option", "no=3"], "no"),
        (["--arms", "baseline,,"], "--arms"),
        (["--arms", "baseline,ohgw-1stp"], "ohgw-1step"),
        (["--arms", "baseline,baseline"], "baseline twice"),
        (["--configurations", "0"], "--configurations is 0"),
        (["--output", "c.txt"], "npz"),
        (["--output", "no/such/c.npz"], "no/such"),
        (["--searcher", "tests.asha_core.searchers.test_learning:Learner"], "learns"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(here: Path, capsys, others: list[str], words: str) -> None:
    assert record(3, *others, arms="baseline") == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not list(here.iterdir())


def test_another_recording_is_not_gone_on_with(here: Path, capsys) -> None:
    assert record(1, arms="baseline") == 0
    for others in (["--seed", "1"], ["--max-resource", "9"], ["--freeze", "x=0.1"]):
        assert record(1, *others, arms="baseline") == 2
        told = capsys.readouterr().err
        assert others[0] in told
        assert "baseline was begun in" in told
    (here / "other.npz").write_text("not mine")
    assert record(1, arms="baseline", output="other.npz") == 2
    assert "other.npz exists" in capsys.readouterr().err


def test_trials_that_fail_do_so_in_the_table(here: Path) -> None:
    task = ["--task", "tests.asha_core.recording.tasks:Odd", "--gpus", "inline", "--progress", "none"]
    assert main(["record", "--configurations", "6", "--output", "c.npz", *task]) == 0
    curves = Curves.load("c.npz")
    ended = [curves.curve("baseline", row).ended for row in range(6)]
    assert ended == ["complete", "failed", "finished", "complete", "complete", "complete"]
    assert curves.length.tolist() == [[4, 1, 2, 4, 4, 4]]
    assert "it broke" in curves.curve("baseline", 1).why
    assert np.isnan(
        curves.curve("baseline", 3).values[-1]
    )  # diverged in the end: a value, not a missing unit
    assert (curves.metric, curves.mode, curves.unit) == ("loss", "min", "step")


@pytest.mark.processes
@pytest.mark.long
def test_a_recording_that_was_killed_and_one_that_was_stopped_go_on(tmp_path: Path, capsys) -> None:
    task = ["--task", "tests.asha_core.cli.odd_tasks:Paced", "--task-option", "seconds=0.01"]
    place = ["--gpus", "inline", "--output", "c.npz", "--progress", "none"]
    given = ["record", "--arms", "baseline,random-warm", "--configurations", "12", *task, *place]

    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "asha_core.cli.curves", *given],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_reports(arm: str, count: int, process: subprocess.Popen[str]) -> None:
        journal, until = tmp_path / "c.npz.runs" / arm / "journal.jsonl", time.monotonic() + 60
        while not (journal.exists() and journal.read_text().count('"report"') >= count):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)

    with begun() as first:
        wait_for_reports("baseline", 30, first)
        first.kill()
    with begun() as second:
        wait_for_reports("random-warm", 5, second)
        second.send_signal(signal.SIGINT)
        _, told = second.communicate(timeout=60)
    assert second.returncode == 130
    assert "of 24 curves are there" in told
    line = told.splitlines()[-1]
    assert line.startswith("asha-curves: stopped: ")
    assert f"go on with: asha-curves {' '.join(given)}" in line
    assert not (tmp_path / "c.npz").exists()
    with begun() as third:
        out, told = third.communicate(timeout=60)
    assert third.returncode == 0, told
    assert "table: " in out
    curves = Curves.load(tmp_path / "c.npz")
    assert (len(curves), (curves.length == 9).all()) == (12, True)
    values = [[unit * each["x"] for unit in range(1, 10)] for each in curves.configurations]
    np.testing.assert_array_equal(curves.value[0], values)


def test_show_tells_it_to_people_and_to_programs(here: Path, capsys) -> None:
    assert record(3) == 0
    capsys.readouterr()
    assert main(["show", "c.npz", "--target", "0.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    curves = Curves.load("c.npz")
    assert told["by_arm"]["baseline"]["reach"] == [(curves.value[0].max(axis=1) >= 0.5).mean()]
    assert told["by_arm"]["random-warm"]["warm_starts"] == 3
    assert told["source"]["command"].startswith("asha-curves record --arms")
    assert main(["show", "c.npz"]) == 0
    text = capsys.readouterr().out
    assert "3 configurations, 2 arms, at step 1 to 3; accuracy, higher is better" in text
    assert all(arm in text for arm in curves.arms)
    assert main(["show", "c.npz.runs"]) == 2
    assert main([]) == 2
    resume = ["--resume", "--results-dir", "c.npz.runs/baseline", "--progress", "none"]
    assert asha_run([*resume, *PACED[:2]]) == 0  # it is a search like any other
