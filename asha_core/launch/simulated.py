"""``--executor simulate``: what stands in the place of task, warm start and workers, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.arguments import number, shown
from asha_core.errors import SettingError
from asha_core.launch.registries import EXECUTOR
from asha_core.launch.simulated_options import SIMULATE
from asha_core.runtime.clock import VirtualClock
from asha_core.runtime.units import counted
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.simulation.curve import CurveSource
from asha_core.simulation.curve_options import CurveOptions
from asha_core.simulation.curves import Curves
from asha_core.simulation.decision_costs import Decisions
from asha_core.simulation.executor import SimulatedExecutor
from asha_core.simulation.faults import Faults
from asha_core.simulation.simulate import checked_arm, draw_from
from asha_core.simulation.task import CurvesTask
from asha_core.simulation.virtual_workers import check_fits
from trials.devices import Devices, Slot

_RESAMPLE = "--curves-option resample=true (in a script curves_options={'resample': True})"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a simulated search runs on.

    Attributes:
        task: of the curves.
        arm: whose curves.
        workers: slots.
        options: how the curves are used.
        faults: what goes wrong on purpose, and with which settings.
        decision_seconds: what the scheduler's own decisions cost.
    """

    task: CurvesTask
    arm: str
    workers: int = 1
    options: CurveOptions = field(default_factory=CurveOptions)
    faults: Faults | None = None
    fault_settings: Mapping[str, Any] = field(default_factory=dict)
    decision_seconds: Decisions = 0.0

    @property
    def curves(self) -> CurveSource:
        """The curves, with warm starts at their price."""
        return self.options.charged(self.task.curves)

    @property
    def devices(self) -> Devices:
        """Its slots."""
        return simulated_devices(self.workers)

    @property
    def size(self) -> int | None:
        """How many configurations there are; None: any number."""
        return len(self.curves) if isinstance(self.curves, Curves) else None

    def describe(self) -> dict[str, Any]:
        """For the manifest: what a search that goes on must have as it was."""
        cost = self.options.warm_start_cost
        return {
            "arm": self.arm,
            "resample": self.options.resample,
            "faults": dict(self.fault_settings),
            "decision_seconds": self.decision_seconds,
            **({} if cost == 1.0 else {"warm_start_cost": cost}),
        }

    def searcher(self, seed: int) -> Searcher:
        """A random search over the curves."""
        curves = self.curves
        if isinstance(curves, Curves):
            return curves.searcher(seed, resample=self.options.resample)
        return curves.searcher(seed)

    def fit(self, scheduler: Scheduler) -> None:
        """Let a scheduler draw from the curves.

        Raises:
            SettingError: its search cannot be one over them.
        """
        check_fits(scheduler, self.curves)
        draw_from(scheduler, self.searcher)
        size, most = self.size, scheduler.max_trials
        if size is None or self.options.resample:
            return
        if most is not None and most > size and scheduler.searcher.size is not None:
            raise SettingError(
                f"max-trials is {most}, and the table has {counted(size, 'configuration')}: give at most "
                f"{size}, or {_RESAMPLE}, with which they come again"
            )

    def executor(self, scheduler: Scheduler, clock: VirtualClock) -> SimulatedExecutor:
        """What runs the jobs of a search, at its time."""
        find = self.curves.finder(self.arm, scheduler.searcher)
        return SimulatedExecutor(self.workers, find, clock, self.faults)

    def notes(self, scheduler: Scheduler) -> list[str]:
        """Lines for its user, before it begins."""
        curves, size = self.curves, self.size
        has = "" if size is None else f"{counted(size, 'configuration')} of "
        found = [
            f"simulated: {has}{self.task.name}, arm {self.arm}; times are virtual, and nothing is trained",
        ]
        if not curves.timed:
            found.append(
                f"these curves have no seconds: each {curves.unit} takes 1, so that times count them"
            )
        if scheduler.searcher.size is None and size is not None and self.options.resample:
            found.append(f"after {counted(size, 'trial')} the table's configurations come again (resample)")
        elif not self._draws(scheduler) and size is not None:
            found.append(
                f"searcher {scheduler.searcher.name} proposes what the table lacks: a trial trains by the "
                "nearest configuration's curve"
            )
        if self.options.warm_start_cost != 1.0:
            found.append(f"warm starts take {self.options.warm_start_cost:g} of their recorded seconds")
        if self.fault_settings:
            told = ", ".join(f"{name}={value}" for name, value in self.fault_settings.items())
            found.append(f"with injected faults: {told}")
        if self.decision_seconds:
            what = (
                "as long as it takes"
                if self.decision_seconds == "measured"
                else f"{self.decision_seconds:g} s"
            )
            found.append(f"each decision takes {what} of virtual time")
        return found

    def came_to(self, scheduler: Scheduler, executor: SimulatedExecutor) -> dict[str, Any]:
        """For results.json: how many trials were answered by something else than their own curve."""
        find = executor.find
        return {"nearest": find.nearest, "unknown": executor.unknown(scheduler)}

    @staticmethod
    def afterwards(told: Mapping[str, Any], trials: int) -> list[str]:
        """Lines for its user, when it has ended.

        Args:
            told: what ``came_to`` gave.
        """
        found = []
        if told["nearest"]:
            found.append(
                f"{told['nearest']} of {counted(trials, 'trial')} trained by the curve of the nearest "
                "configuration, since the table lacks their own"
            )
        if told["unknown"]:
            found.append(
                f"{counted(told['unknown'], 'trial')} went further than their curves were recorded: the last "
                "value stood in"
            )
        return found

    def _draws(self, scheduler: Scheduler) -> bool:
        return hasattr(scheduler.searcher, "row")


def simulated_devices(workers: int | None) -> Devices:
    """The slots of a simulated search."""
    count = workers or 1
    return Devices((Slot("simulated", "simulated"),) * count, held=count)


def read_simulation(
    curves: CurveSource | str | Path,
    arm: str,
    seed: int,
    *,
    workers: int | None = None,
    faults: Mapping[str, Any] | None = None,
    curves_options: Mapping[str, Any] | None = None,
    decision_seconds: float | str | None = None,
) -> Simulation:
    """Load the curves, and check what was asked for beside.

    Raises:
        AshaError: one of them cannot be had, or cannot be used.
    """
    options = CurveOptions.read(curves_options)
    task = CurvesTask(curves)
    options.charged(task.curves)  # or it says why not
    own = dict(faults or {})
    EXECUTOR.check_settings(Faults, own, EXECUTOR.called(SIMULATE), given=(seed,))
    return Simulation(
        task,
        checked_arm(task.curves, arm),
        workers or 1,
        options,
        Faults(seed, **own) if own else None,
        own,
        decisions(decision_seconds),
    )


def decisions(value: float | str | None) -> Decisions:
    """From none, "measured" or a number of seconds.

    Raises:
        SettingError: something else.
    """
    if value is None or value == "none":
        return 0.0
    if value == "measured":
        return "measured"
    try:
        return number("decision-seconds", float(value), least=0.0)
    except (TypeError, ValueError, SettingError):
        raise SettingError(
            f"decision-seconds is {shown(value)}: it must be none, measured, or seconds such as 0.05"
        ) from None
