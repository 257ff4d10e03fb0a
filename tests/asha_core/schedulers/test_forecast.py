"""What rehearsals of a scheduler foretell."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from asha_core import ASHA, Float, SearchSpace, SuccessiveHalving
from asha_core.errors import SettingError
from asha_core.messages import Report
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers import forecast as forecast_module
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import (
    MOST_REHEARSED,
    Forecast,
    enough_for_the_top,
    units_again,
)
from asha_core.schedulers.state import TrialState
from asha_core.searchers.random_search import RandomSearch
from tests.asha_core.schedulers.helpers import fingerprint

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def scheduler_of(name: str, **settings: int) -> Scheduler:
    return scheduler_class(name)(SPACE, **{"max_resource": 27, **settings})


@pytest.mark.long
@pytest.mark.parametrize("name", MODEL_FREE)
def test_more_room_for_checkpoints_costs_fewer_units(name: str) -> None:
    rooms = (10, 40, 100, 10_000)
    costs = [units_again(scheduler_of(name, max_trials=200), 200, 2, room) for room in rooms]
    assert costs[-1] == 0
    assert costs[0] >= costs[1] >= costs[2]
    # nobody waits where everybody goes on at once, or to the end
    assert (costs[0] > 0) == (name not in ("asha-stopping", "random"))


def test_too_many_trials_to_rehearse_promise_nothing() -> None:
    assert units_again(scheduler_of("asha"), MOST_REHEARSED + 1, 2, 100) is None


@pytest.mark.parametrize("name", MODEL_FREE)
def test_one_is_expected_at_the_top_of_as_many_as_are_enough_and_none_of_fewer(name: str) -> None:
    scheduler = scheduler_of(name)
    enough = enough_for_the_top(scheduler, 2)
    assert 1 <= enough <= scheduler.whole_bracket
    if scheduler.expectation_is_exact or enough < scheduler.whole_bracket:
        assert round(Forecast(scheduler, enough, 2, longest=True).in_full) >= 1
        assert round(Forecast(scheduler, enough - 1, 2, longest=True).in_full) == 0


# -- until a deadline --------------------------------------------------------------------------------


def reached(forecast: Forecast) -> list[float]:
    return [trials for _, trials, _ in forecast.rungs]


def test_what_is_enough_for_the_top_depends_on_no_limit_that_is_too_small() -> None:
    assert enough_for_the_top(scheduler_of("sh", max_trials=5), 2) == 27
    assert enough_for_the_top(scheduler_of("sync-hyperband", max_trials=5), 2) == 27


@pytest.mark.parametrize("name", MODEL_FREE)
def test_no_time_is_no_search(name: str) -> None:
    for deadline in (0.0, -3.0):
        nothing = Forecast(scheduler_of(name), None, 2, deadline=deadline)
        assert (nothing.trials, nothing.units, nothing.in_full, nothing.time) == (0, 0, 0, 0)
        assert not nothing.complete
    brief = Forecast(scheduler_of(name), None, 2, deadline=0.9)
    assert (brief.trials, brief.units, brief.complete) == (2, 0, False)


def test_a_search_without_an_end_is_not_forecast() -> None:
    with pytest.raises(SettingError, match="give trials or deadline"):
        Forecast(scheduler_of("asha"), None, 2)


def test_a_deadline_closes_no_bracket() -> None:
    cut = Forecast(scheduler_of("sh", max_resource=81), None, 1, deadline=60)
    assert reached(cut) == [60, 0, 0, 0, 0]
    two = scheduler_of("sh", max_resource=81, max_trials=1000)
    # 1,000 units until 500; 333 times 2 until 834, when the other worker has waited for 2; 166 / 6 each
    assert reached(Forecast(two, 1000, 2, deadline=1000)) == [1000, 333, 54, 0, 0]
    assert Forecast(two, 1000, 2, deadline=1000).units == 1998


@pytest.mark.parametrize(
    ("most", "seed", "slots", "deadline"), [(27, 1, 2, 30), (81, 3, 1, 40), (81, 3, 2, 20)]
)
def test_hyperband_spends_its_budget_and_no_more(most: int, seed: int, slots: int, deadline: int) -> None:
    forecast = Forecast(
        scheduler_of("hyperband", max_resource=most, seed=seed), None, slots, deadline=deadline
    )
    assert forecast.units == pytest.approx(slots * deadline)
    assert 13 <= forecast.trials < 16


@pytest.mark.parametrize("deadline", [0.3 / 0.1, 3 - 1e-12, 3 + 1e-12, 3.9])
def test_a_unit_that_ends_with_the_deadline_counts(deadline: float) -> None:
    assert Forecast(scheduler_of("random"), None, 2, deadline=deadline).units == 6


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("trials", [None, 100])
def test_a_search_that_ends_before_its_deadline_ends_as_without(name: str, trials: int | None) -> None:
    scheduler = scheduler_of(name, max_resource=9)
    free = Forecast(scheduler, 100, 3)
    assert free.complete
    for deadline in (free.time * 2, 10_000):
        limited = Forecast(scheduler, 100, 3, deadline=deadline)
        assert limited.complete
        assert (limited.brackets, limited.time) == (free.brackets, free.time)
    assert not Forecast(scheduler, trials, 3, deadline=free.time / 2).complete


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("trials", [None, 60_000, 10**7])
@pytest.mark.parametrize("deadline", [1e5, 1e6, 12_345_678.9, 1e40])
def test_what_is_too_large_to_rehearse_is_never_over_its_budget(
    name: str, trials: int | None, deadline: float
) -> None:
    forecast = Forecast(scheduler_of(name), trials, 9, deadline=deadline, longest=True)
    budget = min(int(deadline) * 9, 10**15)
    assert forecast.units <= budget
    assert forecast.complete or forecast.units > 0.999 * budget - 30
    assert forecast.complete <= (trials is not None)
    assert trials is None or forecast.trials <= trials
    assert forecast.trials == reached(forecast)[0] or name in ("random", "hyperband", "sync-hyperband")


@pytest.mark.parametrize("name", ["sh", "sync-hyperband", "random"])
@pytest.mark.parametrize(("trials", "deadline"), [(None, 3_000.0), (400, 300.0), (100, None), (4000, 3000.5)])
def test_what_is_calculated_is_about_what_is_rehearsed(
    name: str, trials: int | None, deadline: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Forecast(scheduler_of(name), trials, 1, deadline=deadline)
    monkeypatch.setattr(forecast_module, "MOST_REHEARSED", 0)
    calculated = Forecast(scheduler_of(name), trials, 1, deadline=deadline)
    assert calculated.units == played.units
    assert calculated.complete == played.complete
    # another slot, or the next bracket, may begin while the last trials of a rung are still trained
    assert reached(calculated) == pytest.approx(reached(played), abs=2)


@pytest.mark.parametrize(
    ("slots", "deadline", "most"), [(1, 10**9, 10**9 + 1), (64, 1e6, 10**15), (64, 1e15, 10**15)]
)
def test_a_trial_that_cannot_be_trained_in_full_does_not_make_a_search_small(
    slots: int, deadline: float, most: int
) -> None:
    # one survivor, whom this rule always lets go on, would take more than the whole budget
    scheduler = scheduler_of("asha-stopping", max_resource=most)
    forecast = Forecast(scheduler, None, slots, deadline=deadline)
    budget = 10**15 if deadline * slots > 10**15 else deadline * slots
    assert 0.98 * budget < forecast.units <= budget
    assert forecast.in_full == 0
    assert forecast.trials == (1 if slots == 1 else pytest.approx(reached(forecast)[0]))


# -- what is rehearsed -------------------------------------------------------------------------------


def test_a_rehearsal_keeps_the_size_of_the_brackets() -> None:
    for scheduler in (
        SuccessiveHalving(SPACE, max_resource=27),
        SuccessiveHalving(SPACE, max_resource=27, bracket_size=27, max_trials=500),
    ):
        rehearsed = scheduler.rehearsal(1338, scheduler.searcher)
        assert (rehearsed.bracket_size, rehearsed.max_trials) == (27, 1338)
        assert units_again(scheduler, 1338, 2, 100) == 0
        assert units_again(scheduler, None, 2, 100, deadline=2000) == 0


class Choosy(SuccessiveHalving):
    """A user's own kind, with a setting of its own, in which one in four brackets is small."""

    def __init__(self, space: SearchSpace, small: int, **others: int) -> None:
        super().__init__(space, **others)
        self.small = small

    def _shape(self, index: int) -> tuple[int, int]:
        return 0, self.small if index % 4 == 0 else self.bracket_size


