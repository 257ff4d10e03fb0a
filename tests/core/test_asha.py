"""Promotion ASHA: laws over every sequence of asks and events, and sequences worked out by hand."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asha_core.errors import ReportError, SettingError
from asha_core.messages import Failed, Job, Lost, Refined, Rejected, Report, Verdict
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.base import RungCounts
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Configuration, Float, Int, SearchSpace
from asha_core.streams import stream_seed

SPACE = SearchSpace({"x": Float(1e-3, 1.0, log=True), "n": Int(1, 9), "c": Choice(["a", "b"])})


def fingerprint(scheduler: ASHA) -> Any:
    """Everything that can be seen of a scheduler."""
    slots = (
        "id",
        "configuration",
        "seed",
        "status",
        "rung",
        "start",
        "until",
        "attempt",
        "resource",
        "refined",
    )
    return (
        list(scheduler.counts()),
        scheduler.units,
        scheduler.best,
        scheduler.rejected,
        scheduler.failures,
        [tuple(getattr(trial, slot) for slot in slots) for trial in scheduler.trials],
    )


# -- the oracle ------------------------------------------------------------------------------------


@dataclass
class OracleTrial:
    number: int
    configuration: Configuration
    until: int
    state: str = "running"
    rung: int = 0
    start: int = 0
    attempt: int = 0
    resource: int = 0
    refined: bool = False


@dataclass
class Oracle:
    """The rules of promotion ASHA, written from the paper: lists, sorted anew at every question."""

    levels: list[int]
    eta: int
    sign: float
    max_trials: int | None
    max_retries: int
    trials: list[OracleTrial] = field(default_factory=list)
    entries: dict[int, list[tuple[float, int, int]]] = field(default_factory=lambda: defaultdict(list))
    promoted: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    lost: list[OracleTrial] = field(default_factory=list)
    values: list[tuple[int, int, float]] = field(default_factory=list)  # trial, resource, value

    def top(self, rung: int) -> list[int]:
        """The top floor(n/eta) of a rung's entries whose values are finite, best first."""
        ranked = sorted(self.entries[rung])[: len(self.entries[rung]) // self.eta]
        return [trial for loss, _, trial in ranked if loss < math.inf]

    def promotable(self) -> tuple[int, int] | None:
        for rung in reversed(range(len(self.levels) - 1)):
            for trial in self.top(rung):
                if trial not in self.promoted[rung]:
                    return rung, trial
        return None

    def next_job(self) -> tuple[int, int, int, int] | None:
        """(trial, start, until, attempt) of the job that is due."""
        if self.lost:
            trial = self.lost[0]
            return trial.number, trial.resource, trial.until, trial.attempt + 1
        candidate = self.promotable()
        if candidate is not None:
            rung, number = candidate
            return number, self.levels[rung], self.levels[rung + 1], self.trials[number].attempt
        begun = sum(trial.state != "rejected" for trial in self.trials)
        if self.max_trials is None or begun < self.max_trials:
            return len(self.trials), 0, self.levels[0], 0
        return None

    def take(self, job: Job) -> None:
        """The job that was due was handed out."""
        if self.lost:
            trial = self.lost.pop(0)
            trial.attempt += 1
            trial.start = trial.resource  # units that were reported are not trained again
        elif job.start == 0:
            trial = OracleTrial(job.trial, job.configuration, job.until)
            self.trials.append(trial)
        else:
            trial = self.trials[job.trial]
            self.promoted[trial.rung].add(job.trial)
            trial.rung += 1
            trial.start, trial.until = job.start, job.until
        trial.state = "running"

    def enter(self, trial: OracleTrial, value: float) -> None:
        loss = self.sign * value if math.isfinite(value) else math.inf
        self.entries[trial.rung].append((loss, len(self.entries[trial.rung]), trial.number))

    def report(self, trial: OracleTrial, resource: int, value: float) -> None:
        trial.resource = resource
        self.values.append((trial.number, resource, value))
        if resource == trial.until:
            trial.state = "done" if trial.rung == len(self.levels) - 1 else "paused"
            self.enter(trial, value)

    def fail(self, trial: OracleTrial) -> None:
        trial.state = "failed"
        self.enter(trial, math.nan)

    def best(self) -> tuple[int, int, float] | None:
        finite = [entry for entry in self.values if math.isfinite(entry[2])]
        return min(finite, key=lambda entry: self.sign * entry[2]) if finite else None  # the earliest wins


ANSWER = {
    "running": Verdict.CONTINUE,
    "paused": Verdict.PAUSE,
    "waiting": Verdict.STOP,
    "done": Verdict.STOP,
    "failed": Verdict.STOP,
    "rejected": Verdict.STOP,
}

values = st.one_of(
    st.integers(-3, 3).map(float),  # ties
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)


class AshaMachine(RuleBasedStateMachine):
    """Drives a scheduler and the oracle with the same events and compares all that can be seen."""

    @initialize(
        r=st.integers(1, 3),
        more=st.sampled_from([0, 1, 3, 8, 26]),
        eta=st.integers(2, 4),
        mode=st.sampled_from(["min", "max"]),
        max_trials=st.none() | st.integers(1, 30),
        max_retries=st.integers(0, 2),
        seed=st.integers(0, 5),
    )
    def begin(self, r, more, eta, mode, max_trials, max_retries, seed):
        self.settings = {
            "min_resource": r,
            "max_resource": r + more,
            "reduction_factor": eta,
            "mode": mode,
            "max_trials": max_trials,
            "max_retries": max_retries,
            "seed": seed,
        }
        self.scheduler = ASHA(SPACE, **self.settings)
        levels = [level for k in range(20) if (level := r * eta**k) < r + more] + [r + more]
        self.oracle = Oracle(levels, eta, -1.0 if mode == "max" else 1.0, max_trials, max_retries)
        self.log: list[tuple[str, Any, Any]] = []
        self.jobs: list[Job] = []

    def told(self, event, trial):
        """Tell the scheduler what the oracle has already taken in, and compare the verdicts."""
        verdict = self.scheduler.tell(event)
        assert verdict is ANSWER[trial.state]
        self.log.append(("tell", event, verdict))

    def running(self):
        return [trial for trial in self.oracle.trials if trial.state == "running"]

    def pick(self, data, trials):
        return data.draw(st.sampled_from(trials))

    def unchanged(self, event):
        """Tell an event that must not matter."""
        before = fingerprint(self.scheduler)
        self.told(event, self.oracle.trials[event.trial])
        assert fingerprint(self.scheduler) == before

    # -- actions

    @rule(count=st.integers(1, 4))
    def ask(self, count):
        for _ in range(count):
            before = fingerprint(self.scheduler)
            due = self.oracle.next_job()
            candidate = self.oracle.promotable()
            job = self.scheduler.ask()
            if due is None:
                assert job is None
                assert fingerprint(self.scheduler) == before
                return
            assert job is not None, f"stalled: {due} is due"
            assert (job.trial, job.start, job.until, job.attempt) == due
            if job.start > 0 and not self.oracle.lost:
                # whoever goes up stood in the top floor(n/eta) of its rung at this moment
                rung, number = candidate
                assert job.trial == number
                assert job.trial in self.oracle.top(rung)
            if job.attempt > 0 and self.oracle.lost:
                previous = [j for j in self.jobs if (j.trial, j.until) == (job.trial, job.until)][-1]
                assert (job.start, job.attempt, job.seed) == (
                    max(previous.start, self.oracle.trials[job.trial].resource),
                    previous.attempt + 1,
                    previous.seed,
                )
            self.oracle.take(job)
            trial = self.oracle.trials[job.trial]
            assert job.configuration == trial.configuration
            assert job.seed == stream_seed(self.settings["seed"], "trial", job.trial)
            assert job.refine == (job.start == 0 and not trial.refined)
            assert job.start < job.until <= self.settings["max_resource"]
            self.jobs.append(job)
            self.log.append(("ask", job, None))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), value=values)
    def report_at_the_end(self, data, value):
        trial = self.pick(data, self.running())
        event = Report(trial.number, trial.attempt, trial.until, value, 1.0)
        self.oracle.report(trial, trial.until, value)
        self.told(event, trial)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), some=st.lists(values, min_size=1, max_size=6))
    def report_several_ends(self, data, some):
        for value in some:
            if self.running():
                self.report_at_the_end(data, value)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), value=values)
    def report_a_unit(self, data, value):
        trial = self.pick(data, self.running())
        resource = data.draw(st.integers(trial.resource + 1, trial.until))
        event = Report(trial.number, trial.attempt, resource, value, 1.0)
        self.oracle.report(trial, resource, value)
        self.told(event, trial)

    @precondition(lambda self: any(trial.resource for trial in self.oracle.trials))
    @rule(data=st.data(), value=values)
    def report_again(self, data, value):
        trial = self.pick(data, [trial for trial in self.oracle.trials if trial.resource])
        resource = data.draw(st.integers(1, trial.resource))
        self.unchanged(Report(trial.number, trial.attempt, resource, value, 1.0))

    @precondition(lambda self: any(trial.attempt for trial in self.oracle.trials))
    @rule(data=st.data(), value=values, kind=st.sampled_from(["report", "failed", "lost"]))
    def something_late_from_an_attempt_given_up(self, data, value, kind):
        trial = self.pick(data, [trial for trial in self.oracle.trials if trial.attempt])
        attempt = data.draw(st.integers(0, trial.attempt - 1))
        resource = data.draw(st.integers(1, trial.until + 1))
        self.unchanged(
            {
                "report": Report(trial.number, attempt, resource, value, 1.0),
                "failed": Failed(trial.number, attempt, "late"),
                "lost": Lost(trial.number, attempt, "late"),
            }[kind]
        )

    @precondition(lambda self: any(trial.state != "running" for trial in self.oracle.trials))
    @rule(data=st.data(), value=values)
    def anything_for_a_trial_that_is_not_running(self, data, value):
        trial = self.pick(data, [trial for trial in self.oracle.trials if trial.state != "running"])
        number, attempt = trial.number, trial.attempt
        self.unchanged(
            data.draw(
                st.sampled_from(
                    [
                        Report(number, attempt, trial.until, value, 1.0),
                        Failed(number, attempt, "late"),
                        Failed(number, attempt, "late", kind="invalid"),
                        Lost(number, attempt, "late"),
                        Rejected(number, "late"),
                        Refined(number, SPACE.from_unit([0.5, 0.5, 0.5]), 1.0),
                    ]
                )
            )
        )

    @precondition(lambda self: self.running())
    @rule(data=st.data(), resource=st.sampled_from([0, -1, "beyond", 1.0, None]), value=values)
    def report_what_cannot_be_counted(self, data, resource, value):
        trial = self.pick(data, self.running())
        resource = trial.until + data.draw(st.integers(1, 5)) if resource == "beyond" else resource
        before = fingerprint(self.scheduler)
        with pytest.raises(ReportError):
            self.scheduler.tell(Report(trial.number, trial.attempt, resource, value, 1.0))
        assert fingerprint(self.scheduler) == before

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def fail(self, data):
        trial = self.pick(data, self.running())
        self.oracle.fail(trial)
        self.told(Failed(trial.number, trial.attempt, "raised"), trial)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def fail_as_invalid(self, data):
        trial = self.pick(data, self.running())
        if trial.rung == 0:
            trial.state = "rejected"
        else:  # it has been compared already: too late to count it nowhere
            self.oracle.fail(trial)
        self.told(Failed(trial.number, trial.attempt, "raised", kind="invalid"), trial)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def lose(self, data):
        trial = self.pick(data, self.running())
        if trial.attempt >= self.oracle.max_retries:
            self.oracle.fail(trial)
        else:
            trial.state = "waiting"
            self.oracle.lost.append(trial)
        self.told(Lost(trial.number, trial.attempt, "killed"), trial)

    @precondition(lambda self: any(trial.rung == 0 for trial in self.running()))
    @rule(data=st.data())
    def reject(self, data):
        trial = self.pick(data, [trial for trial in self.running() if trial.rung == 0])
        trial.state = "rejected"
        self.told(Rejected(trial.number, "diverges"), trial)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), unit=st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def refine(self, data, unit):
        trial = self.pick(data, self.running())
        configuration = SPACE.from_unit(unit)
        if trial.resource == 0 and not trial.refined:
            trial.configuration, trial.refined = configuration, True
        self.told(Refined(trial.number, configuration, 0.5), trial)
        assert self.scheduler.trials[trial.number].configuration == trial.configuration

    # -- laws

    @invariant()
    def counts_add_up(self):
        oracle = self.oracle
        tally = Counter((trial.rung, trial.state) for trial in oracle.trials)
        assert list(self.scheduler.counts()) == [
            RungCounts(
                level,
                running=tally[rung, "running"] + tally[rung, "waiting"],
                paused=tally[rung, "paused"],
                promoted=sum(trial.rung > rung for trial in oracle.trials),
                done=tally[rung, "done"],
                failed=tally[rung, "failed"],
            )
            for rung, level in enumerate(oracle.levels)
        ]
        states = Counter(trial.state for trial in oracle.trials)
        assert self.scheduler.rejected == states["rejected"]
        assert self.scheduler.failures == states["failed"]
        assert self.scheduler.units == sum(trial.resource for trial in oracle.trials)
        if oracle.max_trials is not None:
            assert len(self.scheduler.trials) - self.scheduler.rejected <= oracle.max_trials

    @invariant()
    def nobody_is_twice_in_a_rung(self):
        for entries in self.oracle.entries.values():
            assert len({trial for _, _, trial in entries}) == len(entries)
        starts = Counter((job.trial, job.start, job.attempt) for job in self.jobs)
        assert max(starts.values(), default=1) == 1

    @invariant()
    def attempts_are_bounded(self):
        assert all(job.attempt <= self.oracle.max_retries for job in self.jobs)

    @invariant()
    def the_best_is_the_best_finite_value_reported(self):
        best, expected = self.scheduler.best, self.oracle.best()
        if expected is None:
            assert best is None
        else:
            assert (best.trial, best.resource, best.value) == expected
            assert best.configuration == self.oracle.trials[best.trial].configuration

    def teardown(self):
        if not hasattr(self, "scheduler"):
            return
        # the same asks and tells, less the asks that were answered with None, rebuild it exactly
        again = ASHA(SPACE, **self.settings)
        for action, subject, verdict in self.log:
            if action == "ask":
                assert again.ask() == subject
            else:
                assert again.tell(subject) is verdict
        assert fingerprint(again) == fingerprint(self.scheduler)
        self.finish()
        self.configurations_depend_on_seed_and_number_alone()

    def finish(self):
        """Nothing lost, nothing stuck: played to the end, every trial ends where the rules want it."""
        if self.oracle.max_trials is None:
            return
        for _ in range(500):
            self.ask(1)
            if not self.running():
                break
            for trial in self.running():
                self.oracle.report(trial, trial.until, float(trial.number % 5))
                self.told(
                    Report(trial.number, trial.attempt, trial.until, float(trial.number % 5), 1.0), trial
                )
        assert not self.running()
        assert self.oracle.next_job() is None
        assert self.scheduler.ask() is None
        assert not any(row.running for row in self.scheduler.counts())
        assert len(self.scheduler.trials) - self.scheduler.rejected == self.oracle.max_trials
        for rung, row in enumerate(self.scheduler.counts()[:-1]):
            assert row.promoted >= len(self.oracle.top(rung))

    def configurations_depend_on_seed_and_number_alone(self):
        searcher = RandomSearch(SPACE, self.settings["seed"])
        for trial in self.oracle.trials:
            if not trial.refined:
                assert self.scheduler.trials[trial.number].configuration == searcher.propose(trial.number)


