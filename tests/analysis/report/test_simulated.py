"""What a report says of simulated searches: that they are, from which table, and that time is virtual."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.cli import main
from analysis.comparison.building import compare
from analysis.comparison.criteria import CRITERIA, judge
from analysis.number_formats import NONE
from analysis.report import study_page
from analysis.report.drawings import Drawing
from analysis.report.measures import measure_name, scale
from analysis.report.sentences import in_words
from analysis.report.study_contents import criteria_table
from analysis.report.study_figures import effects_drawing, look_of, main_drawings
from analysis.study.loading import load_study
from tests.asha_core.study.simulated import study, table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    assert study(folder, schedulers=["asha"], seeds=6).returncode == 0
    return folder / "study"


def test_words_have_the_table_its_size_and_that_time_is_virtual(folder: Path) -> None:
    comparison = compare(load_study(folder))
    words = " ".join(in_words(comparison))
    assert "These searches were simulated" in words
    assert "in the table curves (SHA-256 " in words
    assert "of 12 configurations" in words
    assert "Time is virtual, on 1 worker: what the units took when they were recorded." in words
    assert "wall-clock" not in words
    assert "no GPU" not in words
    assert measure_name(comparison, "seconds") == "virtual time"
    (group,) = comparison.groups
    told = json.loads(json.dumps(comparison.to_json()))["groups"][0]["simulated"]
    assert told["configurations"] == 12
    assert [len(against.seeds) for against in group.against] == [6]
    assert group.against[0].gain.value > 0


def test_few_configurations_are_said_to_be_few(folder: Path) -> None:
    told = [str(problem) for problem in load_study(folder).problems if problem.kind == "few configurations"]
    assert len(told) == 1
    assert "12 configurations recorded" in told[0]


def test_a_table_without_seconds_has_no_unit_of_time(tmp_path: Path) -> None:
    table(tmp_path / "curves.npz", seconds=None, warm_seconds=None)
    study(tmp_path, schedulers=["asha"])
    comparison = compare(load_study(tmp_path / "study"))
    assert "the table has no seconds: a unit of resource takes 1" in " ".join(in_words(comparison))
    assert scale(comparison, comparison.groups[0], "seconds").unit == "units of virtual time"


def test_runs_have_no_reports_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--runs"]) == 2
    assert "--runs: the runs of this study were simulated" in capsys.readouterr().err


def test_runs_beyond_number_are_told_by_arm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = load_study(folder).replicates
    assert study_page._many(runs) == []
    monkeypatch.setattr(study_page, "_LISTED", 5)
    told = study_page._many(runs)
    assert [(each["arm"], each["count"], each["seeds"]) for each in told] == [
        ("baseline", 6, "0-5"),
        ("ohgw-1step", 6, "0-5"),
    ]


@pytest.mark.long
def test_the_page_is_written(folder: Path, tmp_path: Path) -> None:
    assert main([str(folder), "--output", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "These searches were simulated" in page
    assert "none: simulated, 1 worker" in page


def test_memory_is_no_criterion_where_nothing_was_trained(folder: Path) -> None:
    """None is recorded, so the whole could never hold."""
    comparison = compare(load_study(folder))
    told = {each.criterion for each in comparison.criteria.verdicts}
    assert told == set(CRITERIA) - {"memory"}
    assert "memory" not in " ".join(criteria_table(comparison).header)


def test_the_verdicts_of_a_study_of_which_only_a_part_was_simulated(folder: Path) -> None:
    comparison = compare(load_study(folder))
    (simulated,) = comparison.groups
    trained = replace(simulated, name="trained", simulated=None)
    groups = (simulated, trained)
    mixed = replace(comparison, groups=groups, criteria=judge(groups, comparison.measure))
    assert [row[4] for row in criteria_table(mixed).rows] == [NONE, "not enough data"]
    cells = study_page._verdicts(mixed, list(CRITERIA))
    assert cells[simulated.name]["ohgw-1step"][2] == (None, "")
    assert cells["trained"]["ohgw-1step"][2][0] is not None


def test_figures_say_that_time_is_virtual_and_over_what_intervals_are(folder: Path) -> None:
    comparison = compare(load_study(folder))
    (group,) = comparison.groups
    look = look_of(comparison)
    effects = effects_drawing(comparison, look)
    assert effects is not None
    assert "recorded configurations" in shown(effects)
    for drawing in main_drawings(comparison, group, "group", look)[:2]:
        assert "virtual time" in shown(drawing)
        assert "wall-clock" not in shown(drawing)


def shown(drawing: Drawing) -> str:
    """All that is written in a figure."""
    figure = Figure()
    drawing.draw(figure.add_subplot())
    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))
