"""What a plan expects of a scheduler is about what a search really takes."""

from __future__ import annotations

import random

import pytest

from asha_core.plan import plan_brackets, plan_units
from asha_core.schedulers import SCHEDULERS
from tests.core.schedulers.helpers import in_time, make

EXACT = ("sh", "sync-hyperband", "random")


def searched(name, trials, seed, **settings):
    """A search on eight workers in which each trial has a random level, the same at every unit."""
    generator = random.Random(seed)
    level = [generator.random() for _ in range(trials)]
    scheduler = make(name, max_trials=trials, seed=seed, **settings)
    in_time(scheduler, lambda trial, _: level[trial], 8)
    return scheduler


def ratios(name, **settings):
    """Units spent for each that was planned, in six searches of 500 trials."""
    found = []
    for seed in range(6):
        scheduler = searched(name, 500, seed, **settings)
        planned = plan_units(make(name, **settings).brackets(500), 3, scheduler.survivors)
        assert scheduler.expected_units(500) == planned
        found.append(scheduler.units / planned)
    return found


@pytest.mark.parametrize("name", [*EXACT, "pasha"])
@pytest.mark.parametrize("R", [81, 200])
def test_500_trials_take_about_the_units_that_were_planned(name, R):
    assert all(
        abs(ratio - 1) < (0 if name in EXACT else 0.1) + 1e-12 for ratio in ratios(name, max_resource=R)
    )


@pytest.mark.parametrize(("name", "most"), [("asha", 1.5), ("hyperband", 1.5), ("asha-stopping", 2)])
@pytest.mark.parametrize("R", [81, 200])
def test_those_that_decide_early_take_more_than_was_planned(name, most, R):
    # whoever is among the best of those that came before goes on, so that at each rung a few more do than
    # floor(n/eta): in the last one, which costs most, there are about ten where the plan has six, or two
    found = ratios(name, max_resource=R)
    assert 1 < sum(found) / len(found) < most
    assert all(0.85 < ratio < 2 * most for ratio in found)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("trials", [1, 7, 50, 143, 500])
@pytest.mark.parametrize("R", [1, 27, 200])
def test_where_nothing_depends_on_the_order_the_plan_is_exact(name, trials, R):
    scheduler = searched(name, trials, 0, max_resource=R)
    rungs = plan_brackets(scheduler.brackets(trials), 3, scheduler.survivors)
    reached = {row.level: row.reached for row in scheduler.counts() if row.reached}
    assert {rung.level: rung.trials for rung in rungs if rung.trials} == reached
    assert scheduler.units == scheduler.expected_units(trials)
    assert reached.get(scheduler.levels[-1], 0) == scheduler.expected_at_the_top(trials)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize(("r", "R", "eta"), [(1, 81, 3), (2, 50, 3), (4, 4, 2), (1, 64, 4)])
def test_a_whole_bracket_is_enough_for_one_to_reach_the_last_rung(name, r, R, eta):
    scheduler = make(name, min_resource=r, max_resource=R, reduction_factor=eta)
    whole = scheduler.whole_bracket
    rungs = plan_brackets(scheduler.largest_brackets(whole), eta, scheduler.survivors)
    assert rungs[-1].level == R
    assert rungs[-1].trials >= 1
