"""The public contract over our own schedulers, and what each of them promises beyond it."""

from __future__ import annotations

import math

import pytest

from asha_core import ASHA, Float, SuccessiveHalving
from asha_core.errors import SettingError
from asha_core.messages import Failed, Lost, Rejected, Report, Verdict
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.testing import SchedulerContract
from tests.asha_core.schedulers.helpers import drive, make, step, tell

every = pytest.mark.parametrize("name", MODEL_FREE)
HELD_BACK = [name for name in MODEL_FREE if name != "random"]


class TestOurSchedulers(SchedulerContract):
    @pytest.fixture(autouse=True, params=MODEL_FREE)
    def _of_that_name(self, request):
        self.name = request.param

    def scheduler(self, space, **settings):
        return scheduler_class(self.name)(space, **settings)


@every
def test_a_scheduler_is_found_by_the_name_that_it_says(name):
    kind = scheduler_class(name)
    assert kind.name == name
    assert issubclass(kind, Scheduler)
    assert make(name).describe()["name"] == name


def test_a_name_that_nobody_has_is_told_with_the_nearest():
    with pytest.raises(SettingError, match=r"unknown scheduler 'ascha'; did you mean \"asha\"\?"):
        scheduler_class("ascha")


@every
def test_the_description_says_what_was_resolved(name):
    described = make(name, max_resource=9, seed=3, max_trials=7, max_retries=1).describe()
    levels = [9] if name == "random" else [1, 3, 9]
    assert (
        described
        == {
            "name": name,
            **({"rules": 2} if name in ("sh", "sync-hyperband") else {}),  # those of others never changed
            "levels": levels,
            "reduction_factor": 3,
            "brackets": levels if "hyperband" in name else levels[:1],
            "seed": 3,
            "max_trials": 7,
            "max_retries": 1,
            "searcher": "random",
            **({"bracket_size": 7} if name == "sh" else {}),
        }
    )


@every
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_a_search_trains_somebody_in_full(name, workers):
    scheduler = make(name, max_resource=27, max_trials=30)
    drive(scheduler, lambda trial, until: float(trial * 7919 % 31), workers)
    counts = scheduler.counts()
    assert counts[-1].done > 0 or name == "pasha"  # which need not go so far
    if scheduler.stops:
        assert not any(row.paused for row in counts)
    else:
        assert not any(row.stopped for row in counts)


@every
@pytest.mark.parametrize(("mode", "best"), [("max", (0, 3, 0.7)), ("min", (1, 2, 0.1))])
def test_the_best_is_the_best_finite_value_at_any_unit_and_of_equals_the_earlier(name, mode, best):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=2, mode=mode)
    scheduler.ask(), scheduler.ask()
    assert scheduler.best is None
    for trial, resource, value in (
        *[(0, 1, math.nan), (0, 2, 0.3), (0, 3, 0.7), (1, 1, 0.7), (1, 2, 0.1), (0, 4, 0.1)],
        *[(1, 3, math.inf), (1, 4, -math.inf)],
    ):
        scheduler.tell(Report(trial, 0, resource, value, 1.0))
    assert (scheduler.best.trial, scheduler.best.resource, scheduler.best.value) == best
    assert scheduler.best.configuration == scheduler.trials[best[0]].configuration


@pytest.mark.parametrize("name", ["asha", "asha-stopping", "pasha"])
def test_a_retry_goes_before_those_that_go_on(name):
    scheduler = make(name, max_resource=9)
    for job in [scheduler.ask() for _ in range(5)][:3]:
        tell(scheduler, job, float(job.trial))
    scheduler.tell(Lost(4, 0, "killed"))
    assert scheduler.ask().trial == 4


@pytest.mark.parametrize("name", HELD_BACK)
def test_a_rejection_of_a_trial_that_went_on_is_a_failure(name):
    # with this seed both begin in the first bracket
    scheduler = make(name, max_resource=2, reduction_factor=2, max_trials=2, seed=5)
    jobs = [scheduler.ask() for _ in range(2)]
    assert [job.until for job in jobs] == [1, 1]
    tell(scheduler, jobs[0], 1.0)
    tell(scheduler, jobs[1], 0.0)
    assert step(scheduler.ask()) == (0, 1, 2)
    for event in (Rejected(0, "too late to screen out"), Failed(0, 0, "late", kind="invalid")):
        assert scheduler.tell(event) is Verdict.STOP
    below, above = scheduler.counts()
    assert (below.promoted, above.failed, scheduler.rejected) == (1, 1, 0)
    # it did start, and was compared: nobody may take its place
    assert scheduler.ask() is None


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        (ASHA, "max_trial", "max_trials"),
        (ASHA, "max_t", "max_resource"),
        (ASHA, "direction", "mode"),
        (SuccessiveHalving, "num_samples", "max_trials"),
        (SuccessiveHalving, "bracketsize", "bracket_size"),
    ],
)
def test_a_setting_that_is_not_there_says_what_was_meant(kind, name, meant):
    said = f'^{kind.__name__} has no setting {name!r}; did you mean "{meant}"'
    with pytest.raises(TypeError, match=said):
        kind({"x": Float(0, 1)}, **{name: 3})


def test_another_ones_scheduler_may_take_any_setting():
    class Own(ASHA):
        def __init__(self, space, **settings):
            self.own = settings.pop("own")
            super().__init__(space, **settings)

    assert Own({"x": Float(0, 1)}, own=1, max_trials=3).own == 1
