"""What a plan expects of a scheduler is about what a search really takes."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from asha_core import Curves, RandomSearch, simulate
from asha_core.schedulers import MODEL_FREE
from asha_core.schedulers.brackets import bracket_rungs
from asha_core.schedulers.forecast import Forecast
from tests.asha_core.schedulers.helpers import SPACE, fingerprint, make, planned_at_the_top

ROWS = [RandomSearch(SPACE, 0).propose(trial) for trial in range(500)]
EXACT = ("sh", "sync-hyperband", "random")


def searched(name, trials, seed, **settings):
    """A search on eight workers in which each trial has a random level, the same at every unit."""
    generator = random.Random(seed)
    level = [generator.random() for _ in range(trials)]
    scheduler = make(name, max_trials=trials, seed=seed, **settings)
    curves = Curves.from_arrays(SPACE, ROWS[:trials], [[each] * scheduler.levels[-1] for each in level])
    simulate(scheduler, curves, workers=8)
    return scheduler


@pytest.mark.long
@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("R", [81, pytest.param(200, marks=pytest.mark.slow)])
def test_500_trials_take_about_the_units_that_are_forecast(name, R):
    forecast = Forecast(make(name, max_resource=R), 500, 8)
    found = [searched(name, 500, seed, max_resource=R) for seed in range(10, 22)]
    units = fmean(scheduler.units for scheduler in found)
    assert units == pytest.approx(forecast.units, rel=0 if name in EXACT else 0.2)
    for level, trials, _ in forecast.rungs:
        reached = fmean(
            sum(t.first <= scheduler.levels.index(level) for t in scheduler.trials if t.resource >= level)
            for scheduler in found
        )
        assert reached == pytest.approx(trials, rel=0 if name in EXACT else 0.25, abs=1.5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["asha", "asha-stopping", "hyperband"])
def test_those_that_decide_early_take_more_than_the_floor_of_n_over_eta(name):
    scheduler = make(name, max_resource=81)
    assert 1.1 < Forecast(scheduler, 500, 8).units / scheduler.expected_units(500) < 2


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_forecast_leaves_the_scheduler_alone_and_is_the_same_again(name):
    scheduler = make(name, max_resource=27, max_trials=40)
    before = fingerprint(scheduler)
    first, again = Forecast(scheduler, 60, 3), Forecast(scheduler, 60, 3)
    assert (first.rungs, first.brackets) == (again.rungs, again.brackets)
    assert fingerprint(scheduler) == before


def test_a_pasha_is_forecast_on_the_rungs_that_are_unlocked_or_on_all():
    scheduler, asha = make("pasha", max_resource=27), make("asha", max_resource=27)
    assert Forecast(scheduler, 60, 3, longest=True).rungs == Forecast(asha, 60, 3).rungs
    assert Forecast(scheduler, 60, 3).rungs == Forecast(make("asha", max_resource=3), 60, 3).rungs


def test_beyond_what_is_rehearsed_the_floor_of_n_over_eta_is_taken():
    scheduler = make("asha", max_resource=9)
    assert Forecast(scheduler, 90_000, 4).rungs == [
        (1, 90_000, 90_000),
        (3, 30_000, 60_000),
        (9, 10_000, 60_000),
    ]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("trials", [1, 7, 50, 143, 500])
@pytest.mark.parametrize("R", [1, 27, 200])
def test_where_nothing_depends_on_the_order_the_plan_is_exact(name, trials, R):
    scheduler = searched(name, trials, 0, max_resource=R)
    rungs = bracket_rungs(scheduler.brackets(trials), 3, scheduler.survivors)
    reached = {row.level: row.reached for row in scheduler.counts() if row.reached}
    assert {rung.level: rung.trials for rung in rungs if rung.trials} == reached
    assert scheduler.units == scheduler.expected_units(trials)
    assert reached.get(scheduler.levels[-1], 0) == planned_at_the_top(scheduler, trials)


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize(("r", "R", "eta"), [(1, 81, 3), (2, 50, 3), (4, 4, 2), (1, 64, 4)])
def test_a_whole_bracket_is_enough_for_one_to_reach_the_last_rung(name, r, R, eta):
    scheduler = make(name, min_resource=r, max_resource=R, reduction_factor=eta)
    whole = scheduler.whole_bracket
    rungs = bracket_rungs(scheduler.largest_brackets(whole), eta, scheduler.survivors)
    assert rungs[-1].level == R
    assert rungs[-1].trials >= 1


def test_the_brackets_of_a_forecast_are_in_the_order_of_their_first_rungs():
    for seed in range(5):  # whichever bracket the first trial is drawn for
        forecast = Forecast(make("hyperband", max_resource=27, seed=seed), 60, 3)
        assert [bracket.levels[0] for bracket in forecast.brackets] == [1, 3, 9, 27]
