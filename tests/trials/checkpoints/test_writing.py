"""Checkpoints written beside the training: in order, copied, and never told of before they are on disk."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import Configuration, Job, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from trials.checkpoints import files as checkpoints
from trials.checkpoints import trial_checkpoints
from trials.checkpoints.files import load_checkpoint
from trials.checkpoints.writer import Writer, snapshot
from trials.trial import Trial


def a_trial(folder: Path, sent: list[Report], *, beside: bool = True, until: int = 3) -> Trial:
    directory = RunDirectory(folder)
    directory.make_rooms()
    return Trial(
        Job(0, Configuration(("lr",), (0.1,)), 0, until, 0, seed=1),
        mode="max",
        max_resource=9,
        device="cpu",
        checkpoint=lambda kind: directory.trial_checkpoint(0, kind),
        task={},
        send=sent.append,
        writer=Writer(beside),
    )


def test_work_is_done_in_order_and_one_thread_does_it() -> None:
    writer, seen, threads = Writer(beside=True), [], set()

    def work(number: int) -> None:
        time.sleep(0.001)
        seen.append(number)
        threads.add(threading.current_thread().name)

    writer.begin(lambda: work(0))
    for number in range(1, 20):
        writer.add(lambda number=number: work(number))  # type: ignore[misc]
    writer.finish()
    assert seen == list(range(20))
    assert threads <= {"checkpoints", "MainThread"}


def test_with_nothing_begun_work_is_done_at_once_in_the_callers_thread() -> None:
    threads: list[str] = []
    for writer in (Writer(), Writer(beside=True)):
        writer.add(lambda: threads.append(threading.current_thread().name))
    assert threads == ["MainThread"] * 2


def test_an_error_stops_all_that_comes_after_it() -> None:
    writer, seen = Writer(beside=True), []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    writer.begin(fail)
    with pytest.raises(OSError, match="No space left"):
        writer.finish()
    for call in (writer.finish, lambda: writer.add(lambda: seen.append(1))):
        with pytest.raises(OSError, match="No space left"):
            call()
    assert seen == []


def test_a_report_leaves_after_its_checkpoint_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, order = threading.Event(), []

    def slow(path: Path, content: Any) -> None:
        gate.wait(10)
        checkpoints.save_checkpoint(path, content)
        order.append(("written", content["resource"]))

    monkeypatch.setattr(trial_checkpoints, "save_checkpoint", slow)
    sent: list[Report] = []
    trial = a_trial(tmp_path, sent)
    trial._send = lambda report: order.append(("told", report.resource))
    units = trial.units()
    next(units)
    trial.save({"w": torch.ones(3)}, wait=False)
    trial.report(0.5)
    assert next(units) == 2  # the second unit has begun, and nobody has heard of the first
    assert order == []
    gate.set()
    trial.finish()
    assert order == [("written", 1), ("told", 1)]


def test_what_training_does_meanwhile_does_not_reach_the_file(tmp_path: Path) -> None:
    sent: list[Report] = []
    trial = a_trial(tmp_path, sent)
    weights = torch.zeros(1000)
    for unit in trial.units():
        weights += 1
        trial.save({"w": weights, "list": [weights]}, wait=False)
        trial.report(unit)
        weights += 100  # in place, as an optimiser does
        weights -= 100
    trial.finish()
    for kind, expected in (("previous", 2.0), ("last", 3.0), ("best", 3.0)):
        content = load_checkpoint(RunDirectory(tmp_path).trial_checkpoint(0, kind))
        assert content["resource"] == expected
        assert torch.equal(content["state"]["w"], torch.full((1000,), expected))
    assert [report.resource for report in sent] == [1, 2, 3]


def test_a_full_disk_is_raised_and_the_unit_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(trial_checkpoints, "save_checkpoint", full)
    sent: list[Report] = []
    trial = a_trial(tmp_path, sent)

    def train() -> None:
        for unit in trial.units():
            trial.save({"w": torch.ones(1)}, wait=False)
            trial.report(unit)

    with pytest.raises(OSError, match="No space left"):
        train()
    with pytest.raises(OSError, match="No space left"):
        trial.finish()
    assert sent == []


@pytest.mark.parametrize("beside", [True, False])
def test_beside_or_not_the_files_and_the_reports_are_the_same(tmp_path: Path, beside: bool) -> None:
    sent: list[Report] = []
    trial = a_trial(tmp_path, sent, beside=beside, until=5)
    for unit, value in zip(trial.units(), [0.1, 0.5, 0.3, 0.6, 0.2], strict=True):
        trial.save({"unit": unit}, wait=False)
        trial.report(value)
    trial.finish()
    kept = {
        kind: load_checkpoint(RunDirectory(tmp_path).trial_checkpoint(0, kind))["state"]["unit"]
        for kind in ("previous", "last", "best")
    }
    assert kept == {"previous": 4, "last": 5, "best": 4}
    assert [(report.resource, report.value) for report in sent] == list(
        zip(range(1, 6), [0.1, 0.5, 0.3, 0.6, 0.2], strict=True)
    )


def test_a_snapshot_is_a_copy_that_keeps_kinds_and_sharing() -> None:
    tied = torch.arange(4.0)
    state = {
        "a": tied,
        "b": OrderedDict(c=tied, d=[1, "x", None, (2.5, b"y")]),
        "p": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "images": torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "size": torch.Size([1, 2]),
        "set": {1, 2},
    }
    copy = snapshot(state)
    tied += 1
    assert copy["a"].tolist() == [0, 1, 2, 3]
    assert copy["a"].data_ptr() == copy["b"]["c"].data_ptr()
    assert isinstance(copy["b"], OrderedDict)
    assert copy["b"]["d"] == [1, "x", None, (2.5, b"y")]
    assert isinstance(copy["p"], torch.nn.Parameter)
    assert not copy["p"].requires_grad
    assert copy["images"].is_contiguous(memory_format=torch.channels_last)
    assert copy["size"] == torch.Size([1, 2])
    assert copy["set"] == {1, 2}


class Versioned(nn.Module):
    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(100, 100, bias=False)
        self.other = self.one

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.other(self.one(x))
        return outputs


def test_what_is_written_beside_is_what_is_written_at_once(tmp_path: Path) -> None:
    """Tied weights once, module versions, views of one tensor, what requires a gradient."""
    base = torch.arange(10.0)
    state = {
        "model": Versioned().state_dict(),
        "free": torch.ones(3, requires_grad=True),
        "views": [base[:5], base[5:]],
        "wide": torch.zeros(1).expand(10**6),
        "in a set": {torch.ones(2)},
    }
    for name, kept in (("at once", state), ("beside", snapshot(state))):
        checkpoints.save_checkpoint(tmp_path / name, {"state": kept})
    sizes = [(tmp_path / name).stat().st_size for name in ("at once", "beside")]
    assert abs(sizes[0] - sizes[1]) < 200
    back = load_checkpoint(tmp_path / "beside")["state"]
    assert back["model"]._metadata[""] == {"version": 2}
    assert back["free"].requires_grad
    back["views"][0][:] = 7
    assert back["views"][0].untyped_storage().data_ptr() == back["views"][1].untyped_storage().data_ptr()
    assert torch.equal(snapshot(torch.eye(3).to_sparse()).to_dense(), torch.eye(3))
    before = next(iter(state["in a set"]))
    copy = next(iter(snapshot(state)["in a set"]))
    before += 1
    assert copy.tolist() == [1, 1]


@pytest.mark.long
def test_a_report_never_leaves_after_a_write_that_failed() -> None:
    """However the two threads take turns."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(2000):
            writer, told = Writer(beside=True), []

            def fail() -> None:
                raise OSError(28, "No space left on device")

            with contextlib.suppress(OSError):
                writer.begin(fail)
                writer.add(lambda told=told: told.append(1))  # type: ignore[misc]
            with pytest.raises(OSError, match="No space left"):
                writer.finish()
            assert told == []
    finally:
        sys.setswitchinterval(interval)
