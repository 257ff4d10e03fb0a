"""BOIL: the contract of schedulers, and what it promises beyond it."""

from __future__ import annotations

import math
import random
import time
from itertools import pairwise

import pytest

from asha_core import (
    BOIL,
    Choice,
    Constant,
    Curves,
    Float,
    FullTraining,
    GridSearch,
    Int,
    Listed,
    RandomSearch,
    SearchSpace,
    SettingError,
    simulate,
)
from asha_core.messages import Failed, Job, Rejected, Report, Retried
from asha_core.schedulers import boil, boil_candidates
from asha_core.schedulers.forecast import Forecast
from asha_core.surrogates import boil as model
from asha_core.surrogates.known import Known
from asha_core.testing import SchedulerContract
from asha_core.testing.driving import Few, drive, troubled
from asha_core.testing.looking import differences, fingerprint
from benchmarks.published_curves import cifar10_cnn

SPACE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch):
    """A tenth of the time."""
    monkeypatch.setattr(boil_candidates, "DRAWN", 24)
    monkeypatch.setattr(boil_candidates, "ROUNDS", (0.1,))


class TestBOIL(SchedulerContract):
    @pytest.fixture(autouse=True)
    def _fewer_still(self, monkeypatch, _few_candidates):
        """These laws hold whatever is chosen."""
        monkeypatch.setattr(boil_candidates, "DRAWN", 6)
        monkeypatch.setattr(boil_candidates, "NEAR", 1)
        monkeypatch.setattr(boil, "MOST_POINTS", 40)
        monkeypatch.setattr(model, "_GROWTH", 2.0)

    def scheduler(self, space, **settings):
        return BOIL(space, **settings)


def height(configuration):
    """Best at (.3, .7)."""
    return math.exp(-8.0 * ((configuration["x"] - 0.3) ** 2 + (configuration["y"] - 0.7) ** 2))


def search(scheduler, workers=1, value=height, seconds=1.0, trials=24):
    """Run it: a curve rises to ``value(configuration)``; returns the configurations, in order."""
    running = []
    while True:
        while len(running) < workers and len(scheduler.trials) < trials and (job := scheduler.ask()):
            running.append(job)
        if not running:
            return [trial.configuration for trial in scheduler.trials]
        job = running.pop(0)
        for unit in range(job.start + 1, job.until + 1):
            reached = value(job.configuration) * (1.0 - math.exp(-3.0 * unit / scheduler.levels[-1]))
            took = seconds(job.configuration) if callable(seconds) else seconds
            scheduler.tell(Report(job.trial, 0, unit, reached, took))


# -- what is chosen --------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 4])
def test_it_is_nearer_to_the_best_than_random_search(workers):
    better = 0
    for seed in range(3):
        scheduler = BOIL(SPACE, max_resource=9, seed=seed)
        search(scheduler, workers)
        drawn = max(height(RandomSearch(SPACE, seed).propose(i)) for i in range(24))
        better += max(height(trial.configuration) for trial in scheduler.trials) >= drawn
    assert better == 3


def test_the_first_configurations_are_the_searchers_and_are_trained_in_full():
    scheduler = BOIL(SPACE, max_resource=9, seed=3, initial_trials=5)
    found = search(scheduler)
    own = [RandomSearch(SPACE, 3).propose(i) for i in range(24)]
    assert found[:5] == own[:5]
    assert found[5:] != own[5:]
    assert [trial.until for trial in scheduler.trials[:5]] == [9] * 5


@pytest.mark.parametrize(("dimensions", "expected"), [(1, 3), (5, 6), (20, 10)])
def test_how_many_they_are_depends_on_the_dimensions(dimensions, expected):
    space = {**{f"x{i}": Float(0, 1) for i in range(dimensions)}, "held": 3}
    assert BOIL(space).initial_trials == expected


def test_start_points_are_the_first_however_many_they_are():
    points = [{"x": i / 16, "y": 0.5} for i in range(8)]
    searcher = Listed(points, RandomSearch(SPACE, 0))
    found = search(BOIL(SPACE, max_resource=9, initial_trials=2, searcher=searcher), trials=10)
    assert [dict(each) for each in found[:8]] == points


def test_before_anything_is_known_slots_are_given_the_searchers():
    scheduler = BOIL(SPACE, max_resource=9, initial_trials=2)
    jobs = [scheduler.ask() for _ in range(6)]
    assert [job.configuration for job in jobs] == [RandomSearch(SPACE, 0).propose(i) for i in range(6)]


