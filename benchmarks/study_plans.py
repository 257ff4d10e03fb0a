"""The tasks of benchmarks/studies/tables.yaml, made: with their wide spaces, or their narrow ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from asha_core import Configuration, Float, RandomSearch, SearchSpace
from asha_core.launch.yaml_files import read_yaml
from asha_core.streams import stream_seed
from benchmarks.batched_training import train
from benchmarks.published_tables import written
from trials.spec import TaskSpec
from trials.tasks import task_target
from trials.torch_task.learner import load_data
from trials.torch_task.options import step_settings
from trials.torch_task.torch_task import TorchTask

FILE = Path(__file__).parent / "studies" / "tables.yaml"


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


def options_of(entry: Mapping[str, Any], folder: Path, data: Path | None) -> dict[str, Any]:
    """The task's, with files where they are."""
    places = {"data": data}
    if "published" in entry:
        assert data is not None
        folder.mkdir(parents=True, exist_ok=True)
        places["table"] = written(data / "tabular", entry["published"], folder)[0]
    return {
        key: value.format(**places) if isinstance(value, str) else value
        for key, value in entry["options"].items()
    }


def _made(entry: Mapping[str, Any], folder: Path, data: Path | None) -> TorchTask:
    options = options_of(entry, folder, data)
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
    file = folder / "pilot.json"
    if not file.exists():
        proposed = plan.proposed(count)
        value = train(plan.task, proposed, plan.seeds(count), plan.max_resource).value[:, -1]
        last = np.nan_to_num(value * (1 if plan.task.mode == "max" else -1), nan=-np.inf)
        best = int(last.argmax())
        found = {"lr": proposed[best]["lr"], "value": float(value[best]), "configuration": best}
        file.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return float(json.loads(file.read_text(encoding="utf-8"))["lr"])
