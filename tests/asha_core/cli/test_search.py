"""Whole searches from the command line, and what they leave behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from analysis import load_run
from asha_core.cli.run import main
from tests.asha_core.cli.odd_tasks import Paced
from tests.asha_core.cli.searches import PACED, TASK, Command, records, results, run
from tests.asha_core.runtime.replay import replay
from trials import load_model
from trials.tasks.digits import SPACE, Digits
from trials.torch_task.training import evaluate, load_data


@dataclass(frozen=True)
class Done:
    """What a command that ran in this process left: exit status, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def inline(*arguments: str, cwd: Path) -> Done:
    """A search in this very process, which has torch already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*arguments, "--gpus", "inline"])
    return Done(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A small real search with a warm start, its results as JSON."""
    folder = tmp_path_factory.mktemp("search")
    done = inline(
        *("--task", "digits", "--task-option", "model=mlp", "--variation", "asha-ohgw-1step"),
        *("--max-trials", "12", "--max-resource", "9", "--target", "0.9"),
        *("--results-dir", "run", "--json"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run", done


def test_the_result_is_one_json_object_on_standard_output(
    finished: tuple[Path, Done],
) -> None:
    directory, done = finished
    result = json.loads(done.stdout)
    assert result["trials"] == 12
    assert result["reason"] == "complete"
    assert result["best"]["value"] > 0.9
    stored = json.loads((directory / "results.json").read_text())
    assert stored == {key: value for key, value in result.items() if key != "results_dir"}


def test_plain_progress_has_no_control_characters(
    finished: tuple[Path, Done],
) -> None:
    _, done = finished
    assert "search complete: 12 trials" in done.stderr
    assert not [character for character in done.stderr if ord(character) < 32 and character != "\n"]


def test_the_journal_rebuilds_the_scheduler(
    finished: tuple[Path, Done],
) -> None:
    directory, done = finished
    scheduler = replay(directory)
    assert len(scheduler.trials) == 12
    assert scheduler.best is not None
    assert scheduler.best.value == json.loads(done.stdout)["best"]["value"]


def test_every_trial_has_its_warm_start_in_the_journal(
    finished: tuple[Path, Done],
) -> None:
    run = load_run(finished[0])
    assert len(run.trials) == 12
    for trial in run.trials.values():
        assert set(trial.diagnostics["gradient"]) == set(SPACE)
        assert trial.warm_start_seconds > 0
        assert trial.configuration != trial.proposed
        SPACE.configuration(trial.configuration)


def test_the_best_model_scores_what_was_reported(
    finished: tuple[Path, Done],
) -> None:
    directory, done = finished
    best = json.loads(done.stdout)["best"]
    content = torch.load(directory / "checkpoints" / "best.pt", weights_only=True)
    assert content["resource"] == best["resource"]
    model, described = load_model(directory)
    assert described["configuration"] == best["configuration"]
    task = Digits("mlp")
    accuracy, _ = evaluate(task, model, load_data(task, "cpu")[1])
    assert accuracy == pytest.approx(best["value"], abs=1e-9)


def test_the_manifest_says_what_was_run(
    finished: tuple[Path, Done],
) -> None:
    manifest = json.loads((finished[0] / "run.json").read_text())
    assert manifest["task"]["target"] == "trials.tasks.digits:Digits"
    assert manifest["variation"] == {
        "name": "ohgw-1step",
        "strategy": "hypergradient",
        "settings": {"eta_h": 1e-3, "steps": 1},
    }
    assert manifest["scheduler"]["levels"] == [1, 3, 9]
    assert torch.__version__.startswith(manifest["versions"]["torch"])  # less the build (+cu132)
    assert manifest["target"] == 0.9
    assert manifest["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", manifest["commit"])


def test_two_variations_meet_the_same_configurations(tmp_path: Path) -> None:
    for name in ("baseline", "random-warm"):
        done = inline(
            *(*TASK, "--variation", name),
            *("--max-trials", "4", "--max-resource", "1", "--results-dir", name),
            *("--progress", "none", "--seed", "9"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    a, b = (load_run(tmp_path / name).trials for name in ("baseline", "random-warm"))
    assert [a[i].proposed for i in range(4)] == [b[i].proposed for i in range(4)]
    assert all(a[i].configuration == a[i].proposed for i in range(4))
    assert all(b[i].configuration != b[i].proposed for i in range(4))


USER_TASK = """
import torch
from asha_core import Float, SearchSpace
from trials import TorchTask

class MyTask(TorchTask):
    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})
    max_resource = 3
    batch_size = 16
    def model(self, config):
        return torch.nn.Linear(2, 2)
    def data(self):
        x = torch.randn(96, 2, generator=torch.Generator().manual_seed(0))
        y = (x.sum(1) > 0).long()
        return (x[:64], y[:64]), (x[64:], y[64:])
"""
TALKATIVE = """
import os
from tests.asha_core.cli.odd_tasks import Paced
print("hello from the import")
os.system("echo hello from a child")
"""


@pytest.mark.processes
@pytest.mark.slow
def test_ones_own_task_from_the_current_directory(tmp_path: Path) -> None:
    """Networks in worker processes: the one test of the command that has torch in each of them."""
    (tmp_path / "mytask.py").write_text(USER_TASK)
    done = run(
        *("--task", "mytask:MyTask", "--gpus", "cpu", "--workers-per-gpu", "2"),
        *("--variation", "ohgw-3step", "--max-trials", "6", "--results-dir", "run"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "best configurations:" in done.stdout
    assert "asha-report run" in done.stdout
    assert json.loads((tmp_path / "run" / "results.json").read_text())["best"]["value"] > 0.8


def test_what_fails_in_prepare_is_one_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(task: Paced) -> None:
        raise OSError("the share is not mounted")

    monkeypatch.setattr(Paced, "prepare", prepare)
    done = inline(*TASK, "--results-dir", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "asha-run: error: the task cannot be prepared: OSError: the share is not mounted"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.processes
def test_inline_runs_in_this_very_process_and_prints_do_not_spoil_the_json(tmp_path: Path) -> None:
    (tmp_path / "mytask.py").write_text(TALKATIVE)
    done = run(
        *("--task", "mytask:Paced", "--gpus", "inline", "--max-trials", "3", "--results-dir", "run"),
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 3
    assert "hello from the import" in done.stderr
    assert "hello from a child" in done.stderr
    assert len(records(tmp_path / "run", "worker")) == 1


def test_a_search_whose_trials_all_fail_ends_and_says_why(tmp_path: Path) -> None:
    task = ["--task", "tests.asha_core.cli.odd_tasks:Unruly", "--task-option", "how=raises"]
    done = inline(*task, "--max-trials", "3", "--results-dir", "run", cwd=tmp_path)
    assert done.returncode == 1  # nothing was found
    assert "RuntimeError: the wheels came off trial 0" in done.stderr
    assert "no trial reported a value" in done.stdout
    log = (tmp_path / "run" / "trials" / "0" / "log.txt").read_text()
    assert "Traceback" in log
    assert "the wheels came off trial 0" in log


# -- processes that are killed -----------------------------------------------------------------------


@pytest.mark.processes
def test_an_impatient_second_interrupt_neither_hangs_nor_loses_the_results(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with Command(tmp_path, *PACED, "--max-trials", "500", "--results-dir", "run") as engine:
        engine.wait_for(directory, "report", 3)
        for _ in range(4):
            engine.process.send_signal(signal.SIGINT)
            time.sleep(0.06)
        engine.process.communicate(timeout=30)
        assert engine.process.returncode == 130
        assert engine.nobody_left(5)
    assert results(directory)["reason"] == "interrupted"
    assert load_run(directory).reason == "interrupted"


@pytest.mark.processes
def test_killed_workers_cost_one_job_each_and_a_killed_engine_leaves_a_readable_journal(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "run"
    with Command(tmp_path, *PACED, "--max-trials", "500", "--results-dir", "run") as engine:
        engine.wait_for(directory, "report", 3)
        os.kill(records(directory, "worker")[0]["pid"], signal.SIGKILL)
        engine.wait_for(directory, "worker", 3)
        assert engine.process.poll() is None
        engine.kill()
        assert engine.nobody_left(15)
    written = records(directory)
    assert len([r for r in written if r["type"] == "worker"]) == 3
    for record in (r for r in written if r["type"] == "lost"):  # none if it was idle at that moment
        assert "SIGKILL" in record["reason"]
        after = written[written.index(record) + 1 :]
        again = [r["attempt"] for r in after if r["type"] == "job" and r["trial"] == record["trial"]]
        assert set(again) <= {1}  # it may be the next one's turn
    history = load_run(directory)
    assert history.reason == "killed"
    assert len(history.t) >= 3
