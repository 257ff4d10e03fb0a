"""The tables on times to target and on verdicts, from a study's comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from analysis.comparison import Against, Comparison, Group, TimeEffect, Times, Verdict
from analysis.comparison.criteria import CRITERIA, LEAST_PAIRS
from analysis.report.study_costs import (
    areas_table,
    counts_table,
    overheads_table,
    phases_table,
    scores_table,
    shifts_table,
)
from analysis.report.study_numbers import MEASURES, NONE, measure_name, number, p_value, scale, with_interval
from analysis.report.study_tables import Table
from analysis.stats.effects import Ratio

_LATER = "\N{DAGGER}"
_TIMES = (
    "T: Kaplan-Meier median over all seeds. Ratio: arm over baseline, over pairs, with a paired bootstrap "
    "interval; below 1 the arm is faster. p: two-sided Wilcoxon signed-rank test on paired log T, Holm's "
    "correction over the arms. Pairs for 15%: about how many would show a ratio of 0.85 with 80% power, by "
    "the sd of the log ratio of those pairs in which both reached the target, times all pairs over these; "
    "none if these are fewer than six or half."
)
_MEANS = (
    "p (means, Holm): paired permutation test of the restricted mean, where the numbers of searches that did "
    "not reach the target differ."
)
_QUARTILES = "*: ratio of the interquartile ranges of log T, since some searches did not reach the target."
_SPREAD = (
    "Searches that did not reach the target count with the horizon as their time. Reached by one only: pairs "
    "in which the arm alone got there, and in which the baseline alone did. These p-values are descriptive, "
    "and not corrected; none are given of fewer than six pairs."
)


def tables_of(comparison: Comparison, group: Group, slug: str) -> list[Table]:
    """Every table of a group, the main one first; those that would be empty are left out.

    Args:
        slug: what the names of their files end with.
    """
    makers: list[Callable[[Comparison, Group, str], Table]] = [
        times_table,
        scores_table,
        overheads_table,
        areas_table,
        measures_table,
        spread_table,
        phases_table,
        counts_table,
        shifts_table,
    ]
    made = [maker(comparison, group, slug) for maker in makers]
    return [table for table in made if table.rows]


def criteria_table(comparison: Comparison) -> Table:
    """Every criterion on every arm of every group: the verdict, and what it rests on."""
    rows: list[Sequence[str]] = []
    rules = []
    verdicts = comparison.criteria.verdicts
    criteria = list(dict.fromkeys(each.criterion for each in verdicts))
    for group in comparison.groups:
        rules.append(len(rows))
        for other in group.against:
            found = {each.criterion: each for each in comparison.criteria.of(group.name, other.arm)}
            cells = [" ".join(filter(None, verdict_cell(found[name]))) for name in criteria]
            rows.append([group.name, other.arm, *cells])
    header = ["tuple", "arm", *(CRITERIA[name].title for name in criteria)]
    notes = [f"{each.arm}: {each.verdict}: {each.sentence}" for each in comparison.criteria.overall]
    title = "The criteria, tuple by tuple"
    return Table("criteria", title, header, rows, tuple(notes), len(header), frozenset(rules))


def verdict_cell(verdict: Verdict) -> tuple[str, str]:
    """The verdict, and the estimate with its interval."""
    value, low, high = verdict.value, verdict.low, verdict.high
    if verdict.criterion == "cost":
        shown = with_interval(100 * value, 100 * low, 100 * high, ".1f").replace(" ", "% ", 1)
    elif verdict.criterion == "score":
        shown = with_interval(value, low, high, "+.4f" if abs(verdict.threshold) < 0.01 else "+.3g")
    else:
        shown = with_interval(value, low, high, ".2f")
    return verdict.verdict, "" if shown == NONE else shown


def times_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """T@tau by arm in the study's measure, for every target: the main table."""
    measure = comparison.measure
    unit = scale(comparison, group, measure)
    effects = [each for other in group.against for each in other.times if each.measure == measure]
    permuted = any(each.permutation is not None for each in effects)
    rows: list[Sequence[str]] = []
    rules = []
    for target in _primary_first(group):
        rules.append(len(rows))
        shown = f"{target:g}{'' if target in group.targets else _LATER}"
        if target == group.primary and len(group.all_targets) > 1:
            shown += " (primary)"
        for arm in group.arms:
            tests = _tests(_effect(group, arm.name, target, measure), permuted=permuted)
            rows.append([shown, arm.name, *_reached(arm.at(target, measure), unit), *tests])
    header = [f"{group.metric} target", "arm", "reached", f"median T ({unit.unit}) [95%]", "ratio [95%]"]
    header += ["pairs", "p", "p (Holm)", *(["p (means, Holm)"] if permuted else []), "pairs for 15%"]
    title = f"Time to target, {group.name}, in {measure_name(comparison, measure)}"
    notes = [_TIMES]
    if any(_of_means(each) for each in effects):
        notes.append("*: ratio of restricted means, since a median was not reached.")
    if permuted:
        notes.append(_MEANS)
    if group.later:
        notes.append(f"{_LATER}: a target chosen after the runs: exploratory, so without p-values.")
    notes += _told(group, measure)
    return Table(f"times-{slug}", title, header, rows, tuple(notes), 2, frozenset(rules))


