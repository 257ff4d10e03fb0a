"""Which checkpoints go first: by hand, and as laws over random walks of every scheduler."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

import pytest

from asha_core.messages import Failed, Finished, Job, Lost, Refined, Rejected, Report
from asha_core.schedulers import MODEL_FREE
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.retention import ENOUGH, KINDS, LEADERS, Retention, Stock
from asha_core.schedulers.state import Status, TrialState
from asha_core.schedulers.synchronous import SynchronousScheduler
from tests.asha_core.schedulers.helpers import make

EVERYTHING = tuple(KINDS)
BUT_BEST = ("last", "previous", "unfinished")


class Walk:
    """A scheduler, its retention and the files of its trials, driven by hand or at random."""

    def __init__(self, name: str, budget: float = math.inf, **settings: Any) -> None:
        self.scheduler = make(name, **settings)
        self.retention = Retention(self.scheduler)
        self.stock = Stock(self.retention, budget)
        self.jobs: dict[int, Job] = {}
        self.history: list[Any] = []
        self.files: dict[int, dict[str, tuple[int, int]]] = {}
        self.best: dict[int, float] = {}
        self.inode = 0
        self.entries: list[tuple[tuple[int, int], float, int]] = []  # (bracket and rung), loss, trial

    def ask(self) -> Job | None:
        job = self.scheduler.ask()
        if job is not None:
            self.jobs[job.trial] = job
            self.history.append(job)
            self.retention.on_job(job)
        return job

    def tell(self, event: Any) -> None:
        trial = self.scheduler.trials[event.trial]
        ran, rung = trial.status == Status.RUNNING, trial.rung
        self.scheduler.tell(event)
        if ran and trial.status not in (Status.RUNNING, Status.WAITING, Status.REJECTED):
            bracket = trial.first
            if isinstance(self.scheduler, SynchronousScheduler):
                bracket = self.scheduler._bracket_of[trial.id].index
            value = event.value if isinstance(event, Report) else math.nan
            loss = -value if self.scheduler.mode == "max" else value
            self.entries.append(((bracket, rung), loss if math.isfinite(loss) else math.inf, trial.id))
        self.history.append(event)
        self.retention.on_event(event)
        if self.scheduler.trials[event.trial].status != Status.RUNNING:
            self.jobs.pop(event.trial, None)
        self.stock.put(event.trial, dict(self.files.get(event.trial, {})))
        for trial, kinds in self.stock.excess():
            for kind in kinds:
                del self.files[trial][kind]

    def report(self, trial: int, value: float, resource: int | None = None) -> None:
        job = self.jobs[trial]
        self.save(trial, value)
        self.tell(Report(trial, job.attempt, resource or job.until, value, 1.0))

    def save(self, trial: int, value: float) -> None:
        files = self.files.setdefault(trial, {})
        if "last" in files:
            files["previous"] = files["last"]
        self.inode += 1
        files["last"] = self.inode, 10
        if math.isfinite(value) and value > self.best.get(trial, -math.inf):
            self.best[trial] = value
            files["best"] = files["last"]

    def order(self) -> list[tuple[int, tuple[str, ...]]]:
        return list(self.retention.order(range(len(self.scheduler.trials))))

    def position(self, trial: int) -> float:
        """Looked for in all entries there are."""
        (place, loss), *_ = [(place, loss) for place, loss, number in self.entries[::-1] if number == trial]
        rivals = sorted(
            (each, at, number) for at, (where, each, number) in enumerate(self.entries) if where == place
        )
        rank = [number for _, _, number in rivals].index(trial)
        return 1.0 if loss == math.inf else (rank + 1) / len(rivals)

    def gone(self) -> list[int]:
        """The trials in the order in which the last that they have goes."""
        at = {}
        for place, (trial, kinds) in enumerate(self.order()):
            if "last" in kinds:
                at[trial] = place
        return sorted(at, key=at.__getitem__)

    def trials(self, *status: Status) -> list[TrialState]:
        return [trial for trial in self.scheduler.trials if trial.status in status]


def at_rung_0(values: list[float], **settings: Any) -> Walk:
    walk = Walk("asha", **{"max_resource": 9, **settings})
    for value in values:
        job = walk.ask()
        assert job is not None
        assert job.start == 0
        walk.report(job.trial, value)
    return walk


# -- by hand ---------------------------------------------------------------------------------------


def test_paused_trials_go_by_their_relative_position_the_last_first() -> None:
    walk = at_rung_0([0.5, 0.9, 0.1, 0.7], reduction_factor=5)
    assert walk.gone() == [2, 0, 3, 1]
    assert [walk.retention.position(trial) for trial in walk.scheduler.trials] == [0.75, 0.25, 1.0, 0.5]


def test_smaller_is_better_where_the_scheduler_says_so() -> None:
    assert at_rung_0([0.5, 0.9, 0.1, 0.7], reduction_factor=5, mode="min").gone() == [1, 3, 0, 2]


def test_of_equal_values_the_one_that_came_later_goes_first() -> None:
    assert at_rung_0([0.5, 0.5, 0.5], reduction_factor=5).gone() == [2, 1, 0]


def test_a_value_that_is_not_finite_goes_before_all_others() -> None:
    assert at_rung_0([math.nan, 0.5, math.inf, 0.1], reduction_factor=5).gone()[:2] == [2, 0]


def test_the_position_counts_those_that_failed_and_those_that_went_on() -> None:
    walk = at_rung_0([0.1, 0.2, 0.9])
    job = walk.ask()
    assert job is not None
    assert (job.trial, job.start) == (2, 1)  # promoted: it runs, and is left alone
    failing = walk.ask()
    assert failing is not None
    walk.tell(Failed(failing.trial, 0, "no luck"))
    assert walk.gone() == [3, 0, 1]
    assert walk.retention.position(walk.scheduler.trials[1]) == 2 / 4
    walk.report(2, 0.95)  # alone in its rung, and the last there; that of rung 0 is cheaper to train again
    assert walk.retention.position(walk.scheduler.trials[2]) == 1.0
    assert walk.gone() == [3, 2, 0, 1]


def test_of_equal_positions_the_lower_rung_goes_first() -> None:
    walk = at_rung_0([0.9, 0.2, 0.1])
    job = walk.ask()
    assert job is not None
    walk.report(job.trial, 0.9)
    assert [walk.retention.position(walk.scheduler.trials[trial]) for trial in (0, 2)] == [1.0, 1.0]
    assert walk.gone() == [2, 0, 1]


def test_previous_ones_go_before_everything() -> None:
    walk = at_rung_0([0.5, 0.9, 0.1], reduction_factor=5)
    assert walk.order()[:3] == [(2, ("previous",)), (0, ("previous",)), (1, ("previous",))]


def test_the_best_of_all_is_never_dropped_and_the_leaders_are_late() -> None:
    walk = at_rung_0([float(value) for value in range(LEADERS + 2)], reduction_factor=20)
    order = walk.order()
    best = LEADERS + 1
    only_best = [trial for trial, kinds in order if kinds == ("best",)]
    assert only_best == [0, 1]
    assert (best, BUT_BEST) in order
    assert all("best" not in kinds for trial, kinds in order if trial == best)


def test_the_best_of_all_is_kept_where_many_are_as_good() -> None:
    walk = Walk("asha", max_resource=9, reduction_factor=50)
    jobs = [walk.ask() for _ in range(LEADERS + 3)]
    for job in jobs[::-1]:  # the one that had it first is the best
        assert job is not None
        walk.report(job.trial, 0.5)
    assert walk.scheduler.best is not None
    assert walk.scheduler.best.trial == LEADERS + 2
    assert [trial for trial, kinds in walk.order() if kinds == ("best",)] == [LEADERS + 1, LEADERS]


def test_a_unit_that_is_trained_again_counts_once() -> None:
    walk = Walk("asha", max_resource=9, min_resource=9, reduction_factor=50)
    for number in range(LEADERS + 1):
        walk.ask()
        walk.report(number, number / 100, 1)
    walk.report(0, 0.99, 1)  # as on a GPU, where it is not the same again
    for number in range(LEADERS + 1):
        walk.report(number, 0.0)
    assert [trial for trial, kinds in walk.order() if kinds == ("best",)] == [0]


def test_trials_of_a_stopping_rule_that_go_on_at_once_are_left_alone() -> None:
    walk = Walk("asha-stopping", max_resource=9)
    first = walk.ask()
    assert first is not None
    walk.report(first.trial, 0.5)
    assert walk.scheduler.trials[0].status == Status.PAUSED
    assert walk.order() == []
    second, third = walk.ask(), walk.ask()
    assert second is not None
    assert third is not None
    assert second.start == 1
    walk.report(third.trial, 0.1)
    assert walk.gone() == [1]  # it was stopped


def test_of_a_rung_that_is_closed_those_that_go_on_are_the_last_that_lose_theirs() -> None:
    walk = Walk("sh", max_resource=9, bracket_size=9)
    for _ in range(13):
        walk.ask()
    for trial in range(1, 13):
        walk.report(trial, trial / 100)
    # the four of the next bracket may go on, those of the first that are best perhaps not
    assert walk.gone() == [9, 1, 2, 10, 3, 4, 11, 5, 6, 12, 7, 8]
    walk.report(0, 0.0)
    # now 6, 7 and 8 certainly do
    assert walk.gone() == [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 6, 7, 8]


def test_a_trial_that_has_finished_early_goes_before_those_that_may_go_on() -> None:
    walk = Walk("asha", max_resource=9, min_resource=2, reduction_factor=5)
    for value in (0.5, 0.9, 0.1, 0.7):
        job = walk.ask()
        assert job is not None
        if job.trial == 3:
            walk.report(3, value, 1)
            walk.tell(Finished(3, 0, 1))
        else:
            walk.report(job.trial, value)
    assert walk.gone() == [3, 2, 0, 1]
    assert walk.retention.position(walk.scheduler.trials[3]) == 0.5  # its value counts for the others
    assert walk.retention.position(walk.scheduler.trials[0]) == 0.75


def test_a_trial_that_has_finished_early_is_not_left_alone_though_it_goes_on() -> None:
    walk = Walk("asha-stopping", max_resource=9, min_resource=2)
    for _ in range(2):
        job = walk.ask()
        assert job is not None
    walk.report(0, 0.9)  # it goes on, and is asked for first
    walk.report(1, 0.95, 1)
    walk.tell(Finished(1, 0, 1))
    assert walk.scheduler.trials[1].status == Status.PAUSED
    assert walk.gone() == [1]


def test_two_names_of_the_same_bytes_take_them_once() -> None:
    stock = Stock(Retention(make("asha")), 100)
    stock.put(0, {"last": (1, 10), "best": (1, 10), "previous": (2, 7)})
    assert stock.total == 17
    stock.put(0, {})
    assert stock.total == 0
    assert stock.of(0) == {}


def test_a_name_is_not_dropped_where_its_bytes_stay() -> None:
    walk = at_rung_0([0.5, 0.9], reduction_factor=5)
    walk.stock.budget = 0
    dropped = dict(walk.stock.excess())
    assert dropped == {0: ["last", "best"]}  # trial 1 is the best of all: its last is another name of that
    assert walk.stock.total == 10


def test_room_is_made_for_more_than_the_next_one() -> None:
    walk = at_rung_0([float(value) for value in range(30)], reduction_factor=50)
    assert walk.stock.total == 300
    walk.stock.budget = 299
    assert len(list(walk.stock.excess())) == 4
    assert walk.stock.total == 260 <= ENOUGH * 299
    assert list(walk.stock.excess()) == []


# -- laws ------------------------------------------------------------------------------------------


def steps(walk: Walk, draw: random.Random, count: int) -> Iterator[None]:
    """Anything that can happen, at random."""
    for _ in range(count):
        running = sorted(walk.jobs)
        if not running or (len(running) < 6 and draw.random() < 0.5):
            if walk.ask() is None and not running:
                return
        else:
            happens(walk, draw, draw.choice(running))
        yield


def happens(walk: Walk, draw: random.Random, trial: int) -> None:
    job, luck = walk.jobs[trial], draw.random()
    resource = walk.scheduler.trials[trial].resource
    value = draw.choice([math.nan, math.inf, -math.inf, 1.0, 2.0] + [draw.random()] * 9)
    if luck < 0.05:
        walk.tell(Failed(trial, job.attempt, "x", draw.choice(["error", "invalid", "oom"])))
    elif luck < 0.12:
        walk.files.setdefault(trial, {})["unfinished"] = (-trial - 1, 10)
        walk.tell(Lost(trial, job.attempt, "x", draw.choice(["died", "stopped"])))
    elif luck < 0.14 and resource == 0:
        walk.tell(Rejected(trial, "x"))
    elif luck < 0.2:
        walk.tell(Refined(trial, job.configuration, 1.0, {}))
    elif luck < 0.25 and resource:
        walk.tell(Report(trial, job.attempt, resource, value, 1.0))  # once more
    elif luck < 0.29:  # late
        walk.tell(Report(trial, job.attempt - 1, job.until, value, 1.0))
        walk.tell(Failed(trial, job.attempt - 1, "x"))
    elif luck < 0.5 and resource + 1 < job.until:
        walk.report(trial, value, resource + 1)
    else:
        walk.report(trial, value)


WALKS = [(name, seed) for name in MODEL_FREE for seed in range(12)]


def begin(name: str, seed: int, budget: float = math.inf) -> tuple[Walk, random.Random]:
    draw = random.Random(f"{name} {seed}")
    eta = draw.choice([2, 3, 4])
    levels = {"min_resource": draw.choice([1, 2]), "max_resource": draw.choice([2, 9, 27])}
    limit = draw.choice([None, 40])
    return Walk(name, budget, **levels, reduction_factor=eta, max_trials=limit, max_retries=1), draw


@pytest.mark.parametrize(("name", "seed"), WALKS)
def test_what_is_needed_is_never_dropped_and_the_rest_can_be(name: str, seed: int) -> None:
    walk, draw = begin(name, seed)
    for _ in steps(walk, draw, 150):
        best = walk.scheduler.best
        given: dict[int, set[str]] = {}
        for trial, kinds in walk.order():
            given.setdefault(trial, set()).update(kinds)
        running = {trial.id for trial in walk.trials(Status.RUNNING, Status.WAITING)}
        assert not running & given.keys()
        for trial in walk.scheduler.trials:
            expected = set(BUT_BEST if best is not None and trial.id == best.trial else EVERYTHING)
            going_on = name == "asha-stopping" and trial.status == Status.PAUSED
            assert given.get(trial.id, set()) == (set() if trial.id in running or going_on else expected)


@pytest.mark.long
@pytest.mark.parametrize(("name", "seed"), WALKS)
def test_trials_go_in_the_order_of_what_can_become_of_them(name: str, seed: int) -> None:
    walk, draw = begin(name, seed)
    rank = {Status.FAILED: 0, Status.REJECTED: 0, Status.STOPPED: 1, Status.PAUSED: 2, Status.DONE: 3}
    for _ in steps(walk, draw, 150):
        trials = [walk.scheduler.trials[number] for number in walk.gone()]
        holders = walk.scheduler.trials
        leaders = nsmallest(LEADERS, holders, key=lambda each: (walk.retention._loss(each), each.id))
        ranks = [
            1 if trial.status == Status.DONE and trial not in leaders else rank[trial.status]
            for trial in trials
        ]
        assert ranks == sorted(ranks)
        synchronous = isinstance(walk.scheduler, SynchronousScheduler)
        due = {number for _, _, number in walk.scheduler._due} if synchronous else set()
        likely = [
            (trial.id in due, -walk.retention.position(trial))
            for trial in trials
            if trial.status == Status.PAUSED
        ]
        assert likely == sorted(likely)
        for trial in walk.trials(Status.PAUSED, Status.DONE, Status.STOPPED):
            assert walk.retention.position(trial) == walk.position(trial.id)


def promotable(scheduler: Scheduler) -> set[int]:
    """Who would be promoted by the next asks, if nothing came in between."""
    copied, found = copy.deepcopy(scheduler), set()
    while (job := copied.ask()) is not None and job.start > 0:
        if scheduler.trials[job.trial].status == Status.PAUSED:
            found.add(job.trial)
    return found


@pytest.mark.long
@pytest.mark.parametrize(("name", "seed"), [walk for walk in WALKS if walk[0] in ("asha", "hyperband")])
def test_who_could_be_promoted_next_goes_after_all_who_could_not(name: str, seed: int) -> None:
    walk, draw = begin(name, seed)
    met = 0
    for number, _ in enumerate(steps(walk, draw, 200)):
        if number % 4:
            continue
        paused = [n for n in walk.gone() if walk.scheduler.trials[n].status == Status.PAUSED]
        could = promotable(walk.scheduler)
        assert could <= set(paused)
        assert {trial in could for trial in paused[: len(paused) - len(could)]} <= {False}
        met += bool(could)
    assert met or walk.scheduler.levels[-1] == walk.scheduler.levels[0]


@pytest.mark.parametrize(("name", "seed"), WALKS)
def test_the_budget_is_kept_unless_only_what_is_needed_is_left(name: str, seed: int) -> None:
    walk, draw = begin(name, seed, budget=random.Random(seed).choice([0, 40, 100, 300]))
    for _ in steps(walk, draw, 200):
        assert walk.stock.total == sum(sum(dict(each.values()).values()) for each in walk.files.values())
        if walk.stock.total > walk.stock.budget:
            best = walk.scheduler.best
            for trial, files in walk.files.items():
                state = walk.scheduler.trials[trial]
                left = set(files)
                if best is not None and trial == best.trial and "best" in files:
                    left = {kind for kind in files if files[kind] != files["best"]}
                assert not left or walk.retention.needed(state)


@pytest.mark.parametrize(("name", "seed"), WALKS)
def test_a_search_that_is_resumed_drops_in_the_same_order(name: str, seed: int) -> None:
    """There the scheduler is rebuilt before the history is told."""
    walk, draw = begin(name, seed)
    for number, _ in enumerate(steps(walk, draw, 200)):
        if number % 20:
            continue
        again = Retention(walk.scheduler)
        for what in walk.history:
            if isinstance(what, Job):
                again.on_job(what)
            else:
                again.on_event(what)
        assert list(again.order(range(len(walk.scheduler.trials)))) == walk.order()


def test_events_of_a_job_that_is_over_change_nothing() -> None:
    scheduler = make("asha", max_resource=9, max_trials=3)
    retention = Retention(scheduler)
    job = scheduler.ask()
    late = Report(job.trial, job.attempt, 1, 0.5, 0.0)
    retention.on_event(late)  # nobody has told of its job
    assert list(retention.order([job.trial])) == list(Retention(scheduler).order([job.trial]))
