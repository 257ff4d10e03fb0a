"""Read a study's YAML file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asha_core.cli.option_table import OPTIONS
from asha_core.cli.options import MAPPINGS, read_option
from asha_core.errors import SettingError, nearest
from asha_core.study.planned import PlannedRun, Study, group_labels

MEASURES = ("seconds", "gpu_hours", "units")
_KEEP = ("best", "all")
# what the study decides for each run
_OWN = ("task", "scheduler", "variation", "seed", "target", "gpus", "resume", "config", "results_dir",
        "progress", "plan", "json", "unit_seconds", "checkpoint_size")  # fmt: skip
_OPTIONS = {option.key: option for option in OPTIONS if option.key not in _OWN}
_LISTS = {"task": "tasks", "scheduler": "schedulers", "variation": "variations"}
_OF_A_LEVEL = (*_LISTS, *_LISTS.values(), "seeds", "targets", "target")
_OF_THE_STUDY = ("name", "baseline", "measure", "gpus_per_run", "keep_checkpoints", "test", "experiments")
_OPEN = "best_of"
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


def read_study(
    path: Path, seeds: Sequence[int] | None = None, best: Mapping[str, str] | None = None
) -> Study:
    """The study that a YAML file describes.

    Args:
        seeds: in the place of the file's. best: which variation was best in an experiment, for those that are
            over; what ``best_of`` stands for.
    Raises:
        SettingError: the file cannot be read, an unknown key, or a value that is not allowed; the message has
            the place in the file.
    """
    import yaml

    from asha_core.cli.yaml_text import read_yaml

    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return study_from(content, str(path), path.stem, seeds, best)


def study_from(
    content: Any,
    source: str,
    name: str,
    seeds: Sequence[int] | None = None,
    best: Mapping[str, str] | None = None,
) -> Study:
    """The study that a mapping describes, as in the file.

    Args:
        source: where it is from, for errors. name: of the study, if it does not say. seeds, best: as for
            ``read_study``.
    """
    top = _mapping(content, source)
    _check_keys(top, (*_OF_THE_STUDY, *_OF_A_LEVEL, *_OPTIONS), source)
    baseline = str(top.get("baseline", "baseline"))
    measure = _one_of(top.get("measure", "seconds"), MEASURES, f"{source}: measure")
    keep = _one_of(top.get("keep_checkpoints", "best"), _KEEP, f"{source}: keep_checkpoints")
    gpus = top.get("gpus_per_run")
    if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 1):
        raise SettingError(f"{source}: gpus_per_run is {gpus!r}: it must be an integer of at least 1")
    test = top.get("test", True)
    if not isinstance(test, bool):
        raise SettingError(f"{source}: test is {test!r}: it must be true or false")
    common = {key: value for key, value in top.items() if key not in _OF_THE_STUDY}
    runs: list[PlannedRun] = []
    waiting: dict[str, str] = {}
    for place, level in _experiments(top, source):
        known = _resolved(level, place, [run.experiment for run in runs], best or {}, waiting)
        runs += _runs(common, known, place, seeds)
    if not runs:
        raise SettingError(f"{source}: it asks for no runs: give tasks, variations and seeds")
    _check_unique(runs, source)
    labels = group_labels(runs)
    named = tuple(replace(run, group=labels[run.pairing]) for run in runs)
    return Study(str(top.get("name", name)), baseline, measure, named, gpus, keep, test, waiting)


def _experiments(top: Mapping[str, Any], source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place in the file, mapping) of each experiment; one without a name if the file has no list of them."""
    if "experiments" not in top:
        yield source, {}
        return
    entries = top["experiments"]
    if not isinstance(entries, list) or not entries:
        raise SettingError(f"{source}: experiments must be a list of mappings, each with a run_id")
    seen = set()
    for number, entry in enumerate(entries, 1):
        place = f"{source}: experiment {number}"
        level = _mapping(entry, place)
        if level.get("run_id") in (None, ""):
            raise SettingError(f"{place} has no run_id: give each experiment a name of its own")
        run_id = str(level["run_id"])
        if run_id in seen:
            raise SettingError(
                f"{place}: run_id {run_id} is there twice: give each experiment a name of its own"
            )
        seen.add(run_id)
        place = f"{source}: experiment {run_id}"
        _check_keys(level, ("run_id", *_OF_A_LEVEL, *_OPTIONS), place)
        yield place, level


