"""Run what is left of a study: one run after the other, or several at once on GPUs of their own."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asha_core.errors import SettingError
from asha_core.runtime.interrupts import stop_signals
from asha_core.runtime.storage.json_files import read_optional_json
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned import PlannedRun, Study, in_order
from asha_core.study.process import RunProcess
from asha_core.study.view import View

_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one run at a time is run.

    gpus: for ``asha-run --gpus``. count: GPUs in it, 0 on a CPU. workers: for --workers-per-gpu, or None.
    environment: of the run.
    """

    gpus: str
    count: int
    workers: int | None
    environment: Mapping[str, str]

    @property
    def label(self) -> str:
        """For people."""
        return f"GPU {self.gpus}" if self.count else self.gpus


def seats(gpus: str, parallel: int, per_run: int | None) -> list[Seat]:
    """Split what ``--gpus`` names into ``parallel`` seats of the same size that share no GPU.

    Args:
        gpus: "auto", "cpu", "inline", or numbers such as "0,1,2,3". per_run: GPUs that each run must have.
    Raises:
        AshaError: they cannot be split so, or a GPU is not there.
    """
    from trials.devices import cores, parse_devices, threads_each, visible_gpus

    if parallel < 1:
        raise SettingError(f"parallel is {parallel}: it must be at least 1")
    if gpus == "auto":
        gpus = ",".join(map(str, range(len(visible_gpus())))) or "cpu"
    if gpus in ("cpu", "inline"):
        if per_run is not None:
            raise SettingError(
                f"the study asks for {per_run} GPUs a run (gpus_per_run), and --gpus {gpus} has none: take "
                "the key out of the file to run it on a CPU"
            )
        workers = 1 if gpus == "inline" else max(cores() // parallel, 1)
        return [
            Seat(gpus, 0, None if gpus == "inline" else workers, threads_each(parallel * workers))
        ] * parallel
    parse_devices(gpus)
    numbers = [part.strip() for part in gpus.split(",")]
    if len(numbers) % parallel:
        raise SettingError(
            f"--parallel {parallel} with {len(numbers)} GPUs: every run must have as many as the "
            f"others, so give a number of GPUs that {parallel} divides"
        )
    each = len(numbers) // parallel
    if per_run is not None and per_run != each:
        raise SettingError(
            f"the study asks for {per_run} GPUs a run (gpus_per_run), and --gpus {gpus} --parallel "
            f"{parallel} gives each {each}: name {per_run * parallel}, or change gpus_per_run in the file"
        )
    threads = threads_each(len(numbers))
    return [Seat(",".join(numbers[i * each : (i + 1) * each]), each, None, threads) for i in range(parallel)]


@dataclass(slots=True)
class _Running:
    run: PlannedRun
    seat: Seat
    process: RunProcess


class Conductor:
    """Runs a study.

    Args:
        study: as its file says. directory: where it is kept. runs: those to run, in any order. seats: one for
            each run at a time. describe: what a run is, for the first line of its output.
    """

    def __init__(
        self,
        study: Study,
        directory: StudyDirectory,
        runs: Sequence[PlannedRun],
        seats: Sequence[Seat],
        view: View,
        describe: Callable[[PlannedRun], str],
    ) -> None:
        self._study = study
        self._directory = directory
        self._waiting = in_order(runs)[::-1]
        self._free = list(seats)[::-1]
        self._view = view
        self._describe = describe
        self._running: list[_Running] = []
        view.slots = len(seats)

    def run(self) -> bool:
        """Run them all; False if it was interrupted before. A run that fails does not stop the others."""
        with stop_signals(then_exit=True) as stop:
            stop.polite = True
            heard = False
            while self._running or (self._waiting and not stop.requested):
                if stop.requested and not heard:
                    heard = True
                    self._view.show(
                        "stopping: runs that have begun are told to; go on with the same command", loud=True
                    )
                    self._stop_all()
                try:
                    while self._waiting and self._free and not stop.requested:
                        self._try(self._waiting.pop(), self._free.pop())
                    self._look()
                    self._view.tick()
                    time.sleep(_POLL)
                except KeyboardInterrupt:  # asked a second time
                    self._view.show("stopping at once", loud=True)
                    self._stop_all()
            return not stop.requested

    def _stop_all(self) -> None:
        for each in self._running:
            each.process.stop()

    def _try(self, run: PlannedRun, seat: Seat) -> None:
        """Begin a run; if the system does not let it (a full disk, too many processes), it has failed."""
        try:
            self._begin(run, seat)
        except OSError as error:
            self._free.append(seat)
            self._view.end(run, False, 0.0, f"could not be begun: {error.strerror or error}")

    def _begin(self, run: PlannedRun, seat: Seat) -> None:
        config = self._directory.write_config(run)
        where = self._directory.run(run)
        arguments = ["--config", str(config), "--results-dir", str(where.path), "--gpus", seat.gpus]
        arguments += ["--progress", "plain"]
        if seat.workers is not None and "workers_per_gpu" not in run.options:
            arguments += ["--workers-per-gpu", str(seat.workers)]
        if where.begun:
            arguments.append("--resume")
        heading = [
            f"run {run.id}: {self._describe(run)}, on {seat.label}",
            f"asha-run {shlex.join(arguments)}",
        ]
        self._view.start(run)

        def listen(stream: str, text: str) -> None:
            self._view.line(run, stream, text)

        process = RunProcess(arguments, where.output, heading, listen, seat.environment)
        self._running.append(_Running(run, seat, process))

    def _look(self) -> None:
        for each in list(self._running):
            status = each.process.poll()
            if status is None:
                continue
            self._running.remove(each)
            self._free.append(each.seat)
            seconds = time.monotonic() - each.process.began
            try:
                self._directory.close(each.run, status, seconds, self._study.keep_checkpoints)
            except OSError as error:  # what the search itself has written stands
                self._view.show(f"{each.run.id}: outcome.json: {error.strerror or error}", loud=True)
            well = self._directory.state(each.run) == "done"
            self._view.end(each.run, well, seconds, self._how(each.run, status, well))

    def _how(self, run: PlannedRun, status: int, well: bool) -> str:
        if not well:
            ended = {130: "stopped", 143: "stopped"}.get(status, f"failed (status {status})")
            return f"{ended}; see {self._directory.run(run).output[1]}"
        best = _best(self._directory, run)
        return "done" if best is None else f"done, best {best:.4f}"


def _best(directory: StudyDirectory, run: PlannedRun) -> float | None:
    try:
        return float(read_optional_json(directory.run(run).results)["best"]["value"])
    except (ValueError, KeyError, TypeError):
        return None