TestAsha = AshaMachine.TestCase
TestAsha.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)


# -- whole searches --------------------------------------------------------------------------------


def drive(scheduler: ASHA, value, workers: int, pick=lambda n: 0) -> list[tuple[int, int, int]]:
    """Run a search to its end with so many workers; pick says which running job ends next."""
    jobs, running = [], []
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            jobs.append((job.trial, job.start, job.until))
            running.append(job)
        if not running:
            return jobs
        job = running.pop(pick(len(running)))
        scheduler.tell(Report(job.trial, job.attempt, job.until, value(job.trial, job.until), 1.0))


def up(trial: int, *levels: int) -> list[tuple[int, int, int]]:
    """The jobs of a trial that goes through these levels without a break."""
    return [(trial, low, high) for low, high in zip((0, *levels), levels, strict=False)]


IMPROVING = [
    *[(0, 0, 1), (1, 0, 1), (2, 0, 1)],  # n = 3, k = 1: 2 is the top
    (2, 1, 3),
    *up(3, 1, 3),  # the best of 4; rung of 3 units: n = 2, k = 0
    *up(4, 1, 3, 9),  # there n = 3, k = 1: and it is the best there too
    *[step for trial in (5, 6, 7, 8) for step in up(trial, 1, 3, 9)],
]
WORSENING = [
    *[(0, 0, 1), (1, 0, 1), (2, 0, 1)],  # n = 3, k = 1: 0
    (0, 1, 3),
    *[(3, 0, 1), (4, 0, 1), (5, 0, 1)],  # n = 6, k = 2: 0, 1
    (1, 1, 3),
    *[(6, 0, 1), (7, 0, 1), (8, 0, 1)],  # n = 9, k = 3: 0, 1, 2
    *[(2, 1, 3), (0, 3, 9)],  # the rung of 3 units: n = 3, k = 1: 0
]
MIXED = [
    *[(0, 0, 1), (1, 0, 1), (2, 0, 1)],  # 5 1 9: top 2
    (2, 1, 3),
    (3, 0, 1),  # 5 1 9 2: top 2, gone already
    (4, 0, 1),  # 5 1 9 2 8: the same
    *[(5, 0, 1), (4, 1, 3)],  # 5 1 9 2 8 3: k = 2: 2, 4
    *[(6, 0, 1), (6, 1, 3), (6, 3, 9)],  # 5 1 9 2 8 3 9: k = 2: 2, 6 (equal to 2, later)
    (7, 0, 1),  # 5 1 9 2 8 3 9 7
    *[(8, 0, 1)],  # 5 1 9 2 8 3 9 7 6: k = 3: 2, 6, 4, all gone
]


