"""The trial as a task sees it: its configuration, its checkpoint, and where to report."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from asha_core.errors import ReportError, ResultsError
from asha_core.messages import Job, Report
from asha_core.runtime.results import read_best_note, write_best_note
from asha_core.space import Configuration
from trials.checkpoints import check_state, load_checkpoint, save_checkpoint


class Trial:
    """One trial's job, inside a worker.

        def train(trial):
            state = trial.resume_from() or {"weight": 0.0}
            for _ in trial.units():
                state["weight"] += trial.config["lr"]
                trial.save(state)
                trial.report(state["weight"])

    ``save`` before ``report``: the checkpoint is on disk before the engine hears of the unit, so a
    trial that is paused, or whose worker is killed, goes on from there on any worker.

    Attributes:
        id: the trial's number. config: its configuration, a mapping. seed: its own seed.
        until: the unit after which this job ends. max_resource: units of a complete trial.
        device: "cuda:0" or "cpu". resumed: units that ``resume_from`` restored.
    """

    def __init__(
        self,
        job: Job,
        *,
        mode: str,
        max_resource: int,
        device: str,
        checkpoint: Callable[[str], Path],
        task: Mapping[str, Any],
        send: Callable[[Report], None],
    ) -> None:
        self.id = job.trial
        self.config: Configuration = job.configuration
        self.seed = job.seed
        self.until = job.until
        self.max_resource = max_resource
        self.device = device
        self.resumed = 0
        self._attempt = job.attempt
        self._start = job.start
        self._mode = mode
        self._checkpoint = checkpoint
        self._task = task
        self._send = send
        self._done = 0
        self._unit = 0  # the unit that units() gave last
        self._saved = 0  # the unit of the last save
        self._last_is_good = False  # a file that resume_from() passed over must not push out the one before
        self._value = math.nan  # the last one reported
        self._since = time.perf_counter()

    @property
    def done(self) -> int:
        """Units completed so far."""
        return self._done

    def resume_from(self) -> Any:
        """What ``save`` kept last, on this worker or another; None for a fresh trial.

        A checkpoint of a unit whose report never arrived (the worker was killed in between) is passed
        over for the one before it, and so is a damaged one, with a line in the trial's log.

        Raises:
            ReportError: called inside the loop over ``units()``.
        """
        if self._unit:
            raise ReportError(f"trial {self.id}: call resume_from() before the loop over units()")
        for kind in ("last", "previous"):
            path = self._checkpoint(kind)
            if not path.exists():
                continue
            try:
                content = load_checkpoint(path)
            except ResultsError as error:
                print(f"{error}; passed over", flush=True)
                continue
            if content["resource"] <= self._start:
                self._drop_unreported_best()
                self._last_is_good = kind == "last"
                self._done = self._saved = self.resumed = int(content["resource"])
                return content["state"]
        if self._start:
            print(f"no checkpoint up to unit {self._start}: the trial restarts from unit 1", flush=True)
        return None

    def units(self) -> Iterator[int]:
        """The units that this job still has to train, counted from 1.

        A trial that never saves starts again from unit 1 when it is promoted; units that were
        reported before are not counted twice.
        """
        while self._done < self.until:
            unit = self._unit = self._done + 1
            yield unit
            if self._done < unit:
                raise ReportError(
                    f"trial {self.id} finished unit {unit} without trial.report(value): report once a unit"
                )

    def save(self, state: Any) -> None:
        """Keep ``state`` for ``resume_from``; tensors, numbers, strings, lists and dicts.

        Inside the loop over ``units()``, best before ``report``: then it is safe when the engine hears
        of the unit.

        Raises:
            ReportError: outside the loop, or something in ``state`` could not be loaded back safely.
        """
        unit = self._unit
        if unit == 0:
            raise ReportError(
                f"trial {self.id} saved outside of `for unit in trial.units()`: only there is it known "
                "which unit the state belongs to"
            )
        check_state(state)
        last = self._checkpoint("last")
        if self._last_is_good and self._saved != unit:
            os.replace(last, self._checkpoint("previous"))
        save_checkpoint(
            last,
            {
                "resource": unit,
                "configuration": dict(self.config),
                "task": dict(self._task),
                "state": state,
            },
        )
        self._saved, self._last_is_good = unit, True
        if self._done == unit:
            self._keep_if_best(self._value)

    def report(self, value: SupportsFloat, **metrics: SupportsFloat) -> None:
        """One more unit is complete, with this value of the metric.

        Args:
            value: a number; NaN and infinities rank last.
            metrics: further numbers for the journal, such as ``train_loss=0.3``.
        Raises:
            ReportError: not a number, or the job has ended (stop at ``trial.until``, or loop over
                ``trial.units()``).
        """
        unit = self._done + 1
        if unit > self.until:
            raise ReportError(
                f"trial {self.id} reported resource {unit}, but its job ends at {self.until}: loop over "
                "trial.units(), or stop at trial.until"
            )
        number = _number(value, "value")
        extra = {name: _number(metric, name) for name, metric in metrics.items()}
        self._done, self._value = unit, number
        if self._saved == unit:
            self._keep_if_best(number)
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self._send(Report(self.id, self._attempt, unit, number, seconds, extra))

    def _drop_unreported_best(self) -> None:
        """Forget a best whose report never arrived."""
        note = self._best_note()
        if note is not None and note["resource"] > self._start:
            self._checkpoint("best").unlink(missing_ok=True)
            self._checkpoint("best").with_suffix(".json").unlink(missing_ok=True)

    def _best_note(self) -> dict[str, Any] | None:
        return read_best_note(self._checkpoint("best"))

    def _keep_if_best(self, value: float) -> None:
        """Hard-link the checkpoint just written as the trial's best, if it is."""
        if not math.isfinite(value):
            return
        before = self._best_note()
        if before is not None and not (
            value > before["value"] if self._mode == "max" else value < before["value"]
        ):
            return
        best = self._checkpoint("best")
        temporary = best.with_name(best.name + ".tmp")
        temporary.unlink(missing_ok=True)
        try:
            os.link(self._checkpoint("last"), temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(self._checkpoint("last"), temporary)
        os.replace(temporary, best)
        write_best_note(best, value, self._done)


def _number(value: SupportsFloat, name: str) -> float:
    try:
        if isinstance(value, str | bytes):  # float("0.5") is a number to Python, and a mistake here
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise ReportError(f"{name} is {value!r}: report a number, such as trial.report(0.93)") from None
