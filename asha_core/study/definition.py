"""What a study's YAML file asks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asha_core.arguments import integer, number, one_of, true_or_false
from asha_core.errors import SettingError, nearest
from asha_core.extras import missing
from asha_core.import_paths import label
from asha_core.launch.option_parsing import read_option
from asha_core.launch.option_table import MAPPINGS, OPTIONS, Scope
from asha_core.launch.resolve import split_variation
from asha_core.runtime.budget import MEASURES
from asha_core.study.arm_names import arm_name, directory_name, stems, with_unique_names
from asha_core.study.best_of import check_comparable
from asha_core.study.curves_in_file import (
    KEY,
    SHARE,
    TableFile,
    check_arm,
    check_options,
    of_share,
    tables_of,
)
from asha_core.study.planned_runs import PlannedRun, Study, group_labels
from asha_core.study.yaml_file import mapping_of, one_name, read_file, read_seeds, storable_value
from warmstart.registry import absolute_strategy, strategy_label

Best = Mapping[str, Mapping[str, Any]]
_KEEP = ("best", "all")
_OPTIONS = {
    option.key: option for option in OPTIONS if not option.by_study and option.scope is not Scope.SESSION
}
_LISTS = {"task": "tasks", "scheduler": "schedulers", "variation": "variations"}
_OF_A_LEVEL = (*_LISTS, *_LISTS.values(), KEY, "seeds", "targets", "target")
_OF_AN_ENTRY = ("targets", "target", "seeds", *_OPTIONS)
_OF_THE_STUDY = (
    *("name", "baseline", "measure", "gpus_per_run", "keep_checkpoints", "test", "study_seed", "experiments"),
)
_OPEN = "best_of"


def read_study(path: Path, seeds: Sequence[int] | None = None, best: Best | None = None) -> Study:
    """The study that a YAML file describes.

    Args:
        seeds: in the place of the file's.
        best: which variation, as an entry of the file, was best in an experiment, for those that are over;
            what ``best_of`` stands for.
    Raises:
        SettingError: the file cannot be read, an unknown key, or a value that is not allowed; the message has
            the place in the file.
    """
    return study_from(read_file(path), str(path), path.stem, seeds, best)


def study_from(
    content: Any, source: str, name: str, seeds: Sequence[int] | None = None, best: Best | None = None
) -> Study:
    """The study that a mapping describes, as in the file.

    Args:
        source: where it is from, for errors.
        name: of the study, if it does not say.
        seeds, best: as for ``read_study``.
    """
    top = mapping_of(content, source)
    _check_keys(top, (*_OF_THE_STUDY, *_OF_A_LEVEL, *_OPTIONS), source)
    measure = one_of(f"{source}: measure", top.get("measure", "seconds"), MEASURES)
    keep = one_of(f"{source}: keep_checkpoints", top.get("keep_checkpoints", "best"), _KEEP)
    gpus = top.get("gpus_per_run")
    if gpus is not None:
        gpus = integer(f"{source}: gpus_per_run", gpus, least=1)
    test = true_or_false(f"{source}: test", top.get("test", True))
    named = one_name(top.get("name", name), f"{source}: name")
    baseline = str(top.get("baseline", "baseline"))
    study_seed = integer(f"{source}: study_seed", top.get("study_seed", 0), least=0)
    common = {key: value for key, value in top.items() if key not in _OF_THE_STUDY}
    runs: list[PlannedRun] = []
    waiting: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for place, level in _experiments(top, source):
        if lacking := missing(_libraries(level.pop("needs", ()), place)):
            left_out[str(level["run_id"])] = lacking
            continue
        known = _with_best(level, place, runs, baseline, best or {}, waiting)
        runs += _runs(common, known, place, seeds, baseline)
    if not runs:
        raise SettingError(f"{source}: it asks for no runs: give tasks, variations and seeds")
    arms = list(dict.fromkeys(run.arm for run in runs))
    if "baseline" in top and baseline not in arms:
        raise SettingError(f"{source}: baseline is {top['baseline']!r}{nearest(baseline, arms)}")
    _check_unique(runs, source)
    labels = group_labels(runs)
    runs = [replace(run, group=labels[run.pairing]) for run in with_unique_names(runs)]
    runs = [replace(run, study_seed=study_seed) if run.table else run for run in runs]
    return Study(named, baseline, measure, tuple(runs), gpus, keep, test, waiting, left_out)


def _experiments(top: Mapping[str, Any], source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place in the file, mapping) of each experiment; one without a name if the file has no list of them."""
    if "experiments" not in top:
        yield source, {}
        return
    entries = top["experiments"]
    if not isinstance(entries, list) or not entries:
        raise SettingError(f"{source}: experiments must be a list of mappings, each with a run_id")
    seen = set()
    for nth, entry in enumerate(entries, 1):
        place = f"{source}: experiment {nth}"
        level = mapping_of(entry, place)
        if level.get("run_id") in (None, ""):
            raise SettingError(f"{place} has no run_id: give each experiment a name of its own")
        run_id = str(level["run_id"])
        if isinstance(level["run_id"], bool | list | Mapping) or not directory_name([run_id]):
            raise SettingError(
                f"{place}: run_id is {level['run_id']!r}: give a name with letters or digits, in quotes if "
                "YAML takes it for something else"
            )
        if run_id in seen:
            raise SettingError(
                f"{place}: run_id {run_id} is there twice: give each experiment a name of its own"
            )
        seen.add(run_id)
        place = f"{source}: experiment {run_id}"
        _check_keys(level, ("run_id", "needs", *_OF_A_LEVEL, *_OPTIONS), place)
        yield place, level