@pytest.mark.parametrize(
    ("values_", "mode", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], "max", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "min", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "max", WORSENING),
        ([4, 4, 4, 4, 4, 4, 4, 4, 4], "max", WORSENING),  # of equals, the earlier
        ([4, 4, 4, 4, 4, 4, 4, 4, 4], "min", WORSENING),
        ([math.nan] * 9, "max", [(trial, 0, 1) for trial in range(9)]),
        ([math.inf] * 9, "max", [(trial, 0, 1) for trial in range(9)]),
    ],
)
def test_nine_trials_on_one_worker(values_, mode, expected):
    scheduler = ASHA(SPACE, max_resource=9, max_trials=9, mode=mode)
    assert drive(scheduler, lambda trial, _: float(values_[trial]), 1) == expected


def test_values_that_change_with_the_resource():
    # at 3 units: trial 2 has 1.0, trial 4 has 2.0, trial 6 has 3.0, so 6 goes on to 9
    first = [5, 1, 9, 2, 8, 3, 9, 7, 6]
    scheduler = ASHA(SPACE, max_resource=9, max_trials=9)
    jobs = drive(scheduler, lambda trial, until: float(first[trial]) if until == 1 else trial / 2, 1)
    assert jobs == MIXED


def test_the_upper_rung_is_served_first():
    # rungs 1, 2, 4 with eta 2, four workers: when both rungs have somebody, the upper one goes first
    scheduler = ASHA(SPACE, max_resource=4, reduction_factor=2, max_trials=8)
    fresh = [scheduler.ask() for _ in range(8)]
    for job in fresh[:4]:
        scheduler.tell(Report(job.trial, 0, 1, float(job.trial), 1.0))
    climbers = [scheduler.ask(), scheduler.ask()]
    assert [(job.trial, job.start, job.until) for job in climbers] == [(3, 1, 2), (2, 1, 2)]
    for job in (*climbers, *fresh[4:]):
        scheduler.tell(Report(job.trial, 0, job.until, float(job.trial), 1.0))
    assert [(job.trial, job.start, job.until) for job in (scheduler.ask(), scheduler.ask())] == [
        (3, 2, 4),
        (7, 1, 2),
    ]