def _resolved(
    level: Mapping[str, Any],
    place: str,
    earlier: Sequence[str],
    best: Mapping[str, str],
    waiting: dict[str, str],
) -> Mapping[str, Any]:
    """An experiment with ``best_of`` replaced by what it stands for, or left out and noted."""
    given = level.get("variations")
    if not isinstance(given, list):
        return level
    variations: list[Any] = []
    for entry in given:
        if not (isinstance(entry, Mapping) and _OPEN in entry):
            variations.append(entry)
            continue
        other = str(entry[_OPEN])
        if other not in earlier:
            raise SettingError(
                f"{place}: best_of {other!r}{nearest(other, earlier)}: name one that stands before it"
            )
        if other not in best:
            waiting[str(level["run_id"])] = other
        elif best[other] not in variations:
            rest = {key: value for key, value in entry.items() if key != _OPEN}
            variations.append({"name": best[other], **rest})
    # its arms keep their names when one more is known
    return {**level, "variations": variations, _OPEN: variations != given}


def _runs(
    top: Mapping[str, Any], level: Mapping[str, Any], place: str, given: Sequence[int] | None
) -> list[PlannedRun]:
    """Every combination of an experiment's tasks, schedulers, variations and seeds."""
    run_id = str(level.get("run_id", ""))
    lists = [_entries(top, level, one, many, place) for one, many in _LISTS.items()]
    combinations = list(itertools.product(*lists))
    stems = _stems(run_id, combinations, alone=len(combinations) == 1 and not level.get(_OPEN))
    runs = []
    for stem, entries in zip(stems, combinations, strict=True):
        parts = (top, level, *entries)
        task, scheduler, variation = (str(entry["name"]) for entry in entries)
        options = {"task": task, "scheduler": scheduler, "variation": variation, **_merged(parts, place)}
        targets = _targets(parts, place)
        if targets:
            options["target"] = targets[-1]
        arm = _arm(variation, options.get("warm_start_option", {}))
        runs += [
            PlannedRun(
                id=f"{stem}/seed-{seed}",
                experiment=run_id or "main",
                task=task,
                scheduler=scheduler,
                variation=variation,
                arm=arm,
                seed=seed,
                targets=targets,
                options={**options, "seed": seed},
            )
            for seed in given or _seeds(parts, place)
        ]
    return runs


def _entries(
    top: Mapping[str, Any], level: Mapping[str, Any], one: str, many: str, place: str
) -> list[dict[str, Any]]:
    """The tasks (or schedulers, or variations) of an experiment, each a mapping with a name."""
    given: Any = {"task": None, "scheduler": ["asha"], "variation": ["baseline"]}[one]
    for where in (top, level):
        if one in where and many in where:
            raise SettingError(f"{place}: it has both {one} and {many}: give one of them")
        given = where.get(one, where.get(many, given))
    if given is None:
        raise SettingError(f"{place}: it names no task: give tasks, such as [digits]")
    found = []
    for entry in given if isinstance(given, list) else [given]:
        mapping = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
        if not isinstance(mapping.get("name"), str):
            raise SettingError(f"{place}: {many}: {entry!r} is no name, nor a mapping with a name")
        _check_keys(
            mapping, ("name", "targets", "target", "seeds", *_OPTIONS), f"{place}: {one} {mapping['name']}"
        )
        found.append(mapping)
    return found


