"""What a task may do with its trial, and what it is told when it may not."""

from __future__ import annotations

import errno
import math
import os
import re
import sys
import time
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asha_core.errors import ReportError, ResultsError
from asha_core.messages import Report
from asha_core.runtime.storage.results import read_best_note
from tests.trials.jobs import job
from trials.checkpoints.files import check_state, load_checkpoint, save_checkpoint
from trials.trial import JobStopped, Trial


def trial(
    folder: Path, start: int = 0, until: int = 5, mode: str = "max", x: float = 0.25, **others: Any
) -> tuple[Trial, list[Report]]:
    sent: list[Report] = []
    handle = Trial(
        job(start=start, until=until, x=x),
        mode=mode,
        max_resource=9,
        device="cpu",
        checkpoint=lambda kind: folder / f"{kind}.pt",
        task={"target": "t:T", "options": {}},
        send=sent.append,
        **others,
    )
    return handle, sent


def train(handle: Trial, values: list[float]) -> None:
    handle.resume_from()
    for unit in handle.units():
        handle.save({"unit": unit})
        handle.report(values[unit - 1])


def test_what_the_first_save_imports_is_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, gone = time.perf_counter, [0.0]

    def imported(name: str) -> None:
        gone[0] += 1000.0
        sys.modules[name] = torch

    monkeypatch.setattr(time, "perf_counter", lambda: real() + gone[0])
    monkeypatch.setattr("trials.trial.import_module", imported)
    monkeypatch.delitem(sys.modules, "torch")
    handle, reports = trial(tmp_path, 0, 2)
    for _ in handle.units():
        with handle.costs.timed("own_seconds"):
            handle.save({"x": 1.0})
        handle.report(0.5)
    assert gone == [1000.0]
    assert all(report.seconds < 500 for report in reports)
    assert all(cost < 500 for report in reports for cost in report.costs.values())


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


def resumed(folder: Path, start: int) -> tuple[Any, list[str], Trial]:
    """(state, notices, trial) of a job that goes on from ``start``."""
    said: list[str] = []
    handle, _ = trial(folder, start=start, until=start + 1, notice=said.append)
    return handle.resume_from(), said, handle


def test_without_a_damaged_checkpoint_nothing_is_said(tmp_path: Path) -> None:
    assert resumed(tmp_path, 0)[:2] == (None, [])
    train(trial(tmp_path, until=3)[0], [0.3, 0.2, 0.1])
    assert resumed(tmp_path, 3)[:2] == ({"unit": 3}, [])
    assert resumed(tmp_path, 2)[:2] == ({"unit": 2}, [])  # the third one's report never arrived