def test_running_trials_do_not_count_until_they_report():
    scheduler = ASHA(SPACE, max_resource=9, max_trials=9)
    jobs = [scheduler.ask() for _ in range(9)]
    for job in jobs[:2]:
        scheduler.tell(Report(job.trial, 0, 1, 1.0, 1.0))
    assert scheduler.ask() is None  # n = 2
    scheduler.tell(Report(jobs[2].trial, 0, 1, 0.0, 1.0))
    assert scheduler.ask().trial == 0


@pytest.mark.parametrize(
    ("n", "eta", "expected"), [(9, 3, 3), (27, 3, 9), (81, 3, 27), (80, 3, 26), (64, 4, 16)]
)
def test_when_all_have_reported_exactly_the_floor_of_n_over_eta_go_up(n, eta, expected):
    scheduler = ASHA(SPACE, max_resource=100, reduction_factor=eta, max_trials=n)
    jobs = [scheduler.ask() for _ in range(n)]
    for job in jobs:
        scheduler.tell(Report(job.trial, 0, 1, (job.trial * 37 % n) / n, 1.0))
    climbers = []
    while (job := scheduler.ask()) is not None:
        climbers.append(job.trial)
    best_first = sorted(range(n), key=lambda trial: -(trial * 37 % n))
    assert climbers == best_first[:expected]


