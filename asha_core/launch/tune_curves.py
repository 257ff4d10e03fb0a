"""``tune`` over recorded curves: what it is given, made into a simulated search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, shown
from asha_core.errors import SettingError
from asha_core.launch.simulated_options import SIMULATE
from asha_core.launch.tune_parts import TuneParts, Wanted, tune_parts

if TYPE_CHECKING:
    from asha_core.launch.simulated import Simulation


def is_source(train: object) -> bool:
    """Whether it is curves, and nothing that can be trained."""
    return not isinstance(train, type) and all(
        hasattr(train, name) for name in ("finder", "searcher", "arms")
    )


def refuse(executor: object, *, gpus: object, workers_per_gpu: object, warm_start_options: object) -> None:
    """Raise ``SettingError`` for what does not go with curves."""
    if executor not in (None, SIMULATE):
        raise SettingError(f"executor is {shown(executor)}, and train is curves: they can only be simulated")
    if gpus != "auto" or workers_per_gpu is not None:
        raise SettingError(
            "a simulated search runs on no device: leave gpus and workers_per_gpu out, and give workers"
        )
    if warm_start_options:
        raise SettingError(
            "what the warm start did is recorded with the curves: leave warm_start_options out"
        )


def refuse_beside(executor: object, beside: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` for what goes with curves alone."""
    if isinstance(executor, str) and executor == SIMULATE:
        raise SettingError("executor is 'simulate', and train is no curves: give Curves.load(path) as train")
    for name, value in beside.items():
        if value is not None:
            raise SettingError(f"{name} is of a simulated search: give curves as train, or leave it out")


def simulated_parts(
    curves: Any,
    scheduler: Any,
    wanted: Wanted,
    variation: str,
    *,
    ends: bool,
    faults: Mapping[str, Any] | None,
    workers: int | None,
    curves_options: Mapping[str, Any] | None,
    decision_seconds: float | str | None,
) -> tuple[TuneParts, Simulation]:
    """The task and the scheduler of a simulated search, and what it runs on.

    Raises:
        AshaError: one of them cannot be used, or they do not fit together.
    """
    from asha_core.launch.simulated import read_simulation
    from asha_core.simulation.task import CurvesTask

    # a searcher that is made for a table ends with it; one that is made here is given the table's later
    parts = tune_parts(CurvesTask(curves), scheduler, wanted, "", ends=True)
    made = parts.scheduler
    simulation = read_simulation(
        curves,
        variation,
        made.seed,
        workers=None if workers is None else integer("workers", workers, 1),
        faults=faults,
        curves_options=curves_options,
        decision_seconds=decision_seconds,
    )
    simulation.fit(made)
    if not ends and made.trial_limit is None:
        if simulation.size is None:
            raise SettingError("the search would never end: give max_trials, or give a budget")
        made.max_trials = simulation.size
    return parts, simulation
