"""Run what is left of a study: one run after the other, or several at once on GPUs of their own."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asha_core.runtime.interrupts import stop_signals
from asha_core.runtime.observers import value_text
from asha_core.runtime.storage.json_files import read_optional_json
from asha_core.study.device_groups import DeviceGroup
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned_runs import PlannedRun, Study, in_order
from asha_core.study.progress_view import View
from asha_core.study.run_process import RunProcess

_POLL = 0.05


@dataclass(slots=True)
class _Running:
    run: PlannedRun
    group: DeviceGroup
    process: RunProcess


class StudyRunner:
    """Runs a study.

    Args:
        study: as its file says.
        directory: where it is kept.
        runs: those to run, in any order.
        groups: one for each run at a time.
        view: is told what happens.
        describe: what a run is, for the first line of its output.
    """

    def __init__(
        self,
        study: Study,
        directory: StudyDirectory,
        runs: Sequence[PlannedRun],
        groups: Sequence[DeviceGroup],
        view: View,
        describe: Callable[[PlannedRun], str],
    ) -> None:
        self._study = study
        self._directory = directory
        self._waiting = in_order(runs)[::-1]
        self._free = list(groups)[::-1]
        self._view = view
        self._describe = describe
        self._running: list[_Running] = []
        view.slots = len(groups)

    def run(self) -> bool:
        """Run them all; False if it was interrupted before. A run that fails does not stop the others."""
        with stop_signals(then_exit=True) as stop:
            stop.polite = True
            told_to_stop = False
            while self._running or (self._waiting and not stop.requested):
                if stop.requested and not told_to_stop:
                    told_to_stop = True
                    self._view.show(
                        "stopping: runs that have begun are told to; go on with the same command", loud=True
                    )
                    self._stop_all()
                try:
                    while self._waiting and self._free and not stop.requested:
                        self._begin_or_fail(self._waiting.pop(), self._free.pop())
                    self._collect_ended()
                    self._view.tick()
                    time.sleep(_POLL)
                except KeyboardInterrupt:  # asked a second time
                    self._view.show("stopping at once", loud=True)
                    self._stop_all()
            return not stop.requested

    def _stop_all(self) -> None:
        for each in self._running:
            each.process.stop()

    def _begin_or_fail(self, run: PlannedRun, group: DeviceGroup) -> None:
        """Begin a run; if the system does not let it (a full disk, too many processes), it has failed."""
        try:
            self._begin(run, group)
        except OSError as error:
            self._free.append(group)
            self._view.on_end(run, False, 0.0, f"could not be begun: {error.strerror or error}")

    def _begin(self, run: PlannedRun, group: DeviceGroup) -> None:
        config = self._directory.write_config(run)
        where = self._directory.run(run)
        arguments = ["--config", str(config), "--results-dir", str(where.path), "--gpus", group.gpus]
        arguments += ["--progress", "plain"]
        if group.workers is not None and "workers_per_gpu" not in run.options:
            arguments += ["--workers-per-gpu", str(group.workers)]
        if where.begun:
            arguments.append("--resume")
        heading = [
            f"run {run.id}: {self._describe(run)}, on {group.label}",
            f"asha-run {shlex.join(arguments)}",
        ]
        self._view.on_start(run)

        def listen(stream: str, text: str) -> None:
            self._view.on_line(run, stream, text)

        process = RunProcess(arguments, where.output, heading, listen, group.environment)
        self._running.append(_Running(run, group, process))

    def _collect_ended(self) -> None:
        for each in list(self._running):
            status = each.process.poll()
            if status is None:
                continue
            self._running.remove(each)
            self._free.append(each.group)
            seconds = time.monotonic() - each.process.began
            try:
                self._directory.close(each.run, status, seconds, self._study.keep_checkpoints)
            except OSError as error:  # what the search itself has written stands
                self._view.show(f"{each.run.id}: outcome.json: {error.strerror or error}", loud=True)
            well = self._directory.state(each.run) == "done"
            self._view.on_end(each.run, well, seconds, self._how_it_ended(each.run, status, well))

    def _how_it_ended(self, run: PlannedRun, status: int, well: bool) -> str:
        if not well:
            ended = {130: "stopped", 143: "stopped"}.get(status, f"failed (status {status})")
            return f"{ended}; see {self._directory.run(run).output[1]}"
        best = _best(self._directory, run)
        return "done" if best is None else f"done, best {value_text(best)}"


def _best(directory: StudyDirectory, run: PlannedRun) -> float | None:
    try:
        return float(read_optional_json(directory.run(run).results)["best"]["value"])
    except (ValueError, KeyError, TypeError):
        return None
