"""The trial as a task sees it: its configuration, its checkpoint, and where to report."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, SupportsFloat
from weakref import WeakSet

from asha_core.arguments import detached, shown
from asha_core.errors import ReportError, ResultsError
from asha_core.messages import Job, Report
from asha_core.runtime.terminal.streams import say
from asha_core.space import stored
from asha_core.space.watched import Used
from trials.checkpoints.files import check_state
from trials.checkpoints.trial_checkpoints import TrialCheckpoints
from trials.checkpoints.writer import Writer, snapshot
from trials.costs.meter import Costs


class JobStopped(BaseException):
    """The search is being stopped, and with it this job: what is kept is enough to go on from later.

    Not an ``Exception``, so that a task's own ``except Exception`` does not swallow it.
    """


def _print(line: str) -> None:
    say(line, sys.stdout)


_training: WeakSet[Trial] = WeakSet()  # whose configuration a child process may inherit


def _before_a_fork() -> None:
    """A child, such as a DataLoader's, may read a configuration that it has, unheard by this process."""
    for trial in _training:
        trial.config.reads.update(trial.config)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing is forked
    os.register_at_fork(before=_before_a_fork)


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
        id: the trial's number.
        config: its configuration, a mapping; it remembers what was read of it.
        seed: its own seed.
        until: the unit after which this job ends.
        max_resource: units of a complete trial.
        device: "cuda:0" or "cpu".
        resumed: units that ``resume_from`` restored.
        reconfigured: what ``resume_from`` restored was trained with another configuration than this job's:
            a warm start has changed it where the trial was promoted.
        stopped_early: it said so itself.
        costs: of the unit that is being trained; its report tells of them.
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
        stopping: Callable[[], bool] = lambda: False,
        notice: Callable[[str], None] = _print,
        wait_until_journalled: Callable[[], None] = lambda: None,
        writer: Writer | None = None,
        costs: Costs | None = None,
    ) -> None:
        self.id = job.trial
        self.config = Used(job.configuration)
        self.seed = job.seed
        self.until = job.until
        self.max_resource = max_resource
        self.device = device
        self.resumed = 0
        self.reconfigured = False
        self.stopped_early = False
        self.costs = costs or Costs()
        self._attempt = job.attempt
        self._start = job.start
        self._about = {"configuration": stored(job.configuration), "task": dict(task)}
        self._checkpoints = TrialCheckpoints(checkpoint, job.start, mode, self._about, wait_until_journalled)
        self._send = send
        self._stopping = stopping
        self._notice = notice
        self._writer = writer or Writer()  # of files and, after them, reports
        self._done = 0
        self._unit = 0  # the unit that units() gave last
        self._saved = 0  # the unit of the last save
        self._value = math.nan  # the last one reported
        self._since = self._began = time.perf_counter()
        _training.add(self)

    def unshared(self) -> None:
        """No child process reads the configuration: what this one has not read by then, nothing has."""
        _training.discard(self)

    def __getitem__(self, name: str) -> NoReturn:
        """Not a configuration, as other tuners hand one to a function.

        Raises:
            ReportError: always; it says what to write.
        """
        raise ReportError(
            f"a function is given a trial, and no configuration: write trial.config[{name!r}], loop over "
            "trial.units(), and trial.report(value) in each"
        )

    if not TYPE_CHECKING:  # or mypy would let any name pass

        def __getattr__(self, name: str) -> NoReturn:
            """Nothing; it says what to write for ``trial.suggest_float(...)``."""
            if name.startswith("suggest_"):
                raise ReportError(
                    f"trial.{name} is Optuna's: the space is given to the scheduler, ASHA({{...}}), and a "
                    'value of it is trial.config["name"]'
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def done(self) -> int:
        """Units completed so far."""
        return self._done

    @property
    def stopping(self) -> bool:
        """Whether the search is being stopped.

        ``units()`` looks for itself before each unit. A task whose units are long may look inside one, every
        step if it likes, and leave with ``pause``:

            for step in range(first, steps):
                if trial.stopping:
                    trial.pause({"weights": weights, "step": step})
        """
        return self._stopping()

    def resume_from(self) -> Any:
        """What ``save`` kept last, on this worker or another; None for a fresh trial.

        A checkpoint of a unit whose report never arrived (the worker was killed in between) is passed
        over for the one before it, and so is a damaged one, which is told to the user. The trial's best one
        will do, too, if a limit on the disk has left no other.

        Raises:
            ReportError: called inside the loop over ``units()``.
        """
        if self._unit:
            raise ReportError(f"trial {self.id}: call resume_from() before the loop over units()")
        found, damaged = self._checkpoints.newest()
        if found is not None:
            self._done = self._saved = self.resumed = int(found["resource"])
            now = self._about["configuration"]
            self.reconfigured = found.get("configuration", now) != now
        elif self._start and not damaged:
            _print(f"no checkpoint up to unit {self._start}: the trial restarts from unit 1")
        if damaged:
            self._notice(
                f"trial {self.id}: {' and '.join(damaged)}; "
                + (f"going on after unit {self._done}" if found else self._from_the_start())
            )
        return None if found is None else found["state"]

    def _from_the_start(self) -> str:
        if self._start == 0:
            return "the trial begins at unit 1"
        return "the trial restarts from unit 1, and units that it reported are not counted twice"

    def resume_unfinished(self) -> Any:
        """What ``pause`` kept of the unit that comes next; None if there is nothing of exactly that one.

        Called between ``resume_from()`` and the loop. It is there until the next ``save``, so that a worker
        that is killed meanwhile loses nothing of it.

        Raises:
            ReportError: called inside the loop over ``units()``.
        """
        if self._unit:
            raise ReportError(f"trial {self.id}: call resume_unfinished() before the loop over units()")
        if self._done >= self.until:
            return None
        unit = self._done + 1
        try:
            content = self._checkpoints.unfinished(unit)
        except ResultsError as error:
            self._notice(f"trial {self.id}: {error}; unit {unit} is trained from its beginning")
            return None
        if content is None:
            return None
        self._since -= float(content.get("seconds", 0.0))  # the unit's report counts them, too
        for name, amount in content.get("costs", {}).items():
            self.costs.add(name, amount)
        return content.get("state")

    def pause(self, state: Any) -> NoReturn:
        """Leave a unit that is not finished, because the search is being ``stopping``.

        ``state`` is for ``resume_unfinished``. If it cannot be kept (the disk is full, say), that is told to
        the user, and the unit will be trained from its beginning: a search that stops is no reason to fail.
        So is a unit that was reported already: then only what ``save`` kept counts.

        Raises:
            JobStopped: always; let it pass.
            ReportError: outside the loop over ``units()``.
        """
        unit = self._unit
        if unit == 0:
            raise ReportError(f"trial {self.id} paused outside of `for unit in trial.units()`")
        self.finish()
        if self._done < unit:
            try:
                self._check(state)
                costs, seconds = self.costs.so_far(), time.perf_counter() - self._since
                self._checkpoints.write_unfinished(unit, state, seconds=seconds, costs=costs)
            except (ReportError, OSError) as error:
                self._notice(f"trial {self.id}: what it had of unit {unit} is not kept: {error}")
        raise JobStopped(f"trial {self.id} stopped inside unit {unit}")

    def stop_early(self) -> None:
        """Say that this trial is over: more units would not change its value, since it has converged.

            for unit in trial.units():
                ...
                trial.report(loss)
                if loss > best + 0.01:
                    trial.stop_early()  # units() gives no more

        The value that it reported last counts at every rung above, as if it had been reported there, and it
        is never trained again. Then return.

        Raises:
            JobStopped: the search is being stopped, and the task does not loop over ``units()``: its training
                may have ended for that, and the trial goes again; let it pass.
        """
        if self._unit == 0 and self._stopping():
            raise JobStopped(f"trial {self.id} stopped after unit {self._done}")
        self.stopped_early = True

    def units(self) -> Iterator[int]:
        """The units that this job still has to train, counted from 1.

        A trial that never saves starts again from unit 1 when it is promoted; units that were
        reported before are not counted twice.

        Raises:
            JobStopped: the search is being stopped; let it pass.
        """
        while self._done < self.until and not self.stopped_early:
            if self._stopping():
                raise JobStopped(f"trial {self.id} stopped before unit {self._done + 1}")
            if self._unit == 0:
                self.costs.add("start_seconds", time.perf_counter() - self._began)
            unit = self._unit = self._done + 1
            yield unit
            if self._done < unit and not self.stopped_early:
                raise ReportError(
                    f"trial {self.id} finished unit {unit} without trial.report(value): report once a unit"
                )

    def save(self, state: Any, *, wait: bool = True) -> None:
        """Keep ``state`` for ``resume_from``; tensors, numbers, strings, lists and dicts.

        Inside the loop over ``units()``, best before ``report``: then it is safe when the engine hears
        of the unit.

        Args:
            wait: return when it is on disk. If not, ``state`` is copied to the CPU's memory now and written
                while the next unit is trained; the unit's report leaves after it, and an error in writing
                is raised by one of the calls that follow.
        Raises:
            ReportError: outside the loop, or something in ``state`` could not be loaded back safely.
        """
        unit = self._unit
        if unit == 0:
            raise ReportError(
                f"trial {self.id} saved outside of `for unit in trial.units()`: only there is it known "
                "which unit the state belongs to"
            )
        self._load_torch()
        with self.costs.timed("checkpoint_seconds"):
            self._save(unit, state, wait)

    def _load_torch(self) -> None:
        """Import what writes checkpoints before the first one: these seconds are no training."""
        if "torch" in sys.modules:
            return
        began = time.perf_counter()
        with self.costs.left_out():
            import_module("torch")
        self._since += time.perf_counter() - began

    def _check(self, state: Any) -> None:
        """Raise ``ReportError`` if a checkpoint of this state could not be read back."""
        for name, part in {**self._about, "state": state}.items():
            check_state(part, name)

    def _save(self, unit: int, state: Any, wait: bool) -> None:
        self._check(state)
        self.finish()
        if wait or not self._writer.beside:
            self._checkpoints.write(unit, state)
        else:
            copy = snapshot(state)
            self._writer.begin(lambda: self._checkpoints.write(unit, copy))
        self._saved = unit
        if self._done == unit:
            value = self._value
            self._writer.add(lambda: self._checkpoints.keep_if_best(value, unit))

    def finish(self) -> None:
        """Return when all that was saved is on disk and all that was reported has left.

        Raises:
            OSError: something could not be written, such as on a full disk.
        """
        self._writer.finish()

    def report(self, value: SupportsFloat, **metrics: SupportsFloat) -> None:
        """One more unit is complete, with this value of the metric.

        Args:
            value: a number; NaN and infinities rank last.
            metrics: further numbers for the journal, such as ``train_loss=0.3``.
        Raises:
            ReportError: not a number; the unit was reported already; or the job has ended (stop at
                ``trial.until``, or loop over ``trial.units()``).
        """
        unit = self._done + 1
        if unit > self.until:
            raise ReportError(
                f"trial {self.id} reported resource {unit}, but its job ends at {self.until}: loop over "
                "trial.units(), or stop at trial.until"
            )
        if self._unit and unit > self._unit:
            raise ReportError(
                f"trial {self.id} reported twice in unit {self._unit}: report once a unit, and further "
                "numbers as trial.report(value, name=number)"
            )
        number = as_number(value, "value")
        extra = {name: as_number(metric, name) for name, metric in metrics.items()}
        self._done, self._value = unit, number
        if self._saved == unit:
            with self.costs.timed("checkpoint_seconds"):
                self._writer.add(lambda: self._checkpoints.keep_if_best(number, unit))
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        report = Report(self.id, self._attempt, unit, number, seconds, extra, self.costs.complete(now))
        self._writer.add(lambda: self._send(report))


def as_number(value: SupportsFloat, name: str) -> float:
    """What a task reports as ``name``; raises ``ReportError`` if it is no number."""
    try:
        # text, too, is a number to Python's float, and a mistake here
        if isinstance(value, str | bytes | bytearray | memoryview):
            raise TypeError
        return float(detached(value))
    except Exception:  # whatever float() has against it: two elements, 10**400, an error in its __float__
        raise ReportError(f"{name} is {shown(value)}: report a number, such as trial.report(0.93)") from None
