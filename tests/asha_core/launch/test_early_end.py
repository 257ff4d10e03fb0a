"""--stop-at and --patience, and the same of tune(): journalled, resumed, and told."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest

from analysis.journals.runs import load_run
from analysis.report.run_tables import in_words
from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.cli.run import main
from asha_core.errors import SettingError

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
TASK = ["--task", "tests.asha_core.cli.odd_tasks:Paced", "--gpus", "inline", "--progress", "plain"]


def climb(trial):
    for unit in trial.units():
        trial.report(trial.config["x"] + unit / 10)


def again(directory: Path, **settings):
    scheduler = ASHA(SPACE, max_trials=60, max_resource=3)
    return tune(
        climb, scheduler, gpus="inline", results_dir=directory, resume=True, progress="plain", **settings
    )


def test_a_script_stops_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "run"
    first = again(directory, stop_at=0.9)
    assert first.outcome.reason == first.summary["reason"] == "stop_at"
    assert first.best_value >= 0.9
    told = capsys.readouterr().err
    assert "search stopped, good enough" in told
    assert (
        f"as good as was asked for (stop_at 0.9); go on with: tune(..., results_dir={str(directory)!r}"
        in told
    )
    assert "resume=True, stop_at=None)" in told
    manifest = json.loads((directory / "run.json").read_text())
    assert (manifest["stop_at"], manifest["patience"]) == (0.9, None)

    same = again(directory, stop_at=0.9)
    assert (same.outcome.reason, same.outcome.units) == ("stop_at", first.outcome.units)
    assert "as good as was asked for" in capsys.readouterr().err

    patient = again(directory, patience=20)
    assert patient.outcome.units > first.outcome.units
    assert "nothing better came in 20 results (patience)" in capsys.readouterr().err
    whole = again(directory)
    assert whole.outcome.reason == "complete"
    plain = tune(
        climb,
        ASHA(SPACE, max_trials=60, max_resource=3),
        gpus="inline",
        results_dir=tmp_path / "b",
        progress="none",
    )
    assert (whole.best, whole.outcome.units) == (plain.best, plain.outcome.units)


@pytest.mark.parametrize(("rules", "reason"), [({"stop_at": 1.0}, "stop_at"), ({"budget": 0.2}, "budget")])
def test_a_job_in_this_process_ends_after_its_unit(tmp_path: Path, rules, reason) -> None:
    def slowly(trial):
        for unit in trial.units():
            time.sleep(0.05 * (reason == "budget"))
            trial.report(unit / 10)

    def searched(folder: str, **settings):
        scheduler = ASHA(SPACE, max_trials=1, min_resource=30, max_resource=30)
        return tune(
            slowly,
            scheduler,
            gpus="inline",
            results_dir=tmp_path / folder,
            resume=True,
            progress="none",
            **settings,
        )

    found = searched("run", **rules)
    assert (found.outcome.reason, found.outcome.units < 15) == (reason, True)
    if reason == "stop_at":
        assert found.outcome.units == 10
        assert searched("run").outcome.units == 30
        assert json.loads((tmp_path / "run" / "results.json").read_text())["reason"] == "complete"


@pytest.mark.parametrize("wrong", [{"stop_at": "high"}, {"stop_at": float("nan")}, {"patience": "soon"}])
def test_what_cannot_be_used_is_refused_before_anything_begins(tmp_path: Path, wrong) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        again(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_the_command_keeps_it_until_it_is_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"
    command = [*TASK, "--max-trials", "9", "--max-resource", "3", "--results-dir", str(directory)]
    assert main([*command, "--patience", "2"]) == 0
    assert "--patience none" in capsys.readouterr().err
    units = json.loads((directory / "results.json").read_text())["units"]
    assert main(["--resume", *TASK, "--results-dir", str(directory)]) == 0
    found = json.loads((directory / "results.json").read_text())
    assert (found["reason"], found["units"]) == ("patience", units)
    assert main(["--resume", *TASK, "--results-dir", str(directory), "--patience", "none"]) == 0
    found = json.loads((directory / "results.json").read_text())
    assert (found["reason"], found["units"] > units) == ("complete", True)
    resumed = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    assert [r["changes"] for r in resumed if r["type"] == "resume"] == [{}, {"patience": None}]
    assert main(["--resume", *TASK, "--results-dir", str(directory)]) == 0
    assert json.loads((directory / "results.json").read_text())["reason"] == "complete"


@pytest.mark.parametrize(
    ("option", "value"), [("--stop-at", "much"), ("--patience", "2.5"), ("--patience", "0")]
)
def test_a_command_says_what_it_takes(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TASK, option, value]) == 2
    assert f"{option} is" in capsys.readouterr().err


def test_a_plan_says_that_it_leaves_them_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TASK, "--max-trials", "9", "--plan"]) == 0
    assert "stop-at" not in capsys.readouterr().out
    assert main([*TASK, "--max-trials", "9", "--plan", "--stop-at", "0.5", "--patience", "30m"]) == 0
    assert (
        "--stop-at and --patience may end the search before; the plan leaves them out"
        in capsys.readouterr().out
    )


def test_the_report_says_why_it_ended(tmp_path: Path) -> None:
    for name, settings, said in (
        ("a", {"stop_at": 0.5}, "good enough"),
        ("b", {"patience": 1}, "nothing better"),
    ):
        again(tmp_path / name, **settings)
        run = load_run(tmp_path / name)
        assert run.reason in ("stop_at", "patience")
        summary = defaultdict(lambda: None, trials=1, units=1)
        assert said in in_words(run, summary)
