"""The contract of schedulers, continued: trials whose jobs go wrong, and late or wrong events."""

from __future__ import annotations

import math
from typing import Any

import pytest

from asha_core.errors import ReportError
from asha_core.messages import Event, Failed, Job, Lost, Refined, Rejected, Report, Retried, Verdict
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status
from asha_core.space import SearchSpace
from asha_core.testing.driving import SPACE, asked, drive, tell
from asha_core.testing.looking import differences, fingerprint

_ODD: Any = 2.0  # no unit
_BLAMELESS = ["stopped", "engine", "disk", "not-begun"]


def _ends(until: int) -> list[tuple[Event, Status]]:
    """How the job of trial 0 can end, and the status that the trial has then, but for its last report."""
    return [
        (Failed(0, 0, "raised"), Status.FAILED),
        (Failed(0, 0, "raised", kind="setup"), Status.FAILED),
        (Failed(0, 0, "raised", kind="invalid"), Status.REJECTED),
        (Rejected(0, "diverges"), Status.REJECTED),
        (Failed(0, 0, "raised", kind="timeout"), Status.FAILED),
        (Failed(0, 0, "no memory", kind="oom"), Status.WAITING),
        (Lost(0, 0, "killed"), Status.WAITING),
        (Lost(0, 0, "stopped", kind="stopped"), Status.WAITING),
    ]


def _counted(scheduler: Scheduler) -> tuple[int, int]:
    """(on their way, failed), in all rungs together."""
    rows = scheduler.counts()
    return sum(row.running for row in rows), sum(row.failed for row in rows)


