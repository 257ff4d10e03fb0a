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
                of them. What each task is: benchmarks/studies/tables.yaml.
The early rung  (--early): the baseline, measured after a part of a unit; a resource is such a part.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from asha_core import Configuration, Curves, Float, RandomSearch, SearchSpace
from asha_core.launch.yaml_files import read_yaml
from asha_core.runtime.storage.manifest import commit, versions
from asha_core.streams import stream_seed
from benchmarks.batched_training import train
from benchmarks.published_tables import written
from trials.spec import TaskSpec
from trials.tasks import task_target
from trials.torch_task.learner import Learner, load_data, training_inputs
from trials.torch_task.torch_task import TorchTask
from warmstart.base import WarmStart, accepted
from warmstart.problem.data.samples import call
from warmstart.problem.randomness import generator_for
from warmstart.registry import build, variation

FILE = Path(__file__).parent / "studies" / "tables.yaml"
ARMS = "baseline,ohgw-trust,ohgw-1step,trust-matched,random-matched,ohgw-3step,random-warm"
_BLOCK = 10  # refinements between two measurements of a mini-batch
_STEPS = 25  # mini-batches in such a measurement


@dataclass(frozen=True, slots=True)
class Plan:
    """One task of tables.yaml, ready to train.

    Attributes:
        name, half: of the file.
        task: with the space that is asked for.
        max_resource: units of a complete trial.
        parts: of a unit, for the early rung.
        seed: of the search.
        told: how the task is made, for people.
    """

    name: str
    half: str
    task: TorchTask
    max_resource: int
    parts: int
    seed: int
    told: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """Mini-batches in a unit."""
        from trials.torch_task.options import step_settings

        settings = step_settings(self.task, self.proposed(1)[0])
        return settings.steps(load_data(self.task, "cpu")[0])

    def proposed(self, count: int) -> list[Configuration]:
        """The first configurations of the search."""
        search = RandomSearch(self.task.space, self.seed)
        return [search.propose(i) for i in range(count)]

    def seeds(self, count: int) -> list[int]:
        """Of its trials."""
        return [stream_seed(self.seed, "trial", i) for i in range(count)]


def planned(name: str, space: str, folder: Path, data: Path | None) -> Plan:
    """A task of tables.yaml in its wide or narrow space.

    Args:
        folder: where a published table is written, and the pilot's best learning rate.
    """
    file = read_yaml(FILE.read_text(encoding="utf-8"))
    if name not in file["tasks"]:
        raise SystemExit(f"--task is {name}: one of {', '.join(file['tasks'])}")
    entry = file["tasks"][name]
    task = _made(entry, folder, data)
    told = {key: entry[key] for key in ("task", "options", "attributes", "published") if key in entry}
    told["space"] = space
    make = partial(Plan, name, entry["half"], task, entry["max_resource"], entry["parts"])
    if space == "narrow":
        lr = _pilot_best(make(file["pilot"]["seed"], told), file["pilot"]["configurations"], folder)
        task.space = _about(task.space, lr)
    return make(file["seed"], told)


def _made(entry: Mapping[str, Any], folder: Path, data: Path | None) -> TorchTask:
    places = {"data": data}
    if "published" in entry:
        assert data is not None
        folder.mkdir(parents=True, exist_ok=True)
        places["table"] = written(data / "tabular", entry["published"], folder)[0]
    options = {
        key: value.format(**places) if isinstance(value, str) else value
        for key, value in entry["options"].items()
    }
    task = cast(TorchTask, TaskSpec(task_target(entry["task"]), options).build())
    for key, value in entry.get("attributes", {}).items():
        setattr(task, key, value)
    task.prepare()
    return task


def _about(space: SearchSpace, lr: float) -> SearchSpace:
    """The space with a decade of learning rates about one of them, as far as it has them."""
    wide = space["lr"]
    assert isinstance(wide, Float)
    low, high = (float(f"{lr * 10**side:.3g}") for side in (-0.5, 0.5))
    narrow = Float(max(low, wide.lower), min(high, wide.upper), log=True)
    return SearchSpace({**space, "lr": narrow})


def _pilot_best(plan: Plan, count: int, folder: Path) -> float:
    """The learning rate of the pilot's best configuration at full length."""
    file = folder / "pilot.npz"
    if not file.exists():
        proposed = plan.proposed(count)
        trained = train(plan.task, proposed, plan.seeds(count), plan.max_resource)
        table(plan, proposed, trained.value, trained.loss, "baseline").save(file)
    curves = Curves.load(file)
    last = np.nan_to_num(curves.value[0, :, -1] * (1 if curves.mode == "max" else -1), nan=-np.inf)
    return float(curves.configurations[int(last.argmax())]["lr"])


