"""A folder that holds several things: which of them a report is made of, and when it is asked for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.cli import main
from analysis.report.choosing import chosen
from asha_core.errors import ResultsError
from tests.analysis.journals.test_metrics import REPORTS, write_run
from tests.analysis.studies import write_study


def of_task(folder: Path, name: str) -> Path:
    """A search of the task ``name``."""
    manifest = json.loads((write_run(folder, REPORTS, end=10.0) / "run.json").read_text())
    manifest["task"]["name"] = name
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder


def test_searches_that_have_nothing_in_common_are_listed_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "my results"
    of_task(results / "first", "digits")
    of_task(results / "other", "wine")
    best = {"best": {"value": 0.9}, "reason": "complete"}
    (results / "first" / "results.json").write_text(json.dumps(best))
    before = sorted(tmp_path.rglob("*"))
    assert main([str(results)]) == 2
    told = capsys.readouterr().err
    assert "holds 2 searches that have nothing in common" in told
    assert f"asha-report '{results}/first'" in told
    assert "digits, asha baseline, seed 0 (best score 0.9, complete)" in told
    assert "wine, asha baseline, seed 0 (not ended)" in told
    assert len(told.splitlines()) == 3  # a line each, below what to do
    assert sorted(tmp_path.rglob("*")) == before


def test_a_study_among_searches_is_listed_with_them(tmp_path: Path) -> None:
    write_study(tmp_path / "smoke", seeds=range(2), trials=3)
    of_task(tmp_path / "first", "digits")
    with pytest.raises(ResultsError, match="holds 1 study and 1 search that have nothing in common") as found:
        chosen([tmp_path])
    assert "a study of 6 runs" in str(found.value)
    assert "seed-0" not in str(found.value)  # the study's own searches are not told one by one


def test_the_only_study_in_a_folder_is_meant(tmp_path: Path) -> None:
    study = write_study(tmp_path / "results" / "smoke", seeds=range(2), trials=3)
    assert chosen([tmp_path / "results"]) == [study]
    assert chosen([study]) == [study]


def test_many_are_not_all_told(tmp_path: Path) -> None:
    for number in range(25):
        of_task(tmp_path / f"run-{number:02}", f"task {number}")
    with pytest.raises(ResultsError, match="and 5 more") as found:
        chosen([tmp_path])
    assert str(found.value).count("\n") == 21


def test_searches_of_one_problem_and_those_that_are_named_stand_side_by_side(tmp_path: Path) -> None:
    one, other = of_task(tmp_path / "a" / "1", "digits"), of_task(tmp_path / "a" / "2", "digits")
    third = of_task(tmp_path / "b", "wine")
    assert chosen([tmp_path / "a"]) == [tmp_path / "a"]
    assert chosen([one, other, third]) == [one, other, third]


def test_pairs_of_several_problems_are_a_study(tmp_path: Path) -> None:
    arms = {"baseline": 1.0, "ohgw-1step": 0.9}
    write_study(tmp_path / "a", arms, range(2), plan=False, trials=3)
    write_study(tmp_path / "b", arms, range(2), plan=False, trials=3)
    for file in (tmp_path / "b").rglob("run.json"):
        manifest = json.loads(file.read_text())
        manifest["task"]["name"] = "wine"
        file.write_text(json.dumps(manifest))
    assert chosen([tmp_path]) == [tmp_path]
    of_task(tmp_path / "alone", "iris")
    with pytest.raises(ResultsError, match="9 searches"):
        chosen([tmp_path])
