"""Whole searches from the command line: real training in real processes, and what they leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis import load_run
from asha_core.runtime.storage.journal import read_journal
from tests.asha_core.cli.searches import PACED, environment
from tests.asha_core.runtime.replay import replay
from tests.trials.jobs import alive
from trials import load_model
from trials.tasks.digits import SPACE, Digits
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import load_data

pytestmark = pytest.mark.processes

ASHA_RUN = Path(sys.executable).with_name("asha-run")
TRAINING = ["--task", "digits", "--gpus", "cpu", "--workers-per-gpu", "2"]


def search(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ASHA_RUN), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=170,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A small real search with a warm start, its results as JSON."""
    folder = tmp_path_factory.mktemp("search")
    done = search(
        *("--task", "digits", "--variation", "asha-ohgw-1step", "--gpus", "cpu", "--max-trials", "12"),
        *("--max-resource", "9", "--target", "0.9", "--results-dir", "run", "--json"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run", done


def test_the_result_is_one_json_object_on_standard_output(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, done = finished
    result = json.loads(done.stdout)
    assert result["trials"] == 12
    assert result["reason"] == "complete"
    assert result["best"]["value"] > 0.9
    stored = json.loads((directory / "results.json").read_text())
    assert stored == {key: value for key, value in result.items() if key != "results_dir"}


def test_plain_progress_has_no_control_characters(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = finished
    assert "search complete: 12 trials" in done.stderr
    assert not [character for character in done.stderr if ord(character) < 32 and character != "\n"]


def test_the_journal_rebuilds_the_scheduler(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, done = finished
    scheduler = replay(directory)
    assert len(scheduler.trials) == 12
    assert scheduler.best is not None
    assert scheduler.best.value == json.loads(done.stdout)["best"]["value"]


def test_every_trial_has_its_warm_start_in_the_journal(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    run = load_run(finished[0])
    assert len(run.trials) == 12
    for trial in run.trials.values():
        assert set(trial.diagnostics["gradient"]) == set(SPACE)
        assert trial.warm_start_seconds > 0
        assert trial.configuration != trial.proposed
        SPACE.configuration(trial.configuration)


def test_the_best_model_scores_what_was_reported(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, done = finished
    best = json.loads(done.stdout)["best"]
    content = torch.load(directory / "checkpoints" / "best.pt", weights_only=True)
    assert content["resource"] == best["resource"]
    model, described = load_model(directory)
    assert described["configuration"] == best["configuration"]
    task = Digits()
    accuracy, _ = evaluate(task, model, load_data(task, "cpu")[1])
    assert accuracy == pytest.approx(best["value"], abs=1e-9)


def test_the_manifest_says_what_was_run(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
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
        done = search(
            *("--task", "tests.asha_core.cli.odd_tasks:Paced", "--variation", name, "--gpus", "inline"),
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

import os
print("hello from the import")
os.system("echo hello from a child")

class Unprepared(MyTask):
    def prepare(self):
        raise OSError("the share is not mounted")

class Explodes(MyTask):
    def loss(self, outputs, targets, config):
        raise RuntimeError("it went up in flames")
"""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "mytask.py").write_text(USER_TASK)
    return tmp_path


def test_ones_own_task_from_the_current_directory(user: Path) -> None:
    done = search(
        *("--task", "mytask:MyTask", "--gpus", "cpu", "--variation", "ohgw-3step", "--max-trials", "6"),
        *("--results-dir", "run"),
        cwd=user,
    )
    assert done.returncode == 0, done.stderr
    assert "best configurations:" in done.stdout
    assert "asha-report run" in done.stdout
    assert json.loads((user / "run" / "results.json").read_text())["best"]["value"] > 0.8


def test_what_fails_in_prepare_is_one_line_before_anything_is_written(user: Path) -> None:
    done = search("--task", "mytask:Unprepared", "--gpus", "cpu", "--results-dir", "run", cwd=user)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "asha-run: error: the task cannot be prepared: OSError: the share is not mounted"
    )
    assert not (user / "run").exists()


def test_inline_runs_in_this_very_process_and_prints_do_not_spoil_the_json(user: Path) -> None:
    done = search(
        *(
            "--task",
            "mytask:MyTask",
            "--gpus",
            "inline",
            "--max-trials",
            "3",
            "--results-dir",
            "run",
            "--json",
        ),
        cwd=user,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 3
    assert "hello from the import" in done.stderr
    assert "hello from a child" in done.stderr
    workers = [r for r in read_journal(user / "run" / "journal.jsonl").records if r["type"] == "worker"]
    assert len(workers) == 1


def test_a_search_whose_trials_all_fail_ends_and_says_why(user: Path) -> None:
    done = search(
        *("--task", "mytask:Explodes", "--gpus", "inline", "--max-trials", "3", "--results-dir", "run"),
        cwd=user,
    )
    assert done.returncode == 1  # nothing was found
    assert "RuntimeError: it went up in flames" in done.stderr
    assert "no trial reported a finite value" in done.stdout
    log = (user / "run" / "trials" / "0" / "log.txt").read_text()
    assert "Traceback" in log
    assert "it went up in flames" in log


def start(cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(ASHA_RUN), "--results-dir", "run", "--progress", "plain", *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, subprocess.Popen[str], list[int]]]:
    """A search under way: its directory, its process, and its workers' process ids."""
    process = start(tmp_path, *getattr(request, "param", PACED), "--max-trials", "500")
    journal = tmp_path / "run" / "journal.jsonl"
    patience = time.monotonic() + 120
    while time.monotonic() < patience:
        text = journal.read_text() if journal.exists() else ""
        if text.count('"report"') >= 3 and text.count('"worker"') >= 2:
            break
        time.sleep(0.2)
    yield tmp_path / "run", process, worker_ids(journal)
    process.kill()
    process.communicate()


def worker_ids(journal: Path) -> list[int]:
    return [r["pid"] for r in read_journal(journal).records if r["type"] == "worker"]


def gone(pids: list[int], seconds: float) -> bool:
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


Running = tuple[Path, "subprocess.Popen[str]", list[int]]


@pytest.mark.parametrize(
    ("running", "number"), [(TRAINING, signal.SIGINT), (PACED, signal.SIGTERM)], indirect=["running"]
)
def test_interrupted_it_exits_130_with_results_and_no_orphans(number: int, running: Running) -> None:
    directory, process, workers = running
    assert len(workers) == 2
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert gone(workers, 5)
    assert json.loads((directory / "results.json").read_text())["reason"] == "interrupted"
    assert load_run(directory).reason == "interrupted"


def test_an_impatient_second_interrupt_neither_hangs_nor_loses_the_results(running: Running) -> None:
    directory, process, workers = running
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        time.sleep(0.06)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert gone(workers, 5)
    assert json.loads((directory / "results.json").read_text())["reason"] == "interrupted"


def test_killed_it_leaves_a_readable_journal_and_no_orphans(running: Running) -> None:
    directory, process, workers = running
    process.kill()
    process.communicate()
    assert gone(workers, 15)
    run = load_run(directory)
    assert run.reason == "killed"
    assert len(run.t) >= 3


def test_a_killed_worker_costs_one_job_and_not_the_search(running: Running) -> None:
    directory, process, workers = running
    os.kill(workers[0], signal.SIGKILL)
    journal = directory / "journal.jsonl"
    patience = time.monotonic() + 60
    while len(worker_ids(journal)) < 3 and time.monotonic() < patience:
        time.sleep(0.2)
    records: list[dict[str, Any]] = read_journal(journal).records
    assert len(worker_ids(journal)) == 3
    lost = [r for r in records if r["type"] == "lost"]
    for record in lost:  # none if it was idle at that moment
        assert "SIGKILL" in record["reason"]
        after = records[records.index(record) + 1 :]
        again = [r["attempt"] for r in after if r["type"] == "job" and r["trial"] == record["trial"]]
        assert set(again) <= {1}  # it may be the next one's turn
    assert process.poll() is None


def test_a_budget_in_time_is_kept(tmp_path: Path) -> None:
    process = start(tmp_path, *PACED, "--budget", "4s")
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 40
    assert "stopped at its budget" in errors
    run = load_run(tmp_path / "run")
    assert run.reason == "budget"
    assert process.returncode == (0 if len(run.t) else 1)  # on a busy machine four seconds can pass in vain
