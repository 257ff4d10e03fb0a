"""What a study's file says is what is run."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.study.definition import read_study, study_from
from asha_core.study.planned_runs import PlannedRun, in_order
from asha_core.study.yaml_file import read_seeds

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "asha_core" / "study" / "files"
TRANSFER = ROOT / "benchmarks" / "studies" / "zero-tuning-transfer.yaml"


def study(**content: Any) -> Any:
    task = {} if "tasks" in content else {"task": "dummy"}
    return study_from({**task, **content}, "study.yaml", "study")


names = st.lists(
    st.sampled_from(["baseline", "random-warm", "ohgw-1step", "ohgw-trust"]), min_size=1, unique=True
)


@given(names, st.lists(st.sampled_from(["asha", "pasha", "sh"]), min_size=1, unique=True), st.integers(1, 5))
def test_every_combination_is_run_once(variations: list[str], schedulers: list[str], seeds: int) -> None:
    runs = study(variations=variations, schedulers=schedulers, seeds=seeds).runs
    expected = {(s, v, n) for s in schedulers for v in variations for n in range(seeds)}
    assert {(run.scheduler, run.variation, run.seed) for run in runs} == expected
    assert len(runs) == len(expected) == len({run.id for run in runs})
    for run in runs:
        named = (run.options["scheduler"], run.options["variation"], run.options["seed"])
        assert named == (run.scheduler, run.variation, run.seed)


@given(
    names, st.lists(st.integers(0, 50), min_size=1, unique=True), st.lists(st.integers(51, 99), unique=True)
)
def test_more_seeds_change_nothing_about_the_runs_before(
    variations: list[str], seeds: list[int], more: list[int]
) -> None:
    few, many = (in_order(study(variations=variations, seeds=s).runs) for s in (seeds, [*seeds, *more]))
    assert [run for run in many if run.seed in seeds] == few


@given(names, st.integers(1, 8))
def test_a_pair_is_run_together_and_whole(variations: list[str], seeds: int) -> None:
    order = in_order(study(variations=variations, seeds=seeds).runs)
    for start in range(0, len(order), len(variations)):
        pair = order[start : start + len(variations)]
        assert len({run.seed for run in pair}) == 1
        assert {run.variation for run in pair} == set(variations)


def test_within_pairs_no_variation_is_always_first() -> None:
    order = in_order(study(variations=["baseline", "ohgw-1step", "ohgw-trust"], seeds=30).runs)
    firsts = [order[start].variation for start in range(0, len(order), 3)]
    assert all(firsts.count(name) > 3 for name in set(firsts))
    assert len(set(firsts)) == 3


def test_what_is_more_special_wins_and_mappings_are_merged() -> None:
    made = study(
        **{"max-trials": 10, "max_resource": 3, "task-option": {"a": 1, "b": 1}, "targets": [0.5]},
        tasks=[{"name": "dummy", "task_option": {"b": 2}, "targets": [0.6, 0.7]}],
        variations=[{"name": "ohgw-1step", "warm-start-option": {"eta-h": 1e-2}, "max-trials": 30}],
        experiments=[{"run_id": "one", "max_trials": 20, "label_noise": 0.1}],
    )
    (run,) = made.runs
    assert run.id == "one/seed-0"
    assert run.options["max_trials"] == 30
    assert run.options["max_resource"] == 3
    assert run.options["label_noise"] == 0.1
    assert run.options["task_option"] == {"a": 1, "b": 2}
    assert run.options["warm_start_option"] == {"eta_h": 0.01}
    assert run.arm == "ohgw-1step (eta_h=0.01)"
    assert run.targets == (0.6, 0.7)
    assert run.options["target"] == 0.7


def test_runs_that_differ_by_the_warm_start_alone_are_of_one_group() -> None:
    made = study(
        schedulers=["asha", "pasha"],
        variations=["baseline", {"name": "ohgw-1step", "warm_start_option": {"eta_h": 0.1}}],
        experiments=[
            {"run_id": "clean"},
            {"run_id": "small", "max_trials": 9},
            {"run_id": "more", "seeds": "5-6"},
        ],
    )
    groups = {run.group for run in made.runs}
    assert groups == {
        "dummy, asha",
        "dummy, pasha",
        "dummy, asha, max_trials=9",
        "dummy, pasha, max_trials=9",
    }
    asha = [run for run in made.runs if run.group == "dummy, asha"]
    assert {(run.arm, run.seed) for run in asha} == {
        (arm, seed) for arm in ("baseline", "ohgw-1step (eta_h=0.1)") for seed in (0, 5, 6)
    }


def test_names_are_told_apart_by_their_options_only_where_they_must_be() -> None:
    sweep = [{"name": "ohgw-1step", "warm_start_option": {"eta_h": eta}} for eta in (1e-4, 1e-3)]
    made = study(variations=["baseline", *sweep])
    assert {run.id for run in made.runs} == {
        "dummy-asha-baseline/seed-0",
        "dummy-asha-ohgw-1step-eta_h=0.0001/seed-0",
        "dummy-asha-ohgw-1step-eta_h=0.001/seed-0",
    }


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (3, [0, 1, 2]),
        ([4, 2], [4, 2]),
        ("100-103", [100, 101, 102, 103]),
        ("0-1, 7", [0, 1, 7]),
        (["3-4", 9], [3, 4, 9]),
    ],
)
def test_seeds(given: Any, seeds: list[int]) -> None:
    assert read_seeds(given, "seeds") == seeds


@pytest.mark.parametrize(
    "given",
    [
        "0-99999999999",
        10**9,
        "\N{ARABIC-INDIC DIGIT THREE}",
        "9" * 5000,
        0,
        -1,
        [],
        "",
        "a",
        [1, 1],
        "5-3",
        True,
        2.5,
        None,
        ["0-2", 1],
        [True],
    ],
)
def test_seeds_that_are_none(given: Any) -> None:
    with pytest.raises(SettingError, match="seeds is"):
        read_seeds(given, "seeds")


WRONG = [
    ({"variatons": ["baseline"]}, 'unknown key .*did you mean "variations"'),
    ({"gpus": "0"}, "unknown key 'gpus'"),
    ({"measure": "hours"}, "measure is 'hours'"),
    ({"keep_checkpoints": "none"}, "keep_checkpoints is 'none'"),
    ({"gpus_per_run": 0}, "gpus_per_run is 0"),
    ({"targets": ["high"]}, "targets is"),
    ({"target": 0.9, "targets": [0.9]}, "both target and targets"),
    ({"task": "dummy", "tasks": ["digits"]}, "both task and tasks"),
    ({"max-trials": "many"}, "max_trials is 'many'"),
    ({"variations": [3]}, "3 is no name"),
    ({"variations": ["baseline", "baseline"]}, "same search twice"),
    ({"experiments": []}, "experiments must be a list"),
    ({"experiments": [{"seeds": 3}]}, "has no run_id"),
    ({"max_trials": 3, "max-trials": 4}, "max_trials is there twice"),
    ({"name": "../x"}, "name is '../x'"),
    ({"name": None}, "name is None"),
    ({"name": True}, "name is True"),
    ({"name": ""}, "name is ''"),
    ({"baseline": "random-warm"}, "baseline is 'random-warm'"),
    ({"variations": []}, "variations is empty"),
    ({"variations": None}, "variations is empty"),
    ({"variations": [""]}, "'' is no name"),
    ({"targets": [float("nan")]}, "targets is"),
    ({"targets": float("inf")}, "targets is"),
    ({"task-option": {"a": datetime.date(2026, 1, 1)}}, "task_option is 2026-01-01, a date"),
    ({"freeze": {"a": {"x", "y"}}}, "freeze is .* of the kind set"),
    ({"task-option": {"a": {1: 2}}}, "has the key 1"),
    ({"variations": ["pasha-ohgw-1step"]}, "names the scheduler pasha"),
    ({"variations": ["ohgw-1step", "asha-ohgw-1step"]}, "same search twice"),
    ({"variations": [{"best_of": "main"}]}, "best_of stands among"),
    ({"experiments": [{"run_id": "a", "needs": 3}]}, "experiment a: needs is 3"),
    ({"experiments": [{"run_id": "a", "variations": []}, {"run_id": "b"}]}, "variations is empty"),
    ({"experiments": [{"run_id": "a"}, {"run_id": "a"}]}, "run_id a is there twice"),
    ({"experiments": [{"run_id": "a"}, {"run_id": "b"}]}, "same search twice"),
    ({"experiments": [{"run_id": "a", "name": "x"}]}, "unknown key 'name'"),
    ({"test": "yes"}, "test is 'yes'"),
    ({"experiments": [{"run_id": "a", "variations": [{"best_of": "b"}]}]}, "best_of 'b'"),
    ({"experiments": [{"run_id": "a"}, {"run_id": "b", "variation": {"best_of": "a"}}]}, "can be compared"),
    (
        {"experiments": [{"run_id": "a"}, {"run_id": "b", "variations": [{"best_of": "a", "size": 1}]}]},
        "best_of: unknown key 'size'",
    ),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_mistakes_are_named_with_their_place(content: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        study_from({"task": "dummy", **content}, "study.yaml", "study")
    assert str(caught.value).startswith("study.yaml")


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing"),
        ("[1]", "holds a list"),
        ("a: [", "is not YAML"),
        ("task: dummy\nseeds: 3\nseeds: 5", "gives 'seeds' twice"),
        ("tasks: [{name: dummy, subset: 0.1, subset: 0.2}]", "line 1: a mapping gives 'subset' twice"),
        ("task: dummy\nbudget: 1:30", "base 60"),
        ("task: dummy\ntask-option: &a {x: *a}", "contains itself"),
        ("task: dummy\nname: 2026-13-01", "is not YAML"),
        (f"task: dummy\ntask-option: {{a: {'[' * 2000}{']' * 2000}}}", "too deeply"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_study(path)


def test_a_study_without_a_task() -> None:
    with pytest.raises(SettingError, match="names no task"):
        study_from({"seeds": 3}, "study.yaml", "study")


def test_a_planned_run_survives_its_file() -> None:
    (run,) = study(
        variations=[{"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-4}}], targets=[0.5, 0.9]
    ).runs
    again = PlannedRun.from_dict(run.to_dict())
    assert again == run
    assert again.identity == run.identity


def test_what_waits_for_the_best_of_another_experiment_keeps_its_names() -> None:
    content = {
        "seeds": 2,
        "targets": [0.5],
        "experiments": [
            {"run_id": "main", "variations": ["baseline", "ohgw-1step", "ohgw-trust"]},
            {"run_id": "check", "max_trials": 5, "variations": ["baseline", {"best_of": "main"}]},
        ],
    }
    before = study(**content)
    after = study_from(
        {"task": "dummy", **content}, "study.yaml", "study", best={"main": {"name": "ohgw-trust"}}
    )
    assert before.waiting == {"check": "main"}
    assert not after.waiting
    assert {run.id for run in before.runs} < {run.id for run in after.runs}
    assert {run.id for run in after.runs} - {run.id for run in before.runs} == {
        f"check-dummy-asha-ohgw-trust/seed-{seed}" for seed in range(2)
    }


def test_an_experiment_that_needs_what_is_not_installed_is_left_out_and_named() -> None:
    found = study(
        experiments=[
            {"run_id": "a", "needs": "yaml"},
            {"run_id": "b", "needs": ["yaml", "no_such_library"], "scheduler": "pasha"},
        ],
    )
    assert {run.experiment for run in found.runs} == {"a"}
    (note,) = found.notes_of_left_out
    assert note.startswith("experiment b is left out; it needs no_such_library, which is not installed: pip")


def test_the_smoke_test_leaves_out_tasks_whose_extra_is_missing_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = importlib.util.find_spec
    lacking = {"xgboost", "stable_baselines3", "gymnasium", "ale_py", "cv2"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else there(name))
    found = read_study(SHIPPED / "smoke-test.yaml")
    notes = {note.split()[1]: note for note in found.notes_of_left_out}
    assert "pip install 'asha-core[rl]'" in notes["ppo"]
    assert "pip install 'asha-core[tabular]'" in notes["trees"]
    tasks = {run.options["task"] for run in found.runs}
    assert {"language", "tabular"} <= tasks
    assert "atari" not in tasks


def test_the_transfer_study_moves_eta_h_alone_and_pairs_the_sweep_with_what_is_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asha_core.study.definition.missing", lambda libraries: "")
    runs = read_study(TRANSFER).runs
    assert len({run.group for run in runs}) == 5  # language, two tables by a network, one by trees, CartPole
    for group in {run.group for run in runs}:
        arms = [run.options for run in runs if run.group == group and run.variation == "ohgw-1step"]
        swept = {(arm.get("warm_start_option") or {}).get("eta_h") for arm in arms}
        assert swept == {1e-4, 3e-4, 1e-3, 3e-3, 1e-2}


def test_keys_may_be_written_with_hyphens_or_underscores() -> None:
    made = study(**{"gpus-per-run": 2, "keep-checkpoints": "all", "experiments": [{"run-id": "a"}]})
    assert (made.gpus_per_run, made.keep_checkpoints, made.runs[0].experiment) == (2, "all", "a")


def test_nothing_takes_back_what_stands_above() -> None:
    made = study(budget="3h", tasks=["dummy", {"name": "digits", "budget": None, "max_trials": 5}])
    assert [run.options.get("budget") for run in made.runs] == ["3h", None]


def test_anchors_are_what_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "task: dummy\nexperiments:\n- &a {run_id: a, seeds: 2}\n- {<<: *a, run_id: b, max-trials: 2}\n"
    )
    assert [run.id for run in read_study(path).runs] == ["a/seed-0", "a/seed-1", "b/seed-0", "b/seed-1"]


SWEEP = {
    "targets": [0.5],
    "experiments": [
        {
            "run_id": "sweep",
            "variations": ["baseline", {"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-2}}],
        },
        {"run_id": "check", "max_trials": 5, "variations": ["baseline", {"best_of": "sweep"}]},
        {"run_id": "last", "max_trials": 6, "variation": {"best-of": "check", "max_trials": 7}},
    ],
}


def test_the_best_of_the_best_waits_for_both_and_keeps_its_settings() -> None:
    assert study(**SWEEP).waiting == {"check": "sweep", "last": "check"}
    entry = {"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-2}}
    # what is told of an experiment that still waits is not believed
    for best in ({"sweep": entry}, {"check": {"name": "baseline"}, "sweep": entry}):
        made = study_from({"task": "dummy", **SWEEP}, "study.yaml", "study", best=best)
        if "check" not in best:
            assert made.waiting == {"last": "check"}
        assert "ohgw-1step (eta_h=0.01)" in {run.arm for run in made.runs if run.experiment == "check"}
    done = study_from(
        {"task": "dummy", **SWEEP}, "study.yaml", "study", best={"sweep": entry, "check": entry}
    )
    assert not done.waiting
    assert [(run.arm, run.options["max_trials"]) for run in done.runs if run.experiment == "last"] == [
        ("ohgw-1step (eta_h=0.01)", 7)
    ]


def test_the_best_is_not_run_twice_where_it_stands_already() -> None:
    content = {
        "targets": [0.5],
        "experiments": [
            {"run_id": "main", "variations": ["baseline", "ohgw-1step"]},
            {
                "run_id": "check",
                "max_trials": 5,
                "variations": ["baseline", {"name": "ohgw-1step"}, {"best_of": "main"}],
            },
        ],
    }
    made = study_from(
        {"task": "dummy", **content}, "study.yaml", "study", best={"main": {"name": "ohgw-1step"}}
    )
    assert len(made.runs) == 4
