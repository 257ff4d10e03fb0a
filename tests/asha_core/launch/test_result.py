"""What a search found: as ``tune`` returns it, and as it is read from its directory."""

from __future__ import annotations

import json
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, AshaError, Choice, Float, Result, SearchSpace, tune
from asha_core.errors import ResultsError, SettingError
from tests.asha_core.launch.test_tune import Impatient, Stumbles
from tests.golden.test_golden import HERE as GOLDEN
from tests.trials import jobs
from trials.task import FunctionTask
from trials.tasks.dummy import Dummy

SPACE = SearchSpace({"x": Float(0.0, 1.0), "<b>": Choice(["a&b", "c"])})


def search(folder: Path, **settings: Any) -> Any:
    scheduler = settings.pop("kind", ASHA)(SPACE, max_resource=3, max_trials=6, seed=1)
    options: dict[str, Any] = {"gpus": "inline", "progress": "none", "results_dir": folder / "run"}
    return tune(settings.pop("train", jobs.work), scheduler, **options, **settings)


def like(one: Result, other: Result) -> None:
    """The same, but for what floats lose on their way through hours and JSON."""
    assert (one.best, one.directory, one.summary) == (other.best, other.directory, other.summary)
    assert one.best_configuration == other.best_configuration
    for name in one.outcome.__dataclass_fields__:
        ours, theirs = getattr(one.outcome, name), getattr(other.outcome, name)
        assert ours == (pytest.approx(theirs) if isinstance(theirs, float) else theirs), name
    assert (one.reached is None) == (other.reached is None)
    if one.reached is not None and other.reached is not None:
        assert one.reached.units == other.reached.units
        assert one.reached.seconds == pytest.approx(other.reached.seconds, abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [{}, {"budget": 1e-9}, {"target": 0.0}, {"target": 1e9}],
    ids=["whole", "budget", "near", "far"],
)
def test_what_is_loaded_is_what_was_returned(settings: Any, tmp_path: Path) -> None:
    result = search(tmp_path, **settings)
    like(Result.load(result.directory), result)
    like(Result.load(str(result.directory)), result)


@pytest.mark.parametrize(
    ("settings", "reason"), [({"observers": [Impatient()]}, "interrupted"), ({"kind": Stumbles}, "error")]
)
def test_what_did_not_end_well_can_be_had(settings: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        search(tmp_path, **settings)
    result = Result.load(tmp_path / "run")
    assert result.outcome.reason == reason
    assert result.best is not None
    assert result.summary["top"]


@pytest.mark.parametrize("stale", [True, False])
def test_of_a_search_that_was_killed_it_is_what_the_journal_has(stale: bool, tmp_path: Path) -> None:
    result = search(tmp_path)
    journal = result.directory / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    if not stale:
        (result.directory / "results.json").unlink()
    killed = Result.load(result.directory)
    assert killed.outcome.reason == "killed"
    assert 0 < killed.outcome.units < result.outcome.units
    assert killed.summary["units"] == killed.outcome.units
    assert {"best", "top", "rungs", "metric", "unit"} <= set(killed.summary)
    assert "killed" in killed._repr_html_()


@pytest.mark.parametrize("name", ["schema-1", "schema-2", "rules-1-sh"])
def test_those_of_earlier_versions_can_be_loaded(name: str) -> None:
    result = Result.load(GOLDEN / name)
    assert result.outcome.units > 0
    assert result.best is not None
    assert str(GOLDEN / name) in repr(result)


def test_what_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read"):
        Result.load(tmp_path)
    with pytest.raises(SettingError, match="directory is"):
        Result.load(3)  # type: ignore[arg-type]


def test_it_shows_itself_in_a_line_and_in_a_notebook_as_a_table(tmp_path: Path) -> None:
    result = search(tmp_path)
    line = repr(result)
    assert "\n" not in line
    assert len(line) < 110 + len(str(result.directory))
    assert f"best value {result.best_value:.4g} by trial {result.best.trial} at unit" in line
    html = result._repr_html_()
    assert html.count("<tr>") == 1 + len(result.summary["top"])
    assert "<th>&lt;b&gt;</th>" in html
    assert "<td>a&amp;b</td>" in html
    assert "search complete: 6 trials" in html
    assert str(result.directory) in html


def test_it_can_be_pickled_though_its_task_cannot(tmp_path: Path) -> None:
    task = FunctionTask(jobs.work, SPACE)
    task.lock = threading.Lock()  # type: ignore[attr-defined]
    result = search(tmp_path, train=task)
    like(pickle.loads(pickle.dumps(result)), result)


def test_its_trials_are_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = search(tmp_path)
    frame = result.frame()
    assert list(frame["trial"]) == list(range(6))
    best = frame.iloc[result.best.trial]
    assert (best["best"], best["best_at"]) == (result.best_value, result.best.resource)
    assert {name: best[f"config.{name}"] for name in SPACE} == dict(result.best_configuration)
    assert list(frame.columns)[:6] == ["trial", "state", "best", "best_at", "reached", "seconds"]
    assert frame["config.x"].dtype == "float64"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingError, match="pip install"):
        result.frame()


def test_its_model_and_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.report.run_drawings.drawings_of", lambda *_: [])  # which takes seconds
    scheduler = ASHA(Dummy.space, max_resource=3, max_trials=2)
    options: dict[str, Any] = {"gpus": "inline", "progress": "none", "results_dir": tmp_path / "run"}
    result = tune(Dummy(), scheduler, **options)
    model, checkpoint = result.load_model()
    assert checkpoint["configuration"] == dict(result.best_configuration or {})
    again, _ = Result.load(result.directory).load_model(Dummy)
    assert model.state_dict().keys() == again.state_dict().keys()
    page = result.report()
    assert page == result.directory / "report.html"
    assert "dummy" in page.read_text()


def test_a_report_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    result = search(tmp_path)
    (result.directory / "figures").touch()
    with pytest.raises(ResultsError, match="the report cannot be written into"):
        result.report()


def test_a_functions_search_has_no_model_and_says_what_it_has(tmp_path: Path) -> None:
    result = search(tmp_path)
    with pytest.raises(AshaError, match=r"load_state\(\)"):
        result.load_model()
    assert result.load_state() == {"sum": result.best_value}
    (result.directory / "checkpoints" / "best.pt").unlink()
    with pytest.raises(ResultsError, match=r"best\.pt"):
        Result.load(result.directory).load_state()


def test_what_a_directory_names_is_not_imported(tmp_path: Path) -> None:
    result = search(tmp_path)
    manifest = json.loads((result.directory / "run.json").read_text())
    manifest["task"]["target"] = "tests.asha_core.cli.not_to_be_imported:Task"
    (result.directory / "run.json").write_text(json.dumps(manifest))
    Result.load(result.directory)
    assert "tests.asha_core.cli.not_to_be_imported" not in sys.modules