def _told(group: Group, measure: str) -> list[str]:
    """What the tests have to say of themselves, and of which arms and targets."""
    found: dict[str, list[str]] = {}
    effects = [(o.arm, e) for o in group.against for e in o.times if e.measure == measure]
    for arm, effect in effects:
        if effect.note:
            found.setdefault(effect.note, []).append(f"{arm} at {effect.target:g}")
    return [
        f"{note[:1].upper()}{note[1:]}." if len(of) == len(effects) else f"{', '.join(of)}: {note}."
        for note, of in found.items()
    ]


def _primary_first(group: Group) -> list[float]:
    return sorted(group.all_targets, key=lambda target: target != group.primary)


def _against(group: Group, arm: str) -> Against | None:
    """The comparison of an arm with the baseline; None for the baseline itself, or without one."""
    return next((each for each in group.against if each.arm == arm), None)


def _effect(group: Group, arm: str, target: float, measure: str) -> TimeEffect | None:
    other = _against(group, arm)
    return None if other is None or not other.times else other.at(target, measure)


def _reached(times: Times, unit: Callable[[float], str]) -> list[str]:
    share = f"{times.reached.k} of {times.reached.n}"
    if math.isinf(times.median):
        return [share, f"> {unit(times.horizon)}"]
    ends = "" if math.isnan(times.low) else f" [{unit(times.low)}, {unit(times.high)}]"
    return [share, f"{unit(times.median)}{ends}"]


def _end(time: float, times: Times, unit: Callable[[float], str]) -> str:
    return f"> {unit(times.horizon)}" if math.isinf(time) else unit(time)


def _tests(effect: TimeEffect | None, *, permuted: bool) -> list[str]:
    if effect is None:
        return [NONE] * (5 + permuted)
    p = [effect.p, effect.p_holm, *([effect.p_holm_permutation] if permuted else [])]
    needed = NONE if effect.seeds_needed is None else f"{effect.seeds_needed:,}"
    return [_ratio(effect), str(effect.n), *map(p_value, p), needed]


def _of_means(effect: TimeEffect) -> bool:
    return effect.ratio.of != "medians" and not math.isnan(effect.ratio.value)


def _ratio(effect: TimeEffect) -> str:
    return _starred(effect.ratio, "medians")


def _starred(ratio: Ratio, usual: str) -> str:
    """A ratio and its interval; with a star if it is not of what ratios usually are of."""
    value, _, rest = with_interval(ratio.value, ratio.low, ratio.high, ".2f").partition(" ")
    star = "*" if ratio.of != usual and value != NONE else ""
    return f"{value}{star} {rest}".strip()


def measures_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """T@tau of the primary target in the measures that the tests were not made in."""
    rows: list[Sequence[str]] = []
    rules = []
    others = [measure for measure in MEASURES if measure != comparison.measure]
    for measure in others if group.primary is not None else ():
        assert group.primary is not None
        unit = scale(comparison, group, measure)
        rules.append(len(rows))
        for arm in group.arms:
            effect = _effect(group, arm.name, group.primary, measure)
            shown = NONE if effect is None else _ratio(effect)
            told = f"wall-clock ({unit.unit})" if measure == "seconds" else unit.unit
            rows.append([told, arm.name, *_reached(arm.at(group.primary, measure), unit), shown])
    header = ["measure", "arm", "reached", "median T [95%]", "ratio [95%]"]
    title = f"Time to {group.metric} {group.primary or 0:g} in other measures, {group.name}"
    tested = measure_name(comparison, comparison.measure)
    notes = (f"These are described; the tests are of {tested}.",)
    return Table(f"measures-{slug}", title, header, rows, notes, 2, frozenset(rules))


def spread_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """How far seeds differ, and the descriptive tests at the primary target."""
    target, measure = group.primary, comparison.measure
    unit = scale(comparison, group, measure)
    rows: list[Sequence[str]] = []
    for arm in group.arms if target is not None else ():
        assert target is not None
        times = arm.at(target, measure)
        effect, other = _effect(group, arm.name, target, measure), _against(group, arm.name)
        ratio = other.spread if other else None
        mcnemar, log_rank = (effect.mcnemar, effect.log_rank) if effect else (None, None)
        enough = effect is not None and effect.n >= LEAST_PAIRS
        rows.append(
            [
                arm.name,
                number(times.sd_log) if times.reached.k else NONE,
                " to ".join(_end(end, times, unit) for end in (times.q25, times.q75)),
                NONE if ratio is None else _starred(ratio, "standard deviations of log time"),
                NONE if effect is None else number(effect.sd_log_ratio),
                NONE if mcnemar is None else f"{mcnemar.only_other} arm, {mcnemar.only_base} baseline",
                p_value(mcnemar.p if mcnemar and enough else None),
                p_value(log_rank.p if log_rank and enough else None),
            ]
        )
    header = ["arm", "sd of log T", f"quartiles of T ({unit.unit})", "ratio of spread [95%]"]
    header += ["sd of log ratio"]
    header += ["reached by one only", "McNemar's p", "log-rank p"]
    ratios = [other.spread for other in group.against if other.spread is not None]
    by_quartiles = any(each.of.startswith("inter") and not math.isnan(each.value) for each in ratios)
    notes = [_SPREAD, *([_QUARTILES] if by_quartiles else [])]
    title = f"Spread over seeds of the time to {group.metric} {target or 0:g}, {group.name}"
    return Table(f"spread-{slug}", title, header, rows, tuple(notes))
