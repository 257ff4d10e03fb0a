"""The content of results.json, and the best checkpoint of a search."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from asha_core.runtime.observers import Leaderboard, Outcome
from asha_core.runtime.storage.atomic import whole
from asha_core.runtime.storage.json_files import read_optional_json, write_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.schedulers.base import Scheduler
from asha_core.space import stored


def write_best_note(best: Path, value: float, resource: int) -> None:
    """Keep beside a trial's best checkpoint which value it had, and after how many units."""
    write_json(best.with_suffix(".json"), {"value": value, "resource": resource})


def read_best_note(best: Path) -> dict[str, Any] | None:
    """What ``write_best_note`` kept; None if there is none, or no checkpoint, or it cannot be read."""
    note = read_optional_json(best.with_suffix(".json"))
    try:
        return {"value": float(note["value"]), "resource": int(note["resource"])} if best.exists() else None
    except (ValueError, KeyError, TypeError):
        return None


def keep_best(directory: RunDirectory, scheduler: Scheduler) -> dict[str, Any] | None:
    """Copy the best trial's best checkpoint to ``checkpoints/best.pt``.

    Returns:
        Which value it had and after how many units; None if the trial saved none, or went on to save one that
        it could not report any more. A task that does not
        save every unit may have saved another than its best.
    """
    if scheduler.best is None:
        return None
    source = directory.trial_checkpoint(scheduler.best.trial, "best")
    note = read_best_note(source)
    if note is None or note["resource"] > scheduler.trials[scheduler.best.trial].resource:
        return None  # of a unit whose report never arrived
    with open(source, "rb") as best, whole(directory.best_checkpoint) as file:
        shutil.copyfileobj(best, file)
    return note


def summarise(
    outcome: Outcome,
    scheduler: Scheduler,
    leaderboard: Leaderboard,
    metric: str,
    checkpoint: dict[str, Any] | None,
    count: int = 10,
    unit: str = "unit",
) -> dict[str, Any]:
    """The content of results.json: how it ended, and the best configurations.

    Args:
        checkpoint: what ``keep_best`` returned.
        count: how many configurations.
        unit: what a unit of resource is called.
    """
    top = [
        {
            "trial": standing.trial,
            "value": standing.value,
            "resource": standing.resource,
            "reached": standing.reached,
            "configuration": stored(scheduler.trials[standing.trial].trained_with(standing.resource)),
        }
        for standing in leaderboard.top(count)
    ]
    return {
        "schema": 1,
        "reason": outcome.reason,
        "metric": metric,
        "mode": scheduler.mode,
        "unit": unit,
        "best": top[0] if top else None,
        "best_checkpoint": checkpoint,
        "top": top,
        "trials": outcome.trials,
        "rejected": scheduler.rejected,
        "failed": outcome.failures,
        "stopped_early": sum(
            trial.finished and trial.resource < scheduler.levels[-1] for trial in scheduler.trials
        ),
        "units": outcome.units,
        "seconds": outcome.seconds,
        "gpu_hours": outcome.gpu_seconds / 3600,
        "training_seconds": outcome.training_seconds,
        "warm_start_seconds": outcome.warm_start_seconds,
        "scheduler_state": scheduler.state(),
        "rungs": [
            {"level": row.level, "reached": row.reached, "promoted": row.promoted}
            for row in scheduler.counts()
        ],
    }
