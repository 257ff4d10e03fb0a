"""The engine in virtual time: real searches' decisions, at exact moments, and the same journal each time."""

from __future__ import annotations

import sys
import time

import pytest

from asha_core import ASHA, simulate, tune
from asha_core.launch.replaceable import make_scheduler
from asha_core.messages import Job
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.runtime.trial_timeouts import Limits
from asha_core.simulation.faults import Faults
from asha_core.simulation.task import CurvesTask
from tests.asha_core.simulation.simulated import CORE, SPACE, engine, lines, table


def scheduler(name="asha", **settings):
    return make_scheduler(name, SPACE, {"max_resource": 9, "seed": 3, **settings}, {}, {})


def decisions(records):
    """Jobs and what was reported, in order; what a trial reports again is left out."""
    seen, found = set(), []
    for record in records:
        if record["type"] == "job":
            found.append(("job", record["trial"], record["start"], record["until"]))
        elif record["type"] == "report" and (record["trial"], record["resource"]) not in seen:
            seen.add((record["trial"], record["resource"]))
            found.append(("report", record["trial"], record["resource"], str(record["value"])))
        elif record["type"] in ("finished", "failed"):
            found.append((record["type"], record["trial"]))
    return found


@pytest.mark.parametrize("name", CORE)
def test_a_search_in_process_takes_the_same_decisions_in_the_same_order(name, tmp_path):
    curves = table(odd=True)
    here = scheduler(name, searcher=curves.searcher(3))
    tune(CurvesTask(curves), here, gpus="inline", results_dir=tmp_path / "here", progress="none")
    _, journal = engine(curves, scheduler(name))
    assert decisions(lines(tmp_path / "here" / "journal.jsonl")) == decisions(journal.records)
    assert len(journal.records) > 100


@pytest.mark.parametrize("workers", [1, 5, 64])
@pytest.mark.parametrize("name", CORE)
def test_the_library_decides_as_the_engine_does(name, workers):
    curves, told = table(odd=True), []
    mine = scheduler(name)
    ask, tell = mine.ask, mine.tell
    mine.ask = lambda: _noted(ask(), told)
    mine.tell = lambda event: (told.append(event), tell(event))[1]
    found = simulate(mine, curves, workers=workers, budget=30.0)
    theirs, heard = scheduler(name), []
    ask_too, tell_too = theirs.ask, theirs.tell
    theirs.ask = lambda: _noted(ask_too(), heard)
    theirs.tell = lambda event: (heard.append(event), tell_too(event))[1]
    outcome, _ = engine(curves, theirs, workers=workers, budget=30.0)
    assert heard[: len(told)] == told
    assert all(getattr(event, "kind", "") == "stopped" for event in heard[len(told) :])
    assert (outcome.reason, outcome.seconds, outcome.units) == (found.reason, found.seconds, found.units)


@pytest.mark.parametrize("budget", [7.0, 16.5])
def test_decisions_past_the_deadline_end_alike_in_the_library_and_the_engine(budget, tmp_path):
    curves = table(seconds=False)
    found = simulate(scheduler(), curves, workers=17, budget=budget, decision_seconds=0.25)
    result = tune(
        curves, scheduler(), workers=17, budget=budget, decision_seconds=0.25, results_dir=tmp_path / "here",
        progress="none",
    )  # fmt: skip
    outcome = result.outcome
    assert (outcome.reason, outcome.seconds, outcome.units) == (found.reason, found.seconds, found.units)
    assert found.seconds >= budget


def _noted(job, told):
    if job is not None:
        told.append(job)
    return job


