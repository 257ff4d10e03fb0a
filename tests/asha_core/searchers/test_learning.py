"""A searcher that learns: what it hears, and that a journal of jobs and events makes it propose the same."""

from __future__ import annotations

import math
import random

import pytest

from asha_core.errors import SettingError
from asha_core.messages import Failed, Finished, Lost, Refined, Rejected, Report, Retried
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.forecast import Forecast
from asha_core.searchers.base import Searcher
from asha_core.searchers.grid import GridSearch
from asha_core.searchers.listed import Listed
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Float, Int, SearchSpace
from asha_core.streams import uniforms

SPACE = SearchSpace({"x": Float(0.0, 1.0), "n": Int(1, 9)})


class Learner(Searcher):
    """Whatever it hears changes what it proposes next."""

    name = "learner"

    def __init__(self, space=SPACE, seed=0):
        self.space, self.seed, self.heard = space, seed, []

    def propose(self, index):
        hash_of_all = repr(self.heard)
        return self.space.from_unit(uniforms(self.seed, hash_of_all, index, len(self.space)))

    def observe(self, trial, resource, loss):
        self.heard.append((trial.id, dict(trial.configuration), resource, loss))

    @property
    def short(self):
        return [(trial, resource, loss) for trial, _, resource, loss in self.heard]


def started(trials=3, **settings):
    searcher = Learner()
    scheduler = ASHA(SPACE, max_resource=9, searcher=searcher, **settings)
    return searcher, scheduler, [scheduler.ask() for _ in range(trials)]


# -- what it hears ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_it_hears_every_report_once_with_a_loss_of_which_lower_is_better(mode, sign):
    searcher, scheduler, _ = started(mode=mode)
    for event in (
        Report(1, 0, 1, 0.25, 1.0),
        Report(0, 0, 1, 0.5, 1.0),
        Report(0, 0, 1, 0.75, 1.0),  # late
        Report(2, 0, 1, math.inf, 1.0),
    ):
        scheduler.tell(event)
    assert searcher.short == [(1, 1, 0.25 * sign), (0, 1, 0.5 * sign), (2, 1, math.inf * sign)]


def test_it_hears_of_what_was_trained_not_of_what_it_proposed():
    searcher, scheduler, jobs = started(1)
    moved = SPACE.configuration({"x": 0.125, "n": 2})
    assert jobs[0].configuration != moved
    scheduler.tell(Refined(0, moved, 0.5))
    scheduler.tell(Report(0, 0, 1, 0.5, 1.0))
    assert searcher.heard == [(0, dict(moved), 1, -0.5)]


def test_units_that_are_trained_again_are_heard_once():
    searcher, scheduler, _ = started(1, min_resource=3)
    scheduler.tell(Report(0, 0, 1, 0.25, 1.0))
    scheduler.tell(Lost(0, 0, "killed"))
    assert scheduler.ask().start == 1
    scheduler.tell(Report(0, 1, 1, 0.25, 1.0))
    scheduler.tell(Report(0, 1, 2, 0.5, 1.0))
    assert searcher.short == [(0, 1, -0.25), (0, 2, -0.5)]


@pytest.mark.parametrize(
    "event", [Failed(0, 0, "raised"), Rejected(0, "diverges"), Failed(0, 0, "no", kind="invalid")]
)
def test_a_trial_that_comes_to_nothing_is_heard_as_nan_at_the_unit_that_it_did_not_complete(event):
    searcher, scheduler, _ = started()
    scheduler.tell(event)
    assert repr(searcher.short) == "[(0, 1, nan)]"


def test_a_failure_after_reports_and_what_comes_when_it_is_tried_again():
    searcher, scheduler, _ = started(1, min_resource=3)
    for event in (Report(0, 0, 1, 0.25, 1.0), Failed(0, 0, "raised"), Retried(0)):
        scheduler.tell(event)
    job = scheduler.ask()
    scheduler.tell(Report(0, job.attempt, 2, 0.5, 1.0))
    assert repr(searcher.short) == "[(0, 1, -0.25), (0, 2, nan), (0, 2, -0.5)]"


def test_a_trial_that_finished_is_heard_where_it_was_and_not_at_rungs_that_it_goes_on_to():
    searcher, scheduler, _ = started(3, max_trials=3)
    for trial in range(3):
        scheduler.tell(Report(trial, 0, 1, 0.5 + trial, 1.0) if trial < 2 else Finished(1, 0, 1))
    assert len(searcher.heard) == 2


# -- a list before it, and two schedulers ----------------------------------------------------------


