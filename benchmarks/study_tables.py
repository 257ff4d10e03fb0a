"""Tables of the study "does a warm start help?": many configurations under many warm starts, trained at once.

    python -m benchmarks.study_tables --task digits-mlp --space wide --output digits-mlp-wide.npz
    python -m benchmarks.study_tables --task digits-mlp --early --output digits-mlp-early.npz

What is run     What ``asha-curves record`` records: configuration i is ``RandomSearch(space, seed)``'s, its
                trial has the engine's seed, the warm start is the strategy itself on the task's own
                problem, and training is ``benchmarks.batched_training``, whose curves are the worker's.
Time            is counted in mini-batches of training: a unit takes as many "seconds" as it has mini-batches.
                A warm start takes its processor time over that of a mini-batch of the worker's own training
                loop, measured before and after every ten refinements, in this process.
Files           An arm is a file in OUTPUT.arms; one that is there is not made again, and the table is made
                of them. What each task is, and which are recorded by ``asha-curves record`` (trees and
                PPO, whose time is in seconds): benchmarks/studies/tables.yaml.
The early rung  (--early): the baseline, measured after a part of a unit; a resource is such a part.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from asha_core import Configuration, Curves
from asha_core.cli.curves import main as curves_command
from asha_core.launch.yaml_files import read_yaml
from asha_core.runtime.storage.manifest import commit, versions
from benchmarks.batched_training import train
from benchmarks.study_plans import FILE, Plan, options_of, planned
from benchmarks.study_refinements import Refined, refined
from warmstart.registry import build, variation

ARMS = "baseline,ohgw-trust,ohgw-1step,trust-matched,random-matched,ohgw-3step,random-warm"


def table(
    plan: Plan,
    proposed: Sequence[Configuration],
    value: np.ndarray,
    loss: np.ndarray,
    arm: str,
    found: Refined | None = None,
    units: Sequence[int] | None = None,
    batches: Sequence[int] | None = None,
) -> Curves:
    """The table of one arm: value and loss (N, U); ``batches`` says after how many mini-batches."""
    length = value.shape[1]
    ends = np.array(batches or [plan.steps * unit for unit in range(1, length + 1)], float)
    told = {
        "table": plan.name,
        **plan.told,
        "max_resource": plan.max_resource,
        "mini-batches a unit": plan.steps,
        "seed": plan.seed,
        "time": "seconds are mini-batches of training; of a warm start its processor time over that of one",
        "made by": "python -m benchmarks.study_tables",
        "versions": versions(),
        "commit": commit(),
    }
    refinement: dict[str, Any] = {}
    if found is not None:
        refinement = {
            "refined": {(0, row): each for row, each in enumerate(found.configurations)},
            "warm_seconds": _short(found.time[None], 4),
            "warm_batches": _short(found.batches[None], 4),
        }
    return Curves.from_arrays(
        plan.task.space,
        proposed,
        _short(value, 7)[None],
        seconds=np.broadcast_to(np.diff(ends, prepend=0), (1, *value.shape)),
        units=units,
        arms=[arm],
        mode=plan.task.mode,
        metric=plan.task.metric,
        unit=plan.task.unit if units is None else f"part of a unit (1/{plan.parts})",
        metrics={"valid_loss": _short(loss, 5)[None]},
        length=np.full((1, len(proposed)), length, dtype=np.int32),
        source=told,
        **refinement,
    )


def _short(values: np.ndarray, digits: int) -> np.ndarray:
    """So many significant digits, which fill less of a file."""
    return np.vectorize(lambda x: float(f"{x:.{digits}g}"), otypes=[float])(values)


def merged(parts: Sequence[Curves]) -> Curves:
    """One table of several arms of the same configurations."""
    first = parts[0]
    for part in parts:
        if part.configurations != first.configurations or part.units != first.units:
            raise SystemExit(f"{part.arms[0]} has other configurations than {first.arms[0]}: make it again")
    return Curves.from_arrays(
        first.space,
        first.configurations,
        np.concatenate([part.value for part in parts]),
        seconds=np.concatenate([cast(Any, part.seconds) for part in parts]),
        units=first.units,
        arms=[arm for part in parts for arm in part.arms],
        mode=first.mode,
        metric=first.metric,
        unit=first.unit,
        metrics={
            name: np.concatenate([part.metrics[name] for part in parts]) for name in first.metrics
        },
        refined={
            (number, row): each
            for number, part in enumerate(parts)
            for (_, row), each in part.refined.items()
        },
        warm_seconds=np.concatenate([part.warm_seconds for part in parts]),
        warm_batches=np.concatenate([part.warm_batches for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        source=first.source,
    )  # fmt: skip


def recorded(plan: Plan, arm: str, count: int) -> Curves:
    """One arm: its refinements, and all curves."""
    proposed, seeds = plan.proposed(count), plan.seeds(count)
    chosen = variation(arm)
    began, found = time.process_time(), None
    if chosen.strategy != "none":
        found = refined(plan.task, build(chosen.strategy, chosen.settings), proposed, seeds)
    middle = time.process_time()
    trained = train(plan.task, proposed if found is None else found.configurations, seeds, plan.max_resource)
    cost = 0.0 if found is None else float(np.median(found.time))
    print(
        f"{plan.name}, {arm}: refined in {middle - began:.0f} s ({cost:.1f} mini-batches each), trained in "
        f"{time.process_time() - middle:.0f} s of processor time",
        flush=True,
    )
    return table(plan, proposed, trained.value, trained.loss, arm, found)


def by_the_recorder(
    name: str, arms: str | None, count: int, folder: Path, data: Path | None, output: Path
) -> None:
    """The table of a task that is not trained so: what ``asha-curves record`` makes, without paths."""
    file = read_yaml(FILE.read_text(encoding="utf-8"))
    entry = file["tasks"][name]
    chosen = arms or ",".join(entry["recorder"])
    given = {"configurations": count, "arms": chosen, "max-resource": entry["max_resource"]}
    given |= {"seed": file["seed"], "task": entry["task"], "gpus": "inline", "progress": "none"}
    made = folder / "recorded.npz"
    if made.exists():
        made.unlink()  # of fewer arms: their searches are kept
    arguments = [text for key, value in given.items() for text in (f"--{key}", str(value))]
    options = options_of(entry, folder, data)
    arguments += [text for key, value in options.items() for text in ("--task-option", f"{key}={value}")]
    if curves_command(["record", *arguments, "--output", str(made)]):
        raise SystemExit(1)
    curves = Curves.load(made)
    told = {key: entry[key] for key in ("task", "options", "published") if key in entry}
    kept = {key: curves.source[key] for key in ("versions", "commit", "created")}
    source = {"table": name, **told, "seed": file["seed"], "time": "seconds", **kept}
    source |= {"made by": "python -m benchmarks.study_tables, by asha-curves record"}
    dataclasses.replace(curves, source=source).save(output)


def early(plan: Plan, count: int) -> Curves:
    """The baseline after parts of its first unit, and at the end of each."""
    proposed, seeds = plan.proposed(count), plan.seeds(count)
    powers = [3**k for k in range(10) if 3**k < plan.parts]
    units = [*powers, *(plan.parts * unit for unit in range(1, plan.max_resource + 1))]
    at = [round(unit * plan.steps / plan.parts) for unit in units]
    trained = train(plan.task, proposed, seeds, plan.max_resource, at=at)
    return table(plan, proposed, trained.value, trained.loss, "baseline", units=units, batches=at)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = os.environ.get("ASHA_TEST_DATA")
    parser.add_argument("--task", required=True, help="of tables.yaml")
    parser.add_argument("--space", choices=("wide", "narrow"), default="wide")
    parser.add_argument("--arms", help=f"warm starts, with commas [{ARMS}, or the recorder's]")
    parser.add_argument("--early", action="store_true", help="the control with an earlier rung")
    parser.add_argument("--configurations", type=int, help="[as tables.yaml has it]")
    parser.add_argument("--output", type=Path, required=True, help="the table, .npz")
    parser.add_argument("--data", type=Path, default=Path(known) if known else None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.output.with_name(options.output.name + ".arms")
    folder.mkdir(parents=True, exist_ok=True)
    file = read_yaml(FILE.read_text(encoding="utf-8"))
    count = options.configurations or file["configurations"]
    if "recorder" in file["tasks"].get(options.task, {}):
        if options.early or options.space == "narrow":
            raise SystemExit(f"--task {options.task} has the wide space alone, and no early rung")
        by_the_recorder(options.task, options.arms, count, folder, options.data, options.output)
        return
    plan = planned(options.task, options.space, folder, options.data)
    if options.early:
        early(plan, count).save(options.output)
        return
    parts = []
    for arm in (options.arms or ARMS).split(","):
        file = folder / f"{arm}.npz"
        if not file.exists():
            recorded(plan, arm, count).save(file)
        parts.append(Curves.load(file))
        merged(parts).save(options.output)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
