"""``--plan``: what a search will cost, for every scheduler, as a table and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from asha_core import Choice, Float, GridSearch, Int, SearchSpace
from asha_core.cli.plan import make_plan
from asha_core.cli.run import main
from asha_core.schedulers import MODEL_FREE, scheduler_class

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
DIGITS = ["--task", "digits", "--gpus", "cpu", "--workers-per-gpu", "2", "--plan"]
KEYS = {
    "whole_bracket",
    *("scheduler", "levels", "reduction_factor", "slots", "deadline", "trials", "units", "seconds"),
    *("wall_seconds", "complete", "brackets", "rungs", "last_rung", "if_stable", "checkpoints"),
}


def plan(name: str, *limits: Any, **settings: Any) -> dict[str, Any]:
    scheduler = scheduler_class(name)(SPACE, **{"max_resource": 9, **settings})
    return make_plan(scheduler, *(limits or (None, None, 1)))


# -- how many trials -------------------------------------------------------------------------------


def test_a_plan_has_as_many_trials_as_max_trials_allows() -> None:
    made = plan("sh", max_trials=27)
    assert (made["trials"], made["units"]) == (27, 63)
    assert made["rungs"] == [
        {"level": 1, "trials": 27, "units": 27},
        {"level": 3, "trials": 9, "units": 18},
        {"level": 9, "trials": 3, "units": 18},
    ]
    assert made["last_rung"] == {"level": 9, "trials": 3, "units": 18, "share": 18 / 63}
    assert made["brackets"] == [
        {"levels": [1, 3, 9], "times": 1, "begun": 27, "trials": [27, 9, 3], "units": [27, 18, 18]}
    ]
    assert made["complete"]
    assert made["seconds"] is None


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_plan_has_no_more_trials_than_the_grid(name: str) -> None:
    space = SearchSpace({"n": Int(1, 3), "kind": Choice(["a", "b"])})
    for limit in (None, 100):
        scheduler = scheduler_class(name)(
            space, max_resource=9, max_trials=limit, searcher=GridSearch(space, 0)
        )
        assert make_plan(scheduler, None, None, 1)["trials"] == 6


@pytest.mark.parametrize(
    ("deadline", "unit_seconds", "slots", "max_trials", "trials", "reached"),
    [
        (63.0, 1.0, 1, None, 27, [27, 9, 3]),
        (62.9, 1.0, 1, None, 27, [27, 9, 2]),
        (64.0, 1.0, 1, None, 28, [28, 9, 3]),
        (63.0, 2.0, 2, None, 32, [31, 9, 2]),  # who has nothing to do begins the next bracket
        (63.0, 1.0, 1, 20, 20, [20, 6, 2]),
        (63.0, 1.0, 1, 50, 50, [50, 6, 0]),  # one bracket of 50, which nothing tells to close
        (0.5, 1.0, 1, None, 1, [0, 0, 0]),
        (63.0, None, 1, 20, 20, [20, 6, 2]),  # what a unit takes is not known: the budget may end before that
    ],
)
def test_a_plan_goes_to_the_nearest_limit(
    deadline: float,
    unit_seconds: float | None,
    slots: int,
    max_trials: int | None,
    trials: int,
    reached: list[int],
) -> None:
    made = plan("sh", deadline, unit_seconds, slots, max_trials=max_trials)
    assert made["trials"] == trials
    assert [rung["trials"] for rung in made["rungs"]] == reached
    if unit_seconds is not None:
        assert made["seconds"] == made["units"] * unit_seconds / slots <= made["wall_seconds"] <= deadline
        assert made["complete"] == (max_trials == 20)


@pytest.mark.parametrize("name", ["asha", "asha-stopping", "pasha", "hyperband"])
def test_a_budget_is_spent_and_nothing_beyond_it(name: str) -> None:
    made = plan(name, 200.0, 1.0, 2)
    assert (made["units"], made["seconds"], made["wall_seconds"]) == (400, 200, 200)
    again = plan(name, 200.0, 1.0, 2, max_trials=made["trials"] * 2)
    assert again == made
    few = plan(name, 200.0, 1.0, 2, max_trials=made["trials"] // 2)
    assert few["complete"]
    assert few["wall_seconds"] < 200


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize(("deadline", "unit_seconds"), [(None, None), (60.0, None), (None, 1.0)])
def test_without_a_limit_nothing_is_promised(
    name: str, deadline: float | None, unit_seconds: float | None
) -> None:
    made = plan(name, deadline, unit_seconds, 1)
    assert set(made) == KEYS
    assert (made["trials"], made["units"], made["seconds"], made["last_rung"]) == (None,) * 4
    assert (made["brackets"], made["rungs"]) == ([], [])


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("max_trials", [1, 7, 143, 300])
def test_the_parts_of_a_plan_add_up(name: str, max_trials: int) -> None:
    made = plan(name, None, 2.0, 4, max_resource=81, max_trials=max_trials)
    assert set(made) == KEYS
    assert made["trials"] == max_trials
    # means are given to a tenth
    assert made["units"] == pytest.approx(sum(rung["units"] for rung in made["rungs"]), abs=0.3)
    assert made["seconds"] == pytest.approx(made["units"] * 2.0 / 4, abs=0.1)
    begun = sum(bracket["begun"] * bracket["times"] for bracket in made["brackets"])
    assert begun == pytest.approx(max_trials, abs=0.3)
    for rung in made["rungs"]:
        reached = sum(
            bracket["times"] * bracket["trials"][bracket["levels"].index(rung["level"])]
            for bracket in made["brackets"]
            if rung["level"] in bracket["levels"]
        )
        assert rung["trials"] == pytest.approx(reached, abs=0.3)
    assert made["last_rung"]["level"] == 81
    assert made["last_rung"]["share"] == pytest.approx(made["rungs"][-1]["units"] / made["units"], abs=0.01)
    json.dumps(made, allow_nan=False)


def test_pasha_alone_has_a_plan_for_a_ranking_that_stays_stable() -> None:
    for name in MODEL_FREE:
        assert (plan(name, max_trials=27)["if_stable"] is not None) == (name == "pasha")
    made = plan("pasha", max_trials=27)
    assert made["rungs"] == plan("asha", max_trials=27)["rungs"]
    stable = made["if_stable"]
    assert stable["rungs"] == plan("asha", max_resource=3, max_trials=27)["rungs"]
    assert stable["last_rung"]["level"] == 3
    # what is left of a budget in time buys more configurations
    made = plan("pasha", 450.0, 1.0, 1)
    assert made["trials"] * 1.2 < made["if_stable"]["trials"]
    assert plan("pasha", max_resource=3, max_trials=9)["if_stable"] is None  # two rungs are always unlocked


# -- checkpoints -----------------------------------------------------------------------------------


def checkpoints(name: str, budget: int | None, size: int | None, **settings: Any) -> dict[str, Any]:
    scheduler = scheduler_class(name)(SPACE, **{"max_resource": 27, "max_trials": 200, **settings})
    made = make_plan(scheduler, None, None, 2, checkpoint_budget=budget, checkpoint_bytes=size)
    found: dict[str, Any] = made["checkpoints"]
    return found


def test_a_plan_says_nothing_of_checkpoints_unless_it_is_asked() -> None:
    assert plan("asha", max_trials=27)["checkpoints"] is None


def test_what_all_checkpoints_take() -> None:
    scheduler = scheduler_class("sh")(SPACE, max_resource=9, max_trials=27)
    made = make_plan(scheduler, None, None, 2, checkpoint_bytes=10)
    # 18 trials of one unit have one, 9 of three or nine units have three
    assert made["checkpoints"] == {
        "bytes": 10,
        "budget": None,
        "all": 10 * (18 + 9 * 3),
        "needed": 10 * (2 * 3 + 1),
        "paused": None,
        "units_again": None,
    }


def test_how_many_trials_that_wait_fit() -> None:
    assert checkpoints("asha", 1000, 10)["paused"] == 100 - 7
    assert checkpoints("asha", 60, 10)["paused"] == 0
    assert checkpoints("asha", 5, 10)["paused"] == 0
    unlimited = checkpoints("asha", 1000, 10, max_trials=None)
    assert (unlimited["paused"], unlimited["all"], unlimited["units_again"]) == (93, None, None)


def test_too_many_trials_to_rehearse_promise_nothing() -> None:
    assert checkpoints("asha", 1000, 10, max_trials=30_000)["units_again"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--checkpoint-budget", "2MB"],
            r"a checkpoint takes 4\d\.\d kB; .*\ninto 2\.0 MB fit those of about 3\d",
        ),
        (["--checkpoint-size", "1GB"], r"its best, all together up to 8\d\.\d GB$"),
        (
            ["--checkpoint-size", "1MB", "--checkpoint-budget", "9MB"],
            r"fit those of about 2 waiting trials; because the others go, \d+ epochs \(\d+% more\) are",
        ),
        (["--checkpoint-size", "1MB", "--checkpoint-budget", "1GB"], "go, nothing is expected to be trained"),
        (
            ["--checkpoint-size", "1MB", "--checkpoint-budget", "1MB"],
            r"warning: .* 2 slots alone may need 7\.0 MB",
        ),
    ],
)
def test_a_plan_tells_what_a_checkpoint_budget_costs(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DIGITS, "--max-trials", "50", *arguments]) == 0
    assert re.search(said, capsys.readouterr().out, re.MULTILINE)
    assert main([*DIGITS, "--max-trials", "50", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoints"]["bytes"] > 0


def test_a_task_that_cannot_tell_the_size_is_asked_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    task = ["--task", "tests.trials.jobs:CannotSetUp", "--gpus", "cpu", "--plan", "--max-trials", "9"]
    assert main([*task, "--checkpoint-budget", "1GB"]) == 0
    assert "give --checkpoint-size, what one of them takes" in capsys.readouterr().out


# -- for people ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODEL_FREE)
def test_the_plan_of_every_scheduler_is_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DIGITS, "--scheduler", name, "--max-trials", "40", "--unit-seconds", "0.5"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    text = printed.out
    ladder = "27" if name == "random" else "1, 3, 9, 27"
    assert text.startswith(f"{name}, eta 3, rungs at {ladder} epochs, 2 slots\n")
    assert "expected: 40 trials, " in text
    assert re.search(r"the last rung \(27\) gets \d+ trials? and \d+% of the epochs", text)
    assert re.search(r"about .+ on 2 slots", text)
    assert ("bracket from epoch" in text) == ("hyperband" in name)
    assert ("if the ranking stays stable" in text) == (name == "pasha")
    assert ("would take 1,080" in text) == (name != "random")


def test_the_table_has_hyperbands_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--scheduler", "sync-hyperband", "--max-resource", "81", "--max-trials", "286"]
    assert main([*DIGITS, *arguments]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for cells in (
        ["1", "2", "81", "81", ">", "27", ">", "9", ">", "3", ">", "1"],
        ["3", "2", "34", "34", ">", "11", ">", "3", ">", "1"],
        ["9", "2", "15", "15", ">", "5", ">", "1"],
        ["27", "2", "8", "8", ">", "2"],
        ["81", "2", "5", "5"],
    ):
        assert cells in rows


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (["--scheduler", "asha", "--max-trials", "2"], True),
        (["--scheduler", "sh", "--max-trials", "2"], True),
        (["--scheduler", "asha", "--max-trials", "3"], False),
        (["--scheduler", "asha-stopping", "--max-trials", "1"], False),
        (["--scheduler", "random", "--max-trials", "1"], False),
        (["--scheduler", "asha", "--max-trials", "1", "--max-resource", "1"], False),
    ],
)
def test_too_few_trials_for_a_promotion_are_said(
    arguments: list[str], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DIGITS, *arguments]) == 0
    assert ("nothing will be promoted" in capsys.readouterr().out) == warned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--scheduler", "sh", "--budget", "13s"],
            "the budget ends before anybody goes on from the first rung",
        ),
        (["--scheduler", "sh", "--budget", "15s"], None),  # the 27th of the bracket takes until 14
        (["--scheduler", "sh", "--budget", "30s", "--max-trials", "61"], "ends before anybody goes on"),
        (
            ["--scheduler", "sh", "--budget", "30s", "--max-trials", "51"],
            "without --max-trials brackets have 27",
        ),
        (["--scheduler", "sh", "--budget", "2h", "--max-trials", "51"], None),
        (["--scheduler", "asha", "--budget", "1s"], "the budget ends before anybody goes on"),
        (["--scheduler", "asha", "--budget", "3s"], None),
        (
            ["--scheduler", "asha", "--budget", "3s", "--min-resource", "4"],
            "before a trial reaches its first",
        ),
        (
            ["--scheduler", "random", "--budget", "26s"],
            "before a trial reaches its first rung: give more time",
        ),
        (["--scheduler", "random", "--budget", "27s"], None),
        (["--scheduler", "asha", "--budget", "0.9s"], "ends before the first unit is complete"),
        (["--scheduler", "asha", "--budget", "1h", "--max-trials", "2"], "cannot finish the first rung"),
        (
            ["--scheduler", "sync-hyperband", "--budget", "1h", "--max-trials", "81"],
            "whole ones take 49 trials",
        ),
        (["--scheduler", "sync-hyperband", "--budget", "3m"], None),
    ],
)
def test_what_a_budget_does_not_reach_is_said(
    arguments: list[str], said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DIGITS, "--unit-seconds", "1", *arguments]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("warning:", "note:"))]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


def test_a_plan_tells_when_the_search_ends(capsys: pytest.CaptureFixture[str]) -> None:
    # of 9 on 2 slots: 5 for the first rung; 2 times 2, and one waits; and 6 for the last
    arguments = [
        *DIGITS,
        "--scheduler",
        "sh",
        "--max-trials",
        "9",
        "--max-resource",
        "9",
        "--unit-seconds",
        "1",
    ]
    for more, said in (
        ([], "about 15s on 2 slots"),
        (["--budget", "15s"], "about 15s on 2 slots"),
        (["--budget", "14s"], "about 14s on 2 slots, when the budget ends"),
    ):
        assert main([*arguments, *more]) == 0
        assert said in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_budget_in_time_without_the_time_of_a_unit_says_what_to_give(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DIGITS, "--scheduler", name, "--budget", "10m"]) == 0
    assert "the budget is 10m 00s: give --unit-seconds S" in capsys.readouterr().out


# -- for programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODEL_FREE)
def test_the_plan_of_every_scheduler_is_one_json_object(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*DIGITS, "--scheduler", name, "--max-trials", "40", "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    made = json.loads(printed)
    assert set(made) == KEYS
    assert (made["scheduler"], made["trials"], made["slots"]) == (name, 40, 2)
    assert list(tmp_path.iterdir()) == []


def test_without_limits_there_is_enough_for_one_to_reach_the_last_rung(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trials = {}
    for name in MODEL_FREE:
        assert main([*DIGITS, "--scheduler", name, "--max-resource", "243", "--json"]) == 0
        made = json.loads(capsys.readouterr().out)
        trials[name] = made["trials"]
        assert made["last_rung"]["trials"] >= 1
    assert trials["asha"] == trials["pasha"] == trials["sh"] == trials["asha-stopping"] == 243
    assert trials["random"] == 100
    assert trials["sync-hyperband"] == 243 + 98 + 41 + 18 + 9 + 6
