"""Which runs of a study can be used and compared, and what is to be said of the others."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.journals.replicate import Replicate
from analysis.number_formats import counted, few
from analysis.study.plan import Plan, settings_of
from analysis.study.problems import Problem
from analysis.study.reading import last_line
from analysis.study.simulated_replicates import NO_JOURNAL
from asha_core.import_paths import label
from asha_core.runtime.budget import Measure
from asha_core.schedulers import SCHEDULERS

_PLANNED = (  # of asha-run's options, what makes another search
    *("task", "model", "subset", "label_noise", "task_option", "warm_start_option", "freeze"),
    *("scheduler_option", "searcher_option"),
    *("max_trials", "min_resource", "max_resource", "reduction_factor", "gpu_hours"),
)
_HARDWARE = ("machine", "cores", "devices", "gpus")
_FEW_CONFIGURATIONS = 30  # how often intervals hold the truth was measured with 100 and more
_EARLY = 0.5  # of the median end: a search without a budget that ended before
_HOLDS = "from there on it counts with what it had, and as not having reached what it had not reached"

Found = tuple[str, str]  # kind and sentence of a problem


@dataclass(slots=True)
class Checked:
    """The runs of a study, told apart."""

    used: list[Replicate] = field(default_factory=list)
    left_out: list[Replicate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    apart: set[tuple[str, str, int]] = field(default_factory=set)  # (group, arm, seed) that are in no pair


def check(replicates: Sequence[Replicate], plan: Plan, problems: Sequence[Problem]) -> Checked:
    """Tell the usable from the others.

    Args:
        replicates: those that could be read, with group and arm.
        problems: of those that could not.
    """
    result = Checked(problems=list(problems))
    planned = {run.id for run in plan.runs if run.group}
    first: dict[str, Replicate] = {}  # of each group
    taken: dict[tuple[str, str, int], Replicate] = {}
    for each in replicates:
        which = (each.group, each.arm, each.seed)
        why = (
            (_mislabelled(each) if each.id in planned else None)
            or _not_over(each)
            or _other_metric(each, first.get(each.group, each))
            or _duplicate(each, taken.get(which))
        )
        if why is None:
            first.setdefault(each.group, each)
            taken[which] = each
            result.used.append(each)
        else:
            kind, text = why
            result.left_out.append(each)
            result.problems.append(Problem(kind, each.id, f"{text}: it is left out", each.group, each.arm))
    for path in plan.strays:
        name = path.relative_to(plan.directory) if path.is_relative_to(plan.directory) else path
        text = "study.json does not have this run: it is left out"
        result.problems.append(Problem("unplanned", str(name), text))
    for each in result.used:
        result.problems += (
            Problem(kind, each.id, text, each.group, each.arm) for kind, text in _remarks(each)
        )
    for group in dict.fromkeys(each.group for each in result.used):
        _check_group(result, group, [each for each in result.used if each.group == group], plan)
    result.problems += _schemas(result.used)
    return result


def _mislabelled(each: Replicate) -> Found | None:
    """Whether another search lies where one was planned."""
    manifest = each.manifest
    wanted: dict[str, Any] = {"seed": each.seed, "variation": each.variation, "scheduler": each.scheduler}
    found: dict[str, Any] = {
        "seed": manifest["scheduler"]["seed"],
        "variation": manifest["variation"]["name"],
        "scheduler": manifest["scheduler"]["name"],
    }
    ran = manifest.get("settings") or {}
    if each.scheduler not in SCHEDULERS:  # whose class has a name of its own
        found["scheduler"] = label(str(ran.get("scheduler")))
    if each.options and "task" in ran:
        wanted |= {name: each.options.get(name) for name in _PLANNED}
        found |= {name: ran.get(name) for name in _PLANNED}
    for name, value in wanted.items():
        if _comparable(value) != _comparable(found[name]):
            what = name.replace("_", "-")
            return "mislabelled", f"its run.json says {what} {found[name]!r}, and {value!r} was planned"
    return None


def _comparable(value: Any) -> Any:
    """A setting as it can be compared, whether it was read from YAML or from a command line."""
    if isinstance(value, dict):
        return {str(key).replace("-", "_"): _comparable(item) for key, item in value.items()} or None
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _not_over(each: Replicate) -> Found | None:
    """Whether the search did not get all that it was to get."""
    if each.over:
        return None
    if each.reason == "error" or each.status not in (None, 0, 130, 143):
        status = "" if each.status is None else f" (status {each.status})"
        return "failed", f"an error ended it{status}{last_line(each.directory)}"
    how = "was interrupted" if each.reason == "interrupted" else "was killed, or is still running"
    return "unfinished", f"it {how} after {each.ends['seconds']:.0f} s (it goes on when it is resumed)"


def _other_metric(each: Replicate, first: Replicate) -> Found | None:
    if (each.metric, each.mode) == (first.metric, first.mode):
        return None
    return "metric", (
        f"it reports {each.metric} ({each.mode}), and others of its group {first.metric} ({first.mode})"
    )


def _duplicate(each: Replicate, first: Replicate | None) -> Found | None:
    if first is None:
        return None
    return "duplicate", f"{each.arm}, seed {each.seed}, is there already, as {first.id}"


def _remarks(each: Replicate) -> Iterable[Found]:
    """What is to be known of a run that is used."""
    if each.torn:
        yield "torn", "its journal's last line is torn, and was passed over"
    if each.reports and not len(each.curve.value):
        yield "no value", "no trial reported a finite value: it counts as censored for every target"
    if each.sessions > 1:
        yield (
            "resumed",
            f"it was stopped and gone on with ({each.sessions} sessions): what it took is not known to the "
            "second, since what was lost with a session may count twice or not at all",
        )


def _check_group(result: Checked, group: str, runs: list[Replicate], plan: Plan) -> None:
    found = [
        *_unlike(runs, "settings", lambda each: settings_of(each.manifest)),
        *_unlike(runs, "targets", lambda each: list(each.targets)),
        *_short(runs),
    ]
    found += _few_configurations(runs)
    result.problems += (Problem(kind, "", text, group) for kind, text in found)
    result.problems += _early(runs, plan.measure)
    result.problems += (Problem("target", "", text, group) for text in _unreached(runs))
    arms: dict[str, dict[int, Replicate]] = {}
    for each in runs:
        arms.setdefault(each.arm, {})[each.seed] = each
    base = arms.get(plan.baseline)
    if base is None:
        text = f"no usable run of {plan.baseline!r}: nothing can be compared ({', '.join(arms)})"
        result.problems.append(Problem("no baseline", "", text, group))
        return
    planned = {(each.arm, each.seed) for each in plan.runs if each.group == group}  # none of plain runs
    for arm, other in arms.items():
        if arm == plan.baseline:
            continue
        apart = [s for s in sorted({*base} & {*other}) if _hardware(base[s]) != _hardware(other[s])]
        result.apart |= {(group, arm, seed) for seed in apart}
        found = [*_unpaired({plan.baseline: base, arm: other}, planned), *_pairs(base, other, apart)]
        result.problems += (Problem(kind, "", text, group, arm) for kind, text in found)


def _unlike(
    runs: Sequence[Replicate], kind: str, key: Callable[[Replicate], dict[str, Any] | list[float]]
) -> Iterable[Found]:
    """Where runs of a group differ in what they should have in common."""
    kinds: dict[str, list[Replicate]] = defaultdict(list)
    for each in runs:
        kinds[json.dumps(key(each), sort_keys=True)].append(each)
    common, *others = sorted(kinds.values(), key=lambda alike: -len(alike))
    for other in others:
        usual, own = key(common[0]), key(other[0])
        told = f"{own}, where most have {usual}"
        if isinstance(usual, dict) and isinstance(own, dict):
            told = ", ".join(
                "another space" if n == "space" else f"{n} {own.get(n)!r}, where most have {usual.get(n)!r}"
                for n in _differing(usual, own)
            )
        yield kind, f"{counted(len(other), 'run')} with other {kind}, {told}: {few([e.id for e in other], 5)}"


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _few_configurations(runs: Sequence[Replicate]) -> Iterable[Found]:
    """A simulated group whose intervals would rest on too few configurations to be believed."""
    simulated = runs[0].manifest.get("simulated")
    if simulated is not None and simulated["configurations"] < _FEW_CONFIGURATIONS:
        yield (
            "few configurations",
            f"{counted(simulated['configurations'], 'configuration')} recorded: intervals and p-values over "
            f"so few say next to nothing of others; record {_FEW_CONFIGURATIONS} or more, rather hundreds",
        )


def _short(runs: Sequence[Replicate]) -> Iterable[Found]:
    """Searches that ended by themselves before their budget."""
    short = [each for each in runs if each.ends["seconds"] < each.budget("seconds") < np.inf]
    if short:
        least = min(short, key=lambda each: each.ends["seconds"])
        yield (
            "short",
            f"{counted(len(short), 'run')} ended before the budget, {least.id} first, after "
            f"{least.ends['seconds']:.0f} of {least.budget('seconds'):.0f} s: "
            + _HOLDS.replace("it ", "each ", 1),
        )


def _early(runs: Sequence[Replicate], measure: Measure) -> Iterable[Problem]:
    """A search without a budget that ended long before the others."""
    first = min(runs, key=lambda each: each.ends[measure])
    least, half = first.ends[measure], float(np.median([each.ends[measure] for each in runs]))
    if np.isinf(first.budget(measure)) and least < _EARLY * half:
        unit = {"seconds": "s", "gpu_hours": "GPU-hours" if first.on_gpu else "worker-hours"}.get(
            measure, f"{first.unit}s"
        )
        text = f"it ended after {least:.3g} {unit}, and half of its group took over {half:.3g}: "
        yield Problem("short", first.id, text + _HOLDS, first.group, first.arm)


def _unreached(runs: Sequence[Replicate]) -> Iterable[str]:
    sign = 1 if runs[0].mode == "max" else -1
    values = [each.best for each in runs if len(each.curve.value)]
    best = max(values, key=lambda value: sign * value, default=None)
    for target in dict.fromkeys(target for each in runs for target in each.targets):
        if best is None or sign * best < sign * target:
            reached = "there is none" if best is None else f"the best is {best:.4g}"
            yield f"no run of the group reached {target:g} ({reached}): every time to it is censored"


def _unpaired(sides: Mapping[str, Mapping[int, Replicate]], planned: set[tuple[str, int]]) -> Iterable[Found]:
    """Seeds that one of the two lacks, though it was to have them: a sweep on seeds of its own lacks none."""
    for name, partner in (tuple(sides), tuple(sides)[::-1]):
        missing = sorted({*sides[name]} - {*sides[partner]})
        alone = [seed for seed in missing if not planned or (partner, seed) in planned]
        if alone:
            yield (
                "unpaired",
                f"{name} has {_seeds(alone)}, and {partner} does not: not in the paired tests",
            )


def _pairs(
    base: Mapping[int, Replicate], other: Mapping[int, Replicate], apart: Sequence[int]
) -> Iterable[Found]:
    """Pairs that have less in common than they should."""
    pairs = [seed for seed in sorted({*base} & {*other}) if seed not in apart]
    if apart:
        one = other[apart[0]]
        yield (
            "hardware",
            f"{_seeds(apart)} ran on other hardware than the baseline's "
            f"({one.id}: {_changed(_hardware(base[apart[0]]), _hardware(one))}): not in the paired tests",
        )
    if odd := [seed for seed in pairs if _versions(base[seed]) != _versions(other[seed])]:
        told = _changed(_versions(base[odd[0]]), _versions(other[odd[0]]))
        yield "versions", f"{_seeds(odd)} ran with other versions than the baseline's ({told})"
    if strange := [seed for seed in pairs if not _same_proposals(base[seed], other[seed])]:
        yield (
            "proposals",
            f"{_seeds(strange)}: the searcher proposed other configurations than in the baseline, so that "
            "these pairs have no more in common than their seed",
        )
    if len(pairs) == 1:
        yield (
            "few seeds",
            f"one pair only, seed {pairs[0]}: nothing can be tested, and no interval can be given",
        )


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {few(seeds)}"


def _hardware(each: Replicate) -> dict[str, Any]:
    found = each.manifest["hardware"]
    return {key: found.get(key) for key in _HARDWARE}


def _versions(each: Replicate) -> dict[str, Any]:
    return {**each.manifest.get("versions", {}), "commit": each.manifest.get("commit")}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = _differing(before, after)
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


def _schemas(used: Sequence[Replicate]) -> Iterable[Problem]:
    found: dict[int, list[str]] = defaultdict(list)
    for each in used:
        if each.schema != NO_JOURNAL:
            found[each.schema].append(each.id)
    if len(found) > 1:
        told = "; ".join(f"schema {schema}: {few(ids, 5)}" for schema, ids in sorted(found.items()))
        yield Problem("schema", "", f"journals of different schemas ({told}); all are read")