def test_a_failure_counts_as_the_worst_and_a_rejection_nowhere():
    scheduler = ASHA(SPACE, max_resource=9, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    scheduler.tell(Report(0, 0, 1, 0.1, 1.0))
    scheduler.tell(Failed(1, 0, "raised"))
    assert scheduler.tell(Rejected(2, "diverges")) is Verdict.STOP
    replacement = scheduler.ask()  # n = 2 entries, and the rejected one does not use up a trial
    assert (replacement.trial, replacement.start) == (3, 0)
    scheduler.tell(Report(3, 0, 1, 0.2, 1.0))
    assert scheduler.ask().trial == 3
    assert len(jobs) == 3
    assert scheduler.counts()[0] == RungCounts(1, running=0, paused=1, promoted=1, done=0, failed=1)


def test_a_rejection_of_a_trial_that_was_promoted_keeps_the_rungs_consistent():
    scheduler = ASHA(SPACE, max_resource=9, max_trials=3)
    for value in (0.1, 0.2, 0.3):
        job = scheduler.ask()
        scheduler.tell(Report(job.trial, 0, 1, value, 1.0))
    climber = scheduler.ask()
    assert (climber.trial, climber.start) == (2, 1)
    scheduler.tell(Rejected(2, "too late to screen out"))
    below, above = scheduler.counts()[:2]
    went_on = above.running + above.paused + above.promoted + above.failed
    assert below.promoted == went_on
    # it did start, and was compared: nobody may take its place
    assert scheduler.ask() is None


def test_a_single_rung_compares_nobody():
    scheduler = ASHA(SPACE, min_resource=4, max_resource=4, max_trials=9)
    assert drive(scheduler, lambda *_: 1.0, 2) == [(trial, 0, 4) for trial in range(9)]
    assert scheduler.counts() == [RungCounts(4, done=9)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(0, 10**6),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
    st.sampled_from(["min", "max"]),
)
def test_configurations_and_seeds_depend_on_seed_and_number_alone(workers, salt, seed, random, mode):
    scheduler = ASHA(SPACE, max_resource=27, max_trials=20, seed=seed, mode=mode)
    seeds, configurations = {}, {}
    plain_ask = scheduler.ask

    def ask():
        job = plain_ask()
        if job is not None:
            assert seeds.setdefault(job.trial, job.seed) == job.seed
            assert configurations.setdefault(job.trial, job.configuration) == job.configuration
        return job

    scheduler.ask = ask  # the same scheduler, watched
    drive(
        scheduler,
        lambda trial, until: float((trial * 7919 + until + salt) % 101),
        workers,
        random.randrange,
    )
    expected = RandomSearch(SPACE, seed)
    assert configurations == {number: expected.propose(number) for number in range(20)}
    assert seeds == {number: stream_seed(seed, "trial", number) for number in range(20)}
    assert len(set(seeds.values())) == 20


def test_another_seed_gives_other_configurations():
    first, second = (ASHA(SPACE, seed=seed) for seed in (0, 1))
    assert all(first.ask().configuration != second.ask().configuration for _ in range(20))


# -- retries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_job_is_tried_again_so_often_and_then_failed(retries):
    scheduler = ASHA(SPACE, max_resource=9, max_trials=1, max_retries=retries)
    first = job = scheduler.ask()
    for attempt in range(1, retries + 1):
        assert scheduler.tell(Lost(0, job.attempt, "killed")) is Verdict.STOP
        job = scheduler.ask()
        assert job == Job(0, first.configuration, 0, 1, attempt, first.seed, True)
    scheduler.tell(Lost(0, job.attempt, "killed"))
    assert scheduler.ask() is None
    assert scheduler.failures == 1
    assert scheduler.counts()[0].failed == 1


def test_a_retry_goes_before_promotions_and_new_trials():
    scheduler = ASHA(SPACE, max_resource=9)
    jobs = [scheduler.ask() for _ in range(5)]
    for job in jobs[:3]:
        scheduler.tell(Report(job.trial, 0, 1, float(job.trial), 1.0))
    scheduler.tell(Lost(4, 0, "killed"))
    scheduler.tell(Lost(3, 0, "killed"))
    order = [scheduler.ask() for _ in range(4)]
    assert [(job.trial, job.start, job.attempt) for job in order] == [
        (4, 0, 1),
        (3, 0, 1),
        (2, 1, 0),
        (5, 0, 0),
    ]


def test_a_refined_configuration_survives_a_lost_worker():
    scheduler = ASHA(SPACE, max_trials=1)
    assert scheduler.ask().refine
    refined = SPACE.configuration({"x": 0.25, "n": 3, "c": "b"})
    scheduler.tell(Refined(0, refined, 0.5))
    scheduler.tell(Lost(0, 0, "killed"))
    job = scheduler.ask()
    assert (job.configuration, job.refine) == (refined, False)


def test_units_repeated_after_a_retry_count_once():
    scheduler = ASHA(SPACE, min_resource=3, max_resource=9, max_trials=1)
    scheduler.ask()
    for resource in (1, 2):
        scheduler.tell(Report(0, 0, resource, 0.5, 1.0))
    scheduler.tell(Lost(0, 0, "killed"))
    assert scheduler.ask().start == 2  # what was reported is not trained again
    verdicts = [scheduler.tell(Report(0, 1, resource, 0.9, 1.0)) for resource in (1, 2, 3)]
    assert verdicts == [Verdict.CONTINUE, Verdict.CONTINUE, Verdict.PAUSE]
    assert scheduler.units == 3
    assert (scheduler.best.resource, scheduler.best.value) == (3, 0.9)


# -- mistakes --------------------------------------------------------------------------------------


def asked(n: int = 18, **settings_) -> ASHA:
    scheduler = ASHA(SPACE, min_resource=3, max_resource=9, **settings_)
    for _ in range(n):
        scheduler.ask()
    return scheduler


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Report(17, 0, 5, 0.5, 1.0), ("trial 17", "resource 5", "ends at 3", "job.until")),
        (Report(17, 0, 0, 0.5, 1.0), ("trial 17", "resource 0", "count from 1")),
        (Report(17, 0, -4, 0.5, 1.0), ("trial 17", "resource -4", "count from 1")),
        (Report(17, 0, 2.0, 0.5, 1.0), ("trial 17", "resource 2.0", "must be an integer")),
        (Report(18, 0, 1, 0.5, 1.0), ("Report", "trial 18", "0 to 17")),
        (Report(-1, 0, 1, 0.5, 1.0), ("Report", "trial -1", "0 to 17")),
        (Lost(40, 0, "killed"), ("Lost", "trial 40", "0 to 17")),
        (Rejected(40, "no"), ("Rejected", "trial 40", "0 to 17")),
    ],
)
def test_an_event_that_cannot_be_counted_is_named(event, said):
    scheduler = asked()
    before = fingerprint(scheduler)
    with pytest.raises(ReportError) as caught:
        scheduler.tell(event)
    for part in said:
        assert part in str(caught.value)
    assert fingerprint(scheduler) == before


