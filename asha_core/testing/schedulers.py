"""The contract of schedulers: the rules of ``docs/reference/scheduler-contract.md``, each as a test."""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from typing import Any

import pytest

from asha_core.errors import SettingError
from asha_core.import_paths import is_ours
from asha_core.messages import Failed, Finished, Job, Lost, Rejected, Report, Verdict
from asha_core.schedulers import SCHEDULERS
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import Forecast
from asha_core.schedulers.state import Status
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import SearchSpace
from asha_core.streams import stream_seed
from asha_core.testing.driving import SPACE, Few, Listener, asked, drive, repeat, tell, troubled
from asha_core.testing.looking import differences, fingerprint
from asha_core.testing.scheduler_events import SchedulerEvents

_MOST_TRIALS = 100_000  # of a search that was given no limit: more is none


class SchedulerContract(SchedulerEvents):
    """Subclass it, and say how your scheduler is made.

    class TestMine(SchedulerContract):
        def scheduler(self, space, **settings):
            return Mine(space, **settings)
    """

    @abstractmethod
    def scheduler(self, space: SearchSpace, **settings: Any) -> Scheduler:
        """A new one; ``settings`` are those of ``asha_core.Scheduler``, such as ``max_trials=9``."""
        raise NotImplementedError("say how your scheduler is made: def scheduler(self, space, **settings)")

    # -- settings ------------------------------------------------------------------------------

    def test_it_has_a_name_and_describes_what_was_resolved(self) -> None:
        """``describe()`` is JSON, and a search is only resumed with an equal one."""
        settings = {"max_resource": 9, "seed": 3, "max_trials": 7, "max_retries": 1}
        scheduler = self.scheduler(SPACE, **settings)
        described = scheduler.describe()
        assert described["name"] == scheduler.name != Scheduler.name
        own = described["name"] not in SCHEDULERS or is_ours(type(scheduler))
        assert own, f"give {type(scheduler).__name__} a name of its own: reports would say {scheduler.name!r}"
        assert json.loads(json.dumps(described)) == described == self.scheduler(SPACE, **settings).describe()
        assert {key: described[key] for key in ("seed", "max_trials", "max_retries", "searcher")} == {
            "seed": 3,
            "max_trials": 7,
            "max_retries": 1,
            "searcher": scheduler.usual_searcher,
        }
        assert described["levels"][-1] == 9

    @pytest.mark.parametrize(("least", "most", "factor"), [(1, 81, 3), (1, 1, 2), (2, 7, 4), (9, 9, 3)])
    def test_levels_grow_and_end_at_the_maximum(self, least: int, most: int, factor: int) -> None:
        """Integers, each above the one before, the last of them ``max_resource``."""
        settings = {"min_resource": least, "max_resource": most, "reduction_factor": factor}
        levels = self.scheduler(SPACE, **settings).levels
        assert levels[0] >= 1
        assert levels[-1] == most
        assert list(levels) == sorted(set(levels))

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"mode": "maximise"}, ("mode is 'maximise'", "known: max, min")),
            ({"max_trials": 0}, ("max_trials is 0", "at least 1")),
            ({"max_retries": -1}, ("max_retries is -1", "at least 0")),
            ({"reduction_factor": 1}, ("reduction_factor is 1", "at least 2")),
            ({"min_resource": 10, "max_resource": 9}, ("min_resource is 10", "max_resource is 9")),
        ],
    )
    def test_a_mistake_in_a_setting_is_named(self, settings: dict[str, Any], said: tuple[str, ...]) -> None:
        """By its name and value, with what is allowed; hand settings on to the base's constructor."""
        with pytest.raises(SettingError) as caught:
            self.scheduler(SPACE, **settings)
        for part in said:
            assert part in str(caught.value)

    def test_a_search_goes_on_by_the_rules_that_it_was_begun_with(self) -> None:
        """``go_on_as`` takes what ``describe`` said, of an older version too."""
        begun = self.scheduler(SPACE, max_resource=9).describe()
        for described in (begun, {key: value for key, value in begun.items() if key != "rules"}):
            scheduler = self.scheduler(SPACE, max_resource=9)
            scheduler.go_on_as(described)
            assert scheduler.describe() == described
        assert (
            self.scheduler(SPACE, max_resource=9).describe() == begun
        )  # one that begins now decides as ever

    @pytest.mark.parametrize("rules", [0, -1, 99, "2", None, True, 1.0])
    def test_rules_that_nobody_knows_are_refused(self, rules: Any) -> None:
        """A search that was begun by rules of a later version is not decided otherwise."""
        scheduler = self.scheduler(SPACE)
        with pytest.raises(SettingError, match=f"rules {rules!r} of {scheduler.name}, and this version"):
            scheduler.go_on_as({"name": scheduler.name, "rules": rules})

    # -- limits --------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("max_trials", "size", "limit"),
        [(None, None, None), (5, None, 5), (None, 4, 4), (5, 4, 4), (4, 5, 4)],
    )
    def test_as_many_configurations_begin_as_the_limits_allow(
        self, max_trials: int | None, size: int | None, limit: int | None
    ) -> None:
        """``max_trials``, or all that the searcher has; trials are numbered in their order."""
        searcher = None if size is None else Few(size)
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=max_trials, searcher=searcher)
        assert scheduler.trial_limit == limit
        jobs = [scheduler.ask() for _ in range(20)]
        assert [job.trial for job in jobs if job] == list(range(20 if limit is None else limit))

    def test_a_rejected_trial_uses_up_no_trial_but_a_configuration_of_the_searcher(self) -> None:
        """Another one begins in its place."""
        cases: list[tuple[dict[str, Any], int]] = [({"max_trials": 2}, 4), ({"searcher": Few(3)}, 3)]
        for settings, expected in cases:
            scheduler = self.scheduler(SPACE, max_resource=9, **settings)
            for trial in range(2):
                asked(scheduler)
                assert scheduler.tell(Rejected(trial, "diverges")) is Verdict.STOP
            while scheduler.ask():
                pass
            assert len(scheduler.trials) == expected
            assert scheduler.rejected == 2

    def test_without_a_limit_a_sensible_number_of_trials_is_taken(self) -> None:
        """Override ``whole_bracket`` where rungs do not keep one in ``reduction_factor``."""
        for settings in ({}, {"max_resource": 27}, {"max_resource": 1}):
            scheduler = self.scheduler(SPACE, **settings)
            assert 0 < scheduler.least_trials <= _MOST_TRIALS
            assert 10 <= scheduler.enough_trials(10) <= _MOST_TRIALS

    # -- whole searches ------------------------------------------------------------------------

    def test_asking_in_vain_changes_nothing(self) -> None:
        """An ``ask`` that gives None is not in the journal."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=4)
        jobs = [asked(scheduler) for _ in range(4)]
        for job in jobs[:2]:
            tell(scheduler, job, 0.5)
        while scheduler.ask():
            pass
        before = fingerprint(scheduler)
        assert scheduler.promotable() is None
        assert scheduler.ask() is None
        assert not differences(fingerprint(scheduler), before)

    @pytest.mark.parametrize("workers", [1, 3, 8])
    def test_a_search_ends_with_everybody_at_rest(self, workers: int) -> None:
        """And with every unit and every arrival counted; ``stops`` says whether trials may be stopped."""
        scheduler = self.scheduler(SPACE, max_resource=27, max_trials=30)
        drive(scheduler, lambda trial, until: float(trial * 7919 % 31), workers)
        counts = scheduler.counts()
        assert not any(row.running for row in counts)
        assert sum(row.reached for row in counts) == 30 + sum(row.promoted for row in counts)
        assert scheduler.units == sum(trial.resource for trial in scheduler.trials)
        statuses = {trial.status for trial in scheduler.trials}
        assert statuses <= {Status.PAUSED, Status.DONE, Status.STOPPED}
        assert scheduler.stops or Status.STOPPED not in statuses, "say stops = True"

    @pytest.mark.parametrize("workers", [1, 4])
    def test_a_trial_goes_from_level_to_level_without_a_gap_and_runs_once_at_a_time(
        self, workers: int
    ) -> None:
        """Each of its jobs begins where the last one ended, and ends at a level."""
        scheduler = self.scheduler(SPACE, max_resource=27, max_trials=20)
        steps = drive(scheduler, lambda trial, until: math.sin(trial + until), workers)
        for trial in scheduler.trials:
            mine = [(start, until) for number, start, until in steps if number == trial.id]
            assert [start for start, _ in mine] == [0, *(until for _, until in mine[:-1])]
            assert {until for _, until in mine} <= set(scheduler.levels)

    def test_equal_searches_are_equal_to_the_last_detail(self) -> None:
        """No global random state, no clock."""
        both = []
        for _ in range(2):
            scheduler, pick = self.scheduler(SPACE, max_resource=27, max_trials=25), random.Random(5)
            drive(scheduler, lambda trial, until: (trial * 31 + until) % 17 / 4, 4, pick.randrange)
            both.append(fingerprint(scheduler))
        assert not differences(*both)

    @pytest.mark.parametrize("mode", ["min", "max"])
    @pytest.mark.parametrize("seed", range(3))
    def test_a_journal_rebuilds_it_whatever_went_wrong(self, seed: int, mode: str) -> None:
        """Asked and told the same, it gives the same jobs, and is the same to the last detail."""
        settings = {"max_resource": 9, "max_trials": 20, "seed": seed, "mode": mode}
        scheduler, again = self.scheduler(SPACE, **settings), self.scheduler(SPACE, **settings)
        history = troubled(scheduler, seed)
        repeat(again, history)
        assert not differences(fingerprint(again), fingerprint(scheduler))
        assert again.ask() is None
        assert not any(row.running for row in again.counts()), "somebody neither runs nor is at rest"

    def test_the_mode_is_the_sign_of_the_values(self) -> None:
        """Minimising a value decides as maximising its opposite."""
        steps = []
        for mode, sign in (("min", 1), ("max", -1)):
            scheduler = self.scheduler(SPACE, max_resource=27, max_trials=20, mode=mode)
            steps.append(drive(scheduler, lambda trial, until: sign * math.cos(trial * until), 3))  # noqa: B023
        assert steps[0] == steps[1]

    @pytest.mark.parametrize("mode", ["min", "max"])
    @pytest.mark.parametrize("workers", [1, 5])
    def test_configurations_and_seeds_depend_on_seed_and_number_alone(self, mode: str, workers: int) -> None:
        """Not on timing: so that two searches with one seed can be compared pair by pair.

        Of a scheduler that chooses configurations by what was reported, and says so (``learns``), seeds do.
        """
        scheduler = self.scheduler(SPACE, max_resource=27, max_trials=20, seed=3, mode=mode)
        drive(
            scheduler,
            lambda trial, until: float((trial * 7919 + until) % 101),
            workers,
            random.Random(1).randrange,
        )
        searcher = RandomSearch(SPACE, 3)
        found = [(trial.seed, trial.configuration) for trial in scheduler.trials]
        assert [seed for seed, _ in found] == [stream_seed(3, "trial", i) for i in range(20)]
        if not scheduler.learns and not scheduler.searcher.learns:
            assert [configuration for _, configuration in found] == [searcher.propose(i) for i in range(20)]

    def test_another_seed_gives_other_configurations(self) -> None:
        """The seed is handed on to the base's constructor."""
        first, second = (self.scheduler(SPACE, seed=seed) for seed in (0, 1))
        assert all(asked(first).configuration != asked(second).configuration for _ in range(20))

    def test_the_best_is_the_best_finite_value_and_of_equals_the_earlier(self) -> None:
        """In both modes; NaN and infinities are no best."""
        for mode, best in (("max", 2), ("min", 0)):
            scheduler = self.scheduler(SPACE, max_resource=9, max_trials=6, mode=mode)
            jobs = [asked(scheduler) for _ in range(6)]
            assert scheduler.best is None
            for job, value in zip(jobs, (0.1, math.nan, 0.7, 0.7, math.inf, -math.inf), strict=True):
                tell(scheduler, job, value)
            found = scheduler.best
            assert found is not None
            assert (found.trial, found.configuration) == (best, jobs[best].configuration)

    # -- the searcher --------------------------------------------------------------------------

    @pytest.mark.parametrize(("mode", "sign"), [("min", 1.0), ("max", -1.0)])
    def test_the_searcher_hears_of_every_report_once_and_of_failures(self, mode: str, sign: float) -> None:
        """Lower is better in both modes, and a failure is NaN: so a searcher can learn."""
        searcher = Listener()
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=9, mode=mode, searcher=searcher)
        jobs = [asked(scheduler) for _ in range(4)]
        for event in (
            Report(1, 0, jobs[1].until, 0.25, 1.0),
            Report(1, 0, jobs[1].until, 0.75, 1.0),  # it is late
            Failed(0, 0, "raised"),
            Rejected(2, "diverges"),
            Lost(3, 0, "killed"),
        ):
            scheduler.tell(event)
        expected = [(1, jobs[1].until, 0.25 * sign), (0, 1, math.nan), (2, 1, math.nan)]
        assert repr(searcher.heard) == repr(expected)

    def test_a_searcher_that_learns_hears_nothing_of_a_rehearsal(self) -> None:
        """It is not in it."""
        searcher = Listener()
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=9, searcher=searcher)
        Forecast(scheduler, 9, 2)
        assert scheduler.searcher is searcher
        assert searcher.heard == []

    # -- early ends, and plans -----------------------------------------------------------------

    def test_trials_that_finish_are_never_asked_for_again_and_end_up_where_they_would_have(self) -> None:
        """It is as if their further units took no time (``Finished``)."""
        calm, hasty = (self.scheduler(SPACE, max_resource=9, max_trials=12) for _ in range(2))
        drive(calm, lambda trial, until: float(trial * 7 % 12))
        done: set[int] = set()
        while (job := hasty.ask()) is not None:
            assert job.trial not in done
            done.add(job.trial)
            hasty.tell(Finished(job.trial, job.attempt, job.until))
            tell(hasty, job, float(job.trial * 7 % 12))
        assert [row.reached for row in hasty.counts()] == [row.reached for row in calm.counts()]

    def test_a_rehearsal_is_made_with_the_same_settings_and_disturbs_nothing(self) -> None:
        """Plans and the time that is left come from it."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=12, seed=2)
        for _ in range(3):
            tell(scheduler, asked(scheduler), 0.5)
        before = fingerprint(scheduler)
        forecast = Forecast(scheduler, 12, 2)
        assert forecast.units > 0
        twin = scheduler.rehearsal(12, RandomSearch(SPACE, 2))
        assert type(twin) is type(scheduler)
        assert (twin.trials, twin.max_trials) == ([], 12)
        drive(twin, lambda trial, until: float(trial))
        assert not differences(fingerprint(scheduler), before)

    def test_what_it_says_of_itself_is_plain(self) -> None:
        """``state()`` is numbers by name, and brackets are spoken of in the same way for every trial."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=9)
        drive(scheduler, lambda trial, until: float(trial))
        assert all(isinstance(value, int | float) for value in scheduler.state().values())
        for trial in scheduler.trials:
            assert isinstance(scheduler.bracket_of(trial), int)
            onward = scheduler.goes_on(trial) or scheduler.is_due(trial)
            assert not onward, f"trial {trial.id} is said to go on, and no job is given"
            assert trial.first in scheduler.first_rungs

    def test_who_is_said_to_go_on_does(self) -> None:
        """A paused trial for which ``goes_on`` or ``is_due`` is true gets a job before the search ends."""
        scheduler = self.scheduler(SPACE, max_resource=9, max_trials=12)
        told: set[tuple[int, int]] = set()
        given: set[tuple[int, int]] = set()
        running: list[Job] = []
        while (job := scheduler.ask()) is not None or running:
            if job is not None:
                given.add((job.trial, job.start))
                running.append(job)
                if len(running) < 3:
                    continue
            ended = running.pop(0)
            scheduler.tell(Report(ended.trial, ended.attempt, ended.until, float(ended.trial * 5 % 12), 1.0))
            for trial in scheduler.trials:
                if trial.status == Status.PAUSED and (scheduler.goes_on(trial) or scheduler.is_due(trial)):
                    told.add((trial.id, trial.resource))
        assert told <= given
