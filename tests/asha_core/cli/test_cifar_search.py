"""A search on real CIFAR-10 images with ResNet-20, trials paused and resumed. Minutes long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import load_run, time_split

pytestmark = pytest.mark.processes


@pytest.mark.slow
def test_a_cifar_search_pauses_resumes_and_learns(cifar_dir: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("asha-run")), "--variation", "ohgw-1step", "--gpus", "cpu"),
            *("--data-dir", str(cifar_dir), "--subset", "0.05", "--max-resource", "4"),
            *("--reduction-factor", "2", "--max-trials", "4", "--results-dir", "run"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = load_run(tmp_path / "run")
    assert run.levels == [1, 2, 4]
    resumed = [r for r in run.records if r["type"] == "job" and r["start"] > 0]
    assert len(resumed) >= 3
    # every unit once: nobody started again from the beginning
    assert all(trial.resources == list(range(1, trial.reached + 1)) for trial in run.trials.values())
    assert max(value for trial in run.trials.values() for value in trial.values) > 0.15  # chance is 0.1
    assert all(trial.diagnostics["gradient"]["lr"] != 0 for trial in run.trials.values())
    assert time_split(run).warm_start < 0.25 * time_split(run).training
    assert "asha-test run" in done.stdout
    told = subprocess.run(
        [str(Path(sys.executable).with_name("asha-test")), "run", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    final = json.loads(told.stdout)
    assert final["count"] == 10_000
    assert final["value"] > 0.15
    assert [sum(row) for row in final["confusion"]] == [1000] * 10