def test_a_rehearsal_has_all_settings_even_those_of_a_kind_of_ones_own() -> None:
    scheduler = Choosy(SPACE, 5, max_resource=9, bracket_size=12, max_retries=7, seed=4)
    scheduler.max_trials = 40
    rehearsed = scheduler.rehearsal(30, scheduler.searcher)
    assert (rehearsed.small, rehearsed.bracket_size, rehearsed.seed) == (5, 12, 4)
    assert (rehearsed.max_retries, rehearsed.max_trials, rehearsed.mode) == (7, 30, scheduler.mode)
    begun = [(each.begun, each.times) for each in Forecast(scheduler, 41, 1).brackets]
    assert begun == [(5, 1), (12, 3)]


class Taught(ASHA):
    """A user's own kind that lets its argument have a say, and changes it."""

    def __init__(self, space: SearchSpace, levels: Iterable[int], luck: random.Random, **others: int) -> None:
        super().__init__(space, max_resource=max(levels), **others)
        self.luck = luck

    def arrived(self, trial: TrialState, loss: float) -> None:
        super().arrived(trial, loss + self.luck.random())


def test_a_rehearsal_leaves_what_the_search_was_made_with_as_it_is() -> None:
    luck = random.Random(1)
    scheduler = Taught(SPACE, [1, 3, 9], luck, seed=4)
    before = luck.getstate()
    assert Forecast(scheduler, 30, 2).trials == 30
    assert luck.getstate() == before
    twin = scheduler.rehearsal(30, scheduler.searcher)
    assert (twin.space, twin.searcher) == (scheduler.space, scheduler.searcher)
    assert twin.luck is not scheduler.luck