def test_of_a_list_each_is_given_once():
    space = SearchSpace({"n": Int(1, 5), "c": Choice(["a", "b", "c"])})
    searcher = GridSearch(space, 1)
    scheduler = BOIL(space, max_resource=4, initial_trials=3, searcher=searcher)
    found = search(scheduler, 3, value=lambda c: c["n"] / 5, trials=99)
    assert sorted(map(repr, found)) == sorted(repr(searcher.propose(i)) for i in range(15))
    assert found != [searcher.propose(i) for i in range(15)]
    assert [each["n"] for each in found].index(5) < 6


@pytest.mark.parametrize("most", [5, 10_000])
def test_of_a_long_list_some_are_looked_at_and_none_is_given_twice(most, monkeypatch):
    monkeypatch.setattr(boil_candidates, "POOL", 8)
    monkeypatch.setattr(boil_candidates, "NEAREST", 4)
    monkeypatch.setattr(boil_candidates, "_MOST_LISTED", most)
    space = SearchSpace({"n": Int(1, 40)})
    found = search(
        BOIL(space, max_resource=4, searcher=GridSearch(space, 1)), 2, lambda c: c["n"] / 40, trials=99
    )
    assert sorted(each["n"] for each in found) == list(range(1, 41))


def test_two_slots_never_have_the_same_configuration_while_there_is_another():
    space = SearchSpace({"c": Choice(["a", "b", "c", "d"]), "d": Choice(["a", "b"])})
    scheduler = BOIL(space, max_resource=2, initial_trials=1)
    running = []
    for _ in range(30):
        while len(running) < 4:
            job = scheduler.ask()
            fresh = scheduler.trials[-1].id >= 4  # the first are the searcher's
            assert not fresh or job.configuration not in [other.configuration for other in running]
            running.append(job)
        job = running.pop(0)
        for unit in range(1, job.until + 1):
            scheduler.tell(Report(job.trial, 0, unit, float(job.configuration["c"] == "b"), 1.0))


def test_constraints_hold_for_all_that_is_proposed():
    space = SearchSpace(
        {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}, constraints=[lambda c: c["x"] + c["y"] < 0.8]
    )
    assert all(space.allows(each) for each in search(BOIL(space, max_resource=3, seed=1)))


def test_a_space_in_which_everything_is_held_can_be_searched():
    scheduler = BOIL({"x": Constant(3)}, max_resource=3, max_trials=8)
    assert search(scheduler, value=lambda _: 0.5) == [{"x": 3}] * 8


@pytest.mark.parametrize("losses", [(1e308, -1e308, 0.5), (0.0, 5e-324, 2.0), (math.nan, 0.5, 1.0)])
def test_of_any_losses_it_makes_finite_numbers(losses):
    points = model._points([Known([i / 3], [loss]) for i, loss in enumerate(losses)], 1)
    assert points.curves.min() == 0.0
    assert points.curves.max() == pytest.approx(1.0)


@pytest.mark.parametrize("bad", ["nan", "failed", "rejected"])
def test_where_trials_come_to_nothing_nobody_is_sent_again_and_again(bad):
    """The best would be at y = 1, and everything above .6 diverges."""
    scheduler = BOIL(SPACE, max_resource=6, seed=2)
    while len(scheduler.trials) < 30:
        job = scheduler.ask()
        above = job.configuration["y"] > 0.6
        if above and bad != "nan":
            scheduler.tell(Failed(job.trial, 0, "no") if bad == "failed" else Rejected(job.trial, "no"))
            continue
        for unit in range(1, job.until + 1):
            scheduler.tell(Report(job.trial, 0, unit, math.nan if above else job.configuration["y"], 1.0))
    late = [trial.configuration["y"] for trial in scheduler.trials[12:]]
    assert sum(y > 0.6 for y in late) <= 5
    assert sum(0.4 < y <= 0.6 for y in late) >= 9


def test_of_equally_good_ones_the_cheaper_is_chosen():
    """What is known is the same above and below y = .5, but for seconds, which grow with y."""

    def chosen(candidates, seconds):
        known = [Known((x, y), [-x / 2, -x], seconds(y), 2, (1,)) for x in (0.2, 0.8) for y in (0.3, 0.7)]
        decision = model.Boil([1, 2]).decision(known, [])
        return candidates[decision.best(candidates)[0].candidate]

    cheap, dear = (0.6, 0.1), (0.6, 0.9)
    for both in ([cheap, dear], [dear, cheap]):
        assert chosen(both, lambda y: 1.0 + 20.0 * y) == cheap
        assert chosen(both, lambda y: 30.0 - 20.0 * y) == dear
        assert chosen(both, lambda y: 0.0) == both[0]


# -- the same again --------------------------------------------------------------------------------