# -- refining ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refined:
    """What a warm start made of N configurations.

    Attributes:
        configurations: N of them.
        time: processor time of each refinement, in mini-batches of training, (N,).
        batches: its arithmetic, in those of training, (N,); NaN: not known.
    """

    configurations: list[Configuration]
    time: np.ndarray
    batches: np.ndarray


def refined(
    task: TorchTask, strategy: WarmStart, configurations: Sequence[Configuration], seeds: Sequence[int]
) -> Refined:
    """Refine each as a worker would, and measure what that takes."""
    peer = TrainingLoop(task, configurations[0])
    known: dict[str, Any] = {}
    made, seconds, batches, peers = [], [], [], [peer.seconds(2 * _STEPS)]
    for number, (configuration, seed) in enumerate(zip(configurations, seeds, strict=True)):
        began = time.process_time()
        problem = task.problem(seed, "cpu")
        counting = getattr(problem, "counting", None)
        context: AbstractContextManager[Any] = (
            nullcontext(lambda told: None) if counting is None else counting(known)
        )
        with context as flops:
            outcome = strategy.refine(problem, configuration, seed)
        outcome = accepted(strategy.name, task.space, configuration, outcome)
        operations = flops(outcome.diagnostics)
        seconds.append(time.process_time() - began)
        made.append(outcome.configuration)
        batches.append(math.nan if operations is None else operations / peer.flops)
        if (number + 1) % _BLOCK == 0 or number + 1 == len(seeds):
            peers.append(peer.seconds(_STEPS))
    near = [(peers[i // _BLOCK] + peers[i // _BLOCK + 1]) / 2 for i in range(len(seeds))]
    return Refined(made, np.array(seconds) / near, np.array(batches))


class TrainingLoop:
    """Mini-batches of the worker's own training, one after the other."""

    def __init__(self, task: TorchTask, configuration: Configuration) -> None:
        self.task, self.configuration = task, configuration
        self.learner = Learner(task, configuration, 0, "cpu")
        self.learner.model.train()
        self.noise = generator_for(0, "augmentation", 1)
        self.batches = self._endless()
        self.seconds(5)
        self.flops = (self.learner.trained.flops() or math.nan) / 5

    def _endless(self) -> Any:
        order = generator_for(0, "order", 1)
        while True:
            yield from load_data(self.task, "cpu")[0].shuffled(self.learner.settings.batch_size, order)

    def seconds(self, count: int) -> float:
        """Processor time of one of so many."""
        began = time.process_time()
        for _ in range(count):
            self._step()
        return (time.process_time() - began) / count

    def _step(self) -> None:
        """As ``trials.torch_task.training`` does it."""
        inputs, targets = self.task.unpack_batch(next(self.batches))
        for group, peak in zip(self.learner.optimizer.param_groups, self.learner.peaks, strict=True):
            group["lr"] = peak * self.task.lr_lambda(0, 0.0, self.configuration)
        self.learner.optimizer.zero_grad(set_to_none=True)
        augmented = training_inputs(self.task, inputs, self.configuration, self.noise)
        self.learner.trained(augmented)
        self.task.loss(call(self.learner.network, augmented), targets, self.configuration).backward()
        self.learner.step()


# -- tables ----------------------------------------------------------------------------------------------


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
    parser.add_argument("--arms", default=ARMS, help=f"warm starts, with commas [{ARMS}]")
    parser.add_argument("--early", action="store_true", help="the control with an earlier rung")
    parser.add_argument("--configurations", type=int, help="[as tables.yaml has it]")
    parser.add_argument("--output", type=Path, required=True, help="the table, .npz")
    parser.add_argument("--data", type=Path, default=Path(known) if known else None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.output.with_name(options.output.name + ".arms")
    folder.mkdir(parents=True, exist_ok=True)
    plan = planned(options.task, options.space, folder, options.data)
    count = options.configurations or read_yaml(FILE.read_text(encoding="utf-8"))["configurations"]
    if options.early:
        early(plan, count).save(options.output)
        return
    parts = []
    for arm in options.arms.split(","):
        file = folder / f"{arm}.npz"
        if not file.exists():
            recorded(plan, arm, count).save(file)
        parts.append(Curves.load(file))
        merged(parts).save(options.output)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
