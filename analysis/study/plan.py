"""Which runs a study consists of: by its study.json, or the runs of a folder that has none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.journals.finding import find_runs, run_directories
from analysis.journals.replicate import Planned, Replicate
from analysis.journals.runs import problem_of
from asha_core.errors import ResultsError
from asha_core.runtime.budget import MEASURES, Measure
from asha_core.runtime.storage.json_files import read_json
from asha_core.runtime.storage.paths import user_path

_SCHEMA = 1
_NAMED = ("id", "group", "arm", "experiment", "task", "scheduler", "variation")


@dataclass(frozen=True, slots=True)
class Plan:
    """What study.json says, or what a folder of plain runs amounts to."""

    name: str
    directory: Path  # of the study; of plain runs the folder that was named
    baseline: str  # the arm that others are compared with
    measure: Measure  # of T@tau in the tests
    runs: list[Planned]  # plain runs have no group and no arm yet, which only their manifests can tell
    strays: list[Path]  # run directories that are not in study.json


def read_plan(paths: Sequence[str | Path]) -> Plan:
    """The plan of the studies, or the runs, at ``paths``.

    Raises:
        ResultsError: a path holds neither, study.json is damaged, or several of them do not agree.
    """
    if not paths:
        raise ResultsError("no results directory is given: name at least one")
    plans = [_plan_of(user_path(path)) for path in paths]
    first = plans[0]
    for other in plans[1:]:
        if (other.baseline, other.measure) != (first.baseline, first.measure):
            raise ResultsError(
                f"{first.directory} compares with {first.baseline!r} by {first.measure}, and "
                f"{other.directory} with {other.baseline!r} by {other.measure}: report on them separately"
            )
    names = list(dict.fromkeys(plan.name for plan in plans))
    runs = [run for plan in plans for run in plan.runs]
    if len(plans) > 1:  # their ids may be the same
        runs = [replace(run, id=str(run.directory)) for run in runs]
    strays = [path for plan in plans for path in plan.strays]
    return Plan(", ".join(names), first.directory, first.baseline, first.measure, runs, strays)


def _plan_of(path: Path) -> Plan:
    if (path / "study.json").exists():
        return _planned(path)
    runs = [
        Planned(str(run.relative_to(path)) if run != path else run.name, run) for run in find_runs([path])
    ]
    return Plan(path.absolute().name, path, "baseline", "seconds", runs, [])


def _planned(path: Path) -> Plan:
    file = path / "study.json"
    content = read_json(file)
    if content.get("schema") != _SCHEMA:
        raise ResultsError(
            f"{file} has schema {content.get('schema')!r}: this version reads schema {_SCHEMA}; use the "
            "version that wrote it, or a newer one"
        )
    try:
        runs = [_run(path, entry) for entry in content["runs"]]
        tables = {key: path / str(told["file"]) for key, told in content.get("tables", {}).items()}
        runs += [run for entry in content.get("simulated", []) for run in _simulated(path, entry, tables)]
        name, baseline, measure = (str(content[key]) for key in ("name", "baseline", "measure"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{file} is damaged: {type(error).__name__} {error}") from None
    if measure not in MEASURES:
        raise ResultsError(f"{file}: measure is {measure!r}: it must be one of {', '.join(MEASURES)}")
    known = {run.directory for run in runs}
    strays = [found for found in run_directories(path / "runs") if found not in known]
    return Plan(name, path, baseline, measure, runs, strays)


def _run(path: Path, entry: Mapping[str, Any]) -> Planned:
    directory = Path(str(entry["directory"]))
    if directory.is_absolute() or ".." in directory.parts:
        raise ValueError(f"directory {str(directory)!r} is not inside the study")
    texts: dict[str, Any] = {key: str(entry.get(key, "")) for key in _NAMED}
    for key in ("id", "group", "arm"):
        if not texts[key]:
            raise ValueError(f"a run has no {key}")
    targets = tuple(float(target) for target in entry.get("targets") or ())
    options = dict(entry.get("options") or {})
    return Planned(
        directory=path / directory, seed=int(entry["seed"]), targets=targets, options=options, **texts
    )


def _simulated(path: Path, entry: Mapping[str, Any], tables: Mapping[str, Path]) -> Iterator[Planned]:
    """The runs of a simulated arm; its manifest is the same object in all."""
    for first, last in entry["seeds"]:
        for seed in range(int(first), int(last) + 1):
            id = f"{entry['stem']}/seed-{seed}"
            run = _run(path, {**entry, "id": id, "seed": seed, "directory": f"runs/{id}"})
            yield replace(run, table=tables[entry["table"]], manifest=entry["manifest"])


def grouped(replicates: Sequence[Replicate]) -> list[Replicate]:
    """Plain runs with the group and the arm that their manifests amount to.

    A group: the problem, the scheduler and its settings, the space and the budget. An arm: the variation,
    with those of its settings in which several of its name differ.
    """
    kinds = [_pairing(each.manifest) for each in replicates]
    labels = _labels(kinds)
    named = [
        replace(each, group=labels[json.dumps(kind)]) for each, kind in zip(replicates, kinds, strict=True)
    ]
    settings: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in named:
        settings.setdefault((each.group, each.variation), []).append(each.settings)
    return [
        replace(each, arm=_arm(each.variation, each.settings, settings[each.group, each.variation]))
        for each in named
    ]


def _arm(variation: str, own: dict[str, Any], all_settings: Sequence[dict[str, Any]]) -> str:
    names = sorted({name for settings in all_settings for name in settings})
    told = [f"{n}={_text(own.get(n))}" for n in names if any(s.get(n) != own.get(n) for s in all_settings)]
    return f"{variation} ({', '.join(told)})" if told else variation


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def settings_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the members of a pair have in common: all that was set but for the seed and the warm start."""
    scheduler, budget = manifest["scheduler"], manifest["budget"]
    told = {key: value for key, value in scheduler.items() if key != "seed"}
    limits = {"budget": budget["seconds"], "gpu_seconds": budget["gpu_seconds"]}
    return {**told, **limits, "space": manifest["space"], "problem": problem_of(manifest)}


def _pairing(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The problem and the scheduler, then the settings."""
    return {"": f"{problem_of(manifest)}, {manifest['scheduler']['name']}", **settings_of(manifest)}


def _labels(kinds: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A name for each kind: problem and scheduler, then the settings in which others of these differ."""
    distinct = {json.dumps(kind): kind for kind in kinds}
    labels = {}
    for key, kind in distinct.items():
        alike = [other for other in distinct.values() if other[""] == kind[""]]
        names = dict.fromkeys(name for other in alike for name in other)
        told = []
        for name in names:
            values = list(dict.fromkeys(json.dumps(other.get(name)) for other in alike))
            if len(values) > 1 and name == "space":  # too long to be told
                told.append(f"space {values.index(json.dumps(kind.get(name))) + 1}")
            elif len(values) > 1:
                told.append(f"{name}={_text(kind.get(name))}")
        labels[key] = ", ".join([kind[""], *told])
    return labels
