"""Random searches in which everything happens: losses, memory, full disks, slots given up, kills, stops.

Whatever comes, each job closes once, nobody is left behind, and the journal rebuilds the scheduler.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from asha_core.messages import Failed, Lost, Refined, Rejected, closes
from asha_core.runtime.budget import Budget
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Observer
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.records import read_event, to_json
from asha_core.runtime.trial_timeouts import Limits
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.state import Status
from tests.asha_core.runtime.crowd import Crowd
from tests.asha_core.runtime.engine_doubles import SPACE, ManualClock, train
from tests.asha_core.runtime.storage.test_disk import Watch
from tests.asha_core.runtime.test_loop import ClosingJournal

WALKS = 25
KINDS = ("died", "died", "hung", "disk", "not-begun", "engine")


class Moody(Crowd):
    """Some units take very long."""

    luck: random.Random

    def _schedule(self, slot):
        super()._schedule(slot)
        if self._occupied[slot] is not None and self.luck.random() < 0.03:
            self._occupied[slot].due += 20.0


class Mischief(Observer):
    """Retires slots, fills the disk and asks for a stop, now and then."""

    def __init__(self, generator, executor, watch, stop, stops):
        self.generator, self.executor, self.watch, self.stop = generator, executor, watch, stop
        self.stops = stops

    def on_tick(self, view):
        luck = self.generator.random()
        self.watch.room = 0 if luck < 0.02 else 10**12
        in_use = [slot for slot in range(len(self.executor.devices)) if slot not in self.executor.retired]
        if 0.02 < luck < 0.03 and len(in_use) > 1:
            self.executor.retire(self.generator.choice(in_use))
        self.stop.requested |= self.stops and 0.03 < luck < 0.04


def walk(name, seed, path):
    """(how it ended, the scheduler, the journal's records, a fresh scheduler)."""
    generator = random.Random(f"{name} {seed}")
    chance, choose = generator.random, generator.choice
    trouble = choose([0.02, 0.1, 0.3])
    settings = {
        "max_resource": choose([3, 9]),
        "max_trials": choose([1, 8, 25]),
        "max_retries": choose([0, 2]),
        "seed": seed,
    }

    def work(job, resource):
        luck = chance()
        if luck > trouble:
            return train(job, resource)
        if chance() < 0.5:
            return [Lost(job.trial, job.attempt, f"{choose('abcdefgh')} was lost", choose(KINDS))]
        kind = choose(["error", "oom", "oom", "timeout"] + ["invalid"] * (seed % 2))
        return [Failed(job.trial, job.attempt, f"{choose('abcdefgh')} went wrong", kind)]

    def before(job):
        if not job.refine:
            return []
        luck = chance()
        if luck < 0.1:
            return [Rejected(job.trial, "diverges", 0.1)]
        return [Refined(job.trial, SPACE.from_unit([chance() for _ in range(3)]), 0.2)] if luck < 0.5 else []

    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()
    devices = [choose("ab") for _ in range(choose([1, 2, 3, 6]))]
    executor = Moody(clock, devices, work, stop_seconds=choose([0.0, 2.0, 20.0]))
    executor._before, executor.luck = before, generator
    watch = Watch(path, len(devices))
    scheduler = scheduler_class(name)(SPACE, **settings)
    budget = choose([None, None, Budget(seconds=10.0, devices=len(devices))])
    mischief = Mischief(generator, executor, watch, stop, seed % 5 == 0)
    limits = Limits(choose([None, 5.0, 30.0]), choose([None, 3.0]))
    search = Search(
        scheduler, executor, journal, clock, budget, [mischief], limits=limits, disk=watch, stop=stop
    )
    outcome = search.run()
    return outcome, scheduler, journal.records, scheduler_class(name)(SPACE, **settings)


def every_job_closes_once(records):
    running, slots = {}, {}
    for record in records:
        if record["type"] == "job":
            assert record["trial"] not in running
            assert record["slot"] not in slots.values(), "two jobs in one slot"
            slots[record["trial"]] = record["slot"]
            running[record["trial"]] = record
        event = read_event(record)
        if event is None:
            continue
        assert event.trial in running, f"{event} of nobody who runs"
        job = running[event.trial]
        assert getattr(event, "attempt", job["attempt"]) == job["attempt"]

        class This:
            attempt, until = job["attempt"], job["until"]

        if closes(event, This):
            del running[event.trial], slots[event.trial]
    assert not running


@pytest.mark.parametrize("name", MODEL_FREE)
def test_whatever_happens_each_job_closes_once_and_nobody_is_left_behind(name, tmp_path):
    reasons = set()
    for seed in range(WALKS):
        try:
            outcome, scheduler, records, fresh = walk(name, seed, tmp_path)
            reasons.add(outcome.reason)
            every_job_closes_once(records)
            if outcome.reason == "complete":
                over = (Status.RUNNING, Status.WAITING)
                assert not any(trial.status in over for trial in scheduler.trials)
                assert outcome.trials == scheduler.max_trials
                assert scheduler.ask() is None
            assert not any(trial.status == Status.RUNNING for trial in scheduler.trials)
            assert max((trial.faults for trial in scheduler.trials), default=0) <= scheduler.max_retries + 1
            lines = [json.loads(to_json(record)) for record in records]
            earlier = replay(Path("journal"), lines, fresh)
            assert (earlier.running, earlier.reason) == ({}, outcome.reason)
            assert (fresh.counts(), fresh.best, fresh.units) == (
                scheduler.counts(),
                scheduler.best,
                scheduler.units,
            )
            assert fresh.ask() == scheduler.ask()
        except BaseException as broken:
            broken.add_note(f"walk({name!r}, {seed})")
            raise
    assert {"complete", "budget"} <= reasons
