"""What a unit of training costs: seconds by phase, and memory at its peak."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core import Report
from asha_core.errors import ReportError
from tests.trials.jobs import function_task, hurries, job, reports
from tests.trials.workers import digits_job, events_of
from trials.costs import meter as costs_module
from trials.costs.meter import Costs, MemoryPeaks, device_used, host_peak
from trials.tasks.digits import Digits
from trials.trial import Trial

SECONDS = ("train_seconds", "evaluate_seconds", "checkpoint_seconds", "start_seconds")


# -- seconds ---------------------------------------------------------------------------------------


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(st.integers(1, 10**7), lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12)
)
def test_every_second_is_in_one_phase_at_most(tree: Any) -> None:
    """Phases inside of phases: each leaf is time that passes in the phase around it, and nowhere else."""
    hands, expected, costs = Hands(), dict.fromkeys(SECONDS, 0), Costs()
    names = itertools.cycle(SECONDS)

    def walk(part: Any, around: str | None) -> None:
        if isinstance(part, int):
            hands.now += part / 1e6
            if around is not None:
                expected[around] += part
            return
        name = next(names)
        with costs.timed(name):
            for each in part:
                walk(each, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs_module, "time", hands)
        walk(tree, None)
        told = costs.complete(hands.now)
    for name, micros in expected.items():
        assert told.get(name, 0.0) == pytest.approx(micros / 1e6, abs=1.1e-6)
    assert sum(told.values()) <= hands.now + 1e-9
    assert costs.complete(hands.now) == {}  # nothing is told twice


def test_a_unit_that_ends_inside_of_a_phase_hands_the_rest_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hands, costs = Hands(), Costs()
    monkeypatch.setattr(costs_module, "time", hands)
    with costs.timed("train_seconds"):
        hands.now = 3.0
        assert costs.so_far() == {"train_seconds": 3.0}
        assert costs.complete(hands.now) == {"train_seconds": 3.0}
        hands.now = 5.0
    assert costs.complete(hands.now) == {"train_seconds": 2.0}


@pytest.mark.long
def test_phases_of_a_real_trial_are_within_its_seconds_and_most_of_them(tmp_path: Path) -> None:
    sent = events_of(Digits(), tmp_path, [digits_job(until=2), digits_job(start=2, until=4)])
    assert [report.resource for report in sent] == [1, 2, 3, 4]
    for report in sent:
        phases = {name: report.costs[name] for name in SECONDS if name in report.costs}
        assert all(seconds >= 0 for seconds in phases.values())
        assert sum(phases.values()) <= report.seconds
        assert report.costs["train_seconds"] > 0
        assert report.costs["evaluate_seconds"] > 0
        assert report.costs["checkpoint_seconds"] > 0
    for report in (sent[1], sent[3]):  # nothing was counted anew there: what is left is a few calls
        assert sum(report.costs.get(name, 0.0) for name in SECONDS) >= 0.5 * report.seconds
    assert ["start_seconds" in report.costs for report in sent] == [True, False, True, False]


def test_a_plain_function_has_the_phases_that_its_trial_knows_of(tmp_path: Path) -> None:
    saved = events_of(function_task(hurries), tmp_path / "a", [job(until=2)])
    unsaved = events_of(function_task(reports), tmp_path / "b", [job(until=2)])
    memory = {"host_bytes"}
    assert [set(report.costs) - memory for report in saved] == [
        {"start_seconds", "checkpoint_seconds"},
        {"checkpoint_seconds"},
    ]
    assert [set(report.costs) - memory for report in unsaved] == [{"start_seconds"}, set()]


def adds(trial: Trial) -> None:
    for _ in trial.units():
        with trial.costs.timed("simulate_seconds"):
            time.sleep(0.002)
        trial.costs.add("flops", 2e9)
        trial.costs.add("flops", 1)
        trial.report(0.0)


def test_a_plain_function_may_tell_of_costs_of_its_own(tmp_path: Path) -> None:
    for report in events_of(function_task(adds), tmp_path, [job(until=2)]):
        assert report.costs["flops"] == 2e9 + 1
        assert 0.002 <= report.costs["simulate_seconds"] <= report.seconds


@pytest.mark.parametrize("odd", ["many", None, 10**400])
def test_a_cost_that_is_no_number_is_refused_by_name(odd: Any) -> None:
    with pytest.raises(ReportError, match="the cost flops is a"):
        Costs().add("flops", odd)


def test_a_unit_in_two_sittings_has_the_costs_of_both(tmp_path: Path) -> None:
    """It is left after a third of its steps; operations do not depend on where."""
    whole = events_of(Digits(), tmp_path / "whole", [digits_job(until=1)])[0]
    asked = itertools.count()
    first = events_of(Digits(), tmp_path / "two", [digits_job(until=1)], stopping=lambda: next(asked) >= 11)
    assert not [event for event in first if isinstance(event, Report)]
    kept = torch.load(tmp_path / "two" / "checkpoints" / "trial-10-unfinished.pt")
    half = kept["costs"]
    assert 0 < half["flops"] < whole.costs["flops"]
    assert half["train_seconds"] <= kept["seconds"]
    last = events_of(Digits(), tmp_path / "two", [digits_job(until=1)])[-1]
    assert last.value == whole.value
    assert 0 < half["train_batches"] < whole.costs["train_batches"] == 1077 // 32
    for name in ("flops", "evaluate_flops", "train_batches"):
        assert last.costs[name] == whole.costs[name]
    assert last.costs["train_seconds"] > half["train_seconds"]
    assert sum(last.costs.get(name, 0.0) for name in SECONDS) <= last.seconds


# -- memory ----------------------------------------------------------------------------------------

MIB = 2**20


def takes(mebibytes: int) -> Callable[[Trial], None]:
    def train(trial: Trial) -> None:
        for _ in trial.units():
            block = bytearray(mebibytes * MIB)
            block[::4096] = b"x" * len(block[::4096])  # every page of it
            del block
            trial.report(0.0)

    return train


def forgets_peaks() -> bool:
    """Whether this system lets a process forget its peak."""
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    high = host_peak()
    del block
    MemoryPeaks("cpu").begin()
    return host_peak() < high - 32 * MIB


def test_a_job_tells_of_its_own_peak_and_not_of_an_earlier_one(tmp_path: Path) -> None:
    if not forgets_peaks():
        pytest.skip("this system does not let a process forget its peak of memory")
    plain = events_of(function_task(takes(1)), tmp_path, [job(0, until=1)])[0].costs["host_bytes"]
    large = events_of(function_task(takes(200)), tmp_path, [job(1, until=1)])[0].costs["host_bytes"]
    after = events_of(function_task(takes(1)), tmp_path, [job(2, until=1)])[0].costs["host_bytes"]
    assert large - plain == pytest.approx(199 * MIB, rel=0.1)
    assert after < large - 150 * MIB


class FakeCuda:
    """A GPU whose driver says what it is told to."""

    def __init__(self, nvml: bool) -> None:
        self.nvml, self.used, self.resets = nvml, 0, 0

    def is_initialized(self) -> bool:
        return True

    def reset_peak_memory_stats(self, device: str) -> None:
        self.resets += 1

    def max_memory_allocated(self, device: str) -> int:
        return 5 * MIB

    def max_memory_reserved(self, device: str) -> int:
        return 8 * MIB

    def device_memory_used(self, device: str) -> int:
        if not self.nvml:
            raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")
        return self.used

    def mem_get_info(self, device: str) -> tuple[int, int]:
        return 100 * MIB - self.used, 100 * MIB


@pytest.mark.parametrize("nvml", [True, False])
def test_a_device_is_as_full_as_it_was_at_most_since_the_job_began(
    nvml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda(nvml)
    monkeypatch.setitem(costs_module.sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[attr-defined]
    peaks = MemoryPeaks("cuda:0")
    seen = []
    for used in (20, 50, 30):
        cuda.used = used * MIB
        assert device_used(cuda, "cuda:0") == used * MIB
        seen.append(peaks()["device_bytes"] // MIB)
    assert seen == [20, 50, 50]
    peaks.begin()
    assert cuda.resets == 1
    assert peaks()["device_bytes"] == 30 * MIB
    assert (peaks()["gpu_bytes"], peaks()["gpu_reserved_bytes"]) == (5 * MIB, 8 * MIB)
    assert not {"gpu_bytes", "device_bytes"} & set(MemoryPeaks("cpu")())


def test_a_gpu_that_takes_no_orders_any_more_does_not_end_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(is_initialized=lambda: True, max_memory_allocated=lambda device: 1 / 0)
    monkeypatch.setitem(costs_module.sys.modules, "torch", SimpleNamespace(cuda=broken))  # type: ignore[attr-defined]
    peaks = MemoryPeaks("cuda:0")
    peaks.begin()
    assert "gpu_bytes" not in peaks()


def test_telling_costs_takes_microseconds() -> None:
    """50 are allowed for a report of a task that does nothing else; the best of many, on a busy machine."""
    costs = Costs(MemoryPeaks("cpu"))

    def once() -> float:
        began = time.perf_counter()
        with costs.timed("checkpoint_seconds"):
            pass
        costs.complete(time.perf_counter())
        return time.perf_counter() - began

    assert min(once() for _ in range(300)) < 50e-6