@pytest.mark.parametrize("faults", [None, Faults(1, slow_share=0.2, fail_share=0.1, lost_every=20.0)])
def test_a_journal_that_is_cut_anywhere_goes_on_to_the_same_journal(tmp_path, faults):
    curves, path = table(odd=True, arms=("baseline", "warm")), tmp_path / "whole.jsonl"
    how = {"workers": 6, "arm": "warm", "faults": faults, "budget": 25.0, "limits": Limits(12.0, 6.0)}
    engine(curves, scheduler(), path=path, **how)
    whole, data = lines(path), path.read_bytes()
    assert len(whole) > 100
    step = 7 if faults is None else 11
    for end in range(len(data.split(b"\n")[0]) + 1, len(data), len(data) // 40 + step):
        cut = tmp_path / f"{end}.jsonl"
        cut.write_bytes(data[:end])
        engine(curves, scheduler(), path=cut, past=read_journal(cut), **how)
        assert lines(cut) == whole, end


def test_a_search_that_was_ended_by_its_budget_goes_on_with_more(tmp_path):
    curves, path = table(), tmp_path / "journal.jsonl"
    first, _ = engine(curves, scheduler(), path=path, workers=3, budget=10.0)
    assert (first.reason, first.seconds) == ("budget", 10.0)
    second, _ = engine(curves, scheduler(), path=path, past=read_journal(path), workers=2)
    assert (second.reason, second.trials) == ("complete", 40)


def test_nothing_reads_real_time(tmp_path, monkeypatch):
    def asked(*_):
        caller = sys._getframe(1).f_code.co_filename
        if caller.endswith("interrupts.py"):  # how long signals are not heard at the end
            return 0.0
        raise AssertionError(f"{caller} asks what time it is")

    curves, path = table(), tmp_path / "journal.jsonl"
    for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "sleep"):
        monkeypatch.setattr(time, name, asked)
    outcome, _ = engine(curves, scheduler(), path=path, workers=4)
    monkeypatch.undo()
    assert outcome.reason == "complete"


def test_time_outs_strike_at_their_very_moment():
    curves = table(seconds=False)
    outcome, journal = engine(curves, scheduler(min_resource=9), workers=3, limits=Limits(4.5, None))
    failed = [record["t"] for record in journal.records if record["type"] == "failed"]
    assert failed == [4.5 * (1 + n // 3) for n in range(40)]
    assert outcome.failures == 40


def test_waiting_is_one_step_however_long_it_is():
    curves = table(rows=3, units=3)
    object.__setattr__(curves, "seconds", curves.seconds * 1e7)
    outcome, journal = engine(curves, scheduler(max_resource=3), workers=2)
    assert outcome.seconds > 1e7
    assert {record["type"] for record in journal.records} == {"job", "report", "end"}


def test_a_journal_in_virtual_time_is_handed_on_at_its_end_with_times_that_are_not_rounded(tmp_path):
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path, virtual=True)
    writer.append(0.1 + 0.2, [{"type": "notice", "text": "so"}])
    assert path.read_bytes().count(b"\n") == 1  # the header
    writer.close()
    writer.close()
    assert read_journal(path).records == [{"t": 0.1 + 0.2, "type": "notice", "text": "so"}]


# -- what goes wrong on purpose ----------------------------------------------------------------------


def _finished(faults, **settings):
    mine = scheduler(min_resource=9, **settings)
    return engine(table(rows=200), mine, workers=20, faults=faults), mine


def test_a_share_of_the_units_is_slow_and_nothing_else_changes():
    (calm, _), _ = _finished(None)
    (slow, _), _ = _finished(Faults(0, slow_share=0.1, slow_factor=11.0))
    assert slow.units == calm.units
    assert slow.training_seconds / calm.training_seconds == pytest.approx(2.0, rel=0.15)


def test_a_share_of_the_trials_fails_the_same_ones_in_every_search():
    (outcome, _), mine = _finished(Faults(0, fail_share=0.25))
    assert outcome.failures / 200 == pytest.approx(0.25, abs=0.08)
    (_, _), again = _finished(Faults(0, fail_share=0.25))
    assert [trial.status for trial in mine.trials] == [trial.status for trial in again.trials]


def test_workers_are_lost_at_a_rate_and_their_jobs_go_again_from_the_last_unit():
    (outcome, journal), _ = _finished(Faults(0, lost_every=10.0), max_retries=1000)
    lost = [record for record in journal.records if record["type"] == "lost"]
    assert len(lost) / (outcome.gpu_seconds / 10.0) == pytest.approx(1.0, rel=0.2)
    assert outcome.failures == 0
    assert outcome.units == 200 * 9
    (outcome, _), _ = _finished(Faults(0, lost_every=30.0), max_retries=0)
    assert 0 < outcome.failures < 200


def test_a_decision_that_takes_time_keeps_workers_waiting():
    curves = table(rows=20, units=9, seconds=False)
    quick = simulate(ASHA(SPACE, max_resource=9), curves, workers=10)
    slow = simulate(ASHA(SPACE, max_resource=9), curves, workers=10, decision_seconds=1.0)
    assert slow.seconds > quick.seconds + 10
    assert isinstance(ASHA(SPACE).ask(), Job)
