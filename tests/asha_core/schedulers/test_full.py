"""Random search without halving, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asha_core.messages import Failed, Rejected, Verdict
from asha_core.schedulers.state import RungCounts
from tests.asha_core.schedulers.helpers import (
    NINE,
    Few,
    by_value,
    fresh,
    make,
    planned_at_the_top,
    step,
    tell,
)


@pytest.mark.parametrize("values", [NINE, [math.nan] * 9, [1.0] * 9])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("settings", [{}, {"min_resource": 7}, {"reduction_factor": 5}])
def test_everybody_is_trained_to_the_end(values, workers, settings):
    scheduler = make("random", max_resource=7, max_trials=9, **settings)
    assert by_value(scheduler, values, workers) == fresh(range(9), 7)
    assert scheduler.counts() == [RungCounts(7, done=9)]
    assert scheduler.units == 9 * 7
    assert not scheduler.stops


def test_an_end_is_a_stop_and_what_comes_before_is_not():
    scheduler = make("random", max_resource=2, max_trials=1)
    job = scheduler.ask()
    assert tell(scheduler, job, 1.0, 1) is Verdict.CONTINUE
    assert tell(scheduler, job, 2.0, 2) is Verdict.STOP


def test_failed_and_rejected_ones():
    scheduler = make("random", max_resource=2, max_trials=2)
    scheduler.ask(), scheduler.ask()
    scheduler.tell(Failed(0, 0, "raised"))
    scheduler.tell(Rejected(1, "diverges"))
    assert [step(scheduler.ask()) for _ in range(2)] == [(2, 0, 2), None]
    assert scheduler.counts() == [RungCounts(2, running=1, failed=1)]


def test_a_grid_is_trained_once():
    assert by_value(make("random", max_resource=2, searcher=Few(3)), [1.0] * 3) == fresh(range(3), 2)


def test_one_trial_is_a_whole_search():
    scheduler = make("random", max_resource=50)
    assert (scheduler.whole_bracket, scheduler.least_trials) == (1, 1)
    assert scheduler.units_to_first_promotion == 50
    assert scheduler.expected_units(6) == 300
    assert planned_at_the_top(scheduler, 6) == 6
