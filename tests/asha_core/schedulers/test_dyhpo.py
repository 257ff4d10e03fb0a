"""DyHPO: the contract, and what it promises beyond it; by tiny fits."""

from __future__ import annotations

import importlib.util
import math
import threading
import time

import pytest

from asha_core.errors import SettingError
from asha_core.messages import Failed, Refined, Rejected, Retried, Verdict
from asha_core.schedulers.dyhpo import DyHPO
from asha_core.schedulers.state import Status
from asha_core.searchers.listed import Listed
from asha_core.searchers.random_search import RandomSearch
from asha_core.surrogates import background
from asha_core.testing import SchedulerContract
from asha_core.testing.driving import SPACE, Few, Listener, asked, drive, tell

pytest.importorskip("gpytorch", reason="needs the extra bo")

TINY = {"initial": 3, "pool": 8, "epochs": 2, "refine_epochs": 1, "from_scratch": 2, "refit": 0.5, "step": 4}


def made(**settings):
    return DyHPO(SPACE, **{"max_resource": 13, "max_trials": 8, **TINY, **settings})


def value(trial, unit):
    return math.sin(trial * 1.7) + unit / 9


class TestDyHPO(SchedulerContract):
    def scheduler(self, space, **settings):
        return DyHPO(space, **{**TINY, **settings})

    @pytest.mark.parametrize("mode", ["min", "max"])
    @pytest.mark.parametrize("workers", [1, 5])
    def test_configurations_and_seeds_depend_on_seed_and_number_alone(self, mode, workers):
        """Those of the initial design; the others are the searcher's, too, each once."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=12, seed=3, mode=mode)
        drive(scheduler, lambda trial, until: float((trial * 7919 + until) % 101), workers)
        found = [trial.configuration for trial in scheduler.trials]
        proposed = [RandomSearch(SPACE, 3).propose(i) for i in range(40)]
        assert found[:3] == proposed[:3]
        assert all(found.count(each) == 1 and each in proposed for each in found)
        assert scheduler.describe()["searcher_learns"] is True


@pytest.mark.parametrize("workers", [1, 4])
def test_each_step_is_given_once_and_everybody_is_trained_in_full_in_the_end(workers):
    steps = drive(made(), value, workers)
    assert len(set(steps)) == len(steps) == 8 * 4
    assert {until for _, _, until in steps} == {1, 5, 9, 13}


def test_the_model_goes_on_with_what_promises_most():
    """The first that is trained in full is among the best."""
    scheduler = made(max_trials=None, epochs=60, refine_epochs=20, learning_rate=0.01)
    done = []
    while not done:
        job = asked(scheduler)
        tell(scheduler, job, -abs(job.configuration["x"] - 0.1) * 10 + 0.01 * job.until)
        done = [trial for trial in scheduler.trials if trial.status == Status.DONE]
    assert len(scheduler.trials) < 30
    rank = sorted(scheduler.trials, key=lambda trial: trial.loss).index(done[0])
    assert rank <= 2


def test_a_loss_that_is_not_finite_ends_its_trial_and_counts_as_the_worst():
    scheduler = made(max_trials=4)
    jobs = [asked(scheduler) for _ in range(4)]
    assert tell(scheduler, jobs[0], math.nan) is Verdict.STOP
    assert tell(scheduler, jobs[1], -math.inf) is Verdict.STOP
    scheduler.tell(Failed(2, 0, "no luck"))
    for _ in range(3):
        assert tell(scheduler, jobs[3], 0.5) is (Verdict.STOP if jobs[3].until == 13 else Verdict.PAUSE)
        jobs[3] = asked(scheduler)
        assert jobs[3].trial == 3
    curves = scheduler._model._curves
    assert [len(curves[trial]) for trial in range(4)] == [1, 1, 1, 3]
    assert not any(map(math.isfinite, (curves[0][0], curves[1][0], curves[2][0])))


def test_who_is_tried_again_is_no_failure_any_more():
    scheduler = made(max_trials=6, initial=3)
    jobs = [asked(scheduler) for _ in range(6)]
    for job in jobs[:4]:
        tell(scheduler, job, value(job.trial, job.until))
    scheduler.tell(Failed(4, 0, "no luck"))
    again = asked(scheduler)
    tell(scheduler, again, value(again.trial, again.until))
    assert scheduler._model.decides
    scheduler.tell(Rejected(5, "diverges"))
    scheduler.tell(Retried(4))
    job = asked(scheduler)
    assert (job.trial, job.start) == (4, 0)
    tell(scheduler, job, 2.0)
    assert scheduler._model._curves[4] == [-2.0]
    drive(scheduler, value)
    assert {trial.status for trial in scheduler.trials} == {Status.DONE, Status.REJECTED}


def test_what_a_warm_start_made_of_a_configuration_is_what_the_model_knows():
    scheduler = made()
    job = asked(scheduler)
    refined = SPACE.from_unit([0.25, 0.5, 0.75])
    scheduler.tell(Refined(0, refined, 0.1))
    tell(scheduler, job, 1.0)
    assert scheduler._model._known[0][1] == pytest.approx([0.25, SPACE.to_unit(refined)[1], 0, 1])


def test_how_long_a_fit_takes_changes_nothing(monkeypatch):
    """One that is slow is waited for, one that is quick has to wait for its observation."""
    quick = drive(made(seed=2), value, 3)

    class Slow(background.Beside):
        def _run(self):
            time.sleep(0.02)
            super()._run()

    monkeypatch.setattr("asha_core.surrogates.curve_model.Beside", Slow)
    assert drive(made(seed=2), value, 3) == quick


def test_the_process_is_left_as_it_was_and_its_threads_make_no_difference():
    import torch

    before, state, found = torch.get_num_threads(), torch.random.get_rng_state(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(drive(made(seed=1, epochs=20, pool=40), value, 2))
            others: list[int] = []
            other = threading.Thread(target=lambda seen=others: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
            assert torch.get_num_threads() == threads == others[0]
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("kind", "ahead"), [(RandomSearch, TINY["pool"]), (Listener, 1)])
def test_a_searcher_is_asked_for_each_configuration_once_and_in_order(kind, ahead):
    asked_for = []

    class Counting(kind):
        def propose(self, index):
            asked_for.append(index)
            return super().propose(index)

    drive(made(searcher=Counting(SPACE, 0)), value)
    assert asked_for == list(range(8 + ahead))


def test_what_a_searcher_that_learns_proposes_for_a_trial_is_that_trials():
    searcher = Listener()
    scheduler = made(searcher=searcher)
    drive(scheduler, value, 3)
    assert [trial.configuration for trial in scheduler.trials] == [searcher.propose(i) for i in range(8)]


def test_start_points_all_begin_before_the_model_decides():
    points = [SPACE.from_unit([i / 9] * len(SPACE)) for i in range(8)]
    scheduler = made(searcher=Listed(points, RandomSearch(SPACE, 0)), max_trials=None)
    for number in range(8):
        job = asked(scheduler)
        assert (job.trial, job.configuration) == (number, points[number])
        tell(scheduler, job, value(number, job.until))
    assert scheduler._model.decides


def test_where_only_failures_have_been_the_best_of_all_is_improved_on():
    scheduler = made(max_trials=6)
    jobs = [asked(scheduler) for _ in range(6)]
    for job in jobs:
        tell(scheduler, job, value(job.trial, job.until))
    job = asked(scheduler)
    assert job.until == 5
    scheduler.tell(Failed(job.trial, 0, "no luck"))
    again = asked(scheduler)
    model = scheduler._model
    assert model.decides
    assert math.isinf(model._best[1])
    tell(scheduler, again, 0.5)
    assert math.isfinite(model._best[1])
    model._condition()
    assert math.isfinite(model._best[1])


def test_it_ends_with_the_searcher():
    scheduler = made(max_trials=None, searcher=Few(5))
    assert len(drive(scheduler, value, 2)) == 5 * 4
    assert scheduler.state() == {"fits": scheduler._model.fits}


def test_a_rehearsal_has_no_model():
    scheduler = made()
    twin = scheduler.rehearsal(6, RandomSearch(SPACE, 1))
    steps = drive(twin, value, 2)
    assert twin._model is scheduler._model is None
    assert len(steps) == 6 * 4
    assert steps[3][1] or steps[2][1], "somebody goes on before all have begun"
    assert twin.state() == {"fits": 0}
    assert (scheduler.whole_bracket, scheduler.least_trials, scheduler.expected_units(6)) == (1, 1, 6 * 13)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"initial": 1}, "initial is 1"),
        ({"refit": 0}, "refit is 0"),
        ({"fitted": 801}, "fitted is 801.*at most 800"),
        ({"step": 0}, "step is 0"),
    ],
)
def test_a_mistake_in_a_setting_of_its_own_is_named(setting, message):
    with pytest.raises(SettingError, match=message):
        made(**setting)


def test_without_its_library_it_says_how_to_have_it(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gpytorch" else there(name))
    with pytest.raises(
        SettingError, match=r"^scheduler dyhpo needs gpytorch, .*: pip install 'asha-core\[bo\]'"
    ):
        made()


def test_scouts_are_trained_to_a_third_before_the_model_decides():
    """Without them a search knows only the kind of curve that begins best (LCBench's fabert)."""
    scheduler = made(max_resource=27, step=1, initial=4, scouts=2, max_trials=None)
    steps = []
    for _ in range(20):
        job = asked(scheduler)
        steps.append((job.trial, job.until))
        tell(scheduler, job, value(job.trial, job.until))
    assert steps == [(i, 1) for i in range(4)] + [(i, unit) for i in range(2) for unit in range(2, 10)]


def test_who_would_end_best_goes_on_though_others_began_better():
    """Curves that cross: the best after one unit are the worst at the end."""

    def crossing(configuration, unit):
        x = SPACE.to_unit(configuration)[0]
        return (1 - x) * 0.3 + x * unit / 27

    scheduler = DyHPO(SPACE, max_resource=27, pool=100, seed=1)
    for _ in range(130):
        job = asked(scheduler)
        tell(scheduler, job, crossing(job.configuration, job.until))
    longest = max(scheduler.trials[10:], key=lambda trial: trial.resource)
    assert SPACE.to_unit(longest.configuration)[0] > 0.8
    assert longest.resource > 9


def test_the_papers_kernel_judges_each_at_its_next_unit():
    scheduler = made(kernel="deep")
    steps = drive(scheduler, value)
    assert len(set(steps)) == 8 * 4
    assert scheduler.describe()["kernel"] == "deep"
    with pytest.raises(SettingError, match="kernel"):
        made(kernel="dep")