class SchedulerEvents:
    """A part of ``SchedulerContract``."""

    def scheduler(self, space: SearchSpace, **settings: Any) -> Scheduler:
        """A new one."""
        raise NotImplementedError

    def _begun(self, trials: int = 1, **settings: Any) -> tuple[Scheduler, list[Job]]:
        """One that has given so many jobs, as long ones as its ladder has."""
        scheduler = self.scheduler(SPACE, min_resource=9, max_resource=9, max_trials=trials, **settings)
        return scheduler, [asked(scheduler) for _ in range(trials)]

    # -- retries -------------------------------------------------------------------------------

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_a_lost_job_is_tried_again_so_often_and_then_failed(self, retries: int) -> None:
        """``max_retries`` is handed on to the base's constructor."""
        scheduler, [first] = self._begun(max_retries=retries)
        job = first
        for attempt in range(1, retries + 1):
            assert scheduler.tell(Lost(0, job.attempt, "killed")) is Verdict.STOP
            assert scheduler.trials[0].status == Status.WAITING
            assert _counted(scheduler) == (1, 0)
            job = asked(scheduler)
            assert job == first._replace(attempt=attempt)
            assert _counted(scheduler) == (1, 0)
        scheduler.tell(Lost(0, job.attempt, "killed"))
        assert scheduler.ask() is None
        assert scheduler.failures == 1
        assert _counted(scheduler) == (0, 1)

    @pytest.mark.parametrize("kind", _BLAMELESS)
    def test_a_loss_that_is_nobodys_fault_uses_up_no_retry(self, kind: str) -> None:
        """The search was stopped, its engine died, the disk was full."""
        scheduler, _ = self._begun(max_retries=1)
        for attempt in range(5):
            assert scheduler.trials[0].attempt == attempt
            assert scheduler.tell(Lost(0, attempt, "gone", kind)) is Verdict.STOP
            assert scheduler.trials[0].status == Status.WAITING
            assert _counted(scheduler) == (1, 0)
            assert asked(scheduler).attempt == attempt + 1
        for attempt, how in ((5, "hung"), (6, kind)):
            scheduler.tell(Lost(0, attempt, "gone", how))
            assert scheduler.trials[0].status == Status.WAITING
            assert asked(scheduler).attempt == attempt + 1
        scheduler.tell(Lost(0, 7, "gone", "died"))
        assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
        assert scheduler.ask() is None

    @pytest.mark.parametrize("kind", _BLAMELESS)
    def test_without_retries_a_loss_that_is_nobodys_fault_is_still_none(self, kind: str) -> None:
        """It is tried again without a bound."""
        scheduler, _ = self._begun(max_retries=0)
        for attempt in range(3):
            scheduler.tell(Lost(0, attempt, "gone", kind))
            assert asked(scheduler).attempt == attempt + 1
        assert scheduler.failures == 0

    def test_memory_that_runs_out_is_tried_again_alone_and_then_failed(self) -> None:
        """Once, whatever ``max_retries`` is."""
        scheduler, [first, other] = self._begun(2, max_retries=0)
        assert not first.alone
        assert scheduler.tell(Failed(0, 0, "no memory", "oom")) is Verdict.STOP
        assert (scheduler.trials[0].status, _counted(scheduler)) == (Status.WAITING, (2, 0))
        assert asked(scheduler) == first._replace(attempt=1, alone=True)
        assert (scheduler.trials[0].faults, _counted(scheduler)) == (0, (2, 0))
        assert not scheduler.trials[other.trial].alone
        assert scheduler.tell(Failed(0, 1, "no memory", "oom")) is Verdict.STOP
        assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
        assert scheduler.ask() is None

    def test_who_is_alone_stays_alone_whatever_becomes_of_it(self) -> None:
        """In later attempts, and in later jobs."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=1, reduction_factor=2)
        asked(scheduler)
        scheduler.tell(Failed(0, 0, "no memory", "oom"))
        job = asked(scheduler)
        assert job.alone
        if job.until > 1:
            tell(scheduler, job, 0.5, 1)
        scheduler.tell(Lost(0, 1, "killed", "died"))
        job = asked(scheduler)
        assert (job.attempt, job.alone) == (2, True)
        tell(scheduler, job, 0.5)
        while (later := scheduler.ask()) is not None:
            assert later.alone
            tell(scheduler, later, 0.5)

    def test_who_goes_on_after_its_memory_ran_out_is_alone_there_too(self) -> None:
        """And nobody else is."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=12)
        alone: set[int] = set()
        running: list[Job] = []
        while True:
            while len(running) < 3 and (job := scheduler.ask()) is not None:
                assert job.alone == (job.trial in alone)
                running.append(job)
            if not running:
                break
            job = running.pop(0)
            if job.trial in (9, 11) and job.trial not in alone:
                alone.add(job.trial)
                scheduler.tell(Failed(job.trial, job.attempt, "no memory", "oom"))
            else:
                tell(scheduler, job, float(job.trial))
        assert alone == {9, 11}
        assert scheduler.failures == 0

    @pytest.mark.parametrize("kind", ["error", "setup", "timeout"])
    def test_a_failure_of_another_kind_is_not_tried_again(self, kind: str) -> None:
        """It counts as failed, in its rung too."""
        scheduler, _ = self._begun()
        assert scheduler.tell(Failed(0, 0, "no", kind)) is Verdict.STOP
        assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
        assert not scheduler.trials[0].alone
        assert scheduler.ask() is None

    def test_late_news_of_memory_leaves_a_trial_among_the_others(self) -> None:
        """It is of an attempt that was given up."""
        scheduler, _ = self._begun()
        scheduler.tell(Lost(0, 0, "killed"))
        asked(scheduler)
        scheduler.tell(Failed(0, 0, "no memory", "oom"))
        assert scheduler.trials[0].status == Status.RUNNING
        assert not scheduler.trials[0].alone

    def test_retries_go_in_order_before_new_trials(self) -> None:
        """Whoever was lost first is first."""
        scheduler = self.scheduler(SPACE, max_resource=9)
        jobs = [asked(scheduler) for _ in range(5)]
        scheduler.tell(Lost(4, 0, "killed"))
        scheduler.tell(Lost(3, 0, "killed"))
        order = [asked(scheduler) for _ in range(3)]
        assert order[:2] == [jobs[4]._replace(attempt=1), jobs[3]._replace(attempt=1)]
        assert (order[2].trial, order[2].attempt) == (5, 0)

    def test_a_refined_configuration_survives_a_lost_worker(self) -> None:
        """The warm start is not asked again."""
        scheduler = self.scheduler(SPACE, max_trials=1)
        assert asked(scheduler).refine
        refined = SPACE.configuration({"x": 0.25, "n": 3, "c": "b"})
        scheduler.tell(Refined(0, refined, 0.5))
        scheduler.tell(Lost(0, 0, "killed"))
        job = asked(scheduler)
        assert (job.configuration, job.refine) == (refined, False)

    def test_a_configuration_is_refined_once_and_before_its_first_unit(self) -> None:
        """Later ones are not heard."""
        one, other = (SPACE.from_unit([u, u, u]) for u in (0.2, 0.8))
        scheduler, [first, second] = self._begun(2)
        scheduler.tell(Refined(0, one, 0.5))
        scheduler.tell(Refined(0, other, 0.5))
        assert scheduler.trials[0].configuration == one
        tell(scheduler, second, 0.5, 1)
        scheduler.tell(Refined(1, other, 0.5))
        assert scheduler.trials[1].configuration == second.configuration
        assert first.configuration != one

    def test_what_warm_starts_learned_is_told_to_later_ones_in_the_order_in_which_it_came_in(self) -> None:
        """Of each trial once, the last 64 of them, and only to a job that is to be refined."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=70, max_retries=99)
        first = [asked(scheduler) for _ in range(3)]
        assert [job.earlier for job in first] == [(), (), ()]
        there = SPACE.from_unit([0.5] * 3)
        for trial, diagnostics in (
            (2, {"learned": {"x": 2.0}}),
            (0, {}),
            (2, {"learned": 3}),
            (1, {"learned": 0}),
        ):
            scheduler.tell(Refined(trial, there, 0.5, diagnostics))
        scheduler.tell(Lost(0, 0, "killed"))
        assert asked(scheduler).earlier == ()
        job = asked(scheduler)
        assert job.earlier == ({"x": 2.0}, 0)
        scheduler.tell(Lost(job.trial, 0, "killed"))
        scheduler.tell(Refined(job.trial, there, 0.5, {"learned": "too late"}))
        assert asked(scheduler).earlier == ({"x": 2.0}, 0)
        for number in range(4, 69):
            scheduler.tell(Refined(asked(scheduler).trial, there, 0.5, {"learned": number}))
        assert asked(scheduler).earlier == tuple(range(5, 69))

    def test_units_repeated_after_a_retry_count_once(self) -> None:
        """What was reported is not trained again, and changes nothing if it is."""
        scheduler, [first] = self._begun()
        if first.until < 3:
            pytest.skip("its jobs are shorter than that")
        for resource in (1, 2):
            tell(scheduler, first, 0.5, resource)
        scheduler.tell(Lost(0, 0, "killed"))
        job = asked(scheduler)
        assert (job.start, job.refine) == (2, False)
        verdicts = [tell(scheduler, job, 0.9, resource) for resource in (1, 2, job.until)]
        assert verdicts[:2] == [Verdict.CONTINUE] * 2
        assert verdicts[2] is not Verdict.CONTINUE
        assert scheduler.units == job.until
        assert scheduler.best is not None
        assert (scheduler.best.resource, scheduler.best.value) == (job.until, 0.9)

    def test_a_trial_that_is_tried_again_after_it_failed_arrives_after_all(self) -> None:
        """``--retry-failed``: what was decided without it stays, and everybody comes to rest."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=9)
        asked(scheduler)
        scheduler.tell(Failed(0, 0, "raised"))
        drive(scheduler, lambda trial, until: float(trial))
        assert (scheduler.failures, scheduler.tell(Retried(0))) == (1, Verdict.STOP)
        again = asked(scheduler)
        assert (again.trial, again.attempt) == (0, 1)
        tell(scheduler, again, 99.0)
        drive(scheduler, lambda trial, until: 99.0)
        assert scheduler.failures == 0
        assert scheduler.trials[0].status in (Status.PAUSED, Status.STOPPED, Status.DONE)

    # -- late events ---------------------------------------------------------------------------

    @pytest.mark.parametrize("end", range(len(_ends(1))))
    def test_what_comes_after_the_end_changes_nothing(self, end: int) -> None:
        """Whatever it is, of whatever attempt."""
        scheduler, [first, _] = self._begun(2)
        ends = _ends(first.until)
        event, status = ends[end]
        assert scheduler.tell(event) is Verdict.STOP
        assert scheduler.trials[0].status == status
        self._hears_nothing_more(scheduler, first, Verdict.STOP)

    def test_what_comes_after_the_last_report_changes_nothing(self) -> None:
        """The same for a trial that has arrived."""
        scheduler, [first, _] = self._begun(2)
        self._hears_nothing_more(scheduler, first, tell(scheduler, first, 0.5))

    def _hears_nothing_more(self, scheduler: Scheduler, job: Job, verdict: Verdict) -> None:
        before = fingerprint(scheduler)
        last = Report(0, 0, job.until, 0.5, 1.0)
        for late in (
            last,
            *(event for event, _ in _ends(job.until)),
            Refined(0, SPACE.from_unit([0.1] * 3), 1),
        ):
            assert scheduler.tell(late) is verdict
        assert not differences(fingerprint(scheduler), before)

    def test_an_attempt_that_was_given_up_is_not_heard(self) -> None:
        """Its worker was taken for dead."""
        scheduler, [first] = self._begun()
        scheduler.tell(Lost(0, 0, "killed"))
        asked(scheduler)
        before = fingerprint(scheduler)
        for late in (Report(0, 0, first.until, 0.5, 1.0), Failed(0, 0, "late"), Lost(0, 0, "late")):
            assert scheduler.tell(late) is Verdict.CONTINUE
        assert not differences(fingerprint(scheduler), before)

    # -- mistakes ------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("event", "said"),
        [
            (lambda until: Report(17, 0, until + 1, 0.5, 1.0), ("trial 17", "its job ends at", "job.until")),
            (lambda until: Report(17, 0, 0, 0.5, 1.0), ("trial 17", "resource 0", "count from 1")),
            (lambda until: Report(17, 0, -4, 0.5, 1.0), ("trial 17", "resource -4", "count from 1")),
            (lambda until: Report(17, 0, _ODD, 0.5, 1.0), ("trial 17", "2.0", "must be an integer")),
            (lambda until: Report(18, 0, 1, 0.5, 1.0), ("Report", "trial 18", "0 to 17")),
            (lambda until: Report(-1, 0, 1, 0.5, 1.0), ("Report", "trial -1", "0 to 17")),
            (lambda until: Lost(40, 0, "killed"), ("Lost", "trial 40", "0 to 17")),
            (lambda until: Rejected(40, "no"), ("Rejected", "trial 40", "0 to 17")),
        ],
    )
    def test_an_event_that_cannot_be_counted_is_named(self, event: Any, said: tuple[str, ...]) -> None:
        """And changes nothing."""
        scheduler, jobs = self._begun(18)
        before = fingerprint(scheduler)
        with pytest.raises(ReportError) as caught:
            scheduler.tell(event(jobs[-1].until))
        for part in said:
            assert part in str(caught.value)
        assert not differences(fingerprint(scheduler), before)

    @pytest.mark.parametrize(
        "value", ["ninety", "0.5", None, [0.5], 10**400], ids=lambda value: str(value)[:5]
    )
    def test_a_value_that_is_not_a_number_is_a_report_error_and_changes_nothing(self, value: Any) -> None:
        """Text that reads like a number is none."""
        scheduler, [first] = self._begun()
        before = fingerprint(scheduler)
        with pytest.raises(ReportError):
            tell(scheduler, first, value)
        assert not differences(fingerprint(scheduler), before)

    @pytest.mark.parametrize("value", [1, True])
    def test_a_value_that_is_nearly_a_float_is_one(self, value: Any) -> None:
        """An integer, say."""
        scheduler, [first] = self._begun()
        tell(scheduler, first, value)
        assert scheduler.best is not None
        assert (scheduler.best.value, type(scheduler.best.value)) == (1.0, float)

    def test_an_event_before_any_ask_does_not_name_trial_minus_one(self) -> None:
        """It says that no trial was asked for."""
        with pytest.raises(ReportError) as caught:
            self.scheduler(SPACE).tell(Report(0, 0, 1, math.pi, 1.0))
        assert "-1" not in str(caught.value)
