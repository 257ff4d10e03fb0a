"""Studies over recorded curves: one compact file, the same whatever happens, that is read like a study."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.comparison import compare
from analysis.journals.replicate import time_to_target
from analysis.report.simulated import simulation_limits
from analysis.study.loading import Study, load_study
from analysis.study.problems import Problem
from analysis.study.simulated_runs import FILE, read_simulated
from analysis.study.tidy import load
from asha_core import ASHA, Curves, SettingError, simulate
from asha_core.searchers.drawn_rows import drawn_rows
from asha_core.simulation.drawn_table import DrawnTable
from asha_core.study import simulation_runner
from tests.asha_core.study.simulated import study, table

ROWS = 12


def problems_of(read: Study) -> list[Problem]:
    """But for that the table of these tests is a small one."""
    return [problem for problem in read.problems if problem.kind != "few configurations"]


def test_a_study_over_a_table_is_one_file_and_reads_like_any_other(tmp_path: Path) -> None:
    done = study(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 runs done" in done.stdout
    assert {path.name for path in (tmp_path / "study").iterdir()} == {
        *("study.json", "study.lock", "curves", FILE)
    }
    read = load_study(tmp_path / "study")
    assert problems_of(read) == []
    assert read.groups == ["curves, asha", "curves, random"]
    assert read.arms("curves, asha") == ["baseline", "ohgw-1step"]
    assert [base.seed for base, _ in read.pairs("curves, asha", "ohgw-1step")] == [0, 1, 2]
    assert read.targets("curves, asha") == (0.3, 0.5)
    assert {(each.seed, each.configurations) for each in read.drawn.values()} == {(0, ROWS)}


def test_a_replicate_says_what_the_simulation_came_to(tmp_path: Path) -> None:
    study(tmp_path, schedulers=["asha"], workers=2)
    curves = Curves.load(tmp_path / "curves.npz")
    for each in load_study(tmp_path / "study").replicates:
        rows = drawn_rows(0, each.seed, ROWS)
        scheduler = ASHA(curves.space, max_resource=9, max_trials=ROWS, seed=each.seed)
        found = simulate(scheduler, DrawnTable(curves, rows), workers=2, arm=each.arm)
        assert each.curve.value.tolist() == found.values
        assert each.curve.t.tolist() == found.times
        assert each.curve.trial.tolist() == found.by
        assert (each.reason, each.ends["seconds"]) == (found.reason, found.seconds)
        assert time_to_target(each, 0.3) == (found.time_to(0.3), False)
        assert each.ends["gpu_hours"] == pytest.approx(2 * found.seconds / 3600)
        assert [each.trials["reached"].tolist(), each.met] == [[t.resource for t in scheduler.trials], ROWS]
        assert each.ends["units"] >= found.units
        assert (each.ends["units"] > found.units) is (each.arm != "baseline")  # warm starts, in units


def test_columns_of_trials_come_from_the_tables_rows(tmp_path: Path) -> None:
    study(tmp_path)
    curves = Curves.load(tmp_path / "curves.npz")
    for each in load_study(tmp_path / "study").replicates:
        trials = each.trials
        assert len(dict(trials)) == len(trials)
        for place, row in enumerate(trials["row"].tolist()):
            curve = curves.curve(each.arm, row)
            count = curve.units.index(trials["reached"][place]) + 1
            assert trials["best"][place] == max(curve.values[:count])
            assert curve.values[curve.units.index(trials["best_at"][place])] == trials["best"][place]
            assert trials["seconds"][place] == pytest.approx(sum(curve.seconds[:count]))
            assert trials["warm_start_seconds"][place] == curve.warm_seconds
            drawn, trained = curves.configurations[row], curve.refined or curves.configurations[row]
            assert trials["proposed.lr"][place] == pytest.approx(math.log10(drawn["lr"]))
            assert trials["refined.momentum"][place] == trained["momentum"]
        with pytest.raises(KeyError):
            trials["proposed.nothing"]
        assert each.split.training == pytest.approx(trials["seconds"].sum())
        assert each.split.total == pytest.approx(each.ends["seconds"])


def test_a_seed_meets_the_same_configurations_in_all_arms_and_schedulers(tmp_path: Path) -> None:
    study(tmp_path, study_seed=7)
    runs = read_simulated(tmp_path / "study" / FILE)
    for id, run in runs.items():
        seed = int(id.rpartition("-")[2])
        assert run.row.tolist() == drawn_rows(7, seed, ROWS)[: len(run.row)]
    assert len(runs) == 12


@pytest.mark.processes
@pytest.mark.long
def test_the_file_is_the_same_whatever_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation_runner, "BATCH", 2)
    study(tmp_path)
    done = study(tmp_path, "--parallel", "2", directory="two")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / FILE).read_bytes() == (tmp_path / "study" / FILE).read_bytes()


@pytest.mark.parametrize("left", [0, 1, 40, 0.3, 0.6, 0.999])
def test_a_study_that_was_killed_goes_on_to_the_same_file(
    left: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation_runner, "BATCH", 2)
    study(tmp_path)
    file = tmp_path / "study" / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[: int(left if left >= 1 or not left else left * len(whole))])
    assert study(tmp_path).returncode == 0
    assert file.read_bytes() == whole


def test_more_seeds_are_added_to_what_is_there(tmp_path: Path) -> None:
    study(tmp_path, seeds=1)
    before = (tmp_path / "study" / FILE).read_bytes()
    done = study(tmp_path, seeds=2)
    assert "4 of 8 runs are done already" in done.stderr
    assert (tmp_path / "study" / FILE).read_bytes().startswith(before)
    assert len(load_study(tmp_path / "study").replicates) == 8
    (entry, *_) = json.loads((tmp_path / "study" / "study.json").read_text())["simulated"]
    assert entry["seeds"] == [[0, 1]]


def test_runs_that_are_missing_are_told_of_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation_runner, "BATCH", 4)
    study(tmp_path)
    file = tmp_path / "study" / FILE
    file.write_bytes(file.read_bytes()[:-1])
    problems = problems_of(load_study(tmp_path / "study"))
    assert {problem.kind for problem in problems} == {"missing"}
    assert all("not simulated yet" in problem.sentence for problem in problems)


def test_a_table_that_has_changed_is_refused(tmp_path: Path) -> None:
    study(tmp_path)
    table(tmp_path / "curves.npz", rows=14)
    done = study(tmp_path)
    assert done.returncode == 2
    assert "its table of curves has changed since" in done.stderr


def test_a_report_does_not_need_the_table_where_it_was(tmp_path: Path) -> None:
    study(tmp_path)
    (tmp_path / "curves.npz").unlink()
    assert len(load_study(tmp_path / "study").replicates) == 12


def test_reports_of_single_units_are_not_kept(tmp_path: Path) -> None:
    study(tmp_path, seeds=1)
    tables = load(tmp_path / "study")
    assert len(tables.trials["row"]) == 4 * ROWS
    assert len(tables.improvements["value"]) == sum(len(each.curve.t) for each in tables.study.replicates)
    assert set(tables.runs["used"]) == {True}
    with pytest.raises(SettingError, match="keeps no reports"):
        _ = tables.reports


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"tasks": ["digits"]}, "s.yaml: it has both curves and tasks"),
        ({"curves": "none.npz"}, "s.yaml: curves none.npz: No such file"),
        ({"curves": "s.yaml"}, "s.yaml: curves: "),
        ({"curves": 3}, "s.yaml: curves is 3: give the path of a table"),
        ({"variations": ["baseline", "trust"]}, "s.yaml: variation 'trust': curves.npz has no such arm"),
        ({"subset": 0.5}, "s.yaml: subset has no meaning with curves"),
        ({"max_trials": 13}, "asha-baseline: max-trials is 13, and the table has 12 configurations"),
        ({"max_resource": 27}, "asha-baseline: trials are compared at epoch 1, 3, 9, 27"),
        (
            {"experiments": [{"run_id": "a", "curves": "x.npz", "task": "digits"}]},
            "experiment a: it has both",
        ),
        ({"study_seed": -1}, "s.yaml: study_seed"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: dict, words: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    done = study(tmp_path, **content)
    assert done.returncode == 2
    assert words in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_an_experiment_may_have_curves_beside_others_with_tasks(tmp_path: Path) -> None:
    told = study(
        tmp_path,
        "--dry-run",
        "--json",
        curves=None,
        schedulers=None,
        max_trials=5,
        experiments=[
            {"run_id": "real", "tasks": ["digits"]},
            {"run_id": "virtual", "curves": "curves.npz", "budget": "10s"},
        ],
    )
    arms = {arm["arm"]: arm for arm in json.loads(told.stdout)["arms"]}
    assert list(arms) == ["real", "virtual-curves-asha-baseline", "virtual-curves-asha-ohgw-1step"]
    assert arms["virtual-curves-asha-baseline"]["gpu_hours_a_run"] == pytest.approx(10 / 3600)
    assert "curves curves, 1 worker in virtual time" in arms["virtual-curves-asha-baseline"]["what"]


def test_a_dry_run_says_what_was_taken(tmp_path: Path) -> None:
    told = study(tmp_path, "--dry-run").stdout
    assert "arms of 4 simulated over recorded curves" in " ".join(told.split())
    assert "hours" not in told
    study(tmp_path)
    told = json.loads(study(tmp_path, "--dry-run", "--json").stdout)
    hours = [each.ends["gpu_hours"] for each in load_study(tmp_path / "study").replicates]
    assert told["gpu_hours"] == pytest.approx(sum(hours))
    assert (told["done"], told["gpu_hours_left"]) == (12, 0)


def test_searches_end_by_budget_target_and_patience(tmp_path: Path) -> None:
    for directory, option, reason in (
        ("a", {"budget": "5s"}, "budget"),
        ("b", {"stop_at": 0.1}, "stop_at"),
        ("c", {"patience": 1}, "patience"),
    ):
        assert study(tmp_path, directory=directory, **option).returncode == 0
        assert {each.reason for each in load_study(tmp_path / directory).replicates} == {reason}


def test_configurations_come_again_where_that_is_asked_for(tmp_path: Path) -> None:
    done = study(tmp_path, curves_option={"resample": True}, max_trials=30, schedulers=["random"])
    assert done.returncode == 0, done.stderr
    for each in load_study(tmp_path / "study").replicates:
        rows = drawn_rows(0, each.seed, ROWS)
        assert each.trials["row"].tolist() == [*rows, *rows, *rows[:6]]
        assert each.met == ROWS


def test_targets_may_be_shares_of_the_baselines_configurations(tmp_path: Path) -> None:
    best = np.sort(Curves.load(table(tmp_path / "curves.npz")).value[0].max(axis=1))[::-1]
    done = study(tmp_path, targets=["share:0.5", "share:0.25", "share:0.24", 0.9])
    assert done.returncode == 0, done.stderr
    wanted = (best[5], best[2], 0.9)  # of twelve; the last two shares are alike
    assert load_study(tmp_path / "study").targets("curves, asha") == wanted
    planned = json.loads((tmp_path / "study" / "study.json").read_text())
    assert {tuple(each["targets"]) for each in planned["simulated"]} == {wanted}
    again = study(tmp_path, targets=["share:0.5", "share:0.25", "share:0.24", 0.9])
    assert "12 of 12 runs done" in again.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"targets": ["share:2"]}, "targets has 'share:2': share is 2"),
        ({"targets": ["share:0"]}, "share is 0"),
        ({"targets": ["share:many"]}, "targets has 'share:many': could not convert"),
        ({"targets": ["share:0.1"], "curves": None, "tasks": ["dummy"]}, "which is of recorded curves"),
        ({"targets": ["share:0.1"], "baseline": "ohgw-1step", "variations": ["baseline"]}, "baseline is"),
    ],
)
def test_shares_that_are_none_are_refused(tmp_path: Path, content: dict[str, object], said: str) -> None:
    wrong = study(tmp_path, **content)
    assert (wrong.returncode, (tmp_path / "study").exists()) == (2, False)
    assert said in wrong.stderr


def test_warm_starts_are_charged_at_another_price_where_that_is_asked_for(tmp_path: Path) -> None:
    curves = Curves.load(table(tmp_path / "curves.npz"))
    half = [{"run_id": "half", "curves_option": {"warm_start_cost": 0.5}}, {"run_id": "as-recorded"}]
    done = study(tmp_path, experiments=half)
    assert done.returncode == 0, done.stderr
    read = load_study(tmp_path / "study")
    assert sorted(read.groups) == [
        *("curves, asha", "curves, asha, warm_start_cost=0.5"),
        *("curves, random", "curves, random, warm_start_cost=0.5"),
    ]
    found = {(each.group, each.arm, each.seed): each for each in read.replicates}
    for (group, arm, seed), each in found.items():
        cost = 0.5 if "0.5" in group else 1.0
        recorded = cost * curves.warm_seconds[curves.arms.index(arm)]
        assert each.trials["warm_start_seconds"].tolist() == recorded[each.trials["row"]].tolist()
        assert each.split.warm_start == pytest.approx(recorded[each.trials["row"]].sum())
        assert each.manifest["simulated"].get("warm_start_cost", 1.0) == cost
        if arm == "baseline":  # pays nothing
            assert (
                each.curve.t.tolist() == found["curves, " + group.split(", ")[1], arm, seed].curve.t.tolist()
            )
    told = " ".join(simulation_limits(compare(read)))
    assert "Warm starts were charged in some groups with 0.5 of their recorded seconds." in told


def test_a_price_of_one_is_none(tmp_path: Path) -> None:
    for directory, options in (("one", {"curves_option": {"warm_start_cost": 1}}), ("none", {})):
        study(tmp_path, directory=directory, **options)
    files = [(tmp_path / directory / FILE).read_bytes() for directory in ("one", "none")]
    assert files[0] == files[1]
    manifests = [load_study(tmp_path / d).replicates[0].manifest for d in ("one", "none")]
    assert manifests[0]["simulated"] == manifests[1]["simulated"]


@pytest.mark.parametrize("cost", [0, -1, "cheap", True])
def test_a_price_that_is_none_is_refused_before_anything_is_made(tmp_path: Path, cost: object) -> None:
    wrong = study(tmp_path, curves_option={"warm_start_cost": cost})
    assert (wrong.returncode, (tmp_path / "study").exists()) == (2, False)
    assert "curves-option warm_start_cost is" in wrong.stderr


def test_faults_are_injected_alike_in_all_arms(tmp_path: Path) -> None:
    assert study(tmp_path, executor_option={"fail_share": 0.5}, schedulers=["random"]).returncode == 0
    found = [
        (each.seed, each.trials["state"] == "failed") for each in load_study(tmp_path / "study").replicates
    ]
    assert all(failed.any() for _, failed in found)
    for seed, failed in found[:3]:
        assert all((other == failed).all() for s, other in found if s == seed)
    wrong = study(tmp_path, directory="other", executor_option={"fail_chare": 0.5})
    assert (wrong.returncode, (tmp_path / "other").exists()) == (2, False)
    assert "fail_share" in wrong.stderr


def test_a_table_without_seconds_takes_units(tmp_path: Path) -> None:
    table(tmp_path / "curves.npz", seconds=None, warm_seconds=None)
    study(tmp_path, schedulers=["random"])
    read = load_study(tmp_path / "study")
    assert {each.ends["seconds"] for each in read.replicates} == {float(9 * ROWS)}
    assert not read.replicates[0].manifest["simulated"]["timed"]


def test_a_search_that_fails_ends_no_other_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asha_core.study import simulated_search

    def fails(*_: object, **more: object) -> object:
        raise SettingError("it cannot go on")

    with monkeypatch.context() as patch:
        patch.setattr(simulated_search, "simulate", fails)
        done = study(tmp_path)
    assert done.returncode == 1
    problems = problems_of(load_study(tmp_path / "study"))
    assert {problem.kind for problem in problems} == {"failed"}
    assert "an error ended it: it cannot go on" in problems[0].sentence
    assert study(tmp_path).returncode == 0
    assert not problems_of(load_study(tmp_path / "study"))


def test_best_of_finds_the_best_of_simulated_arms(tmp_path: Path) -> None:
    done = study(
        tmp_path,
        schedulers=None,
        experiments=[
            {"run_id": "a", "seeds": 6},
            {"run_id": "b", "seeds": "10-11", "variations": ["baseline", {"best_of": "a"}]},
        ],
    )
    assert done.returncode == 0, done.stderr
    assert np.unique([each.arm for each in load_study(tmp_path / "study").of("curves, asha")]).size == 2