def test_when_a_fit_is_ready_changes_nothing(monkeypatch):
    beside = model.begin

    def at_once(function):
        result = function()
        return lambda: result

    def late(function):
        return beside(lambda: time.sleep(0.01) or function())

    found = []
    for begin in (beside, at_once, late):
        monkeypatch.setattr(model, "begin", begin)
        found.append(search(BOIL(SPACE, max_resource=5), 3, trials=14))
    assert found[0] == found[1] == found[2]


def test_a_fit_takes_effect_after_the_next_arrival_and_not_before():
    scheduler = BOIL(SPACE, max_resource=3, initial_trials=3)
    jobs = [scheduler.ask() for _ in range(6)]
    states = []
    for job in jobs:
        for unit in range(1, 4):
            scheduler.tell(Report(job.trial, 0, unit, height(job.configuration), 1.0))
        scheduler.ask()
        states.append(scheduler.state())
    assert states[:3] == [{}] * 3  # the third arrival begins the first fit
    assert set(states[3]) == {"lx", "lt", "noise", "midpoint", "growth"}


def test_an_error_of_a_fit_is_raised_where_it_is_waited_for(monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("of the fit")

    monkeypatch.setattr(model, "fitted", fails)
    with pytest.raises(ZeroDivisionError, match="of the fit"):
        search(BOIL(SPACE, max_resource=3), trials=9)


def test_a_failed_trial_that_is_tried_again_is_known_by_what_it_reported():
    scheduler = BOIL(SPACE, max_resource=4, max_trials=9)
    jobs = [scheduler.ask() for _ in range(4)]
    for job in jobs:
        scheduler.tell(Report(job.trial, 0, 1, 0.5, 1.0))
    for job in jobs[1:]:
        scheduler.tell(Failed(job.trial, 0, "raised"))
    assert [list(map(str, each.losses)) for each in scheduler._known()] == [["-0.5", "nan", "nan", "nan"]] * 3
    scheduler.tell(Retried(2))
    again = scheduler.ask()
    assert (again.trial, again.start) == (2, 1)
    assert len(scheduler._known()) == 2
    for unit in range(2, 5):
        scheduler.tell(Report(2, 1, unit, 0.75, 1.0))
    assert list(scheduler._known()[1].losses) == [-0.5, -0.75, -0.75, -0.75]


@pytest.mark.parametrize("listed", [False, True])
def test_a_resumed_search_is_where_it_was_without_deciding_again(listed, monkeypatch):
    space = SearchSpace({"x": Int(1, 30), "y": Choice(["a", "b"])})

    def made():
        searcher = GridSearch(space, 1) if listed else RandomSearch(space, 1)
        return BOIL(space, max_resource=3, max_trials=18, searcher=searcher)

    scheduler = made()
    history = troubled(scheduler, 2)
    before = fingerprint(scheduler)
    with monkeypatch.context() as patch:
        patch.setattr(model.Boil, "decision", lambda *_: pytest.fail("it decides again"))
        again = made()
        for what in history:
            if isinstance(what, Job):
                if what.trial == len(again.trials):
                    again.recall(what.trial, what.configuration, what.until)
                assert again.ask() == what
            else:
                again.tell(what)
    assert not differences(fingerprint(again), before)
    scheduler.max_trials = again.max_trials = 20
    job = again.ask()
    assert job is not None
    assert job == scheduler.ask()


def test_what_cannot_be_recalled_is_decided_again(monkeypatch):
    monkeypatch.setattr(boil_candidates, "_MOST_LISTED", 5)
    space = SearchSpace({"n": Int(1, 12)})
    both = [BOIL(space, max_resource=3, initial_trials=2, searcher=GridSearch(space, 1)) for _ in range(3)]
    found = []
    for scheduler, until in zip(both, (None, 3, 99), strict=True):
        search(scheduler, value=lambda c: c["n"] / 12, trials=4)
        if until is not None:
            scheduler.recall(4, space.configuration({"n": 1}), until)
        found.append(scheduler.ask())
    assert found[0] == found[1] == found[2]


def test_seconds_that_nobody_can_tell_are_left_out():
    scheduler = BOIL(SPACE, max_resource=3, seed=1)
    found = search(scheduler, seconds=lambda c: math.nan if c["x"] < 0.5 else 1.0, trials=9)
    assert len(found) == 9


# -- how much ------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_the_model_is_given_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(boil, "MOST_POINTS", 30)
    given = []
    real = model.Boil.decision

    def decision(self, known, pending):
        given.append((sum(each.points for each in known), len(pending)))
        return real(self, known, pending)

    monkeypatch.setattr(model.Boil, "decision", decision)
    scheduler = BOIL(SPACE, max_resource=10, max_trials=60)
    luck = random.Random(0)
    drive(scheduler, lambda trial, unit: luck.random(), 3, every_unit=True)
    assert max(points for points, _ in given) <= 30 + 10 + 3 * 11
    ids = [scheduler._x.index(each.x) for each in scheduler._known()]
    assert scheduler._arrived[-1] in ids
    assert scheduler.best.trial in ids


def test_levels_are_all_units_or_twenty_of_them():
    assert BOIL(SPACE, min_resource=3, max_resource=7).levels == (3, 4, 5, 6, 7)
    levels = BOIL(SPACE, max_resource=1000).levels
    assert (len(levels), levels[0], levels[-1]) == (20, 1, 1000)
    assert max(b - a for a, b in pairwise(levels)) <= 53


def test_the_plan_is_the_most_that_can_be_spent():
    forecast = Forecast(BOIL(SPACE, max_resource=9, max_trials=8), 8, 2)
    assert (forecast.trials, forecast.units) == (8, 72)


def test_no_more_points_of_a_curve_than_ten_and_none_that_the_matrix_does_not_bear(monkeypatch):
    one = model.Boil([1, 30])
    others = [Known((0.1, 0.2), [0.5] * 30), Known((0.9, 0.3), [0.1] * 30)]
    whole = one.extra_units(others, Known((0.5, 0.5), [0.3] * 30))
    assert 1 <= len(whole) <= 10
    assert list(whole) == sorted(set(whole))
    assert set(whole) < set(range(1, 30))
    assert len(one.extra_units(others, Known((0.5, 0.5), [0.3] * 6))) <= 2
    assert one.extra_units(others, Known((0.5, 0.5), [0.3] * 2)) == ()
    monkeypatch.setattr(model, "MOST_LOG_CONDITION", 0.0)
    assert one.extra_units(others, Known((0.5, 0.5), [0.3] * 30)) == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cost": "second"}, "cost is 'second'; did you mean \"seconds\""),
        ({"initial_trials": 0}, "initial_trials is 0"),
    ],
)
def test_a_mistake_in_its_own_settings_is_named(settings, said):
    with pytest.raises(SettingError, match=said):
        BOIL(SPACE, **settings)


