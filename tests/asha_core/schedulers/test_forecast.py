"""What rehearsals of a scheduler foretell."""

from __future__ import annotations

import pytest

from asha_core import Float, SearchSpace
from asha_core.messages import Report
from asha_core.schedulers import SCHEDULERS, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import (
    MOST_REHEARSED,
    Forecast,
    affordable,
    enough_for_the_top,
    units_again,
)

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def scheduler_of(name: str, **settings: int) -> Scheduler:
    return scheduler_class(name)(SPACE, **{"max_resource": 27, **settings})


@pytest.mark.long
@pytest.mark.parametrize("name", SCHEDULERS)
def test_more_room_for_checkpoints_costs_fewer_units(name: str) -> None:
    rooms = (10, 40, 100, 10_000)
    costs = [units_again(scheduler_of(name, max_trials=200), 200, 2, room) for room in rooms]
    assert costs[-1] == 0
    assert costs[0] >= costs[1] >= costs[2]
    # nobody waits where everybody goes on at once, or to the end
    assert (costs[0] > 0) == (name not in ("asha-stopping", "random"))


def test_too_many_trials_to_rehearse_promise_nothing() -> None:
    assert units_again(scheduler_of("asha"), MOST_REHEARSED + 1, 2, 100) is None


@pytest.mark.parametrize("name", SCHEDULERS)
def test_one_is_expected_at_the_top_of_as_many_as_are_enough_and_none_of_fewer(name: str) -> None:
    scheduler = scheduler_of(name)
    enough = enough_for_the_top(scheduler, 2)
    assert 1 <= enough <= scheduler.whole_bracket
    if scheduler.expectation_is_exact or enough < scheduler.whole_bracket:
        assert round(Forecast(scheduler, enough, 2, longest=True).in_full) >= 1
        assert round(Forecast(scheduler, enough - 1, 2, longest=True).in_full) == 0


@pytest.mark.parametrize("name", SCHEDULERS)
def test_nothing_is_affordable_for_nothing(name: str) -> None:
    assert affordable(scheduler_of(name), 0.0, 2) == 0
    nothing = Forecast(scheduler_of(name), 0, 2)
    assert (nothing.units, nothing.in_full) == (0, 0)


# -- the first promotion -----------------------------------------------------------------------------


def levels_reached(scheduler: Scheduler) -> set[int]:
    """At which units trials were asked to stop, in a whole search on one slot."""
    reached = set()
    while (job := scheduler.ask()) is not None:
        reached.add(job.until)
        for resource in range(job.start + 1, job.until + 1):
            scheduler.tell(Report(job.trial, job.attempt, resource, float(job.trial), 0.0))
    return reached


@pytest.mark.parametrize("name", ["asha", "sh", "asha-stopping", "pasha"])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_nobody_goes_on_of_fewer_trials_than_the_least(name: str, eta: int) -> None:
    settings = {"reduction_factor": eta, "max_resource": eta**2, "min_resource": 1}
    least = scheduler_of(name, **settings).least_trials
    assert levels_reached(scheduler_of(name, max_trials=least, **settings)) > {1}
    if name != "asha-stopping":  # there the first trial always goes on
        assert least == eta
        assert levels_reached(scheduler_of(name, max_trials=least - 1, **settings)) == {1}
        units = scheduler_of(name, **settings).units_to_first_promotion
        assert units == (eta**2 if name == "sh" else eta)  # there a whole bracket comes first


@pytest.mark.parametrize("name", ["hyperband", "sync-hyperband"])
def test_where_brackets_take_turns_it_takes_longer_until_somebody_goes_on(name: str) -> None:
    waits = [scheduler_of(other).units_to_first_promotion for other in ("asha", name)]
    assert waits[0] == 3 < waits[1]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_without_a_limit_brackets_are_whole(name: str) -> None:
    scheduler = scheduler_of(name)
    for least in (1, 100, 1000):
        enough = scheduler.enough_trials(least)
        assert enough >= least
        if name == "sync-hyperband":
            assert enough % scheduler.whole_bracket == 0
            assert enough - least < scheduler.whole_bracket
        else:
            assert enough == max(least, scheduler.whole_bracket)


def test_pasha_says_how_far_it_is() -> None:
    scheduler = scheduler_of("pasha", max_trials=9)
    assert scheduler.state() == {"unlocked": 3, "epsilon": 0.0}
    levels_reached(scheduler)
    assert scheduler.state()["unlocked"] in (3, 9, 27)


def test_others_have_settled_nothing_for_themselves() -> None:
    assert scheduler_of("asha").state() == {}
