"""What rehearsals of a scheduler foretell."""

from __future__ import annotations

import pytest

from asha_core import Float, SearchSpace
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
    if scheduler.plan_is_exact or enough < scheduler.whole_bracket:
        assert round(Forecast(scheduler, enough, 2, longest=True).in_full) >= 1
        assert round(Forecast(scheduler, enough - 1, 2, longest=True).in_full) == 0


@pytest.mark.parametrize("name", SCHEDULERS)
def test_nothing_is_affordable_for_nothing(name: str) -> None:
    assert affordable(scheduler_of(name), 0.0, 2) == 0
    nothing = Forecast(scheduler_of(name), 0, 2)
    assert (nothing.units, nothing.in_full) == (0, 0)
