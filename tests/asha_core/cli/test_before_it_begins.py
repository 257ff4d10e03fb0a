"""What is refused, planned or read before a search begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asha_core.cli.run import main
from asha_core.launch.yaml_files import read_yaml
from tests.asha_core.cli import odd_tasks
from trials.spec import TaskSpec

TEXTS = ["--task", "tests.asha_core.cli.odd_tasks:Texts", "--gpus", "inline", "--progress", "none"]
TIGHT = ["--task", "tests.asha_core.cli.odd_tasks:Tight", "--gpus", "inline", "--progress", "none"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2E+5", -2e5),
        ("1.5e3", 1500.0),
        ('"1e-3"', "1e-3"),
        ("'1e-3'", "1e-3"),
        ("1e", "1e"),
        ("e3", "e3"),
        ("1e-3 m", "1e-3 m"),
        ("3", 3),
        ("true", True),
        ('{"a": "1e5"}', {"a": "1e5"}),
        ("{a: 1e5}", {"a": 1e5}),
    ],
)
def test_numbers_are_read_as_people_write_them_and_text_stays_text(text, value):
    assert read_yaml(text) == value
    assert type(read_yaml(text)) is type(value)


def run(tmp_path: Path, *arguments: str) -> int:
    return main([*arguments, "--results-dir", str(tmp_path / "run")])


def configurations(folder: Path) -> list[dict]:
    records = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
    return [record["configuration"] for record in records if record["type"] == "job" and record["start"] == 0]


def test_an_option_that_looks_like_a_number_can_be_frozen_and_come_again(tmp_path, capsys):
    assert run(tmp_path / "a", *TEXTS, "--max-trials", "3", "--freeze", "o='1e-3'", "--freeze", "w=0") == 0
    first = configurations(tmp_path / "a" / "run")
    assert all((each["o"], each["w"]) == ("1e-3", 0.0) for each in first)
    points = ["--start-points", str(tmp_path / "a" / "run"), "--max-trials", "3", "--seed", "7"]
    assert run(tmp_path / "b", *TEXTS, *points) == 0
    again = configurations(tmp_path / "b" / "run")
    assert sorted(map(repr, again)) == sorted(map(repr, first))
    capsys.readouterr()


def test_a_task_that_is_an_object_is_frozen_for_this_search_alone(tmp_path, capsys):
    task = ["--task", "tests.asha_core.cli.odd_tasks:texts", "--gpus", "inline", "--progress", "none"]
    before = odd_tasks.texts.space
    assert run(tmp_path, *task, "--max-trials", "3", "--freeze", "x=1") == 0
    assert odd_tasks.texts.space is before
    assert TaskSpec("tests.asha_core.cli.odd_tasks:texts", {}, {"x": 1}).build().space != before
    capsys.readouterr()


@pytest.mark.parametrize("plan", [[], ["--plan"]])
def test_a_space_that_is_nearly_empty_is_refused_at_once_also_behind_start_points(plan, tmp_path, capsys):
    (tmp_path / "points.yaml").write_text("[{x: 0.25, y: 0.75}, {x: 0.5, y: 0.5}]")
    points = ["--start-points", str(tmp_path / "points.yaml")]
    for more in ([], points):
        assert run(tmp_path, *TIGHT, "--max-trials", "4", *more, *plan) == 2
        error = capsys.readouterr().err
        assert (
            "constraints refused 10,000 draws in a row (tests.asha_core.cli.odd_tasks:on_a_line allows 0%)"
            in error
        )
        assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "sync-hyperband", "sh", "random"])
def test_a_plan_for_a_budget_that_buys_nothing_says_so(scheduler, capsys):
    limits = ["--budget", "1s", "--unit-seconds", "100", "--plan"]
    assert main([*TEXTS, "--scheduler", scheduler, *limits]) == 0
    assert "warning: the budget ends before the first unit is complete" in capsys.readouterr().out


@pytest.mark.parametrize("limits", [("1e308", "1e-3"), ("1h", "1e-310")])
def test_a_plan_for_more_than_all_of_time_ends(limits, capsys):
    assert main([*TEXTS, "--budget", limits[0], "--unit-seconds", limits[1], "--plan"]) == 0
    assert "trials" in capsys.readouterr().out


def test_a_plan_is_of_a_new_search(capsys):
    assert main([*TEXTS, "--max-trials", "9", "--resume", "--plan"]) == 2
    assert "--plan tells what a new search would do" in capsys.readouterr().err


def test_a_key_is_given_once(capsys):
    assert main([*TEXTS, "--freeze", "x=0.1", "--freeze", "x=0.2"]) == 2
    assert "--freeze gives x twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scheduler", "few"), [("asha", 5), ("hyperband", 5), ("sync-hyperband", 20), ("sh", 20)]
)
def test_the_note_on_the_last_rung_names_a_number_that_would_do(scheduler, few, tmp_path, capsys):
    arguments = [*TEXTS, "--scheduler", scheduler, "--max-resource", "81", "--max-trials", str(few)]
    arguments[arguments.index("none")] = "plain"
    run(tmp_path, *arguments)
    error = capsys.readouterr().err
    assert "none is expected to reach the last rung" in error
    enough = int(error.split("that takes ")[1].split(",")[0])
    capsys.readouterr()
    main(
        [
            *TEXTS,
            "--scheduler",
            scheduler,
            "--max-resource",
            "81",
            "--max-trials",
            str(enough),
            "--plan",
            "--json",
        ]
    )
    assert round(json.loads(capsys.readouterr().out)["last_rung"]["trials"]) >= 1
