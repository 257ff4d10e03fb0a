"""``asha-curves from``: tables of results that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.journals.runs import load_run
from asha_core import ASHA, Curves, simulate
from asha_core.cli.curves import main
from asha_core.cli.run import main as asha_run
from asha_core.errors import SettingError
from asha_core.recording.from_runs import curves_of
from tests.asha_core.study.simulated import study

PACED = "tests.asha_core.cli.odd_tasks:Paced"


def search(directory: str, *others: str, task: str = PACED, trials: int = 9) -> Path:
    given = ["--task", task, "--gpus", "inline", "--progress", "none", "--max-trials", str(trials)]
    assert asha_run([*given, "--results-dir", directory, *others]) == 0
    return Path(directory)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_where_a_trial_was_paused_its_curve_ends(here: Path, capsys) -> None:
    search("runs/a", "--scheduler", "asha")
    search("runs/b", "--scheduler", "asha", "--variation", "random-warm")
    assert main(["from", "runs", "--output", "c.npz"]) == 0
    told = capsys.readouterr().out
    assert "9 configurations" in told
    curves = Curves.load("c.npz")
    assert (curves.arms, curves.units) == (("baseline", "random-warm"), tuple(range(1, 10)))
    for place, name in enumerate(("a", "b")):
        for row, trial in load_run(here / "runs" / name).trials.items():
            assert curves.length[place, row] == trial.reached
            curve = curves.curve(curves.arms[place], row)
            assert curve.values == trial.values
            assert curve.ended == ("complete" if trial.reached == 9 else "unknown")
    assert 1 in curves.length
    assert f"{(curves.length < 9).sum()} curves of 18 end before step 9" in told
    found = simulate(ASHA(curves.space, max_trials=9, max_resource=9, min_resource=1, seed=0), curves)
    assert found.trials == 9
    assert main(["from", "runs", "--output", "c.npz"]) == 2
    assert "c.npz exists" in capsys.readouterr().err


def test_seeds_add_configurations_and_what_not_all_arms_have_is_left_out(here: Path, capsys) -> None:
    full = ["--scheduler", "random"]
    for seed, trials in ((0, 3), (1, 4)):
        search(f"runs/base-{seed}", *full, "--seed", str(seed), trials=trials)
    search("runs/warm-0", *full, "--variation", "random-warm", trials=5)
    assert main(["from", "runs", "--output", "c.npz"]) == 0
    told = capsys.readouterr().out
    assert "left out: 4 configurations of baseline that not all arms have" in told
    assert "left out: 2 configurations of random-warm that not all arms have" in told
    curves = Curves.load("c.npz")
    assert (len(curves), curves.source["seeds"]) == (3, [0])
    search("runs/warm-1", *full, "--seed", "1", "--variation", "random-warm", trials=4)
    assert main(["from", "runs", "--output", "d.npz"]) == 0
    more = Curves.load("d.npz")
    assert (len(more), more.source["seeds"]) == (7, [0, 1])
    assert more.configurations[:3] == curves.configurations


def test_of_several_searches_of_a_trial_the_longest_curve_stays(here: Path, capsys) -> None:
    search("runs/asha", "--scheduler", "asha")
    search("runs/random", "--scheduler", "random")
    assert main(["from", "runs", "--output", "c.npz"]) == 0
    assert "9 trials in several searches" in capsys.readouterr().out
    assert (Curves.load("c.npz").length == 9).all()


def test_every_way_in_which_a_trial_ends(here: Path) -> None:
    search("a", "--scheduler", "random", task="tests.asha_core.recording.tasks:Odd", trials=4)
    recorded = curves_of([load_run("a")])
    curve = recorded.curves.curve
    assert [curve("baseline", row).ended for row in range(4)] == [
        "complete",
        "failed",
        "finished",
        "complete",
    ]
    assert recorded.notes == []


def test_units_that_not_every_curve_has_are_left_out_and_their_seconds_are_not(here: Path) -> None:
    """A function may report some units only."""
    directory = search("a", "--scheduler", "random", trials=2)
    run = load_run(directory)
    trial = run.trials[1]
    seconds = sum(trial.seconds)
    for name in ("resources", "values", "seconds", "metrics", "costs"):
        value = getattr(trial, name)
        if name == "seconds":
            value[3] += value[2]
        del value[2]
    recorded = curves_of([run])
    assert recorded.curves.units == (1, 2, 4, 5, 6, 7, 8, 9)
    assert "left out: 1 step that not every curve has a value at" in recorded.notes
    whole = recorded.curves.seconds
    assert whole is not None
    assert whole[0, 1].sum() == pytest.approx(seconds)
    assert whole[0, 0].sum() == pytest.approx(sum(run.trials[0].seconds))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--max-resource", "3"], "differ in the last step"),
        (["--freeze", "x=0.5"], "differ in the search space, at x"),
        (["--task-option", "seconds=0.001"], "differ in the problem"),
    ],
)
def test_searches_of_several_problems_are_refused(here: Path, capsys, change: list[str], words: str) -> None:
    search("runs/a", "--scheduler", "random", trials=1)
    search("runs/b", "--scheduler", "random", *change, trials=1)
    assert main(["from", "runs", "--output", "c.npz"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not Path("c.npz").exists()


def test_arms_without_a_configuration_in_common_and_no_results_at_all(here: Path, capsys) -> None:
    search("runs/a", "--scheduler", "random", trials=1)
    search("runs/b", "--scheduler", "random", "--variation", "random-warm", "--seed", "1", trials=1)
    assert main(["from", "runs", "--output", "c.npz"]) == 2
    assert "no configuration is in all arms (baseline, random-warm; seeds 0, 1)" in capsys.readouterr().err
    for missing in ("nothing", "."):
        Path("empty").mkdir(exist_ok=True)
        assert main(["from", "empty" if missing == "." else missing, "--output", "c.npz"]) == 2
        assert "results directory" in capsys.readouterr().err


def test_two_settings_of_one_warm_start_are_two_arms(here: Path) -> None:
    for name, sigma in (("a", "0.01"), ("b", "0.1")):
        search(
            f"runs/{name}", "--scheduler", "random", "--variation", "random-warm",
            "--warm-start-option", f"sigma={sigma}", trials=2,
        )  # fmt: skip
    curves = curves_of([load_run("runs/a"), load_run("runs/b")]).curves
    assert curves.arms == ("random-warm (sigma=0.01)", "random-warm (sigma=0.1)")


def test_a_search_that_has_reported_nothing(here: Path) -> None:
    directory = search("a", "--scheduler", "random", trials=2)
    journal = directory / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if '"report"' in line)
    journal.write_text("".join(lines[:first]))
    with pytest.raises(SettingError, match="no trial of baseline has reported anything"):
        curves_of([load_run(directory)])


def test_searches_whose_trials_all_failed_before_their_first_report(here: Path) -> None:
    run = load_run(search("a", "--scheduler", "random", trials=2))
    for trial in run.trials.values():
        trial.state = "failed"
        for reports in (trial.resources, trial.values, trial.seconds, trial.metrics, trial.costs):
            reports.clear()
    with pytest.raises(SettingError, match="no trial of baseline has reported anything"):
        curves_of([run])


def test_a_table_out_of_results_is_that_of_its_recording(here: Path) -> None:
    place = ["--task", PACED, "--gpus", "inline", "--progress", "none"]
    given = ["--arms", "baseline,random-warm", "--configurations", "3", "--output", "c.npz"]
    assert main(["record", *given, *place]) == 0
    assert main(["from", "c.npz.runs", "--output", "d.npz"]) == 0
    one, other = Curves.load("c.npz"), Curves.load("d.npz")
    assert (one.arms, one.configurations, one.refined) == (other.arms, other.configurations, other.refined)
    np.testing.assert_array_equal(one.value, other.value)


def test_a_simulated_study_trained_nothing_and_says_where_its_table_is(here: Path, capsys) -> None:
    study(here)
    assert main(["from", "study", "--output", "again.npz"]) == 2
    said = capsys.readouterr().err
    assert "its tables are study/curves/" in said
    assert not Path("again.npz").exists()