@pytest.mark.parametrize(
    ("damaged", "left", "notice"),
    [
        (["last"], 2, r"trial 0: checkpoint last\.pt is damaged \(\w+\); going on after unit 2"),
        (
            ["last", "previous"],
            1,
            r".*last\.pt is damaged .* and .*previous\.pt is .*; going on after unit 1",
        ),
        (
            ["last", "previous", "best"],
            None,
            r".*previous\.pt .*; the trial restarts from unit 1, and units that it reported are not counted "
            "twice",
        ),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(
    damaged: list[str], left: int | None, notice: str, tmp_path: Path
) -> None:
    train(trial(tmp_path, until=3)[0], [0.3, 0.2, 0.1])
    for kind in damaged:
        (tmp_path / f"{kind}.pt").write_bytes(b"not a checkpoint")
    state, said, handle = resumed(tmp_path, 3)
    assert state == (None if left is None else {"unit": left})
    assert handle.resumed == (left or 0)
    assert len(said) == 1
    assert re.fullmatch(notice, said[0])
    # and from there all is as it would have been
    for unit in handle.units():
        handle.save({"unit": unit})
        handle.report([0.3, 0.2, 0.1, 0.4][unit - 1])
    for kind, unit in (("last", 4), ("previous", 3), ("best", 4)):
        assert load_checkpoint(tmp_path / f"{kind}.pt")["resource"] == unit


def test_a_damaged_checkpoint_of_a_fresh_trial_is_no_restart(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"torn")
    state, said, _ = resumed(tmp_path, 0)
    assert state is None
    assert said[0].endswith("; the trial begins at unit 1")


def test_a_file_of_no_unit_is_passed_over(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", {"state": 1})
    assert resumed(tmp_path, 2)[:2] == (
        None,
        [
            "trial 0: checkpoint last.pt is of no unit; the trial restarts from unit 1, and units that it "
            "reported are not counted twice"
        ],
    )


@pytest.mark.parametrize("best", [1, 2, 3])
def test_where_the_others_were_dropped_the_best_will_do(best: int, tmp_path: Path) -> None:
    train(trial(tmp_path, until=3)[0], [0.9 if unit == best else 0.1 for unit in (1, 2, 3)])
    for kind in ("last", "previous"):
        (tmp_path / f"{kind}.pt").unlink()
    state, said, handle = resumed(tmp_path, 3)
    assert (state, said, handle.resumed) == ({"unit": best}, [], best)


def test_the_best_is_taken_where_it_is_newer_than_the_previous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no hard links")))
    train(trial(tmp_path, until=3)[0], [0.1, 0.2, 0.3])
    (tmp_path / "last.pt").write_bytes(b"torn")
    assert resumed(tmp_path, 3)[0] == {"unit": 3}


def test_a_damaged_best_does_not_stay_the_best(tmp_path: Path) -> None:
    train(trial(tmp_path, until=2)[0], [0.9, 0.1])
    for kind in ("last", "previous", "best"):
        (tmp_path / f"{kind}.pt").write_bytes(b"torn")
    train(trial(tmp_path, start=2, until=3)[0], [0.9, 0.1, 0.2])
    assert load_checkpoint(tmp_path / "best.pt")["resource"] == 1
    assert read_best_note(tmp_path / "best.pt") == {"value": 0.9, "resource": 1}


def test_a_best_without_a_report_is_forgotten_where_nothing_else_is_left(tmp_path: Path) -> None:
    train(trial(tmp_path, until=1)[0], [0.9])  # killed before the report left
    assert resumed(tmp_path, 0)[0] is None
    assert not (tmp_path / "best.pt").exists()
    assert not (tmp_path / "best.json").exists()


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


def test_what_was_resumed_from_is_kept_until_the_next_report(tmp_path: Path) -> None:
    train(trial(tmp_path, until=2)[0], [0.2, 0.1])  # the best is another one
    again, _ = trial(tmp_path, start=2, until=3)
    again.resume_from()
    for unit in again.units():
        again.save({"unit": unit})
        break  # killed before its report
    assert resumed(tmp_path, 2)[0] == {"unit": 2}


def test_a_save_that_failed_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    handle, _ = trial(tmp_path, until=3)
    for unit in handle.units():
        if unit == 2:
            with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
                patched.setattr(os, "fsync", full)
                handle.save({"unit": unit})
            assert resumed(tmp_path, 1)[0] == {"unit": 1}
        handle.save({"unit": unit})
        handle.report(0.5)
    assert resumed(tmp_path, 3)[0] == {"unit": 3}
    assert resumed(tmp_path, 2)[0] == {"unit": 2}


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


# -- numbers ---------------------------------------------------------------------------------------


class Stubborn:
    """No number, and not even shown."""

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise ValueError("nor this")


NOT_NUMBERS = {
    "none": None,
    "text": "0.5",
    "bytes": b"1",
    "bytearray": bytearray(b"1"),
    "memory": memoryview(b"1"),
    "list": [1],
    "object": object(),
    "complex": 1j,
    "two elements": torch.tensor([1.0, 2.0]),
    "two in an array": np.ones(2),
    "none in an array": np.ones(0),
    "complex tensor": torch.tensor(1j),
    "too large": 10**400,
    "stubborn": Stubborn(),
    "long": "x" * 10_000,
}


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
def test_a_value_that_is_not_a_number_is_refused(value: Any, tmp_path: Path) -> None:
    handle, sent = trial(tmp_path)
    with pytest.raises(ReportError, match=r"^value is .*: report a number") as refused:
        handle.report(value)
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)
    with pytest.raises(ReportError, match=r"^lost is .*: report a number"):
        handle.report(0.5, lost=value)
    assert not sent
    assert handle.done == 0


def test_a_stop_while_a_value_is_read_is_no_mistake_of_the_value(tmp_path: Path) -> None:
    class Interrupted:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial(tmp_path)[0].report(Interrupted())


NUMBERS = {
    "int": 1,
    "float": 0.5,
    "bool": True,
    "float32": np.float32(0.5),
    "float64": np.float64(0.5),
    "int64": np.int64(3),
    "numpy bool": np.bool_(True),
    "array": np.array(0.5),
    "tensor": torch.tensor(0.5),
    "integers": torch.tensor(2),
    "half": torch.tensor(0.5, dtype=torch.bfloat16),
    "fraction": Fraction(1, 3),
    "decimal": Decimal("0.1"),
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "nan tensor": torch.tensor(math.nan),
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
def test_anything_that_is_a_number_is_taken(value: Any, tmp_path: Path) -> None:
    handle, sent = trial(tmp_path)
    handle.report(value, extra=value)
    for taken in (sent[0].value, sent[0].metrics["extra"]):
        assert type(taken) is float
        assert taken == float(value) or math.isnan(taken)


# -- stopping --------------------------------------------------------------------------------------


class Stop:
    """Says that the search is being stopped from the ``after``-th time on that it is asked."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("after", range(5))
def test_a_job_stops_between_units_with_all_that_it_did(after: int, tmp_path: Path) -> None:
    handle, sent = trial(tmp_path, until=5, stopping=Stop(after))
    with pytest.raises(JobStopped, match=f"trial 0 stopped before unit {after + 1}"):
        train(handle, [0.1] * 5)
    assert [report.resource for report in sent] == list(range(1, after + 1))
    assert resumed(tmp_path, after)[0] == ({"unit": after} if after else None)


def test_a_job_that_has_all_its_units_ends_as_ever(tmp_path: Path) -> None:
    handle, sent = trial(tmp_path, until=3, stopping=Stop(3))
    train(handle, [0.1] * 3)
    assert len(sent) == 3
    assert handle.stopping


def test_an_end_that_a_stop_has_brought_about_is_no_early_end(tmp_path: Path) -> None:
    """A library may end its loop at SIGTERM, and whoever asks only whether it did takes it for converged."""
    asked: list[bool] = []
    handle, sent = trial(tmp_path, stopping=lambda: bool(asked))
    handle.report(0.1)
    asked.append(True)
    with pytest.raises(JobStopped):
        handle.stop_early()
    assert not handle.stopped_early
    assert len(sent) == 1


def test_a_task_that_loops_over_units_says_so_though_a_stop_has_come(tmp_path: Path) -> None:
    """There, no stop comes out of the loop as anything else, and the trial need not notice once more."""
    asked: list[bool] = []
    handle, _ = trial(tmp_path, stopping=lambda: bool(asked))
    for _ in handle.units():
        asked.append(True)
        handle.report(0.1)
        handle.stop_early()
    assert handle.stopped_early


def test_a_stop_passes_through_a_tasks_own_except_clause(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path, stopping=lambda: True)
    with pytest.raises(JobStopped):
        try:
            next(handle.units())
        except Exception:
            pytest.fail("swallowed")


def pause(handle: Trial, state: Any) -> None:
    with pytest.raises(JobStopped, match="inside unit"):
        handle.pause(state)


def test_an_unfinished_unit_is_for_exactly_the_unit_that_comes_next(tmp_path: Path) -> None:
    first, _ = trial(tmp_path, until=5)
    for unit in first.units():
        if unit == 3:
            break
        first.save({"unit": unit})
        first.report(0.5)
    pause(first, {"step": 7})
    kept = load_checkpoint(tmp_path / "unfinished.pt")
    assert (kept["resource"], kept["unit"]) == (2, 3)

    for start, state in ((0, None), (1, None), (2, {"step": 7})):
        again, _ = trial(tmp_path, start=start, until=5)
        again.resume_from()
        assert again.resume_unfinished() == state
    done, _ = trial(tmp_path, start=2, until=2)
    done.resume_from()
    assert done.resume_unfinished() is None  # it has nothing to train

    again, sent = trial(tmp_path, start=2, until=3)
    assert again.resume_from() == {"unit": 2}
    assert again.resume_unfinished() == {"step": 7}
    for unit in again.units():
        assert (tmp_path / "unfinished.pt").exists()  # until there is something better
        again.save({"unit": unit})
        again.report(0.6)
    assert [report.resource for report in sent] == [3]
    assert not (tmp_path / "unfinished.pt").exists()


def test_the_time_of_both_parts_of_a_unit_is_reported(tmp_path: Path) -> None:
    first, _ = trial(tmp_path)
    next(first.units())
    time.sleep(0.1)
    pause(first, {})
    again, sent = trial(tmp_path)
    again.resume_unfinished()
    for _ in again.units():
        again.report(0.5)
        break
    assert sent[0].seconds > 0.1


def test_a_unit_of_another_configuration_is_not_gone_on_with(tmp_path: Path) -> None:
    first, _ = trial(tmp_path)
    next(first.units())
    pause(first, {"step": 7})
    again, _ = trial(tmp_path, x=0.75)
    assert again.resume_unfinished() is None


def test_a_damaged_unfinished_unit_is_passed_over_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "unfinished.pt").write_bytes(b"torn")
    said: list[str] = []
    handle, _ = trial(tmp_path, notice=said.append)
    assert handle.resume_unfinished() is None
    assert re.fullmatch(
        r"trial 0: checkpoint unfinished\.pt is damaged \(\w+\); unit 1 is trained from its beginning",
        said[0],
    )


def test_what_cannot_be_kept_does_not_fail_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    handle, _ = trial(tmp_path, notice=said.append)
    next(handle.units())
    pause(handle, {"a": np.zeros(2)})
    assert "trial 0: what it had of unit 1 is not kept: state['a'] is a ndarray" in said.pop()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    pause(handle, {"a": 1})
    assert "No space left" in said.pop()
    assert list(tmp_path.iterdir()) == []


def test_after_the_units_report_there_is_nothing_unfinished(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    next(handle.units())
    handle.report(0.5)
    pause(handle, {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_pausing_and_going_on_have_their_places(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    with pytest.raises(ReportError, match=r"outside of `for unit in trial\.units\(\)`"):
        handle.pause({})
    next(handle.units())
    with pytest.raises(ReportError, match="before the loop"):
        handle.resume_unfinished()


# -- states ----------------------------------------------------------------------------------------


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


def test_what_other_tuners_do_with_their_argument_says_what_to_write(tmp_path: Path) -> None:
    handle, _ = trial(tmp_path)
    with pytest.raises(ReportError, match=r"write trial.config\['lr'\]"):
        handle["lr"]
    with pytest.raises(ReportError, match=r"trial.suggest_float is Optuna's.*trial.config\["):
        handle.suggest_float("lr", 0, 1)  # type: ignore[attr-defined]
    assert not hasattr(handle, "something")