def _libraries(given: Any, place: str) -> Sequence[str]:
    """Libraries without which an experiment is left out: one, or a list."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise SettingError(f"{place}: needs is {given!r}: give the name of a library, or a list of them")
    return names


def _with_best(
    level: Mapping[str, Any],
    place: str,
    runs: Sequence[PlannedRun],
    baseline: str,
    best: Best,
    waiting: dict[str, str],
) -> Mapping[str, Any]:
    """An experiment with ``best_of`` replaced by what it stands for, or left out and noted.

    Args:
        runs: of the experiments before it.
    """
    key = "variation" if "variation" in level else "variations"
    given = level.get(key)
    entries = given if isinstance(given, list) else [given]
    open_ones = [isinstance(entry, Mapping) and bool({_OPEN, "best-of"} & {*entry}) for entry in entries]
    if not any(open_ones):
        return level
    earlier = list(dict.fromkeys([*(run.experiment for run in runs), *waiting]))
    variations = [entry for entry, is_open in zip(entries, open_ones, strict=True) if not is_open]
    plainly = [{"name": entry} if isinstance(entry, str) else entry for entry in variations]
    for entry in (
        mapping_of(entry, place) for entry, is_open in zip(entries, open_ones, strict=True) if is_open
    ):
        _check_keys(entry, (_OPEN, *_OF_AN_ENTRY), f"{place}: best_of")
        other = str(entry.pop(_OPEN))
        if other not in earlier:
            raise SettingError(
                f"{place}: best_of {other!r}{nearest(other, earlier)}: name one that stands before it"
            )
        if other in waiting or other not in best:
            if other not in waiting:
                check_comparable(other, runs, baseline, place)
            waiting[str(level["run_id"])] = other
        elif {**best[other], **entry} not in plainly:
            variations.append({**best[other], **entry})
    # its arms keep their names when one more is known
    return {**level, key: variations, _OPEN: True}


def _runs(
    top: Mapping[str, Any],
    level: Mapping[str, Any],
    place: str,
    given: Sequence[int] | None,
    baseline: str,
) -> list[PlannedRun]:
    """Every combination of an experiment's tasks, schedulers, variations and seeds."""
    run_id = str(level.get("run_id", ""))
    tables = {table.path: table for table in tables_of(level, top, place)}
    lists = [_entries(top, level, one, many, place, [*tables.values()]) for one, many in _LISTS.items()]
    combinations = list(itertools.product(*lists))
    named = stems(run_id, combinations, alone=len(combinations) == 1 and not level.get(_OPEN))
    runs = []
    for stem, entries in zip(named, combinations, strict=True):
        parts = (top, level, *entries)
        task, scheduler, variation = (absolute_strategy(str(entry["name"]).strip()) for entry in entries)
        variation = _warm_start(variation, scheduler, place)
        options = {"task": task, "scheduler": scheduler, "variation": variation, **_merged(parts, place)}
        arm = arm_name(strategy_label(variation), options.get("warm_start_option", {}))
        options.pop(KEY, None)  # of other experiments
        table = tables.get(Path(str(entries[0].get(KEY))))
        if table is not None:
            del options["task"]
            options[KEY] = str(table.path)
            check_options(options, place)
            check_arm(arm, table, place)
        targets = _targets(parts, place, table, baseline)
        if targets:
            options["target"] = targets[-1]
        runs += [
            PlannedRun(
                id=f"{stem}/seed-{seed}",
                experiment=run_id or "main",
                task=label(task),
                scheduler=label(scheduler),
                variation=strategy_label(variation),
                arm=arm,
                seed=seed,
                targets=targets,
                options={**options, "seed": seed},
                table="" if table is None else table.sha256,
            )
            for seed in given or _seeds(parts, place)
        ]
    return runs