def test_a_searcher_that_ends_and_learns_is_asked_in_its_order():
    asked = []

    class Learner(Few):
        def propose(self, index):
            asked.append(index)
            return super().propose(index)

        def observe(self, trial, resource, loss):
            """Learns nothing from it."""

    searcher = Learner(8, space=SPACE)
    scheduler = BOIL(SPACE, max_resource=2, searcher=searcher)
    search(scheduler)
    assert len(scheduler.trials) == 8
    assert asked == sorted(asked)


# -- recorded curves -------------------------------------------------------------------------------


def table(count=40, units=6):
    space = {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}
    rows = [dict(RandomSearch(SPACE, 9).propose(i)) for i in range(count)]
    values = [[height(row) * (1.0 - math.exp(-unit / 2)) for unit in range(1, units + 1)] for row in rows]
    return Curves.from_arrays(space, rows, values)


def test_of_a_table_it_is_answered_by_the_row_that_it_chose():
    curves = table()
    found = simulate(BOIL(curves.space, max_resource=6, seed=4), curves, workers=2)
    trials = found.scheduler.trials
    assert sorted(curves.row_of(trial.configuration) for trial in trials) == list(range(40))
    for trial in trials:
        row = curves.row_of(trial.configuration)
        assert -trial.loss == curves.curve("baseline", row).values[trial.until - 1]
    assert found.nearest == 0
    best = max(range(40), key=lambda row: height(curves.configurations[row]))
    assert [curves.row_of(trial.configuration) for trial in trials].index(best) < 20


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
def test_on_published_curves_it_is_better_than_random_search(data, workers):
    """Seconds as many as 40 whole curves take; regret, in points of error, as a mean of ten seeds."""
    curves = cifar10_cnn(data)
    whole = sorted(sum(curves.curve("baseline", row).seconds) for row in range(len(curves)))[len(curves) // 2]
    best = min(min(curves.curve("baseline", row).values) for row in range(len(curves)))
    regret = {}
    for kind in (FullTraining, BOIL):
        found = [
            simulate(
                kind(curves.space, mode="min", max_resource=40, seed=seed),
                curves,
                workers=workers,
                budget=40 * whole / workers,
            )
            for seed in range(10)
        ]
        regret[kind] = sum(each.best.value - best for each in found) / 10
    assert regret[BOIL] < 0.6 * regret[FullTraining]
