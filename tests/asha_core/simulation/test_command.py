"""``asha-run --executor simulate``, and ``tune`` over curves: what they do, say and refuse."""

from __future__ import annotations

import json

import pytest

from asha_core import ASHA, simulate, tune
from asha_core.cli.run import main
from asha_core.errors import SettingError
from asha_core.runtime.storage.journal import read_journal
from tests.asha_core.simulation.simulated import lines, table

ARMS = ("baseline", "ohgw-1step")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("curves") / "toy.npz"
    table(arms=ARMS).save(path)
    return path


def run(file, directory, *words):
    named = ["--curves", str(file), "--results-dir", str(directory), "--seed", "3"]
    return main(["--executor", "simulate", *named, *words])


def test_the_same_options_give_the_same_journal_byte_for_byte(file, tmp_path, capsys):
    words = ["--variation", "asha-ohgw-1step", "--workers", "8"]
    for name in ("one", "two"):
        assert run(file, tmp_path / name, *words) == 0
    journals = [(tmp_path / name / "journal.jsonl").read_bytes() for name in ("one", "two")]
    assert journals[0] == journals[1]
    told = capsys.readouterr()
    assert "simulated: 40 configurations of toy, arm ohgw-1step; times are virtual" in told.err
    assert "8 simulated workers, in virtual time" in told.err
    assert "best configurations:" in told.out


def test_it_is_the_search_that_the_library_simulates(file, tmp_path, capsys):
    assert (
        run(file, tmp_path / "run", "--workers", "4", "--budget", "20s", "--json", "--progress", "none") == 0
    )
    told = json.loads(capsys.readouterr().out)
    found = simulate(ASHA(table().space, seed=3, max_resource=9), table(arms=ARMS), workers=4, budget=20.0)
    assert (told["reason"], told["units"], told["seconds"]) == (found.reason, found.units, found.seconds)
    assert told["best"]["value"] == found.best.value
    assert told["simulated"] == {"nearest": 0, "unknown": 0}


def test_a_refined_configuration_is_told_as_recorded(file, tmp_path):
    run(file, tmp_path / "run", "--variation", "ohgw-1step", "--progress", "none")
    refined = [each for each in lines(tmp_path / "run" / "journal.jsonl") if each["type"] == "refined"]
    assert len(refined) == 40
    assert all(each["diagnostics"]["recorded"] and each["seconds"] == 0.25 for each in refined)


def test_a_search_that_was_stopped_goes_on_by_its_directory_alone(file, tmp_path):
    assert run(file, tmp_path / "whole", "--workers", "4", "--progress", "none") == 0
    assert run(file, tmp_path / "part", "--workers", "4", "--budget", "9s", "--progress", "none") == 0
    more = ["--resume", "--results-dir", str(tmp_path / "part"), "--budget", "1h", "--progress", "none"]
    assert main(more) == 0
    resumed = [
        each for each in read_journal(tmp_path / "part" / "journal.jsonl").records if each["type"] == "resume"
    ]
    assert [sorted(each) for each in resumed] == [["changes", "devices", "held", "t", "torn", "type"]]


def test_without_seconds_units_are_time_and_that_is_said(tmp_path, capsys):
    table(seconds=False).save(tmp_path / "units.npz")
    run(tmp_path / "units.npz", tmp_path / "run", "--max-trials", "1", "--min-resource", "9")
    assert "these curves have no seconds: each epoch takes 1" in capsys.readouterr().err


@pytest.mark.long  # scipy
def test_a_searcher_that_proposes_something_else_is_answered_by_the_nearest(file, tmp_path, capsys):
    run(file, tmp_path / "run", "--searcher", "sobol")
    told = capsys.readouterr().err
    assert "searcher sobol proposes what the table lacks" in told
    assert "40 of 40 trials trained by the curve of the nearest configuration" in told


def test_all_configurations_are_begun_and_more_of_them_if_that_is_asked_for(file, tmp_path, capsys):
    run(file, tmp_path / "all", "--json", "--progress", "none")
    assert json.loads(capsys.readouterr().out)["trials"] == 40
    assert run(file, tmp_path / "more", "--max-trials", "41") == 2
    assert (
        "the table has 40 configurations: give at most 40, or --curves-option resample=true"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "more").exists()
    run(file, tmp_path / "again", "--max-trials", "90", "--curves-option", "resample=true")
    assert "after 40 trials the table's configurations come again" in capsys.readouterr().err


def test_warm_starts_are_charged_at_another_price(tmp_path, capsys):
    table(arms=("baseline", "ohgw-1step")).save(tmp_path / "warm.npz")
    found = []
    for cost in (1, 0.25):
        here = tmp_path / str(cost)
        words = (
            "--variation",
            "ohgw-1step",
            "--max-trials",
            "5",
            "--curves-option",
            f"warm_start_cost={cost}",
        )
        assert run(tmp_path / "warm.npz", here, *words) == 0
        records = read_journal(here / "journal.jsonl").records
        found.append([each["seconds"] for each in records if each["type"] == "refined"])
    assert len(found[0]) == 5
    assert found[1] == [0.25 * seconds for seconds in found[0]]
    assert capsys.readouterr().err.count("warm starts take 0.25 of their recorded seconds") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "digits"], "--task and --executor simulate: the task is the table's (--curves)"),
        (["--gpus", "cpu"], "--workers N says how many workers"),
        (["--variation", "brake"], "no arm 'brake'"),
        (["--max-resource", "11"], "the curves have no value at 11"),
        (["--curves-option", "again=true"], "curves have no option 'again'"),
        (["--curves-option", "warm_start_cost=0"], "curves-option warm_start_cost is 0"),
        (["--executor-option", "slow=1"], "has no setting 'slow'"),
        (["--executor-option", "slow_share=2"], "slow_share is 2: it must be"),
        (["--decision-seconds", "soon"], "it must be none, measured, or seconds"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_made(file, tmp_path, capsys, words, said):
    assert run(file, tmp_path / "run", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--curves", "--workers", "--decision-seconds"])
def test_options_of_a_simulated_search_alone_are_refused(capsys, option):
    assert main([option, "4", "--task", "digits"]) == 2
    assert f"{option} is of a simulated search: give --executor simulate" in capsys.readouterr().err


def test_a_plan_knows_the_workers(file, tmp_path, capsys):
    assert run(file, tmp_path / "run", "--plan", "--workers", "8", "--json") == 0
    assert json.loads(capsys.readouterr().out)["slots"] == 8


def test_from_a_script_the_curves_stand_in_the_place_of_the_task(tmp_path):
    curves = table(arms=ARMS)
    found = tune(
        curves, "asha", workers=16, variation="ohgw-1step", results_dir=tmp_path / "run", progress="none"
    )
    assert (found.outcome.reason, found.outcome.trials) == ("complete", 40)
    again = tune(
        curves,
        ASHA(curves.space, max_resource=9),
        executor="simulate",
        executor_options={"fail_share": 0.5},
        results_dir=tmp_path / "again",
        progress="none",
    )
    assert 0 < again.outcome.failures < 40
    for wrong in ({"gpus": "cpu"}, {"warm_start_options": {"eta_h": 1.0}}, {"executor": "ray"}):
        with pytest.raises(SettingError):
            tune(curves, "asha", results_dir=tmp_path / "none", **wrong)
    with pytest.raises(SettingError, match="workers is of a simulated search"):
        tune(len, "asha", space={"x": curves.space["x"]}, workers=3)
