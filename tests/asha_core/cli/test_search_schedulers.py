"""A small real search with each scheduler, its report, and its journal replayed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from analysis.cli import main as report
from analysis.report.run_report import summary_of
from asha_core.cli.run import main as asha_run
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import resolve
from tests.asha_core.cli.searches import run
from tests.asha_core.runtime.replay import replay

# figures are drawn of every scheduler in tests/analysis/journals/test_every_scheduler.py
pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.long]

DIGITS = ("--task", "digits", "--task-option", "model=mlp")
SMALL = ("--max-resource", "9", "--progress", "none", "--results-dir", "run")


def search(cwd: Path, *arguments: str) -> dict[str, Any]:
    """Search, check what it left against its journal, and report on it; returns results.json."""
    printed = io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(printed):
        assert asha_run([*DIGITS, *SMALL, "--gpus", "inline", *arguments]) == 0
    shown = printed.getvalue()
    assert "best configurations:" in shown
    results: dict[str, Any] = json.loads((cwd / "run" / "results.json").read_text())
    scheduler = replay(cwd / "run")
    assert results["reason"] == "complete"
    assert results["best"]["value"] == (scheduler.best.value if scheduler.best else None)
    assert results["best"]["value"] > 0.3  # a guess has 0.1
    assert results["units"] == scheduler.units
    assert results["trials"] == len(scheduler.trials) - scheduler.rejected
    assert results["rungs"] == [
        {"level": row.level, "reached": row.reached, "promoted": row.promoted} for row in scheduler.counts()
    ]
    history = load_run(cwd / "run")
    for trial in history.trials.values():  # every unit once, in order: nobody began again
        assert trial.resources == list(range(1, trial.reached + 1))
        assert trial.reached == scheduler.trials[trial.id].resource
        assert trial.configuration == dict(scheduler.trials[trial.id].configuration)
    summary = summary_of(history, [])
    assert (summary["best"], summary["trials"]) == (results["best"]["value"], results["trials"])
    assert report([str(cwd / "run")]) == 0
    assert (cwd / "run" / "report.html").stat().st_size > 5_000
    return results


def reached(results: dict[str, Any]) -> list[tuple[int, int]]:
    return [(rung["level"], rung["reached"]) for rung in results["rungs"]]


@pytest.mark.slow
def test_stopping(tmp_path: Path) -> None:
    results = search(tmp_path, "--scheduler", "asha-stopping", "--max-trials", "8", "--seed", "1")
    (_, all_of_them), (_, some), (_, few) = reached(results)
    assert all_of_them == 8
    assert 8 > some >= few >= 1  # the best of each rung always goes on


@pytest.mark.slow
def test_pasha(tmp_path: Path) -> None:
    results = search(tmp_path, "--variation", "pasha-random-warm", "--max-trials", "9")
    unlocked = results["scheduler_state"]["unlocked"]
    assert unlocked in (3, 9)
    assert dict(reached(results))[3] >= 3
    assert all(count == 0 for level, count in reached(results) if level > unlocked)


@pytest.mark.slow
def test_hyperband(tmp_path: Path) -> None:
    search(tmp_path, "--scheduler", "hyperband", "--max-trials", "7", "--searcher", "sobol")
    run = load_run(tmp_path / "run")
    assert run.brackets == [1, 3, 9]
    assert len({trial.first for trial in run.trials.values()}) > 1  # with this seed


@pytest.mark.slow
def test_synchronous_hyperband(tmp_path: Path) -> None:
    """9 begin at 1 and 3 of them go on, 1 to the end; 2 of the next bracket's 5 begin at 3."""
    results = search(tmp_path, "--scheduler", "sync-hyperband", "--max-trials", "11")
    assert reached(results) == [(1, 9), (3, 3 + 2), (9, 1)]


def test_synchronous_halving(tmp_path: Path) -> None:
    frozen = ("--freeze", "momentum=0.9", "--freeze", "label_smoothing=1e-2")
    results = search(tmp_path, "--scheduler", "sh", "--max-trials", "9", *frozen)
    assert reached(results) == [(1, 9), (3, 3), (9, 1)]
    for entry in results["top"]:
        assert (entry["configuration"]["momentum"], entry["configuration"]["label_smoothing"]) == (0.9, 0.01)


def test_without_halving_from_start_points(tmp_path: Path) -> None:
    point = {"lr": 0.1, "weight_decay": 1e-4, "momentum": 0.9, "magnitude": 0.1, "label_smoothing": 0.05}
    (tmp_path / "points.json").write_text(json.dumps([point]))
    starts = ("--start-points", str(tmp_path / "points.json"), "--searcher", "halton")
    results = search(tmp_path, "--scheduler", "random", "--max-trials", "3", *starts)
    assert reached(results) == [(9, 3)]
    assert load_run(tmp_path / "run").trials[0].proposed == point
    # its best are the next search's start points
    scheduler = resolve(parse_arguments([*DIGITS, "--start-points", str(tmp_path / "run")])).scheduler
    assert [dict(scheduler.searcher.propose(i)) for i in range(3)] == [
        e["configuration"] for e in results["top"]
    ]


@pytest.mark.processes
@pytest.mark.parametrize("scheduler", ["asha", "sh"])
def test_a_grid_is_searched_to_its_end(scheduler: str, tmp_path: Path) -> None:
    (tmp_path / "mytask.py").write_text(
        "from asha_core import Choice, SearchSpace\n"
        "from trials import Task\n\n"
        "def odd(configuration):\n    return configuration['a'] * configuration.get('b', 1) % 2 == 1\n\n"
        "class Sum(Task):\n"
        "    space = SearchSpace({'a': Choice([1, 2, 3, 5]), 'b': Choice([1, 2, 3])},\n"
        "                        conditions={'b': {'a': [1, 3]}}, constraints=[odd])\n"
        "    max_resource = 3\n"
        "    def run(self, trial):\n"
        "        for unit in trial.units():\n"
        "            trial.report(trial.config['a'] + trial.config.get('b', 0) / 10 + unit / 100)\n"
    )
    done = run(
        *("--task", "mytask:Sum", "--gpus", "cpu", "--workers-per-gpu", "2", "--searcher", "grid"),
        *("--scheduler", scheduler, "--results-dir", "run", "--progress", "none"),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    # a = 1 and 3 with b = 1 and 3; a = 5 without b
    assert (results["trials"], results["best"]["configuration"]) == (5, {"a": 5})
    assert reached(results)[0] == (1, 5)
    assert re.search(r"5\.\d+ .* 5 +-$", done.stdout, re.MULTILINE)
    sys.path.insert(0, str(tmp_path))  # for the constraint
    try:
        assert replay(tmp_path / "run").best is not None
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("mytask", None)
