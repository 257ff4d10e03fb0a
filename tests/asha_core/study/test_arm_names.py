"""Directories of arms: one each, inside the study, and the same whatever is added to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.study.arm_names import directory_name
from asha_core.study.definition import study_from
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned_runs import PlannedRun


def study(**content: Any) -> Any:
    return study_from({"task": "dummy", "max_trials": 3, **content}, "study.yaml", "study")


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=4, unique=True))
def test_whatever_experiments_are_called_each_has_a_directory_of_its_own_in_the_study(
    names: list[str],
) -> None:
    entries = [{"run_id": name, "max_trials": 3 + place} for place, name in enumerate(names)]
    assume(all(directory_name([name]) for name in names))  # else they are refused
    runs = study(experiments=entries).runs
    root = Path("/results/runs")
    places = [(root / run.id).resolve() for run in runs]
    assert all(place.parent.parent == root and place.name == "seed-0" for place in places)
    assert all(len(place.parent.name.encode()) <= 255 for place in places)
    assert len({str(place).casefold() for place in places}) == len(names)


@pytest.mark.parametrize("name", ["..", "/", ".", "-", " ", True, ["a"], {"a": 1}])
def test_names_of_experiments_that_are_none(name: Any) -> None:
    with pytest.raises(SettingError, match=r"experiment 1(: run_id is| has no run_id)"):
        study(experiments=[{"run_id": name}])


def test_names_that_are_alike_once_they_are_directories_are_told_apart() -> None:
    content = [{"run_id": "a/b", "max_trials": 3}, {"run_id": "a-b", "max_trials": 4}]
    first, second = (run.stem for run in study(experiments=content).runs)
    assert first == "a-b"
    assert second.startswith("a-b-")
    options = [{"name": "baseline", "task_option": {"a": text}} for text in ("x y", "x/y")]
    assert len({run.id for run in study(variations=options).runs}) == 2


def begin(directory: StudyDirectory, made: Any) -> None:
    """Have all runs of a study begun."""
    merged = directory.merged(made)
    directory.write(made, merged, [])
    for run in merged:
        directory.run(run).path.mkdir(parents=True, exist_ok=True)
        directory.run(run).manifest.write_text("{}")


FEW_AND_MORE = [
    (
        {"experiments": [{"run_id": "main", "variation": "baseline"}]},
        {"experiments": [{"run_id": "main", "variations": ["baseline", "ohgw-1step"]}]},
    ),
    (
        {"variations": [{"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-3}}]},
        {
            "variations": [
                "ohgw-1step",
                {"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-2}},
                {"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-3}},
            ]
        },
    ),
    (
        {"variations": [{"name": "ohgw-1step", "max_trials": 4}]},
        {"variations": ["ohgw-1step", {"name": "ohgw-1step", "max_trials": 4}]},
    ),
    ({"variations": ["baseline", "ohgw-1step"]}, {"experiments": [{"run_id": "first"}]}),
]


@pytest.mark.parametrize(("few", "more"), FEW_AND_MORE)
def test_an_arm_added_later_leaves_those_before_as_they_are(
    tmp_path: Path, few: dict[str, Any], more: dict[str, Any]
) -> None:
    if "experiments" in more and "variation" not in str(more):
        more = {**more, **few}
    directory = StudyDirectory(tmp_path / "study")
    begin(directory, study(**few, seeds=2))
    before = {run.identity: run.id for run in directory.read()}
    later = study(**more, seeds=3)
    merged = directory.merged(later)
    assert before.items() <= {run.identity: run.id for run in merged}.items()
    assert len({run.identity for run in merged}) == len(merged) == len({run.id for run in merged})
    assert {run.identity for run in later.runs} <= {run.identity for run in merged}
    of_one_arm: dict[tuple[str, str], set[str]] = {}
    for run in merged:
        of_one_arm.setdefault((run.experiment, run.kind), set()).add(run.stem)
    shared = [stem for stems in of_one_arm.values() for stem in stems]
    assert len(shared) <= len(set(shared)) + 2  # only where an experiment took over another one's runs


def test_what_a_file_says_is_what_study_json_gives_back(tmp_path: Path) -> None:
    """Also a number that JSON does not have: else nothing could go on, being "another search"."""
    directory = StudyDirectory(tmp_path / "study")
    made = study(task_option={"limit": float("inf"), "low": float("-inf"), "deep": {"list": [1, 2.5, None]}})
    begin(directory, made)
    (kept,) = directory.read()
    assert kept.identity == made.runs[0].identity
    assert isinstance(kept, PlannedRun)
    directory.merged(made)


@pytest.mark.parametrize(
    "more",
    [{"no_progress_timeout": "20m"}, {"max_retries": 5}, {"checkpoint_budget": "1GB"}, {"data_dir": "d"}],
)
def test_how_a_worker_that_hangs_is_dealt_with_may_change_in_between(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    directory = StudyDirectory(tmp_path / "study")
    begin(directory, study())
    (run,) = directory.merged(study(**more))
    assert more.items() - {("checkpoint_budget", "1GB")} <= run.options.items()
    assert run.group == "dummy, asha"


def test_start_points_are_found_from_wherever_the_run_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    monkeypatch.chdir(tmp_path)
    directory = StudyDirectory(tmp_path / "study")
    (run,) = study(start_points="points.yaml").runs
    written = yaml.safe_load(directory.write_config(run).read_text())
    assert written["start-points"] == str(tmp_path / "points.yaml")
    assert run.options["start_points"] == "points.yaml"  # so that a study that was moved is the same one
