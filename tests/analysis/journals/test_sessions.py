"""Runs of several sessions, and trials whose workers died, hung or ran out of memory, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis import load_run, time_split, time_to_target
from analysis.journals.runs import Run, Session
from analysis.report.run_report import summary_of
from tests.analysis.journals.test_metrics import REPORTS, write_run


def resume(t: float, held: int, slots: int) -> dict[str, Any]:
    return {"t": t, "type": "resume", "held": held, "devices": ["cpu"] * slots, "changes": {}}


def end(t: float, reason: str) -> dict[str, Any]:
    return {"t": t, "type": "end", "reason": reason}


def ready(t: float, slot: int, seconds: float = 0.5) -> dict[str, Any]:
    return {"t": t, "type": "worker", "slot": slot, "pid": 1, "device": "cpu", "seconds": seconds}


def lost(t: float, kind: str | None, trial: int = 0, attempt: int = 0) -> dict[str, Any]:
    kinds = {} if kind is None else {"kind": kind}
    return {"t": t, "type": "lost", "trial": trial, "attempt": attempt, "reason": "x", **kinds}


def failed(t: float, kind: str, trial: int = 0) -> dict[str, Any]:
    return {"t": t, "type": "failed", "trial": trial, "attempt": 0, "kind": kind, "error": "x"}


def job(t: float, trial: int = 0, **more: Any) -> dict[str, Any]:
    record = {"t": t, "type": "job", "slot": 0, "trial": trial, "start": 1, "until": 3, "attempt": 1}
    return {**record, **more}


# -- sessions --------------------------------------------------------------------------------------


@pytest.fixture
def resumed(tmp_path: Path) -> Run:
    """10 s with 2 devices, then 10 s with 4 workers on 3 devices."""
    late = [(t + (5 if t > 4 else 0), *rest) for t, *rest in REPORTS]
    workers = tuple(ready(12.0, slot) for slot in range(3))
    extra = (end(10.0, "budget"), resume(10.0, 3, 4), *workers)
    return load_run(write_run(tmp_path, late, end=20.0, extra=extra))  # type: ignore[arg-type]


def test_each_session_has_its_own_devices_and_workers(resumed: Run) -> None:
    assert resumed.sessions == [Session(0.0, 2, 2), Session(10.0, 3, 4)]
    assert resumed.slots == 4
    assert (resumed.reason, resumed.end) == ("complete", 20.0)


@pytest.mark.parametrize(
    ("t", "device_seconds", "worker_seconds"),
    [(0.0, 0.0, 0.0), (5.0, 10.0, 10.0), (10.0, 20.0, 20.0), (15.0, 35.0, 40.0), (20.0, 50.0, 60.0)],
)
def test_device_and_worker_seconds_are_those_of_each_session(
    t: float, device_seconds: float, worker_seconds: float, resumed: Run
) -> None:
    assert resumed.device_seconds(t) == device_seconds
    assert resumed.worker_seconds(t) == worker_seconds


def test_a_target_reached_in_the_second_session_cost_both(resumed: Run) -> None:
    reached = time_to_target(resumed, 0.9)
    assert (reached.seconds, reached.units) == (13.0, 5)
    assert reached.gpu_hours == pytest.approx((10 * 2 + 3 * 3) / 3600)
    never = time_to_target(resumed, 0.95)
    assert never.gpu_hours == pytest.approx(50 / 3600)


def test_the_summary_counts_sessions_and_what_they_held(resumed: Run) -> None:
    summary = summary_of(resumed, [])
    assert summary["sessions"] == 2
    assert summary["gpu_hours"] == pytest.approx(50 / 3600)
    assert summary["ended"] == "complete"


def test_starting_is_counted_in_each_session(resumed: Run) -> None:
    # 2 workers for 1 s; 3 for 2 s; the fourth of the second session never came: 10 s
    split = time_split(resumed)
    assert split.starting == 2 * 1 + 3 * 2 + 10
    assert split.total == pytest.approx(60.0)
    assert split.training == 10.0


def test_a_worker_that_replaced_another_started_as_long_as_it_says(tmp_path: Path) -> None:
    extra = (ready(5.0, 0, 0.75), resume(10.0, 2, 2), ready(11.0, 0), ready(12.0, 1), ready(15.0, 1, 0.25))
    split = time_split(load_run(write_run(tmp_path, REPORTS, end=20.0, extra=extra)))
    assert split.starting == 2 * 1 + 0.75 + 1 + 2 + 0.25


def test_a_session_without_the_others_end_was_killed_until_one_ends(tmp_path: Path) -> None:
    first = load_run(write_run(tmp_path / "a", REPORTS, extra=(end(10.0, "budget"), resume(10.0, 2, 2))))
    assert (first.reason, first.end) == ("killed", 10.0)
    later = (end(10.0, "budget"), resume(10.0, 2, 2), {"t": 40.0, "type": "alive"})
    second = load_run(write_run(tmp_path / "b", REPORTS, extra=later))
    assert (second.reason, second.end) == ("killed", 40.0)
    both = (resume(10.0, 2, 2), end(12.0, "interrupted"))
    third = load_run(write_run(tmp_path / "c", REPORTS, extra=both))
    assert (third.reason, third.end, len(third.sessions)) == ("interrupted", 12.0, 2)


def test_what_is_of_no_trial_disturbs_nothing(tmp_path: Path) -> None:
    plain = load_run(write_run(tmp_path / "a", REPORTS, end=10.0))
    others = (
        {"t": 3.0, "type": "alive"},
        {"t": 3.0, "type": "retired", "slot": 1, "reason": "x"},
        {"t": 3.0, "type": "a kind of a later version", "x": 1},
    )
    run = load_run(write_run(tmp_path / "b", REPORTS, end=10.0, extra=others))
    assert summary_of(run, [0.5]) | {"run": ""} == summary_of(plain, [0.5]) | {"run": ""}


# -- faults ----------------------------------------------------------------------------------------


def state(tmp_path: Path, *records: dict[str, Any]) -> tuple[str, int, bool]:
    trial = load_run(write_run(tmp_path, [(1.0, 0, 1, 0.5)], extra=records)).trials[0]
    return trial.state, trial.faults, trial.alone


@pytest.mark.parametrize("kind", ["died", "hung", None])
def test_a_trial_whose_worker_died_or_hung_too_often_failed(kind: str | None, tmp_path: Path) -> None:
    losses = [lost(2.0 + n, kind, attempt=n) for n in range(3)]
    assert state(tmp_path / "a", *losses[:2]) == ("paused", 2, False)
    assert state(tmp_path / "b", *losses) == ("failed", 3, False)


@pytest.mark.parametrize("kind", ["stopped", "engine", "disk", "not-begun"])
def test_losses_that_are_nobodys_fault_are_not_counted(kind: str, tmp_path: Path) -> None:
    losses = [lost(2.0 + n, kind, attempt=n) for n in range(5)]
    assert state(tmp_path / "a", *losses) == ("paused", 0, False)
    faults = [lost(8.0 + n, "died", attempt=5 + n) for n in range(3)]
    assert state(tmp_path / "b", *losses, *faults[:2]) == ("paused", 2, False)
    assert state(tmp_path / "c", *losses, *faults) == ("failed", 3, False)


def test_memory_that_ran_out_once_is_no_failure_and_twice_is_one(tmp_path: Path) -> None:
    once = failed(2.0, "oom")
    again = job(3.0, alone=True)
    assert state(tmp_path / "a", once)[0] == "paused"
    assert state(tmp_path / "b", once, again) == ("paused", 0, True)
    assert state(tmp_path / "c", once, again, failed(4.0, "oom")) == ("failed", 0, True)


@pytest.mark.parametrize("kind", ["error", "setup", "timeout"])
def test_other_failures_are_failures(kind: str, tmp_path: Path) -> None:
    assert state(tmp_path, failed(2.0, kind))[0] == "failed"