class Bare(ASHA):
    """A user's own kind that does not tell the base what it is made with."""

    def __new__(cls, space: SearchSpace) -> Bare:
        return super().__new__(cls)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Taught(SPACE, (level for level in (1, 9)), random.Random(1), max_trials=30), "generator"),
        (lambda: Taught(SPACE, iter([1, 9]), random.Random(1), max_trials=30), "ValueError"),
        (lambda: Bare(SPACE), "TypeError"),
    ],
)
def test_a_scheduler_that_cannot_be_made_again_says_so(make: Callable[[], Scheduler], why: str) -> None:
    with pytest.raises(SettingError, match=f"cannot be made a second time .*{why}"):
        make().rehearsal(30, RandomSearch(SPACE, 0))


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_rehearsal_of_a_search_that_runs_begins_from_the_start(name: str) -> None:
    scheduler, new = scheduler_of(name, max_trials=40), scheduler_of(name, max_trials=40)
    for _ in range(15):
        job = scheduler.ask()
        assert job is not None
        scheduler.tell(Report(job.trial, job.attempt, job.until, float(-job.trial), 0.0))
    before = fingerprint(scheduler)
    assert Forecast(scheduler, 40, 2).rungs == Forecast(new, 40, 2).rungs
    assert fingerprint(scheduler) == before


def test_checkpoints_cost_nothing_before_anybody_goes_on() -> None:
    costs = [units_again(scheduler_of("asha"), 200, 2, 10, deadline=time) for time in (1, 60, 120, 240)]
    whole = units_again(scheduler_of("asha"), 200, 2, 10)
    assert costs[0] == 0
    assert costs == sorted(costs)
    assert costs[1] < costs[2] <= whole


def test_units_that_were_trained_again_by_the_deadline_count() -> None:
    # nine units until 9; the best goes on until 11, and has its checkpoint; the next two train 1 to 3 again
    scheduler = scheduler_of("sh", max_resource=9, max_trials=9)
    again = {time: units_again(scheduler, 9, 1, 1, deadline=time) for time in (9, 11, 12, 13, 14, 15, 17)}
    assert again == {9: 0, 11: 0, 12: 1, 13: 1, 14: 1, 15: 2, 17: 2}


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


@pytest.mark.parametrize("name", MODEL_FREE)
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