def _merged(parts: Sequence[Mapping[str, Any]], place: str) -> dict[str, Any]:
    """The options of ``asha-run``: what is more special wins; KEY=VALUE options are merged key by key."""
    options: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            key = name.replace("-", "_")
            if key not in _OPTIONS or value is None:
                continue
            read = read_option(_OPTIONS[key], value, f"{place}: {key}")
            options[key] = {**options.get(key, {}), **read} if key in MAPPINGS else read
    return options


def _targets(parts: Sequence[Mapping[str, Any]], place: str) -> tuple[float, ...]:
    given: Any = ()
    for part in parts:
        if "target" in part and "targets" in part:
            raise SettingError(f"{place}: it has both target and targets: give one of them")
        given = part.get("target", part.get("targets", given))
    values = list(given) if isinstance(given, list | tuple) else [given]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise SettingError(f"{place}: targets is {given!r}: give numbers, the primary target last")
    return tuple(map(float, values))


def _seeds(parts: Sequence[Mapping[str, Any]], place: str) -> list[int]:
    given: Any = 1
    for part in parts:
        given = part.get("seeds", given)
    return read_seeds(given, f"{place}: seeds")


def read_seeds(given: Any, source: str) -> list[int]:
    """Seeds: how many (from 0), a list of them, or ranges such as "100-119" or "0-3, 8".

    >>> read_seeds("0-3, 8", "seeds")
    [0, 1, 2, 3, 8]
    """
    seeds: list[int] = []
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        seeds = list(range(given))
    elif isinstance(given, str | list):
        for item in given if isinstance(given, list) else given.split(","):
            match = _RANGE.fullmatch(str(item).strip())
            if match is not None:
                seeds += range(int(match[1]), int(match[2]) + 1)
            elif not isinstance(item, bool) and str(item).strip().isdecimal():
                seeds.append(int(item))
            else:
                seeds = []
                break
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingError(
            f"{source} is {given!r}: give how many (20: from 0 to 19), a list, or ranges such as 100-119; "
            "each once"
        )
    return seeds


def _arm(variation: str, options: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{variation} ({told})" if told else variation


def _stems(run_id: str, combinations: Sequence[Sequence[Mapping[str, Any]]], *, alone: bool) -> list[str]:
    """A directory's name for each arm: what is run, with options where names alone are alike."""
    if alone and run_id:
        return [_safe([run_id])]
    words = [[run_id, *(str(entry["name"]) for entry in entries)] for entries in combinations]
    return [
        _safe(own if words.count(own) == 1 else [*own, *_told(entries)])
        for own, entries in zip(words, combinations, strict=True)
    ]


def _told(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for key, value in entry.items():
            if key not in ("name", "targets", "target", "seeds", "data_dir", "data-dir"):
                inner = value.items() if isinstance(value, Mapping) else [(key, value)]
                yield from (f"{name}={item}" for name, item in inner)


def _safe(words: Iterable[str]) -> str:
    return re.sub(r"[^\w.=+-]+", "-", "-".join(filter(None, words))).strip("-.")


def _check_unique(runs: Sequence[PlannedRun], source: str) -> None:
    ids: dict[str, PlannedRun] = {}
    searches: dict[str, PlannedRun] = {}
    for run in runs:
        for known, key in ((ids, run.id), (searches, run.identity)):
            other = known.setdefault(key, run)
            if other is not run:
                raise SettingError(
                    f"{source}: it asks for the same search twice, as {other.id} of {other.experiment} and "
                    f"as {run.id} of {run.experiment}: leave one out"
                )


def _mapping(content: Any, place: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise SettingError(
            f"{place} holds {kind}: it must map keys such as tasks, variations and seeds to values"
        )
    return {str(key): value for key, value in content.items()}


def _check_keys(given: Iterable[str], known: Sequence[str], place: str) -> None:
    for key in given:
        if key.replace("-", "_") not in known:
            raise SettingError(f"{place}: unknown key {key!r}{nearest(key, known)}")


def _one_of(value: Any, allowed: Sequence[str], source: str) -> str:
    if value not in allowed:
        raise SettingError(f"{source} is {value!r}{nearest(str(value), allowed)}")
    return str(value)