def _warm_start(variation: str, scheduler: str, place: str) -> str:
    """A variation without the scheduler that may stand before it: asha-ohgw-1step is ohgw-1step."""
    try:
        return split_variation(variation, scheduler)[1]
    except SettingError as error:
        raise SettingError(f"{place}: {error}") from None


def _entries(
    top: Mapping[str, Any],
    level: Mapping[str, Any],
    one: str,
    many: str,
    place: str,
    tables: Sequence[TableFile],
) -> list[dict[str, Any]]:
    """The tasks (or schedulers, or variations) of an experiment, each a mapping with a name.

    Args:
        tables: in the place of tasks; what all of them were recorded with are the usual variations.
    """
    if one == "task" and tables:
        return [{"name": table.name, KEY: str(table.path)} for table in tables]
    usual = (
        [arm for arm in tables[0].curves.arms if all(arm in table.curves.arms for table in tables)]
        if tables
        else ["baseline"]
    )
    given: Any = {"task": None, "scheduler": ["asha"], "variation": usual}[one]
    if not any(key in where for where in (top, level) for key in (one, many)) and given is None:
        raise SettingError(f"{place}: it names no task: give tasks, such as [digits]")
    for where in (top, level):
        if one in where and many in where:
            raise SettingError(f"{place}: it has both {one} and {many}: give one of them")
        given = where.get(one, where.get(many, given))
    if given is None or (given == [] and not level.get(_OPEN)):
        raise SettingError(f"{place}: {many} is empty: give one or more names, or leave the key out")
    found = []
    for entry in given if isinstance(given, list) else [given]:
        mapping = mapping_of(entry, place) if isinstance(entry, Mapping) else {"name": entry}
        if _OPEN in mapping:
            raise SettingError(
                f"{place}: {_OPEN} stands among the variations of an experiment that has a run_id"
            )
        if not isinstance(mapping.get("name"), str) or not mapping["name"].strip():
            raise SettingError(f"{place}: {many}: {entry!r} is no name, nor a mapping with a name")
        _check_keys(mapping, ("name", *_OF_AN_ENTRY), f"{place}: {one} {mapping['name']}")
        found.append(mapping)
    return found


def _merged(parts: Sequence[Mapping[str, Any]], place: str) -> dict[str, Any]:
    """The options of ``asha-run``: what is more special wins; KEY=VALUE options are merged key by key.

    Nothing (``budget:``, or ``budget: null``) takes back what stands above.
    """
    options: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key not in _OPTIONS:
                continue
            if value is None:
                options.pop(key, None)
                continue
            where = f"{place}: {key}"
            read = read_option(_OPTIONS[key], value, where)
            options[key] = options.get(key, {}) | storable_value(read, where) if key in MAPPINGS else read
    return options


def _targets(
    parts: Sequence[Mapping[str, Any]], place: str, table: TableFile | None, baseline: str
) -> tuple[float, ...]:
    given: Any = ()
    for part in parts:
        if "target" in part and "targets" in part:
            raise SettingError(f"{place}: it has both target and targets: give one of them")
        given = part.get("target", part.get("targets", given))
    values = list(given) if isinstance(given, list | tuple) else [given]
    shares = [isinstance(value, str) and value.strip().startswith(SHARE) for value in values]
    found = [
        of_share(value, table, baseline, place) if shared else number(f"{place}: targets", value)
        for value, shared in zip(values, shares, strict=True)
    ]
    return tuple(dict.fromkeys(found)) if any(shares) else tuple(found)


def _seeds(parts: Sequence[Mapping[str, Any]], place: str) -> list[int]:
    given: Any = 1
    for part in parts:
        given = part.get("seeds", given)
    return read_seeds(given, f"{place}: seeds")


def _check_unique(runs: Sequence[PlannedRun], source: str) -> None:
    searches: dict[str, PlannedRun] = {}
    for run in runs:
        other = searches.setdefault(run.identity, run)
        if other is not run:
            raise SettingError(
                f"{source}: it asks for the same search twice, as {other.id} of {other.experiment} and as "
                f"{run.id} of {run.experiment}: leave one out"
            )


def _check_keys(given: Iterable[str], known: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            raise SettingError(f"{place}: unknown key {key!r}{nearest(key, known)}")
