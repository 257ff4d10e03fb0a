"""Simulated runs in study.json: those of an arm together, with their manifest; and their tables beside it.

simulated   a list, an arm each: a run as under ``runs``, without id, seed and directory; ``stem``; ``seeds``,
            as [first, last] of each range; ``manifest``, what run.json has of a real run
tables      checksum -> name, file (a copy, in this directory), configurations, arms, timed, source
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ResultsError
from asha_core.launch.types import choose_warm_start
from asha_core.runtime.storage.atomic import whole
from asha_core.runtime.storage.manifest import manifest
from asha_core.runtime.units import as_ranges
from asha_core.simulation.curves import Curves
from asha_core.study.planned_runs import PlannedRun
from asha_core.study.simulated_search import (
    curve_options,
    decision_seconds,
    simulated_scheduler,
    time_limit,
    workers_of,
)

_NOT_KEPT = ("id", "seed", "directory")


def expanded(entries: Sequence[Mapping[str, Any]]) -> list[PlannedRun]:
    """The runs of study.json's ``simulated``."""
    return [
        PlannedRun.from_dict(
            {
                **entry,
                "id": f"{entry['stem']}/seed-{seed}",
                "seed": seed,
                "options": {**entry["options"], "seed": seed},
            }
        )
        for entry in entries
        for first, last in entry["seeds"]
        for seed in range(first, last + 1)
    ]


def collapsed(
    runs: Sequence[PlannedRun], before: Sequence[Mapping[str, Any]], directory: Path
) -> list[dict[str, Any]]:
    """The simulated ones of these runs as study.json has them.

    Args:
        before: what it had; an arm that has a manifest keeps it.
        directory: of the study, with its tables.
    """
    arms: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if run.table:
            arms.setdefault(run.stem, []).append(run)
    known = {str(entry["stem"]): entry for entry in before}
    found = []
    for stem, alike in arms.items():
        entry = alike[0].to_dict()
        for key in _NOT_KEPT:
            del entry[key]
        del entry["options"]["seed"]
        old = known.get(stem, {})
        same = all(old.get(key) == entry[key] for key in ("table", "options", "scheduler", "variation"))
        entry["stem"] = stem
        entry["seeds"] = as_ranges(run.seed for run in alike)
        entry["manifest"] = old["manifest"] if same else manifest_of(alike[0], directory)
        found.append(entry)
    return found


def manifest_of(run: PlannedRun, directory: Path) -> dict[str, Any]:
    """What run.json would have of a run, but for its seed."""
    curves = _loaded(table_path(directory, run))
    scheduler, workers = simulated_scheduler(run.options, curves), workers_of(run.options)
    limit = time_limit(run.options)
    cost = curve_options(run.options).warm_start_cost
    told = {"name": run.task, "options": {}}
    return manifest(
        task={**told, "metric": curves.metric, "mode": curves.mode, "unit": curves.unit},
        space=curves.space.to_dict(),
        scheduler=scheduler.describe(),
        variation=_variation(run.variation),
        budget={"seconds": None if math.isinf(limit) else limit, "gpu_seconds": None, "devices": workers},
        hardware={"machine": "virtual", "devices": [], "gpus": [], "workers": workers},
        settings={},
        simulated={
            "table": run.task,
            "sha256": run.table,
            "configurations": len(curves),
            "timed": curves.timed,
            "workers": workers,
            "decision_seconds": decision_seconds(run.options),
            "study_seed": run.study_seed,
            **({} if cost == 1.0 else {"warm_start_cost": cost}),
        },
    )


def _variation(name: str) -> dict[str, Any]:
    """A table's arm may have any name, and not that of a warm start."""
    try:
        chosen = choose_warm_start(name)
    except (AshaError, ValueError):
        return {"name": name, "strategy": name, "settings": {}}
    return {"name": chosen.name, "strategy": chosen.strategy, "settings": chosen.settings}


@lru_cache(maxsize=8)
def _loaded(path: Path) -> Curves:
    return Curves.load(path)


def table_path(directory: Path, run: PlannedRun) -> Path:
    """The copy of a run's table in a study's directory."""
    return directory / "curves" / f"{run.table[:16]}.npz"


def keep_tables(directory: Path, runs: Sequence[PlannedRun], before: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the tables of the runs to where ``table_path`` has them; what study.json says of them.

    Raises:
        ResultsError: one cannot be copied.
    """
    told = dict(before)
    for run in {run.table: run for run in runs if run.table}.values():
        copy = table_path(directory, run)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(Path(run.options["curves"]), copy)
        curves = _loaded(copy)
        told[run.table] = {
            "name": run.task,
            "file": str(copy.relative_to(directory)),
            "configurations": len(curves),
            "arms": list(curves.arms),
            "timed": curves.timed,
            "source": dict(curves.source),
        }
    return told


def _copy(path: Path, copy: Path) -> None:
    try:
        with path.open("rb") as source, whole(copy) as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise ResultsError(f"the table {path} cannot be copied to {copy}: {error.strerror}") from None
