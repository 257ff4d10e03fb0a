"""Searches in virtual time against what can be said of them without the simulator."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core import (
    ASHA,
    PASHA,
    Curves,
    FullTraining,
    Hyperband,
    Report,
    SearchSpace,
    SettingError,
    StoppingASHA,
    SuccessiveHalving,
    SynchronousHyperband,
    simulate,
)
from asha_core.schedulers.base import Scheduler
from asha_core.simulation.curve import ENDED
from asha_core.space import Float

SPACE = SearchSpace({"x": Float(0, 1)})
KINDS = (ASHA, StoppingASHA, PASHA, Hyperband, SynchronousHyperband, SuccessiveHalving, FullTraining)


def table(values: list[list[float]], seconds: list[list[float]] | None = None, **others: object) -> Curves:
    count = np.shape(values)[-2]
    rows = [{"x": row / count} for row in range(count)]
    return Curves.from_arrays(SPACE, rows, values, seconds=seconds, **others)  # type: ignore[arg-type]


def decisions(scheduler: Scheduler) -> list[tuple[int, ...]]:
    """The jobs that a scheduler gives, as they come."""
    jobs: list[tuple[int, ...]] = []
    ask = scheduler.ask

    def kept() -> object:
        job = ask()
        if job is not None:
            jobs.append((job.trial, job.start, job.until))
        return job

    scheduler.ask = kept  # type: ignore[method-assign, assignment]
    return jobs


def by_hand(scheduler: Scheduler, curves: Curves, workers: int) -> float:
    """The same search by an event queue of another make: one entry a unit, made when its job begins."""
    searcher = scheduler.searcher = curves.searcher(scheduler.seed)
    free, queue, now, order = set(range(workers)), [], 0.0, 0
    while True:
        while free and (job := scheduler.ask()) is not None:
            slot = min(free)
            free.discard(slot)
            curve, at = curves.curve("baseline", searcher.row(job.trial)), now
            for unit in range(job.start, job.until):
                at += curve.seconds[unit]
                order += 1
                heapq.heappush(queue, (at, order, slot, job, unit))
        if not queue:
            return now
        now = queue[0][0]
        while queue and queue[0][0] == now:
            _, _, slot, job, unit = heapq.heappop(queue)
            row = searcher.row(job.trial)
            value = curves.curve("baseline", row).values[unit]
            scheduler.tell(Report(job.trial, job.attempt, unit + 1, value, 0.0))
            if unit + 1 == job.until:
                free.add(slot)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), workers=st.integers(1, 5), seed=st.integers(0, 9))
def test_decides_as_an_event_queue_made_by_hand(kind: type[Scheduler], data, workers, seed) -> None:
    rows = data.draw(st.integers(1, 20))
    some = st.floats(-5, 5)
    values = data.draw(st.lists(st.lists(some, min_size=9, max_size=9), min_size=rows, max_size=rows))
    lasting = data.draw(st.lists(st.sampled_from((0.5, 1.0, 3.0)), min_size=rows, max_size=rows))
    # no two units end at one moment
    seconds = [
        [each + 1e-4 * math.sqrt(2 + 9 * row + u) for u in range(9)] for row, each in enumerate(lasting)
    ]
    curves = table(values, seconds)
    one, other = (kind(SPACE, max_resource=9, seed=seed) for _ in range(2))
    theirs, ours = decisions(other), decisions(one)
    found = simulate(one, curves, workers=workers)
    ended = by_hand(other, curves, workers)
    assert (ours, found.seconds) == (theirs, pytest.approx(ended))


def test_all_events_of_a_moment_come_before_the_next_job() -> None:
    curves = table([[row] * 9 for row in range(9)])  # no seconds: a unit takes 1, and all end together
    scheduler = ASHA(SPACE, max_resource=9)
    jobs = decisions(scheduler)
    found = simulate(scheduler, curves, workers=9)
    assert [until for _, _, until in jobs[9:]] == [3, 3, 3, 9]
    assert found.seconds == 1 + 2 + 6


def test_time_to_target_and_budget() -> None:
    curves = table([[0.1, 0.2, 0.9], [0.3, 0.4, 0.5]], [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    found = simulate(FullTraining(SPACE, max_resource=3), curves)
    assert found.time_to(0.95) is None
    assert (
        len({*map(len, (found.times, found.values, found.spent, found.warmed, found.begun, found.by))}) == 1
    )
    assert found.begun[-1] == 2 or found.by[-1] == 0
    assert found.time_to(0.9) in (6.0, 9.0)
    stopped = simulate(FullTraining(SPACE, max_resource=3), curves, budget=2.5)
    assert (stopped.reason, stopped.seconds) == ("budget", 2.5)
    enough = simulate(FullTraining(SPACE, max_resource=3), curves, stop_at=0.3)
    assert enough.reason == "stop_at"
    assert enough.best is not None
    assert enough.best.value >= 0.3


def test_patience() -> None:
    curves = table([[3.0, 2.0, 1.0, 1.0]] * 3)  # the first value is the best; a rung is completed at 1, 2, 4
    found = simulate(ASHA(SPACE, max_resource=4, reduction_factor=2), curves, patience=2)
    assert (found.reason, found.seconds, found.times) == ("patience", 3.0, [1.0])
    found = simulate(FullTraining(SPACE, max_resource=4), curves, patience="6s")
    assert (found.reason, found.seconds) == ("patience", 7.0)
    found = simulate(FullTraining(SPACE, max_resource=4), curves, patience="1h", budget=5)
    assert (found.reason, found.seconds) == ("budget", 5)


def test_ended_curves() -> None:
    nan = math.nan
    curves = table([[1, 2, nan], [3, nan, nan], [nan, nan, nan]], ended=["finished", "unknown", "failed"])
    found = simulate(FullTraining(SPACE, max_resource=3), curves)
    assert (found.trials, found.scheduler.failures, found.unknown, found.units) == (3, 1, 1, 3)


def test_a_nan_before_the_end_is_a_value() -> None:
    curves = table([[1, math.nan, 2]])
    found = simulate(FullTraining(SPACE, max_resource=3), curves)
    assert (found.units, found.values) == (3, [1, 2])


def test_warm_starts_come_from_the_table() -> None:
    curves = table(
        [[[0.5] * 3], [[0.7] * 3]],  # type: ignore[list-item]
        arms=("baseline", "ohgw-1step"),
        refined={(1, 0): {"x": 0.25}},
        warm_seconds=[[0], [10]],
    )
    plain, warm = (simulate(FullTraining(SPACE, max_resource=3), curves, arm=arm) for arm in curves.arms)
    assert (plain.seconds, warm.seconds, warm.warm_start_seconds) == (3, 13, 10)
    assert plain.best is not None
    assert warm.best is not None
    assert (dict(plain.best.configuration), dict(warm.best.configuration)) == ({"x": 0.0}, {"x": 0.25})
    rejected = table([[0.1]], arms=("screen",), ended="rejected", length=0, warm_seconds=2)
    assert simulate(FullTraining(SPACE, max_resource=1), rejected).scheduler.rejected == 1


def test_a_warm_start_takes_its_time_even_if_what_it_made_was_not_recorded() -> None:
    curves = Curves.from_arrays(
        SPACE, [{"x": 0.1}, {"x": 0.2}], [[1.0] * 9] * 2, seconds=[[1.0] * 9] * 2, warm_seconds=[[0.5, 0.0]]
    )
    found = simulate(FullTraining(SPACE, max_resource=9), curves)
    assert (found.seconds, found.warm_start_seconds, found.nearest) == (18.5, 0.5, 0)


def test_decisions_that_take_time() -> None:
    curves = table([[row] * 3 for row in range(4)])
    found = simulate(FullTraining(SPACE, max_resource=3), curves, workers=2, decision_seconds=0.5)
    # jobs begin at .5 and 1 and end at 3.5 and 4; that of 3.5 is followed at 4, in which the other waits
    assert found.seconds == 7.5
    assert simulate(FullTraining(SPACE, max_resource=3), curves, decision_seconds="measured").seconds > 12


def test_other_searchers_are_answered_by_the_nearest_row() -> None:
    curves = table([[0.0], [1.0]])
    found = simulate(FullTraining(SPACE, max_resource=1, max_trials=5, searcher="sobol"), curves)
    assert (found.trials, found.nearest) == (5, 5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda c: simulate(ASHA(SPACE, max_resource=9), c), "no value at 9"),
        (lambda c: simulate(ASHA(SPACE, max_resource=3, mode="min"), c), "mode"),
        (lambda c: simulate(ASHA({"y": Float(0, 1)}, max_resource=3), c), "another space"),
        (lambda c: simulate(ASHA(SPACE, max_resource=3), c, arm="basline"), "baseline"),
        (lambda c: simulate(ASHA(SPACE, max_resource=3), c, workers=0), "workers"),
    ],
)
def test_mistakes(make, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        make(table([[1, 2, 3]]))


def test_a_used_scheduler_is_refused() -> None:
    scheduler = ASHA(SPACE, max_resource=3)
    simulate(scheduler, table([[1, 2, 3]]))
    with pytest.raises(SettingError, match="used"):
        simulate(scheduler, table([[1, 2, 3]]))


def test_ended_names_are_kept_in_files() -> None:
    assert ENDED == ("complete", "finished", "failed", "rejected", "unknown")  # their indices are in files
