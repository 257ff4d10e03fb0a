"""Searchers that ask a model: what it is told, and when; with a model that keeps the questions."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

import pytest

from asha_core import surrogates
from asha_core.errors import SettingError
from asha_core.messages import Failed, Job, Refined, Rejected, Report, Retried
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.bohb import BOHB
from asha_core.searchers.listed import Listed
from asha_core.searchers.model_based import GPSearch, TPESearch
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from asha_core.streams import stream_seed, uniforms
from asha_core.testing import SchedulerContract, SearcherContract
from asha_core.testing.driving import troubled

SPACE = SearchSpace(
    {"x": Float(0.0, 1.0), "k": Constant(3), "one": Choice(["a"])}
)  # one to search: least is 4


@dataclass
class Question:
    observed: list
    pending: list
    seed: int

    @property
    def losses(self):
        return [loss for _, loss in self.observed]


@dataclass
class Oracle:
    """Answers with a point that its seed decides, and keeps what it was asked."""

    space: SearchSpace
    most: int = 40
    most_pending: int = 6
    pending_below: bool = False
    ahead: bool = False
    answers: list = field(default_factory=list)  # in the place of its own
    asked: list[Question] = field(default_factory=list)

    def ask(self, observed, pending, seed):
        self.asked.append(Question(list(observed), list(pending), seed))
        said = self.space.from_unit(uniforms(seed, f"{len(observed)}", 0, len(self.space)))
        return lambda: self.answers.pop(0) if self.answers else said


class Slow(Oracle):
    def __init__(self, space):
        super().__init__(space, pending_below=True, ahead=True)


@pytest.fixture(autouse=True)
def _oracles(monkeypatch):
    monkeypatch.setitem(surrogates.SURROGATES, "tpe", (f"{__name__}:Oracle", ()))
    monkeypatch.setitem(surrogates.SURROGATES, "gp", (f"{__name__}:Slow", ()))


@dataclass
class Trial:
    id: int
    configuration: object


def search(space=SPACE, seed=0, random_fraction=0.0, kind=TPESearch, **settings):
    searcher = kind(space, seed, random_fraction=random_fraction, **settings)
    return searcher, searcher._model.asked


def report(searcher, losses, resource=1, first=0):
    """Trials are begun, if they are not, and report."""
    for number, loss in enumerate(losses, first):
        searcher.observe(Trial(number, searcher.propose(number)), resource, loss)


@pytest.mark.parametrize("kind", [TPESearch, GPSearch])
class TestContract(SearcherContract):
    @pytest.fixture(autouse=True)
    def _of_that_kind(self, kind):
        self.kind = kind

    def searcher(self, space, seed):
        return self.kind(space, seed)


class TestBOHB(SchedulerContract):
    def scheduler(self, space, **settings):
        return BOHB(space, **settings)


# -- when it is asked ------------------------------------------------------------------------------


def test_configurations_are_random_until_enough_trials_have_reported():
    searcher, asked = search()
    random = RandomSearch(SPACE, 0)
    report(searcher, [0.5, 0.25, math.nan, 0.75])
    assert [searcher.propose(index) for index in (4, 5)] == [random.propose(index) for index in (4, 5)]
    assert not asked
    searcher.observe(Trial(4, searcher.propose(4)), 1, 0.125)  # the fourth: one dimension, and three
    assert searcher.propose(6) != random.propose(6)
    assert asked[0].seed == stream_seed(0, "tpe", 6)


def test_least_and_random_fraction_are_settings():
    searcher, asked = search(least=1)
    report(searcher, [0.5])
    searcher.propose(1)
    assert len(asked) == 1
    searcher, asked = search(least=1, random_fraction=1.0)
    report(searcher, [0.5] * 9)
    assert not asked
    for wrong in ({"least": 0}, {"random_fraction": 1.5}):
        with pytest.raises(SettingError):
            search(**wrong)


def test_a_third_is_random_by_seed_and_index_alone_whatever_was_reported():
    alike = []
    for losses in ([0.5] * 300, [math.nan] * 3 + [0.25, -1.0] * 150):
        searcher = TPESearch(SPACE, 5)
        report(searcher, losses)
        random = RandomSearch(SPACE, 5)
        alike.append({i for i in range(300) if searcher._configurations[i] == random.propose(i)})
    shared = alike[0] & alike[1]
    assert 70 < len(shared) < 130
    assert len(alike[0] ^ alike[1]) < 10  # those before enough had reported


def test_where_there_is_nothing_to_search_nothing_is_asked():
    searcher, asked = search(SearchSpace({"k": Constant(3)}))
    report(searcher, [0.5] * 9)
    assert not asked


def test_the_largest_resource_with_enough_losses_is_modelled():
    searcher, asked = search()
    report(searcher, [float(trial) for trial in range(6)])
    report(searcher, [10.0 + trial for trial in range(3)], resource=3)
    searcher.propose(6)
    assert asked[-1].losses == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    report(searcher, [13.0], resource=3, first=3)
    searcher.propose(7)
    assert asked[-1].losses == [10.0, 11.0, 12.0, 13.0]
    report(searcher, [20.0] * 9, resource=2)  # stragglers below it
    searcher.propose(8)
    assert asked[-1].losses == [10.0, 11.0, 12.0, 13.0]


# -- what it is told -------------------------------------------------------------------------------


def test_what_failed_has_the_worst_loss_there_and_at_larger_resources_until_it_reports():
    searcher, asked = search()
    report(searcher, [0.5, 0.25, 0.75, 0.0])
    for trial, resource, loss in ((4, 1, math.nan), (5, 2, math.nan), (6, 1, -math.inf)):
        searcher.observe(Trial(trial, searcher.propose(trial)), resource, loss)
    searcher.propose(7)
    assert asked[-1].losses == [0.5, 0.25, 0.75, 0.0, 0.75, 0.75]
    assert [c for c, _ in asked[-1].observed[4:]] == [searcher._configurations[trial] for trial in (4, 6)]
    searcher.observe(Trial(4, searcher._configurations[4]), 1, 0.125)  # tried again
    searcher.propose(8)
    assert asked[-1].losses == [0.5, 0.25, 0.75, 0.0, 0.125, 0.75]


def test_a_scheduler_of_either_mode_gives_it_losses_failures_and_what_a_warm_start_made():
    for mode, sign in (("max", -1.0), ("min", 1.0)):
        searcher, asked = search(least=2)
        scheduler = ASHA(SPACE, mode=mode, max_resource=9, searcher=searcher)
        jobs = [scheduler.ask() for _ in range(4)]
        moved = SPACE.configuration({"x": 0.125, "one": "a"})
        for event in (
            Refined(0, moved, 0.5),
            Report(0, 0, 1, 0.5, 1.0),
            Report(1, 0, 1, 0.75, 1.0),
            Failed(2, 0, "raised"),
            Rejected(3, "diverges"),
        ):
            scheduler.tell(event)
        scheduler.ask()  # a promotion
        scheduler.ask()
        worst = max(0.5 * sign, 0.75 * sign)
        assert asked[-1].losses == [0.5 * sign, 0.75 * sign, worst, worst]
        assert [c for c, _ in asked[-1].observed] == [moved, *(job.configuration for job in jobs[1:])]
        scheduler.tell(Retried(2))


def test_the_best_and_the_latest_of_many_in_the_order_in_which_they_came():
    searcher, asked = search()
    losses = [float((trial * 37) % 101) for trial in range(101)]
    report(searcher, losses)
    searcher.propose(101)
    told = asked[-1].losses
    assert len(told) == 40
    best = sorted(losses)[:10]
    assert set(best) <= set(told)
    assert [loss for loss in told if loss not in best] == [x for x in losses if x not in best][-30:]


def test_failures_are_at_most_a_quarter():
    searcher, asked = search()
    report(searcher, [0.5, 0.25, 0.75, 0.0] + [math.nan] * 50)
    searcher.propose(54)
    assert asked[-1].losses == [0.5, 0.25, 0.75, 0.0] + [0.75] * 10


# -- pending ---------------------------------------------------------------------------------------


def test_what_was_given_out_and_has_not_come_so_far_is_pending():
    searcher, asked = search()
    report(searcher, [0.5] * 4)
    given = [searcher.propose(index) for index in (4, 5, 6)]
    assert [question.pending for question in asked[-3:]] == [[], given[:1], given[:2]]
    assert len({configuration["x"] for configuration in given}) == 3
    report(searcher, [0.5] * 4, resource=3)  # and are modelled now; 4 reports at 1, 5 fails
    searcher.observe(Trial(4, given[0]), 1, 0.5)
    searcher.observe(Trial(5, given[1]), 1, math.nan)
    searcher.propose(7)
    assert asked[-1].pending == [given[2]]
    searcher._model.pending_below = True
    searcher.propose(8)
    assert asked[-1].pending == [given[0], given[2], searcher.propose(7)]


def test_the_latest_pending_ones_are_told():
    searcher, asked = search()
    report(searcher, [0.5] * 4)
    given = [searcher.propose(index) for index in range(4, 14)]
    searcher.propose(14)
    assert asked[-1].pending == given[-6:]


def test_start_points_before_it_do_not_mix_up_what_is_pending():
    searcher, asked = search()
    scheduler = ASHA(
        SPACE,
        max_resource=9,
        searcher=Listed([{"x": 0.5, "one": "a"}], Listed([{"x": 0.25, "one": "a"}], searcher)),
    )
    jobs = [scheduler.ask() for _ in range(6)]
    assert searcher.trials_before == 2
    for job in jobs[:5]:
        scheduler.tell(Report(job.trial, 0, 1, 0.5, 1.0))
    scheduler.ask()  # a promotion
    scheduler.ask()
    assert asked[-1].pending == [jobs[5].configuration]


# -- answers ---------------------------------------------------------------------------------------


def test_an_answer_that_constraints_refuse_is_told_as_the_worst_and_it_is_asked_again():
    space = SearchSpace({"x": Float(0.0, 1.0)}, constraints=[lambda c: c["x"] < 0.5])
    searcher, asked = search(space)
    report(searcher, [0.5, 0.25, 0.75, 0.0])
    refused, allowed = space.from_unit([0.75]), space.from_unit([0.25])
    searcher._model.answers = [refused, allowed]
    assert searcher.propose(4) == allowed
    assert asked[-1].observed == [*asked[-2].observed, (refused, 0.75)]
    assert asked[-1].seed != asked[-2].seed
    searcher._model.answers = [refused] * 10
    assert searcher.propose(5) == RandomSearch(space, 0).propose(5)


def test_where_the_model_has_no_answer_it_is_random():
    searcher, _ = search()
    report(searcher, [0.5, 0.25, 0.75, 0.0])
    searcher._model.answers = [None]
    assert searcher.propose(4) == RandomSearch(SPACE, 0).propose(4)


def test_random_ones_can_be_drawn_from_another_searcher():
    searcher, _ = search()
    base = RandomSearch(SPACE, 9)
    searcher.draw_from(base)
    assert searcher.propose(0) == base.propose(0)


def test_one_that_takes_long_is_asked_ahead_with_what_is_known_when_the_one_before_is_given_out():
    searcher, asked = search(kind=GPSearch)
    report(searcher, [0.5] * 4)
    fourth = searcher.propose(4)  # decided when 3 was given out, and too little known
    assert fourth == RandomSearch(SPACE, 0).propose(4)
    assert [question.seed for question in asked] == [stream_seed(0, "gp", 5)]
    assert asked[-1].pending == [fourth]
    searcher.observe(Trial(4, fourth), 1, 0.25)
    fifth = searcher.propose(5)
    assert len(asked) == 2  # five was not asked again, and six was
    assert asked[-1].losses == [0.5] * 4 + [0.25]
    assert searcher.propose(5) is fifth
    assert len(asked) == 2
    searcher.propose(9)  # out of turn
    assert [question.seed for question in asked[-2:]] == [stream_seed(0, "gp", index) for index in (9, 10)]


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(surrogates.SURROGATES, "tpe", ("nowhere:Nothing", ("gpytorch",)))
    monkeypatch.setitem(sys.modules, "gpytorch", None)
    with pytest.raises(SettingError, match=r"searcher tpe needs gpytorch.*pip install 'asha-core\[bo\]'"):
        TPESearch(SPACE, 0)


def test_dimensions_that_are_searched_are_counted():
    space = SearchSpace({"x": Float(0.0, 1.0), "n": Int(1, 9), "k": Constant(3), "one": Choice(["a"])})
    searcher, asked = search(space)
    report(searcher, [0.5] * 4)
    searcher.propose(4)
    assert not asked
    report(searcher, [0.5], first=4)
    searcher.propose(5)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", [TPESearch, GPSearch])
def test_a_resumed_search_asks_the_model_for_nothing_that_the_journal_has(kind):
    def run(history):
        searcher, asked = search(kind=kind)
        scheduler = ASHA(
            SPACE, max_resource=9, max_trials=25, searcher=Listed([{"x": 0.5, "one": "a"}], searcher)
        )
        if history is None:
            return troubled(scheduler, 0), asked, searcher
        for what in history:
            if isinstance(what, Job):
                if what.trial == len(scheduler.trials):
                    scheduler.recall(what.trial, what.configuration, what.until)
                assert scheduler.ask() == what
            else:
                scheduler.tell(what)
        return history, asked, searcher

    history, asked, searcher = run(None)
    _, again, resumed = run(history)
    assert len(asked) > 5
    assert again == ([] if kind is TPESearch else asked)  # asked ahead, and not waited for
    assert searcher.propose(40) == resumed.propose(40)
