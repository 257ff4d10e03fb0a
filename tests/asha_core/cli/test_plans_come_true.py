"""A plan is what the search does until its deadline: plans beside searches of the engine in virtual time."""

from __future__ import annotations

import random
from math import sqrt
from statistics import fmean, pvariance
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core import Float, SearchSpace
from asha_core.cli.plan import make_plan
from asha_core.messages import Event, Job, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.loop import Search
from asha_core.runtime.storage.journal import NullJournal
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.base import Scheduler
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
SYNCHRONOUS = ("sh", "sync-hyperband", "random")  # what they do depends on no value
SIMULATED = 12


def make(name: str, **settings: Any) -> Scheduler:
    return scheduler_class(name)(SPACE, **settings)


def searched(
    scheduler: Scheduler, deadline: float | None, unit_seconds: float, slots: int, luck: int
) -> dict[str, Any]:
    """What a search of the engine does in which trials keep their rank and units take equally long."""
    generator = random.Random(luck)
    values: dict[int, float] = {}

    def work(job: Job, resource: int) -> list[Event]:
        value = values.setdefault(job.trial, generator.random())
        return [Report(job.trial, job.attempt, resource, value, unit_seconds)]

    clock = ManualClock()
    executor = FakeExecutor(clock, slots, work, unit_seconds=unit_seconds)
    outcome = Search(scheduler, executor, NullJournal(), clock, Budget(seconds=deadline)).run()
    reached, units = dict.fromkeys(scheduler.levels, 0), dict.fromkeys(scheduler.levels, 0)
    for trial in scheduler.trials:
        below = 0
        for level in scheduler.levels[trial.first :]:
            reached[level] += trial.resource >= level
            units[level] += max(min(level, trial.resource) - below, 0)
            below = level
    assert sum(units.values()) == outcome.units
    return {"trials": outcome.trials, "units": outcome.units, "reached": reached, "spent": units}


def planned(made: dict[str, Any]) -> dict[str, Any]:
    """The same of a plan."""
    reached, spent = dict.fromkeys(made["levels"], 0), dict.fromkeys(made["levels"], 0)
    for rung in made["rungs"]:
        reached[rung["level"]], spent[rung["level"]] = rung["trials"], rung["units"]
    return {"trials": made["trials"], "units": made["units"], "reached": reached, "spent": spent}


@st.composite
def searches(draw: st.DrawFn) -> tuple[dict[str, Any], float | None, float, int]:
    """(a scheduler's settings, deadline, unit_seconds, slots)."""
    most = draw(st.integers(1, 81))
    chosen = {
        "min_resource": draw(st.integers(1, min(most, 4))),
        "max_resource": most,
        "reduction_factor": draw(st.integers(2, 4)),
        "seed": draw(st.integers(0, 1000)),
        "max_trials": draw(st.none() | st.integers(1, 100)),
    }
    slots = draw(st.integers(1, 9))
    unit_seconds = draw(st.sampled_from([0.5, 1.0, 2.0]))
    units = draw(st.sampled_from([1, 7, 40, 150, 500]) | st.integers(0, 500))
    deadline = (units + draw(st.sampled_from([0.0, 0.5]))) * unit_seconds / slots
    if chosen["max_trials"] is not None and draw(st.booleans()):
        return chosen, None, unit_seconds, slots
    return chosen, max(deadline, 0.25), unit_seconds, slots


@pytest.mark.long
@pytest.mark.parametrize("name", SYNCHRONOUS)
@settings(max_examples=60, deadline=None)
@given(searches())
def test_the_plan_of_a_synchronous_search_is_what_it_does(name: str, search: Any) -> None:
    chosen, deadline, unit_seconds, slots = search
    made = make_plan(make(name, **chosen), deadline, unit_seconds, slots)
    assert planned(made) == searched(make(name, **chosen), deadline, unit_seconds, slots, 1)
    if deadline is not None:
        assert made["units"] * unit_seconds <= deadline * slots


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        name if name == "asha" else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted({*MODEL_FREE} - {*SYNCHRONOUS, "pasha"})
    ],
)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(searches())
def test_the_plan_of_an_asynchronous_search_is_the_mean_of_what_it_does(name: str, search: Any) -> None:
    chosen, deadline, unit_seconds, slots = search
    made = make_plan(make(name, **chosen), deadline, unit_seconds, slots)
    found = [searched(make(name, **chosen), deadline, unit_seconds, slots, n) for n in range(SIMULATED)]
    if deadline is not None:
        assert made["units"] * unit_seconds <= deadline * slots

    def agree(plan: float, search: list[float], rare: float = 0.6) -> bool:
        """Up to the noise of both means, and up to a ``rare`` event that the other one never saw."""
        noise = sqrt(pvariance(search) * (1 / SIMULATED + 1 / 10))
        return abs(plan - fmean(search)) <= 4.5 * noise + rare

    plan = planned(made)
    assert agree(plan["trials"], [each["trials"] for each in found])
    assert agree(plan["units"], [each["units"] for each in found], 0.6 + 0.15 * made["levels"][-1])
    for level in made["levels"]:
        assert agree(plan["reached"][level], [each["reached"][level] for each in found])
        assert agree(plan["spent"][level], [each["spent"][level] for each in found], 0.6 + 0.15 * level)


@pytest.mark.parametrize(
    ("name", "chosen", "deadline", "slots", "trials", "units", "reached"),
    [
        ("sh", {"max_resource": 81}, 60.0, 1, 60, 60, [60, 0, 0, 0, 0]),
        # 500 units of time for the first rung, 334 for the second, and of the third 27 each, and 4 units
        ("sh", {"max_resource": 81, "max_trials": 1000}, 1000.0, 2, 1000, 1998, [1000, 333, 54, 0, 0]),
        ("sh", {"max_resource": 81, "max_trials": 1000}, 2000.0, 1, 1000, 2000, [1000, 333, 55, 0, 0]),
        ("hyperband", {"max_resource": 27, "seed": 1}, 30.0, 2, 14, 60, [8, 5.7, 2.7, 0]),
        ("hyperband", {"max_resource": 81, "seed": 3}, 40.0, 1, 14, 40, [11, 5.8, 1.3, 0, 0]),
    ],
)
def test_plans_that_once_were_wrong(
    name: str,
    chosen: dict[str, Any],
    deadline: float,
    slots: int,
    trials: int,
    units: int,
    reached: list[float],
) -> None:
    plan = planned(make_plan(make(name, **chosen), deadline, 1.0, slots))
    assert (plan["trials"], plan["units"], [*plan["reached"].values()]) == (trials, units, reached)
    found = [searched(make(name, **chosen), deadline, 1.0, slots, luck) for luck in range(SIMULATED)]
    assert {each["units"] for each in found} == {units}
    assert fmean(each["trials"] for each in found) == pytest.approx(trials, abs=1)
    for level, number in plan["reached"].items():
        assert fmean(each["reached"][level] for each in found) == pytest.approx(number, abs=0.5)
