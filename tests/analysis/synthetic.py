"""Replicates and studies of known truth, made in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.journals.metrics import BestCurve, RungShare, TimeSplit
from analysis.journals.replicate import Replicate
from analysis.study.loading import Study
from analysis.study.problems import Problem
from asha_core.runtime.budget import Measure

TARGETS = (0.9, 0.95)
SPACE = {
    "lr": {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True},
    "momentum": {"type": "float", "lower": 0.0, "upper": 0.99, "log": False},
    "batch": {"type": "int", "lower": 16, "upper": 64, "log": False},
    "optimizer": {"type": "choice", "options": ["sgd", "adam"]},
}
WARM = {"skipped": 1, "fallbacks": 0, "non_finite": 2, "braked": 0, "redrawn": 0}
HARDWARE = {"machine": "x86_64", "cores": 2, "devices": ["cpu"], "gpus": []}
GPU = {"machine": "x86_64", "cores": 8, "devices": ["cuda:0"], "gpus": ["H200"]}


def replicate(
    arm: str = "baseline",
    seed: int = 0,
    reached: Mapping[float, float] | None = None,
    *,
    end: float = 100.0,
    best: float | None = None,
    group: str = "digits, asha",
    experiment: str = "main",
    targets: Sequence[float] = TARGETS,
    mode: str = "max",
    settings: Mapping[str, Any] | None = None,
    strategy: str = "",
    budget: float | None = None,
    warm: float = 0.0,
    peak: float = 1e9,
    trials: int = 12,
    moved: float = 0.1,
    hardware: Mapping[str, Any] = HARDWARE,
    metric: str = "accuracy",
    test: float = math.nan,
    scale: float = 1.0,
    commit: str | None = None,
) -> Replicate:
    """One search.

    Args:
        reached: value -> seconds at which it was first reached. best: a last improvement, 0.1 s after these.
        warm: seconds of all warm starts. moved: decades by which they move lr.
        scale: of all times: seconds, units and GPU-hours alike.
    """
    steps = sorted((reached or {}).items(), key=lambda item: item[1])
    t = [each for _, each in steps]
    values = [value for value, _ in steps]
    if best is not None:
        t.append((t[-1] if t else 0.0) + 0.1)
        values.append(best)
    times = scale * np.array(t, dtype=np.float64)
    warmed = arm != "baseline"
    columns = _trials(seed, trials, moved if warmed else 0.0, gradient=warmed)
    curve = BestCurve(
        times,
        np.maximum(times.astype(np.int64), 1),
        np.array(values, dtype=np.float64),
        np.arange(len(values)) % max(trials, 1),
    )
    end *= scale
    return Replicate(
        id=f"{group}/{arm}/seed-{seed}",
        directory=Path(f"{arm}-{seed}"),
        group=group,
        arm=arm,
        experiment=experiment,
        task=group.partition(",")[0],
        scheduler="asha",
        variation=arm.partition(" (")[0],
        seed=seed,
        targets=tuple(targets),
        manifest={
            "created": f"2026-01-01T00:00:{seed % 60:02}",
            "versions": {"python": "3.11"},
            "commit": commit,
            "task": {"name": "digits", "metric": metric, "mode": mode, "unit": "epoch"},
            "space": {"dimensions": SPACE, "constraints": []},
            "scheduler": {"name": "asha", "seed": seed, "levels": [1, 3, 9]},
            "variation": {
                "name": arm.partition(" (")[0],
                "strategy": strategy or arm.partition(" (")[0],
                "settings": dict(settings or {}),
            },
            "budget": {
                "seconds": None if budget is None else budget * scale,
                "gpu_seconds": None,
                "devices": 1,
            },
            "hardware": dict(hardware),
        },
        reason="complete",
        curve=curve,
        spent_units=times,
        gpu_hours=times / 3600,
        ends={"seconds": end, "gpu_hours": end / 3600, "units": end},
        spent_from="flops" if warmed else "none",
        trials=columns,
        rungs=[RungShare(1, trials, 1.0), RungShare(3, trials // 3, 1 / 3), RungShare(9, trials // 9, 1 / 9)],
        reports=trials,
        split=TimeSplit(end - warm * scale, warm * scale, 0.0, 0.0),
        costs={"flops": 1e12, "evaluate_flops": 1e11, "train_seconds": 0.8 * end},
        warm_start_costs={"flops": 1e10} if warmed else {},
        peaks={"host_bytes": peak},
        warm_start_peaks={"host_bytes": peak / 2} if warmed else {},
        warm_start={
            "trials": trials,
            "skipped": 1,
            "fallbacks": 0,
            "non_finite": 2,
            "braked": 0,
            "redrawn": 0,
        }
        if warmed
        else None,
        test=test,
        test_loss=math.nan,
        status=0,
        torn=False,
        schema=2,
        sessions=1,
    )


def _trials(seed: int, count: int, moved: float, *, gradient: bool) -> dict[str, Any]:
    """Proposals that depend on the seed alone, and gains that grow with the size of the hyper-gradient."""
    rng = np.random.default_rng(seed)
    proposed = {
        "lr": rng.uniform(-4, 0, count),
        "momentum": rng.uniform(0, 0.99, count),
        "batch": rng.integers(16, 65, count).astype(np.float64),
    }
    optimizer = np.array([*rng.choice(["sgd", "adam"], count).tolist(), None], dtype=object)[:-1]
    slope = rng.exponential(1.0, count)
    first = 0.1 * proposed["lr"] + 0.5
    columns: dict[str, Any] = {
        "id": np.arange(count),
        "state": np.array(["done"] * count, dtype="U8"),
        "first": np.ones(count, dtype=np.int64),
        "reached": np.full(count, 3),
        "best": first + 0.1 + (0.01 * slope if gradient else 0.0),
        "best_at": np.full(count, 3),
        "first_value": first + (0.01 * slope if gradient else 0.0),
        "warm_start_seconds": np.zeros(count),
        "seconds": np.ones(count),
    }
    for name, values in proposed.items():
        columns[f"proposed.{name}"] = values
        columns[f"refined.{name}"] = values + (moved if name == "lr" else 0.0)
        columns[f"gradient.{name}"] = slope if gradient and name == "lr" else np.full(count, np.nan)
    columns["proposed.optimizer"] = columns["refined.optimizer"] = optimizer
    return columns


def study(
    replicates: Sequence[Replicate],
    *,
    measure: Measure = "seconds",
    problems: Sequence[Problem] = (),
    planned: int | None = None,
    left_out: Sequence[Replicate] = (),
    apart: frozenset[tuple[str, str, int]] = frozenset(),
) -> Study:
    """A study of these, as ``load_study`` would have it: in order of groups, arms and seeds."""
    order = list(dict.fromkeys((each.group, each.arm) for each in replicates))
    ordered = sorted(replicates, key=lambda each: (order.index((each.group, each.arm)), each.seed))
    count = len(ordered) if planned is None else planned
    return Study(
        "a study", Path("study"), "baseline", measure, count, ordered, list(left_out), list(problems), apart
    )


def times(seeds: int, sd: float, seed: int = 0) -> Any:
    """(seeds,) log-normal times about 40 s."""
    return 40 * np.exp(np.random.default_rng(seed).normal(0, sd, seeds))


def two_arms(
    base: Sequence[float], other: Sequence[float], arm: str = "ohgw-1step", **options: Any
) -> list[Replicate]:
    """The baseline and an arm with these times to the primary target, infinite where it is not reached."""
    found = []
    for name, at in (("baseline", base), (arm, other)):
        for seed, t in enumerate(at):
            reached = {TARGETS[0]: min(t, 98.0) / 2} | ({TARGETS[1]: t} if math.isfinite(t) else {})
            found.append(replicate(name, seed, reached, **options))
    return found
