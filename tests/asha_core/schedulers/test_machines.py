"""Every scheduler against its oracle, over all sequences of asks and events that come to mind.

Twice: Hypothesis looks for short sequences that break a law, and random walks go far, where rungs are full.
"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from asha_core.schedulers import MODEL_FREE
from tests.asha_core.schedulers.duel import BLAMELESS, FAULTS, Duel
from tests.asha_core.schedulers.helpers import SPACE
from tests.asha_core.schedulers.oracle import ORACLES

WALKS = 100
ODD = [math.nan, math.inf, -math.inf]
FAILURES = ["error", "setup", "invalid", "oom", "oom", "timeout"]
LOSSES = [*FAULTS, *FAULTS, *BLAMELESS]

values = st.one_of(
    st.integers(-3, 3).map(float),  # ties
    st.floats(-1e6, 1e6),
    st.sampled_from(ODD),
)
some_trial = st.runner().flatmap(lambda machine: st.sampled_from(machine.duel.running()))
anybody_runs = precondition(lambda machine: machine.duel.running())


class SchedulerMachine(RuleBasedStateMachine):
    """Chooses what happens; a subclass says to which scheduler."""

    name: str

    @initialize(
        r=st.integers(1, 3),
        more=st.sampled_from([8, 26, 17, 3, 1, 0]),
        eta=st.integers(2, 4),
        mode=st.sampled_from(["min", "max"]),
        max_trials=st.none() | st.integers(1, 30),
        max_retries=st.integers(0, 2),
        seed=st.integers(0, 5),
        size=st.sampled_from([None, None, None, 4, 11, 0]),
        bracket_size=st.none() | st.integers(1, 9),
    )
    def begin(self, r, more, bracket_size, eta, mode, **others):
        own = {"bracket_size": bracket_size} if self.name == "sh" else {}
        settings_ = {"min_resource": r, "max_resource": r + more, "reduction_factor": eta, "mode": mode}
        self.duel = Duel(self.name, **settings_, **others, **own)

    @rule(count=st.integers(1, 4))
    def ask(self, count):
        while count and self.duel.ask():
            count -= 1

    @anybody_runs
    @rule(trial=some_trial, value=values)
    def report_at_the_end(self, trial, value):
        self.duel.reported(trial, trial.until, value)

    @anybody_runs
    @rule(some=st.lists(values, min_size=1, max_size=6))
    def report_several_ends(self, some):
        for trial, value in zip(self.duel.running(), some, strict=False):
            self.duel.reported(trial, trial.until, value)

    @rule(some=st.lists(values, min_size=1, max_size=6))
    def ask_and_report_its_end(self, some):
        for value in some:
            if self.duel.ask():
                trial = self.duel.oracle.trials[self.duel.jobs[-1].trial]
                self.duel.reported(trial, trial.until, value)

    @anybody_runs
    @rule(trial=some_trial, part=st.integers(1, 30), value=values)
    def report_a_unit(self, trial, part, value):
        self.duel.reported(trial, min(trial.resource + part, trial.until), value)

    @precondition(lambda self: any(trial.resource for trial in self.duel.oracle.trials))
    @rule(data=st.data(), value=values)
    def report_again(self, data, value):
        trial = data.draw(st.sampled_from([trial for trial in self.duel.oracle.trials if trial.resource]))
        resource = data.draw(st.integers(1, trial.resource))
        self.duel.ignored(self.duel.late_events(trial, trial.attempt, resource, value)[0])

    @precondition(lambda self: any(trial.attempt for trial in self.duel.oracle.trials))
    @rule(data=st.data(), value=values, kind=st.integers(0, 7))
    def something_late_from_an_attempt_given_up(self, data, value, kind):
        trial = data.draw(st.sampled_from([trial for trial in self.duel.oracle.trials if trial.attempt]))
        attempt = data.draw(st.integers(0, trial.attempt - 1))
        resource = data.draw(st.integers(1, trial.until + 1))
        self.duel.ignored(self.duel.late_events(trial, attempt, resource, value)[kind])

    @precondition(lambda self: any(trial.state != "running" for trial in self.duel.oracle.trials))
    @rule(data=st.data(), value=values, kind=st.integers(0, 9))
    def anything_for_a_trial_that_is_not_running(self, data, value, kind):
        others = [trial for trial in self.duel.oracle.trials if trial.state != "running"]
        self.duel.ignored(self.duel.events_after_the_end(data.draw(st.sampled_from(others)), value)[kind])

    @anybody_runs
    @rule(trial=some_trial, resource=st.sampled_from([0, -1, "beyond", 1.0, None]), value=values)
    def report_what_cannot_be_counted(self, trial, resource, value):
        self.duel.refused(trial, trial.until + 1 if resource == "beyond" else resource, value)

    @anybody_runs
    @rule(trial=some_trial, kind=st.sampled_from(FAILURES))
    def fail(self, trial, kind):
        self.duel.failed(trial, kind)

    @anybody_runs
    @rule(trial=some_trial, at_the_end=st.booleans())
    def finish(self, trial, at_the_end):
        self.duel.finished(trial, trial.until if at_the_end else trial.resource or trial.until)

    @precondition(lambda self: any(trial.state == "failed" for trial in self.duel.oracle.trials))
    @rule(data=st.data())
    def retry(self, data):
        failed = [trial for trial in self.duel.oracle.trials if trial.state == "failed"]
        self.duel.retried(data.draw(st.sampled_from(failed)))

    @anybody_runs
    @rule(trial=some_trial, kind=st.sampled_from(LOSSES))
    def lose(self, trial, kind):
        self.duel.was_lost(trial, kind)

    @anybody_runs
    @rule(trial=some_trial)
    def reject(self, trial):
        self.duel.rejected(trial)

    @anybody_runs
    @rule(trial=some_trial, unit=st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def refine(self, trial, unit):
        self.duel.refined(trial, SPACE.from_unit(unit))

    @invariant()
    def laws(self):
        self.duel.laws()

    def teardown(self):
        if hasattr(self, "duel"):
            self.duel.replay()
            self.duel.replay_from_records()
            self.duel.finish()
            self.duel.configurations_depend_on_seed_and_number_alone()


@pytest.mark.long
@pytest.mark.parametrize("name", MODEL_FREE)
def test_each_decision_is_the_one_that_the_rules_ask_for(name):
    machine = type(f"{ORACLES[name].__name__}Machine", (SchedulerMachine,), {"name": name})
    # what fails is not made smaller, which can take minutes
    quick = settings(max_examples=15, stateful_step_count=30, deadline=None, phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=quick)


def something_else(duel: Duel, trial, generator: random.Random) -> None:
    """Not a report: a loss, an end, or what must not matter."""
    choose, chance, trials = generator.choice, generator.random, duel.oracle.trials
    over = [other for other in trials if other.state != "running"]
    given_up = [other for other in trials if other.attempt]
    what = generator.randrange(12)
    failed = [other for other in trials if other.state == "failed"]
    if what == 0:
        duel.failed(trial, choose(FAILURES))
    elif what <= 2:
        duel.was_lost(trial, choose(LOSSES))
    elif what <= 4:
        duel.rejected(trial)
    elif what == 5:
        duel.refined(trial, SPACE.from_unit([chance(), chance(), chance()]))
    elif what == 6 and over:
        duel.ignored(choose(duel.events_after_the_end(choose(over), chance())))
    elif what >= 10 and failed:
        duel.retried(choose(failed))
    elif what in (8, 9):
        duel.finished(trial, choose([trial.resource or trial.until, trial.until]))
    elif what == 7 and given_up:
        late = choose(given_up)
        duel.ignored(choose(duel.late_events(late, late.attempt - 1, late.until, chance())))


def a_walk(name: str, seed: int) -> Duel:
    """One search with everything that can happen in it, drawn at random."""
    generator = random.Random(f"{name} {seed}")
    choose, chance = generator.choice, generator.random
    own = {"bracket_size": choose([None, 1, 2, 5, 9])} if name == "sh" else {}
    r, more = choose([1, 1, 2, 3]), choose([0, 1, 3, 7, 8, 17, 26])
    duel = Duel(
        name,
        min_resource=r,
        max_resource=r + more,
        reduction_factor=choose([2, 2, 3, 4]),
        mode=choose(["min", "max"]),
        max_trials=choose([None, 1, 5, 12, 25, 40]),
        max_retries=choose([0, 1, 2]),
        seed=generator.randrange(100),
        size=choose([None, None, None, 7, 20]),
        **own,
    )
    workers, trouble, skips = choose([1, 1, 2, 5]), choose([0, 0.05, 0.3]), choose([0, 0.3])
    noise = choose([0, 0.1, 3])  # of a unit, against the differences between trials

    def value(trial, unit):
        if chance() < trouble / 5:
            return choose(ODD)
        level = float(trial.number * 7919 % 11)
        return round(level + unit**0.5 + noise * (chance() - 0.5), choose([0, 3]))

    for _ in range(80):
        while len(duel.running()) < workers and duel.ask():
            pass
        if not duel.running():
            break
        trial = choose(duel.running())
        if chance() < trouble:
            something_else(duel, trial, generator)
        else:
            for unit in range(trial.resource + 1, trial.until + 1):
                if unit == trial.until or chance() >= skips:
                    duel.reported(trial, unit, value(trial, unit))
                if chance() < trouble / 5:
                    break
        duel.laws()
    return duel


@pytest.mark.slow
@pytest.mark.parametrize("name", MODEL_FREE)
def test_and_so_it_is_on_long_random_walks(name):
    for seed in range(WALKS):
        try:
            duel = a_walk(name, seed)
            duel.replay()
            if seed % 10 == 0:
                duel.replay_from_records()
            duel.finish()
        except AssertionError as broken:
            broken.add_note(f"a_walk({name!r}, {seed})")
            raise


def test_there_is_an_oracle_for_every_scheduler():
    assert set(ORACLES) == set(MODEL_FREE)
