"""Studies for tests, quickly: real schedulers and real journals, of training that is made up.

A trial's value after ``r`` units is ``quality(lr) * (1 - 0.6 ** r)`` and a little noise, which depends on
seed, trial and unit alone. So searches with one seed meet the same values whatever their arm, unless the warm
start moves them.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asha_core import ASHA, Choice, Configuration, Float, Refined, Report, SearchSpace
from asha_core.runtime.executor import WorkerReady
from asha_core.runtime.storage.journal import JournalWriter
from asha_core.runtime.storage.records import event_record, job_record

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 3.0, log=True),
        "weight_decay": Float(1e-6, 1e-2, log=True),
        "momentum": Float(0.0, 0.99),
        "magnitude": Float(0.0, 1.0),
        "label_smoothing": Float(0.0, 0.3),
        "optimizer": Choice(["sgd", "adam"]),
    }
)
ARMS: Mapping[str, float] = {"baseline": 1.0, "random-warm": 1.0, "ohgw-1step": 0.8}
GROUP = "digits, asha"
TARGETS = (0.8, 0.9)
HARDWARE = {"machine": "x86_64", "system": "Linux", "cores": 2, "devices": ["cpu"], "gpus": []}
VERSIONS = {"python": "3.11", "asha-core": "0.1.0", "torch": "2.0"}
FLOPS = 1e9  # of a unit
_STRATEGIES = {"baseline": "none", "random-warm": "random"}


def write_study(
    folder: Path,
    arms: Mapping[str, float] = ARMS,
    seeds: Iterable[int] = range(5),
    *,
    group: str = GROUP,
    plan: bool = True,
    targets: Sequence[float] = TARGETS,
    measure: str = "seconds",
    skip: Iterable[tuple[str, int]] = (),
    **search: Any,
) -> Path:
    """A study of one group.

    Args:
        arms: name -> how long a unit takes, over that of the baseline. plan: whether to write study.json; a
            second group is added to one that is there. skip: (arm, seed) that are planned and not run.
        search: for ``write_search``.
    """
    runs = []
    for arm, pace in arms.items():
        for seed in seeds:
            stem = re.sub(r"[^a-z0-9.]+", "-", f"{group}-{arm}".lower()).strip("-")
            directory = f"runs/{stem}/seed-{seed}"
            runs.append(
                {
                    "id": f"{stem}/seed-{seed}",
                    "directory": directory,
                    "experiment": "main",
                    "group": group,
                    "task": "digits",
                    "scheduler": "asha",
                    "variation": arm.partition(" (")[0],
                    "arm": arm,
                    "seed": seed,
                    "targets": list(targets),
                    "warm_start_option": settings_in(arm),
                }
            )
            if (arm, seed) not in set(skip):
                target = None if plan else targets[-1]
                write_search(folder / directory, arm, seed, pace=pace, target=target, **search)
    if plan:
        file = folder / "study.json"
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(file.read_text())["runs"] if file.exists() else []
        content = {"schema": 1, "name": "a study", "created": "2026-01-01T00:00:00+00:00"}
        content |= {"baseline": "baseline", "measure": measure, "runs": before + runs}  # type: ignore[dict-item]
        file.write_text(json.dumps(content))
    return folder


def write_search(
    folder: Path,
    arm: str = "baseline",
    seed: int = 0,
    *,
    trials: int = 12,
    levels: tuple[int, int] = (1, 9),
    pace: float = 1.0,
    warm_seconds: float = 0.1,
    shift: float = 0.0,
    costs: bool = True,
    target: float | None = None,
    budget: float | None = None,
    reason: str | None = "complete",
    hardware: Mapping[str, Any] = HARDWARE,
    versions: Mapping[str, Any] = VERSIONS,
    metric: str = "accuracy",
    test: float | None = None,
) -> Path:
    """One search, on one worker, in virtual time.

    Args:
        arm: a variation, with settings in parentheses if it has some: "ohgw-1step (eta_h=0.001)".
        levels: least and greatest units. pace: how long a unit takes, over 1 s and a little.
        warm_seconds: of a warm start. shift: decades by which it moves lr towards the best value, at most.
        costs: whether they are recorded. reason: how it ended; None: it was killed. test: value in test.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    variation, settings = arm.partition(" (")[0], settings_in(arm)
    scheduler = ASHA(
        SPACE, min_resource=levels[0], max_resource=levels[1], max_trials=trials, seed=seed, mode="max"
    )
    strategy = _STRATEGIES.get(variation, "hypergradient")
    manifest = {
        "schema": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "command": ["asha-run"],
        "versions": dict(versions),
        "commit": None,
        "task": {
            "name": "digits",
            "target": "t:T",
            "options": {},
            "metric": metric,
            "mode": "max",
            "unit": "epoch",
        },
        "space": SPACE.to_dict(),
        "scheduler": scheduler.describe(),
        "variation": {"name": variation, "strategy": strategy, "settings": settings},
        "budget": {"seconds": budget, "gpu_seconds": None, "devices": len(hardware["devices"])},
        "target": target,
        "hardware": dict(hardware),
        "settings": {},
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    (folder / "journal.jsonl").unlink(missing_ok=True)
    journal = JournalWriter(folder / "journal.jsonl", sync=False)
    try:
        _search(journal, scheduler, strategy, seed, pace, warm_seconds, shift, costs, budget, reason)
    finally:
        journal.close()
    if test is not None:
        (folder / "test.json").write_text(
            json.dumps({"schema": 1, "metric": metric, "value": test, "loss": 0.1})
        )
    return folder


def settings_in(arm: str) -> dict[str, Any]:
    """The settings in an arm's name: ``{"eta_h": 0.001}`` of "ohgw-1step (eta_h=0.001)"."""
    return {name: json.loads(value) for name, value in re.findall(r"(\w+)=([^,)]+)", arm)}


def quality(lr: float) -> float:
    """The value that a trial comes near to: best at lr = 0.1."""
    return max(0.98 - 0.1 * (math.log10(lr) + 1) ** 2, 0.1)


def _search(
    journal: JournalWriter,
    scheduler: ASHA,
    strategy: str,
    seed: int,
    pace: float,
    warm_seconds: float,
    shift: float,
    costs: bool,
    budget: float | None,
    reason: str | None,
) -> None:
    t = 0.0
    journal.append(t, [event_record(WorkerReady(0, 1, "cpu", 0.0))])
    limit = math.inf if budget is None else budget
    while t < limit and (job := scheduler.ask()) is not None:
        journal.append(t, [job_record(job, 0)])
        configuration = job.configuration
        if job.refine and strategy != "none":
            refined = _refined(job.trial, configuration, strategy, seed, warm_seconds, shift, costs)
            t += refined.seconds
            journal.append(t, [event_record(refined)])
            scheduler.tell(refined)
        configuration = scheduler.trials[job.trial].configuration
        for resource in range(job.start + 1, job.until + 1):
            noise = random.Random(f"{seed} {job.trial} {resource}")
            seconds = round(pace * (1 + 0.1 * noise.random()), 6)
            t += seconds
            if t >= limit:
                break
            value = quality(configuration["lr"]) * (1 - 0.6**resource) + 0.005 * noise.random()
            metrics = {"train_loss": 2.3 * 0.7**resource, "valid_loss": 2.4 * 0.75**resource}
            report = Report(
                job.trial, job.attempt, resource, value, seconds, metrics, _costs(seconds) if costs else {}
            )
            journal.append(t, [event_record(report)])
            scheduler.tell(report)
    if reason is not None:
        over = reason if t < limit else "budget"
        journal.append(min(t, limit), [{"type": "end", "reason": over}])


def _refined(
    trial: int,
    configuration: Configuration,
    strategy: str,
    seed: int,
    seconds: float,
    shift: float,
    costs: bool,
) -> Refined:
    draw = random.Random(f"{seed} {trial} warm")
    values, steps = dict(configuration), {}
    for name, value in configuration.items():
        if isinstance(value, str):
            continue
        dimension = SPACE[name]
        assert isinstance(dimension, Float)
        low, high, at = (
            math.log10(x) if dimension.log else x for x in (dimension.lower, dimension.upper, value)
        )
        wish = max(-shift, min(-1 - at, shift)) if name == "lr" else 0.01 * shift * draw.gauss(0, 1)
        moved = max(low, min(at + wish, high))
        steps[name] = moved - at
        if moved != at:
            values[name] = 10**moved if dimension.log else moved
    told: dict[str, Any] = {"strategy": strategy, "lookahead": 1, "heldout_loss": 2.3 + draw.random()}
    if strategy != "random":
        told |= {"gradient": {name: draw.gauss(0, 1) for name in steps}, "route": "closed"}
    told["step"] = steps
    spent = {"flops": 0.1 * FLOPS, "host_bytes": 2e8} if costs else {}
    return Refined(trial, Configuration(tuple(values), tuple(values.values())), seconds, told, spent)


def _costs(seconds: float) -> dict[str, float]:
    phases = {
        "train_seconds": 0.7 * seconds,
        "evaluate_seconds": 0.2 * seconds,
        "checkpoint_seconds": 0.05 * seconds,
    }
    return {**phases, "flops": FLOPS, "evaluate_flops": 0.1 * FLOPS, "host_bytes": 3e8}
