"""A scheduler and its oracle, told the same events; after each, all that can be compared is compared."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import ReportError
from asha_core.messages import Failed, Finished, Job, Lost, Refined, Rejected, Report, Retried
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.records import event_record, job_record, to_json
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.pasha import PASHA
from asha_core.schedulers.state import RungCounts
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from tests.asha_core.schedulers.helpers import SPACE, Few, fingerprint, make
from tests.asha_core.schedulers.oracle import ANSWER, ORACLES, Trial

FAULTS, BLAMELESS = ("died", "hung"), ("stopped", "engine", "disk", "not-begun")


class Duel:
    """One search, played by a scheduler and by its oracle."""

    def __init__(self, name: str, size: int | None = None, **settings: Any) -> None:
        self.name, self.size, self.settings = name, size, settings
        self.oracle = ORACLES[name](**settings, size=size)
        self.scheduler = self.another()
        self.log: list[tuple[str, Any, Any]] = []
        self.jobs: list[Job] = []
        self.tried_again: set[int] = set()
        self.lost: Counter[tuple[int, str]] = Counter()

    def another(self) -> Scheduler:
        searcher = None if self.size is None else Few(self.size, self.settings["seed"])
        return make(self.name, **self.settings, searcher=searcher)

    def running(self) -> list[Trial]:
        return [trial for trial in self.oracle.trials if trial.state == "running"]

    # -- what happens

    def ask(self) -> bool:
        """One ask; whether there was a job."""
        due, goes_on = self.oracle.next_job(), None if self.oracle.lost else self.oracle.onward()
        eligible = goes_on is not None and self.oracle.may_go_on(goes_on)
        before = fingerprint(self.scheduler) if due is None else None
        job = self.scheduler.ask()
        if due is None:
            assert job is None, f"{job} is not due"
            assert fingerprint(self.scheduler) == before, "asking in vain changed something"
            return False
        assert job is not None, f"stalled: {due} is due"
        assert (job.trial, job.start, job.until, job.attempt) == due
        if goes_on is not None:
            assert job.trial == goes_on
            assert eligible, "whoever goes on is good enough by the rule, at this moment"
        elif self.oracle.lost:
            self._is_the_next_attempt(job)
        self.oracle.take(job)
        trial = self.oracle.trials[job.trial]
        assert job.configuration == trial.configuration
        assert job.seed == stream_seed(self.settings["seed"], "trial", job.trial)
        assert job.refine == (job.start == 0 and not trial.refined)
        assert job.alone == trial.alone
        assert job.start < job.until <= self.settings["max_resource"]
        if isinstance(self.scheduler, PASHA):
            assert job.until <= self.scheduler.unlocked
        self.jobs.append(job)
        self.log.append(("ask", job, None))
        return True

    def _is_the_next_attempt(self, job: Job) -> None:
        previous = [j for j in self.jobs if (j.trial, j.until) == (job.trial, job.until)][-1]
        reported = self.oracle.trials[job.trial].resource
        expected = (max(previous.start, reported), previous.attempt + 1, previous.seed)
        assert (job.start, job.attempt, job.seed) == expected

    def told(self, event: Any, trial: Trial) -> None:
        """Tell the scheduler what the oracle has already taken in, and compare the verdicts."""
        verdict = self.scheduler.tell(event)
        assert verdict is ANSWER[trial.state]
        self.log.append(("tell", event, verdict))

    def reported(self, trial: Trial, resource: int, value: float) -> None:
        event = Report(trial.number, trial.attempt, resource, value, 1.0)
        self.oracle.report(trial, resource, value)
        self.told(event, trial)

    def finished(self, trial: Trial, resource: int) -> None:
        self.oracle.finish(trial, resource)
        self.told(Finished(trial.number, trial.attempt, resource), trial)

    def retried(self, trial: Trial) -> None:
        self.oracle.retry(trial)
        self.told(Retried(trial.number), trial)
        self.tried_again.add(trial.number)

    def failed(self, trial: Trial, kind: str) -> None:
        event = Failed(trial.number, trial.attempt, "raised", kind=kind)
        if kind == "invalid":
            self.oracle.reject(trial)
        elif kind == "oom":
            self.oracle.run_out_of_memory(trial)
        else:
            self.oracle.fail(trial)
        self.told(event, trial)

    def was_lost(self, trial: Trial, kind: str) -> None:
        event = Lost(trial.number, trial.attempt, "killed", kind)
        self.oracle.lose(trial, kind)
        self.told(event, trial)
        self.lost[trial.number, kind] += 1

    def rejected(self, trial: Trial) -> None:
        self.oracle.reject(trial)
        self.told(Rejected(trial.number, "diverges"), trial)

    def refined(self, trial: Trial, configuration: Configuration) -> None:
        if trial.resource == 0 and not trial.refined:
            trial.configuration, trial.refined = configuration, True
        self.told(Refined(trial.number, configuration, 0.5), trial)
        assert self.scheduler.trials[trial.number].configuration == trial.configuration

    def ignored(self, event: Any) -> None:
        """Tell an event that must not matter."""
        before = fingerprint(self.scheduler)
        self.told(event, self.oracle.trials[event.trial])
        assert fingerprint(self.scheduler) == before

    def refused(self, trial: Trial, resource: Any, value: float) -> None:
        """Tell a report that cannot be counted."""
        before = fingerprint(self.scheduler)
        with pytest.raises(ReportError):
            self.scheduler.tell(Report(trial.number, trial.attempt, resource, value, 1.0))
        assert fingerprint(self.scheduler) == before

    def late_events(self, trial: Trial, attempt: int, resource: int, value: float) -> list[Any]:
        """All that may come in from an attempt that was given up."""
        return [
            Report(trial.number, attempt, resource, value, 1.0),
            Failed(trial.number, attempt, "late"),
            Failed(trial.number, attempt, "late", kind="invalid"),
            Failed(trial.number, attempt, "late", kind="oom"),
            Failed(trial.number, attempt, "late", kind="timeout"),
            Lost(trial.number, attempt, "late"),
            Lost(trial.number, attempt, "late", kind="engine"),
            Finished(trial.number, attempt, 1),
        ]

    def events_after_the_end(self, trial: Trial, value: float) -> list[Any]:
        """All that may come in for a trial that is not running."""
        return [
            *self.late_events(trial, trial.attempt, trial.until, value),
            Rejected(trial.number, "late"),
            Refined(trial.number, SPACE.from_unit([0.5, 0.5, 0.5]), 1.0),
        ]

    # -- laws

    def laws(self) -> None:
        """All that must hold after every event."""
        self.counts_add_up()
        self.trials_are_where_they_are()
        self.nobody_is_twice_in_a_rung()
        self.retries_are_for_faults_alone()
        self.the_best_is_the_best_finite_value_reported()
        self.what_is_unlocked_is_what_the_rankings_ask_for()

    def counts_add_up(self) -> None:
        trials, last = self.oracle.trials, self.oracle.last
        tally = Counter((trial.rung, trial.state) for trial in trials)
        counts = list(self.scheduler.counts())
        arrived_finished = {
            (number, rung)
            for number, rung, _ in self.oracle.arrivals
            if trials[number].finished and trials[number].state != "running"
        }
        assert counts == [
            RungCounts(
                level,
                running=tally[rung, "running"] + tally[rung, "waiting"],
                paused=tally[rung, "paused"],
                promoted=sum(trial.first <= rung < trial.rung for trial in trials),
                stopped=tally[rung, "stopped"],
                done=tally[rung, "done"],
                failed=tally[rung, "failed"],
                carried=sum(
                    (trial.number, rung) in arrived_finished and trial.resource < level for trial in trials
                ),
            )
            for rung, level in enumerate(self.oracle.levels)
        ]
        assert [row.reached for row in counts] == [
            sum(
                trial.first <= rung and (trial.resource >= level or (trial.number, rung) in arrived_finished)
                for trial in trials
            )
            for rung, level in enumerate(self.oracle.levels)
        ]
        assert not any(row.stopped for row in counts) or self.scheduler.stops
        assert not counts[last].paused
        assert not counts[last].promoted
        assert not counts[last].stopped
        states = Counter(trial.state for trial in trials)
        assert self.scheduler.rejected == states["rejected"]
        assert self.scheduler.failures == states["failed"]
        assert self.scheduler.units == sum(trial.resource for trial in trials)
        if self.oracle.max_trials is not None:
            assert len(self.scheduler.trials) - self.scheduler.rejected <= self.oracle.max_trials
        if self.size is not None:
            assert len(self.scheduler.trials) <= self.size

    def trials_are_where_they_are(self) -> None:
        for ours, theirs in zip(self.scheduler.trials, self.oracle.trials, strict=True):
            assert ours.status.name.lower() == theirs.state
            assert (ours.first, ours.rung, ours.until) == (theirs.first, theirs.rung, theirs.until)
            assert (ours.attempt, ours.resource) == (theirs.attempt, theirs.resource)
            assert (ours.faults, ours.alone, ours.finished) == (theirs.faults, theirs.alone, theirs.finished)

    def nobody_is_twice_in_a_rung(self) -> None:
        arrivals = [(trial, rung) for trial, rung, _ in self.oracle.arrivals]
        assert len(set(arrivals)) == len(arrivals) - self.oracle.twice
        starts = Counter((job.trial, job.start, job.attempt) for job in self.jobs)
        assert max(starts.values(), default=1) == 1

    def retries_are_for_faults_alone(self) -> None:
        for trial in self.oracle.trials:
            if trial.number in self.tried_again:
                continue
            faults = sum(self.lost[trial.number, kind] for kind in FAULTS)
            blameless = sum(self.lost[trial.number, kind] for kind in BLAMELESS)
            assert faults <= self.oracle.max_retries + (trial.state == "failed")
            again = faults + blameless + trial.alone
            assert trial.attempt in (again, again - 1)
            assert (trial.attempt == again) or trial.state in ("waiting", "failed")

    def the_best_is_the_best_finite_value_reported(self) -> None:
        best, expected = self.scheduler.best, self.oracle.best()
        if expected is None:
            assert best is None
        else:
            assert (best.trial, best.resource, best.value) == expected
            assert best.configuration == self.oracle.trials[best.trial].configuration

    def what_is_unlocked_is_what_the_rankings_ask_for(self) -> None:
        if isinstance(self.scheduler, PASHA):
            assert self.scheduler.unlocked == self.oracle.levels[self.oracle.unlocked]
            assert self.scheduler.epsilon == pytest.approx(self.oracle.epsilon, rel=1e-12, abs=0)

    # -- the end

    def replay(self) -> None:
        """The same asks and tells, less the asks that were answered with None, rebuild it exactly."""
        again = self.another()
        for action, subject, verdict in self.log:
            if action == "ask":
                assert again.ask() == subject
            else:
                assert again.tell(subject) is verdict
        assert fingerprint(again) == fingerprint(self.scheduler)

    def replay_from_records(self) -> None:
        """Likewise from what the engine would have written, and the next job is the same."""
        records = [
            job_record(subject, 0) if action == "ask" else event_record(subject)
            for action, subject, _ in self.log
        ]
        lines = [json.loads(to_json({"t": float(n), **record})) for n, record in enumerate(records)]
        again = self.another()
        earlier = replay(Path("journal.jsonl"), lines, again)
        assert fingerprint(again) == fingerprint(self.scheduler)
        assert sorted(earlier.running) == [trial.number for trial in self.running()]
        assert again.ask() == self.another_ask()

    def another_ask(self) -> Job | None:
        """The job that the scheduler would give now, asked of a copy."""
        return copy.deepcopy(self.scheduler).ask()

    def finish(self) -> None:
        """Nothing lost, nothing stuck: played to the end, every trial ends where the rules want it."""
        if self.oracle.max_trials is None and self.size is None:
            return
        for _ in range(500):
            self.ask()
            if not self.running():
                break
            for trial in self.running():
                self.reported(trial, trial.until, float(trial.number % 5))
        assert not self.running()
        assert self.oracle.next_job() is None
        assert self.scheduler.ask() is None
        assert not any(row.running for row in self.scheduler.counts())
        begun = len(self.scheduler.trials) - self.scheduler.rejected
        assert begun == self.oracle.max_trials or len(self.scheduler.trials) == self.size
        self.laws()
        self.oracle.check_the_end()

    def configurations_depend_on_seed_and_number_alone(self) -> None:
        searcher = RandomSearch(SPACE, self.settings["seed"])
        for trial in self.oracle.trials:
            if not trial.refined:
                assert self.scheduler.trials[trial.number].configuration == searcher.propose(trial.number)