@pytest.mark.parametrize("value", ["ninety", None, [0.5], 10**400], ids=["text", "none", "list", "overflow"])
def test_a_value_that_is_not_a_number_is_a_report_error_and_changes_nothing(value):
    scheduler = asked(1)
    before = fingerprint(scheduler)
    with pytest.raises(ReportError):
        scheduler.tell(Report(0, 0, 1, value, 1.0))
    assert fingerprint(scheduler) == before


def test_an_event_before_any_ask_does_not_name_trial_minus_one():
    with pytest.raises(ReportError) as caught:
        ASHA(SPACE).tell(Report(0, 0, 1, 0.5, 1.0))
    assert "-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"mode": "maximise"}, ("mode", "'maximise'", '"max" or "min"')),
        ({"max_trials": 0}, ("max_trials is 0", "at least 1")),
        ({"max_retries": -1}, ("max_retries is -1", "at least 0")),
        ({"reduction_factor": 1}, ("reduction_factor is 1", "at least 2")),
        ({"min_resource": 10, "max_resource": 9}, ("min_resource is 10", "max_resource is 9")),
    ],
)
def test_a_mistake_in_a_setting_is_named(settings_, said):
    with pytest.raises(SettingError) as caught:
        ASHA(SPACE, **settings_)
    for part in said:
        assert part in str(caught.value)
