"""What a task may do with its trial, and what it is told when it may not."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asha_core.errors import ReportError, ResultsError
from asha_core.messages import Report
from asha_core.runtime.results import read_best_note
from tests.trials.jobs import job
from trials.checkpoints import check_state, load_checkpoint, save_checkpoint
from trials.trial import Trial


def trial(folder: Path, start: int = 0, until: int = 5, mode: str = "max") -> tuple[Trial, list[Report]]:
    sent: list[Report] = []
    handle = Trial(
        job(start=start, until=until),
        mode=mode,
        max_resource=9,
        device="cpu",
        checkpoint=lambda kind: folder / f"{kind}.pt",
        task={"target": "t:T", "options": {}},
        send=sent.append,
    )
    return handle, sent


def train(handle: Trial, values: list[float]) -> None:
    handle.resume_from()
    for unit in handle.units():
        handle.save({"unit": unit})
        handle.report(values[unit - 1])


def test_resume_goes_on_after_the_last_unit_saved(tmp_path: Path) -> None:
    first, _ = trial(tmp_path, until=2)
    train(first, [0.1, 0.2])
    second, sent = trial(tmp_path, start=2, until=4)
    assert second.resume_from() == {"unit": 2}
    assert second.resumed == 2
    for unit in second.units():
        second.report(unit)
    assert [report.resource for report in sent] == [3, 4]


def test_without_a_checkpoint_a_promoted_trial_starts_again(tmp_path: Path) -> None:
    handle, sent = trial(tmp_path, start=2, until=3)
    assert handle.resume_from() is None
    for unit in handle.units():
        handle.report(unit)
    assert [report.resource for report in sent] == [1, 2, 3]


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("max", [0.1, 0.5, 0.3, 0.5, 0.2], 2),
        ("min", [0.4, 0.5, 0.3, 0.5, 0.2], 5),
        ("max", [math.nan, math.inf, 0.1, -math.inf, 0.0], 3),
    ],
)
def test_the_best_checkpoint_is_that_of_the_best_value_across_jobs(
    mode: str, values: list[float], best: int, tmp_path: Path
) -> None:
    for start, until in ((0, 1), (1, 4), (4, 5)):
        handle, _ = trial(tmp_path, start, until, mode)
        train(handle, values)
    assert load_checkpoint(tmp_path / "best.pt")["resource"] == best
    assert load_checkpoint(tmp_path / "last.pt")["resource"] == 5


def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handle, _ = trial(tmp_path, until=2)
    train(handle, [0.1, 0.2])
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    again, _ = trial(tmp_path, start=2, until=3)
    assert again.resume_from() == {"unit": 1}
    assert re.search(r"last\.pt is damaged \(\w+\); passed over\n$", capsys.readouterr().out)
    (tmp_path / "previous.pt").write_bytes(b"")
    afresh, _ = trial(tmp_path, start=2, until=3)
    assert afresh.resume_from() is None
    assert "the trial restarts from unit 1" in capsys.readouterr().out


def test_a_torn_note_on_the_best_costs_nothing_but_the_note(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path, until=2)
    train(handle, [0.1, 0.2])
    (tmp_path / "best.json").write_text("")
    again, sent = trial(tmp_path, start=2, until=3)
    train(again, [0.1, 0.2, 0.15])
    assert [report.resource for report in sent] == [3]
    assert load_checkpoint(tmp_path / "best.pt")["resource"] == 3


def test_a_best_that_was_never_reported_is_forgotten(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path, until=2)
    train(handle, [0.7, 0.9])  # the worker is killed before the second report leaves it
    again, _ = trial(tmp_path, start=1, until=2)
    train(again, [0.7, 0.8])
    assert read_best_note(tmp_path / "best.pt") == {"value": 0.8, "resource": 2}


def test_without_hard_links_the_best_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    handle, _ = trial(tmp_path, until=2)
    train(handle, [0.1, 0.2])
    assert load_checkpoint(tmp_path / "best.pt")["resource"] == 2


def test_a_checkpoint_whose_report_never_arrived_is_passed_over(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path, until=3)
    for unit in handle.units():
        handle.save({"unit": unit})
        if unit == 3:
            break  # killed here
        handle.report(unit)
    again, _ = trial(tmp_path, start=2, until=3)
    assert again.resume_from() == {"unit": 2}
    assert next(again.units()) == 3


def test_a_second_kill_still_finds_the_good_checkpoint(tmp_path: Path) -> None:
    first, _ = trial(tmp_path, until=3)
    for unit in first.units():
        first.save({"unit": unit})
        if unit == 3:
            break  # killed before its report
        first.report(unit)
    for _ in range(2):
        again, _ = trial(tmp_path, start=2, until=3)
        assert again.resume_from() == {"unit": 2}
        for unit in again.units():
            again.save({"unit": unit})
            break  # and killed there once more


def test_resuming_inside_the_loop_is_refused(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    with pytest.raises(ReportError, match="before the loop"):
        for _ in handle.units():
            handle.resume_from()


def test_saving_outside_the_loop_is_refused(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    with pytest.raises(ReportError, match=r"outside of `for unit in trial\.units\(\)`"):
        handle.save({})


def test_a_unit_without_a_report_is_refused(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    with pytest.raises(ReportError, match="finished unit 1 without"):
        for _ in handle.units():
            pass


@pytest.mark.parametrize("value", [None, "high", [1], object()])
def test_a_value_that_is_not_a_number_is_refused(value: Any, tmp_path: Path) -> None:
    handle, sent = trial(tmp_path)
    with pytest.raises(ReportError, match="report a number"):
        handle.report(value)
    assert not sent


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), torch.tensor(0.5), math.nan])
def test_anything_that_is_a_number_is_taken(value: Any, tmp_path: Path) -> None:
    handle, sent = trial(tmp_path)
    handle.report(value, extra=value)
    assert type(sent[0].value) is float
    assert type(sent[0].metrics["extra"]) is float


@pytest.mark.parametrize(
    "state",
    [{"a": [1, 2.0, "x", None, True]}, {"t": torch.arange(3)}, {1: {"n": (1, 2)}}, torch.zeros(2), b"raw"],
)
def test_states_come_back_as_they_were(state: Any, tmp_path: Path) -> None:
    check_state(state)
    save_checkpoint(tmp_path / "c.pt", {"state": state})
    back = load_checkpoint(tmp_path / "c.pt")["state"]
    assert str(back) == str(state)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": np.zeros(2)}, r"state\['a'\] is a ndarray.*torch\.from_numpy"),
        ({"a": [1, object()]}, r"state\['a'\]\[1\] is a object"),
        (np.float64(1.0), r"float\(x\)"),
        ({"d": defaultdict(int)}, r"state\['d'\] is a defaultdict"),
        (torch.nn.Linear(1, 1), "state_dict"),
    ],
)
def test_states_that_could_run_code_are_refused_where_they_are_saved(state: Any, where: str) -> None:
    with pytest.raises(ReportError, match=where):
        check_state(state)


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "c.pt")
    with pytest.raises(ResultsError, match="format 1"):
        load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(ResultsError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
