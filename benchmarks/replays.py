"""Searches over one table by ours, by Optuna and by Syne Tune, for the benchmarks that compare them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import Curves, Float, Int, simulate
from asha_core.schedulers.base import Scheduler
from asha_core.simulation.virtual_workers import VirtualWorkers
from benchmarks.table_parts import gains

ETA = 3
UNIT = 10.0  # virtual seconds of a mean unit in Syne Tune's simulator
SLEEP = 0.5  # how often it looks for events
REPLAY = Path(__file__).parent / "syne_tune_replay.py"

Improvement = tuple[float, int, float, int]  # when, after how many units, the value, whose row


def best_at(improvements: Sequence[Improvement], budgets: Sequence[int], worst: float) -> list[float]:
    """The best value after each number of units; ``worst`` before there is any."""
    values = []
    for budget in budgets:
        reached = [value for _, units, value, _ in improvements if units <= budget]
        values.append(reached[-1] if reached else worst)
    return values


# -- ours ----------------------------------------------------------------------------------------------


def ours(make: Callable[[], Scheduler], curves: Curves, units: int) -> list[Improvement]:
    """Improvements of a search with one worker; ``curves`` without seconds, so that time is units."""
    found = simulate(make(), curves, budget=float(units))
    return list(zip(found.times, found.spent, found.values, [-1] * len(found.by), strict=True))


def until_one_more_would_begin(scheduler: Scheduler, curves: Curves, workers: int) -> float:
    """When a slot is free, all of the searcher's configurations have begun, and nobody can go on.

    That is when Syne Tune's ``max_num_trials_started`` ends a search. The scheduler is left as it then is.
    """
    slots = VirtualWorkers(workers, curves.finder(curves.arms[0], scheduler.searcher))
    now = 0.0
    while True:
        while slots.free:
            job = scheduler.ask()
            if job is None:
                return now
            slots.submit(job, slots.free[0], now)
        now, events = slots.pop(now)
        for event in events:
            scheduler.tell(event)


# -- Optuna ----------------------------------------------------------------------------------------------


def optuna(sampler: str, curves: Curves, seed: int, units: int) -> list[Improvement]:
    """``HyperbandPruner`` with one of Optuna's samplers, one trial after the other, as ``optimize`` would."""
    import optuna as package
    from optuna.trial import TrialState

    package.logging.set_verbosity(package.logging.ERROR)
    most = curves.units[-1]
    study = package.create_study(
        direction="maximize" if curves.mode == "max" else "minimize",
        sampler=getattr(package.samplers, sampler)(seed=seed),
        pruner=package.pruners.HyperbandPruner(min_resource=1, max_resource=most, reduction_factor=ETA),
    )
    found: list[Improvement] = []
    gain, spent, best = gains(curves), 0, -np.inf
    while spent < units:
        trial = study.ask()
        configuration = {}
        for name, dimension in curves.space.items():
            if isinstance(dimension, Int):
                value = trial.suggest_int(name, dimension.lower, dimension.upper, log=dimension.log)
            else:
                assert isinstance(dimension, Float)
                value = trial.suggest_float(name, dimension.lower, dimension.upper, log=dimension.log)
            configuration[name] = value
        row = curves.nearest(curves.space.restored(configuration))
        for unit in range(most):
            value = float(curves.value[0][row, unit])
            spent += 1
            if gain[row, unit] > best and spent <= units:
                best = gain[row, unit]
                found.append((float(spent), spent, value, row))
            trial.report(value, unit + 1)
            if spent == units or trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, value)
    return found


# -- Syne Tune -------------------------------------------------------------------------------------------


def syne_tune(
    python: Path, curves: Curves, searches: Sequence[dict[str, Any]], timeout: float = 3600.0
) -> list[dict[str, Any]]:
    """What its simulator gives for each search, in virtual time of the table's seconds.

    Args:
        python: of an environment with benchmarks/requirements-syne-tune.txt.
        searches: system, workers, order (rows to begin with), seed, and trials or units as limits.
    Raises:
        RuntimeError: it failed; says what it printed last.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scale = write_table(curves, work / "table.npz")
        settings = {"sleep": SLEEP, "brackets": 4}
        (work / "searches.json").write_text(json.dumps([settings | search for search in searches]))
        done = subprocess.run(
            [python, REPLAY, work],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={"PATH": os.environ.get("PATH", ""), "SYNETUNE_FOLDER": folder},
        )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"took"')]
    sign = 1.0 if curves.mode == "max" else -1.0
    for answer in answers:
        answer["seconds"] /= scale
        answer["improvements"] = [
            (when / scale, units, sign * value, row) for when, units, value, row in answer["improvements"]
        ]
    return answers


def write_table(curves: Curves, path: Path) -> float:
    """The table as ``syne_tune_replay`` reads it; by how much its seconds were stretched."""
    names = list(curves.space)
    dimensions = [curves.space[name] for name in names]
    each = np.ones(curves.value[0].shape) if curves.seconds is None else curves.seconds[0]
    scale = UNIT / float(each.mean())
    np.savez(
        path,
        names=np.array(names),
        lower=np.array([float(dimension.lower) for dimension in dimensions]),
        upper=np.array([float(dimension.upper) for dimension in dimensions]),
        log=np.array([dimension.log for dimension in dimensions]),
        integer=np.array([isinstance(dimension, Int) for dimension in dimensions]),
        X=np.array(
            [[float(configuration[name]) for name in names] for configuration in curves.configurations]
        ),
        value=gains(curves),
        elapsed=np.cumsum(each, axis=1) * scale,
    )
    return scale