def test_start_points_are_heard_by_the_searcher_after_them():
    learner = Learner()
    searcher = Listed([{"x": 0.5, "n": 3}], learner)
    scheduler = ASHA(SPACE, max_resource=9, searcher=searcher)
    scheduler.ask()
    scheduler.tell(Report(0, 0, 1, 0.75, 1.0))
    assert learner.heard == [(0, {"x": 0.5, "n": 3}, 1, -0.75)]
    assert searcher.learns
    assert not Listed([], RandomSearch(SPACE, 0)).learns


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: Listed([], s)])
def test_a_searcher_that_learns_belongs_to_one_scheduler(wrap):
    searcher = Learner()
    ASHA(SPACE, searcher=wrap(searcher))
    with pytest.raises(SettingError, match=r"\(learner\) learns.*make one for each"):
        ASHA(SPACE, searcher=wrap(searcher))


def test_one_that_does_not_learn_may_be_shared():
    searcher = GridSearch(SearchSpace({"n": Int(1, 9)}), 0)
    for _ in range(2):
        ASHA(searcher.space, searcher=searcher)


def test_the_manifest_says_whether_it_learns():
    assert ASHA(SPACE, searcher=Learner()).describe()["searcher_learns"] is True
    assert "searcher_learns" not in ASHA(SPACE).describe()


# -- replayed --------------------------------------------------------------------------------------


def walk(name: str, seed: int) -> tuple[list, Learner]:
    """A search with trouble of every kind: what was asked and told, in order, and what the searcher heard."""
    luck, searcher, history, running = random.Random(seed), Learner(), [], []
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=25, searcher=searcher)
    while len(history) < 2000:
        while len(running) < 4 and (job := scheduler.ask()) is not None:
            history.append(job)
            running.append(job)
        if not running:
            return history, searcher
        job = running.pop(luck.randrange(len(running)))
        kind, trial, attempt = luck.random(), job.trial, job.attempt
        reports = [
            Report(trial, attempt, unit, luck.choice([luck.random(), math.nan, 0.5]), 1.0)
            for unit in range(job.start + 1, job.until + 1)
        ]
        events: list = reports
        if kind < 0.1:
            events = [*reports[:-1], Failed(trial, attempt, "raised")]
        elif kind < 0.2:
            events = [*reports[:-1], Lost(trial, attempt, "killed")]
        elif kind < 0.3:
            events = [*reports[:-1], Finished(trial, attempt, job.until), reports[-1]]
        elif kind < 0.4 and job.start == 0:
            events = [Refined(trial, SPACE.from_unit([luck.random(), 0.5]), 0.1), *reports]
        elif kind < 0.45 and job.start == 0:
            events = [Rejected(trial, "diverges")]
        if kind > 0.9 and scheduler.failures:
            failed = next(each.id for each in scheduler.trials if each.status.name == "FAILED")
            events = [Retried(failed), *events]
        for event in events:
            history.append(event)
            scheduler.tell(event)
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("seed", range(3))
def test_what_was_asked_and_told_again_is_proposed_and_heard_again(name, seed):
    history, heard = walk(name, seed)
    searcher = Learner()
    searcher.check()
    again = scheduler_class(name)(SPACE, max_resource=9, max_trials=25, searcher=searcher)
    for what in history:
        if hasattr(what, "until"):
            assert again.ask() == what
        else:
            again.tell(what)
    assert repr(searcher.heard) == repr(heard.heard)
    assert len({repr(configuration) for _, configuration, _, _ in heard.heard}) > 10


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_rehearsal_neither_asks_nor_tells_the_searcher_of_the_search(name):
    class Watched(Learner):
        asked = 0

        def propose(self, index):
            Watched.asked += 1
            return super().propose(index)

    searcher = Watched()
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=9, searcher=searcher)
    scheduler.ask()
    Forecast(scheduler, 9, 2, longest=True)
    assert (Watched.asked, searcher.heard) == (1, [])
    assert scheduler.searcher is searcher
    twin = scheduler.rehearsal(9, RandomSearch(SPACE, 0))
    assert twin.searcher is not searcher


@pytest.mark.parametrize("chooses", [False, True])
def test_what_a_trial_began_as_is_recalled_by_whoever_had_chosen_it(chooses):
    class Chooser(ASHA):
        learns = chooses

    class Rememberer(Learner):
        def recall(self, index, configuration):
            self.heard.append((index, configuration))

    scheduler = Chooser(SPACE, searcher=Rememberer())
    began_as = SPACE.from_unit([0.5, 0.5])
    scheduler.recall(0, began_as, 1)
    assert scheduler.searcher.heard == ([] if chooses else [(0, began_as)])
