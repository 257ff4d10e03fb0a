"""What a study consists of: its runs, each with the options of ``asha-run`` that it is."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from asha_core.launch.option_table import Scope, keys_of
from asha_core.runtime.storage.records import json_values

_FREE = (*keys_of(Scope.HANDLING, Scope.PLACE), "curves")  # with other values it is the same search
_OF_THE_ARM = keys_of(Scope.ARM)  # of two runs that differ in these alone, one is compared with the other


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One search of a study: one seed of one arm."""

    id: str  # also its directory under ``runs/``
    experiment: str  # the ``run_id`` in the file
    task: str
    scheduler: str
    variation: str
    arm: str  # the warm start, with its options if it has some
    seed: int
    targets: tuple[float, ...]  # of T@tau, fixed before the runs; the last is the primary one
    options: Mapping[str, Any]  # of ``asha-run``, by key; without where it runs and where it writes
    group: str = ""  # the name of its ``pairing``, for people
    table: str = ""  # of a simulated one, the checksum (SHA-256) of its table of curves
    study_seed: int = 0  # of a simulated one: which configurations of the table each seed meets

    @property
    def pairing(self) -> str:
        """What runs that are compared with each other have in common."""
        return self._as_text((*_OF_THE_ARM, *_FREE))

    @property
    def pairing_of_seed(self) -> tuple[str, int]:
        """What the runs of one pair have in common."""
        return self.pairing, self.seed

    @property
    def identity(self) -> str:
        """What makes it this search; two runs with the same are the same search twice."""
        return self._as_text(_FREE)

    @property
    def kind(self) -> str:
        """What the runs of an arm have in common: all but the seed."""
        return self._as_text((*_FREE, "seed"))

    def _as_text(self, without: Sequence[str]) -> str:
        """Options as text that is the same for those in the file and those that study.json has kept."""
        kept: dict[str, Any] = {key: value for key, value in self.options.items() if key not in without}
        if self.table:
            kept |= {"table": self.table, "study_seed": self.study_seed}
            kept |= {"faults": self.options["executor_option"]} if "executor_option" in self.options else {}
        return json.dumps(json_values(kept), sort_keys=True)

    @property
    def stem(self) -> str:
        """The arm's part of its name."""
        return self.id.rpartition("/")[0]

    def changed(self, now: PlannedRun) -> list[str]:
        """The options by which another search would be run ``now``."""
        names = sorted({*self.options, *now.options} - {*_FREE})
        return [name for name in names if self.options.get(name) != now.options.get(name)]

    def to_dict(self) -> dict[str, Any]:
        """For study.json."""
        kept = asdict(self)
        if not self.table:
            del kept["table"], kept["study_seed"]
        return {
            **kept,
            "options": dict(self.options),
            "targets": list(self.targets),
            "directory": f"runs/{self.id}",
            "warm_start_option": dict(self.options.get("warm_start_option", {})),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> PlannedRun:
        """From study.json."""
        names = ("id", "experiment", "task", "scheduler", "variation", "arm", "seed", "options", "group")
        simulated = {name: kept[name] for name in ("table", "study_seed") if name in kept}
        return cls(**{name: kept[name] for name in names}, **simulated, targets=tuple(kept["targets"]))


@dataclass(frozen=True, slots=True)
class Study:
    """A study as its file describes it.

    Attributes:
        baseline: the arm that the others of its group are compared with.
        measure: of T@tau in the tests: "seconds", "gpu_hours" or "units".
        gpus_per_run: how many GPUs each run must have; None: as given.
        keep_checkpoints: "best" (the other ones are deleted when a run is complete) or "all".
        test: in the end, measure what each run chose on test data.
        waiting: experiments of which more is to be run once it is known what was best in another one
            (``best_of``); which other one.
        left_out: experiments that need what is not installed (``needs``); what is missing.
    """

    name: str
    baseline: str
    measure: str
    runs: tuple[PlannedRun, ...]
    gpus_per_run: int | None = None
    keep_checkpoints: str = "best"
    test: bool = True
    waiting: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes_of_left_out(self) -> list[str]:
        """What to say of experiments that are left out."""
        return [
            f"experiment {name} is left out; it needs {lacking}" for name, lacking in self.left_out.items()
        ]


def group_labels(runs: Sequence[PlannedRun]) -> dict[str, str]:
    """A name for each kind of pairing: task and scheduler, and what else tells it from others of those."""
    kinds: dict[str, PlannedRun] = {}
    for run in runs:
        kinds.setdefault(run.pairing, run)
    labels = {}
    for pairing, run in kinds.items():
        alike = [
            _flat(other.options)
            for other in kinds.values()
            if (other.task, other.scheduler) == (run.task, run.scheduler)
        ]
        own = _flat(run.options)
        names = sorted({name for flat in alike for name in flat})
        told = [
            f"{name.rpartition('.')[2]}={own[name]}"
            for name in names
            if name in own and any(flat.get(name) != own[name] for flat in alike)
        ]
        labels[pairing] = ", ".join([run.task, run.scheduler, *told])
    return labels


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in options.items():
        if key in (*_OF_THE_ARM, *_FREE, "task", "scheduler") and key != "curves":
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return flat


def in_order(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The order of running: seed by seed, and within a pair shuffled, by the seed alone.

    So a study that is cut short has whole pairs, and no arm always runs first on a machine that grows warm.
    """
    groups = list(dict.fromkeys(run.group for run in runs))
    pairs: dict[tuple[int, int], list[PlannedRun]] = {}
    for run in runs:
        pairs.setdefault((run.seed, groups.index(run.group)), []).append(run)
    ordered = []
    for (seed, _), alike in sorted(pairs.items()):
        pair = sorted(alike, key=lambda run: run.id)
        random.Random(f"{pair[0].group} {seed}").shuffle(pair)
        ordered += pair
    return ordered
