"""Which runs of a study can be used and compared, and what is to be said of the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.journals.replicate import Measure, Replicate, checked_measure
from analysis.study.plan import Plan, settings_of
from analysis.study.problems import Problem
from analysis.study.reading import last_line
from asha_core.runtime.budget import counted

_PLANNED = (  # of asha-run's options, what makes another search
    *("task", "model", "subset", "label_noise", "task_option", "warm_start_option", "freeze"),
    *("max_trials", "min_resource", "max_resource", "reduction_factor", "gpu_hours"),
)
_HARDWARE = ("machine", "cores", "devices", "gpus")


_EARLY = 0.5  # of the median end: a search without a budget that ended before


@dataclass(slots=True)
class Checked:
    """used, left_out: of the replicates. apart: (group, arm, seed) that are no pair with the baseline."""

    used: list[Replicate] = field(default_factory=list)
    left_out: list[Replicate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    apart: frozenset[tuple[str, str, int]] = frozenset()


def check(replicates: Sequence[Replicate], plan: Plan, problems: Sequence[Problem]) -> Checked:
    """Tell the usable from the others.

    Args:
        replicates: those that could be read, with group and arm. problems: of those that could not.
    """
    result = Checked(problems=list(problems))
    planned = {run.id: run for run in plan.runs}
    taken: dict[tuple[str, str, int], str] = {}
    metrics: dict[str, tuple[str, str]] = {}
    for each in replicates:
        problem = (
            _mislabelled(each, planned[each.id].group != "")
            or _not_over(each)
            or _other_metric(each, metrics)
            or _duplicate(each, taken)
        )
        if problem is not None:
            result.problems.append(problem)
            result.left_out.append(each)
            continue
        metrics.setdefault(each.group, (each.metric, each.mode))
        taken[each.group, each.arm, each.seed] = each.id
        result.used.append(each)
    result.problems += [
        Problem(
            "unplanned", _named(path, plan.directory), "study.json does not have this run: it is left out"
        )
        for path in plan.strays
    ]
    result.problems += _notes(result.used)
    for group in dict.fromkeys(each.group for each in result.used):
        _check_group(result, group, [each for each in result.used if each.group == group], plan)
    result.problems += _schemas(result.used)
    return result


def _named(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)


def _mislabelled(each: Replicate, planned: bool) -> Problem | None:
    """Whether another search lies where one was planned."""
    if not planned:
        return None
    manifest = each.manifest
    for what, wanted, found in (
        ("seed", each.seed, manifest["scheduler"]["seed"]),
        ("variation", each.variation, manifest["variation"]["name"]),
        ("scheduler", each.scheduler, manifest["scheduler"]["name"]),
    ):
        if wanted != found:
            return _another(each, what, found, wanted)
    ran = manifest.get("settings") or {}
    for name in _PLANNED if each.options and "task" in ran else ():
        wanted, found = _plain(each.options.get(name)), _plain(ran.get(name))
        if wanted != found:
            return _another(each, name.replace("_", "-"), ran.get(name), each.options.get(name))
    return None


def _another(each: Replicate, what: str, found: Any, wanted: Any) -> Problem:
    text = f"its run.json says {what} {found!r}, and {wanted!r} was planned: it is left out"
    return Problem("mislabelled", each.id, text, each.group, each.arm)


def _plain(value: Any) -> Any:
    """A setting as it can be compared, whether it was read from YAML or from a command line."""
    if isinstance(value, dict):
        return {str(key).replace("-", "_"): _plain(item) for key, item in value.items()} or None
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _not_over(each: Replicate) -> Problem | None:
    """Whether the search did not get all that it was to get."""
    if each.over:
        return None
    if each.reason == "error" or each.status not in (None, 0, 130, 143):
        status = "" if each.status is None else f" (status {each.status})"
        text = f"an error ended it{status}{last_line(each.directory)}: it is left out"
        return Problem("failed", each.id, text, each.group, each.arm)
    how = "was interrupted" if each.reason == "interrupted" else "was killed, or is still running"
    text = f"it {how} after {each.ends['seconds']:.0f} s: it is left out; asha-run --resume goes on with it"
    return Problem("unfinished", each.id, text, each.group, each.arm)


def _other_metric(each: Replicate, metrics: Mapping[str, tuple[str, str]]) -> Problem | None:
    metric, mode = metrics.get(each.group, (each.metric, each.mode))
    if (each.metric, each.mode) == (metric, mode):
        return None
    text = (
        f"it reports {each.metric} ({each.mode}), and others of its group {metric} ({mode}): it is left out"
    )
    return Problem("metric", each.id, text, each.group, each.arm)


def _duplicate(each: Replicate, taken: Mapping[tuple[str, str, int], str]) -> Problem | None:
    first = taken.get((each.group, each.arm, each.seed))
    if first is None:
        return None
    text = f"{each.arm}, seed {each.seed}, is there already, as {first}: it is left out"
    return Problem("duplicate", each.id, text, each.group, each.arm)


def _notes(used: Sequence[Replicate]) -> list[Problem]:
    """What is to be known of runs that are used."""
    found = []
    for each in used:
        where = each.group, each.arm
        if each.torn:
            text = "its journal's last line is torn, and was passed over"
            found.append(Problem("torn", each.id, text, *where))
        if not len(each.curve.value) and each.reports:
            text = "no trial reported a finite value: it counts as censored for every target"
            found.append(Problem("no value", each.id, text, *where))
        if each.sessions > 1:
            text = (
                f"it was stopped and gone on with ({each.sessions} sessions): what it took is not known to "
                "the second, since what was lost with a session may count twice or not at all"
            )
            found.append(Problem("resumed", each.id, text, *where))
    return found


def _check_group(result: Checked, group: str, runs: list[Replicate], plan: Plan) -> None:
    say = result.problems.append
    for kind, key in (("settings", _settings), ("targets", lambda each: list(each.targets))):
        _uniform(say, group, runs, kind, key)
    _budgets(say, group, runs)
    _early(say, group, runs, checked_measure(plan.measure))
    _unreached(say, group, runs)
    arms = list(dict.fromkeys(each.arm for each in runs))
    base = {each.seed: each for each in runs if each.arm == plan.baseline}
    if not base:
        text = f"no usable run of {plan.baseline!r}: nothing can be compared ({', '.join(arms)})"
        say(Problem("no baseline", "", text, group))
        return
    for arm in arms:
        if arm != plan.baseline:
            _check_pairs(
                result, group, arm, base, {each.seed: each for each in runs if each.arm == arm}, plan
            )


def _settings(each: Replicate) -> dict[str, Any]:
    return settings_of(each.manifest)


def _uniform(
    say: Callable[[Problem], None],
    group: str,
    runs: Sequence[Replicate],
    kind: str,
    key: Callable[[Replicate], Any],
) -> None:
    """Say where runs of a group differ in what they should have in common."""
    kinds: dict[str, list[Replicate]] = {}
    for each in runs:
        kinds.setdefault(json.dumps(key(each), sort_keys=True), []).append(each)
    if len(kinds) < 2:
        return
    common, *others = sorted(kinds, key=lambda name: -len(kinds[name]))
    for other in others:
        told = _difference(json.loads(common), json.loads(other))
        ids = _few(each.id for each in kinds[other])
        say(Problem(kind, "", f"{counted(len(kinds[other]), 'run')} with other {kind}, {told}: {ids}", group))


def _difference(common: Any, other: Any) -> str:
    if not isinstance(common, dict):
        return f"{other}, where most have {common}"
    names = [n for n in {**common, **other} if common.get(n) != other.get(n)]
    return ", ".join(
        f"{n} {other.get(n)!r}, where most have {common.get(n)!r}" if n != "space" else "another space"
        for n in names
    )


def _few(names: Iterable[str], most: int = 5) -> str:
    """The first few of many."""
    listed = list(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")


def _budgets(say: Callable[[Problem], None], group: str, runs: Sequence[Replicate]) -> None:
    """Searches that ended by themselves before their budget shorten what all can be compared over."""
    limited = [each for each in runs if np.isfinite(each.budget("seconds"))]
    short = [each for each in limited if each.ends["seconds"] < each.budget("seconds")]
    if short:
        least = min(short, key=lambda each: each.ends["seconds"])
        text = (
            f"{counted(len(short), 'run')} ended before the budget, {least.id} first, after "
            f"{least.ends['seconds']:.0f} of {least.budget('seconds'):.0f} s: where one had not reached a "
            "target, later times to it are censored there in all runs of the group"
        )
        say(Problem("short", "", text, group))


def _early(say: Callable[[Problem], None], group: str, runs: Sequence[Replicate], measure: Measure) -> None:
    """A search without a budget that ended long before the others limits what all can be compared over."""
    first = min(runs, key=lambda each: each.ends[measure])
    least, half = first.ends[measure], float(np.median([each.ends[measure] for each in runs]))
    if np.isfinite(first.budget(measure)) or least >= _EARLY * half:
        return
    unit = {"seconds": "s", "gpu_hours": "GPU-hours"}.get(measure, f"{first.unit}s")
    text = (
        f"it ended after {least:.3g} {unit}, and half of its group took over {half:.3g}: where it had not "
        "reached a target, later times to it are censored there in all runs of the group"
    )
    say(Problem("short", first.id, text, group, first.arm))


def _unreached(say: Callable[[Problem], None], group: str, runs: Sequence[Replicate]) -> None:
    sign = 1 if runs[0].mode == "max" else -1
    values = [each.best for each in runs if len(each.curve.value)]
    best = max(values, key=lambda value: sign * value, default=None)
    for target in dict.fromkeys(target for each in runs for target in each.targets):
        if best is None or sign * best < sign * target:
            reached = "there is none" if best is None else f"the best is {best:.4g}"
            text = f"no run of the group reached {target:g} ({reached}): every time to it is censored"
            say(Problem("target", "", text, group))


def _check_pairs(
    result: Checked,
    group: str,
    arm: str,
    base: Mapping[int, Replicate],
    other: Mapping[int, Replicate],
    plan: Plan,
) -> None:
    say = result.problems.append
    planned = {(each.arm, each.seed) for each in plan.runs if each.group == group}  # none of plain runs
    for name, has, lacks in ((plan.baseline, base, other), (arm, other, base)):
        partner = arm if lacks is other else plan.baseline
        # a sweep on seeds of its own lacks nothing
        alone = sorted(seed for seed in set(has) - set(lacks) if not planned or (partner, seed) in planned)
        if alone:
            seeds = _few(map(str, alone), 12)
            text = f"{name} has {_seeds(alone)} {seeds}, and {partner} does not: not in the paired tests"
            say(Problem("unpaired", "", text, group, arm))
    shared = sorted(set(base) & set(other))
    apart = [seed for seed in shared if _hardware(base[seed]) != _hardware(other[seed])]
    if apart:
        one = other[apart[0]]
        text = (
            f"{_seeds(apart)} {_few(map(str, apart), 12)} ran on other hardware than the baseline's "
            f"({one.id}: {_changed(_hardware(base[apart[0]]), _hardware(one))}): not in the paired tests"
        )
        say(Problem("hardware", "", text, group, arm))
        result.apart |= {(group, arm, seed) for seed in apart}
    pairs = [seed for seed in shared if seed not in set(apart)]
    odd = [seed for seed in pairs if _versions(base[seed]) != _versions(other[seed])]
    if odd:
        told = _changed(_versions(base[odd[0]]), _versions(other[odd[0]]))
        text = f"{_seeds(odd)} {_few(map(str, odd), 12)} ran with other versions than the baseline's ({told})"
        say(Problem("versions", "", text, group, arm))
    strange = [seed for seed in pairs if not _same_proposals(base[seed], other[seed])]
    if strange:
        text = (
            f"{_seeds(strange)} {_few(map(str, strange), 12)}: the searcher proposed other configurations "
            "than in the baseline, so that these pairs have no more in common than their seed"
        )
        say(Problem("proposals", "", text, group, arm))
    if len(pairs) == 1:
        text = f"one pair only, seed {pairs[0]}: nothing can be tested, and no interval can be given"
        say(Problem("few seeds", "", text, group, arm))


def _seeds(seeds: Sequence[int]) -> str:
    return "seed" if len(seeds) == 1 else "seeds"


def _hardware(each: Replicate) -> dict[str, Any]:
    found = each.manifest["hardware"]
    return {key: found.get(key) for key in _HARDWARE}


def _versions(each: Replicate) -> dict[str, Any]:
    return {**each.manifest.get("versions", {}), "commit": each.manifest.get("commit")}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(f"{name} {after.get(name)}, not {before.get(name)}" for name in names)


def _same_proposals(one: Replicate, other: Replicate) -> bool:
    """Whether the trials that both have were proposed alike."""
    _, here, there = np.intersect1d(one.trials["id"], other.trials["id"], return_indices=True)
    names = [name for name in one.trials if name.startswith("proposed.")]
    if names != [name for name in other.trials if name.startswith("proposed.")]:
        return False
    return all(_equal(one.trials[name][here], other.trials[name][there]) for name in names)


def _equal(one: Any, other: Any) -> bool:
    if one.dtype == object:
        return bool((one == other).all())
    return bool(np.array_equal(one, other, equal_nan=True))


def _schemas(used: Sequence[Replicate]) -> list[Problem]:
    found: dict[int, list[str]] = {}
    for each in used:
        found.setdefault(each.schema, []).append(each.id)
    if len(found) < 2:
        return []
    told = "; ".join(f"schema {schema}: {_few(ids)}" for schema, ids in sorted(found.items()))
    return [Problem("schema", "", f"journals of different schemas ({told}); all are read")]
