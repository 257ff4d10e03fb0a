"""The tables on times to target and on verdicts, from a study's comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from analysis.comparison import Against, Arm, Comparison, Group, TimeEffect, Times, Verdict
from analysis.comparison.criteria import CRITERIA, LEAST_PAIRS
from analysis.number_formats import NONE, p_cell, percent_interval, significant, with_interval
from analysis.report.measures import Scale, clock_name, measure_name, scale
from analysis.report.study_costs import (
    areas_table,
    arm_rows,
    counts_table,
    overheads_table,
    phases_table,
    scores_table,
    shifts_table,
)
from analysis.report.tables import Column, Table, tabulate
from analysis.stats.effects import Ratio
from analysis.stats.signed_ranks import OF
from asha_core.runtime.budget import MEASURES

_LATER = "\N{DAGGER}"
_TIMES = (
    "T: Kaplan-Meier median over all seeds. Ratio: arm over baseline, over pairs, with a paired bootstrap"
    " interval; below 1 the arm is faster. Paired ratio: Hodges-Lehmann estimate of the ratio within a "
    "pair, with the interval that belongs to the test; searches that did not reach the target count with "
    "the horizon. p: two-sided Wilcoxon signed-rank test on paired log T, Holm's correction over the "
    "arms. Pairs for 15%: about how many would show a ratio of 0.85 with 80% power, by the sd of the log "
    "ratio of those pairs in which both reached the target, times all pairs over these; none if these are"
    " fewer than six or half."
)
_SIMULATED = (
    "T: Kaplan-Meier median over all seeds, its interval over seeds alone. Ratio: arm over baseline, over"
    " pairs; below 1 the arm is faster. Paired ratio: Hodges-Lehmann estimate of the ratio within a pair;"
    " searches that did not reach the target count with the horizon. Searches were simulated over {:,} "
    "recorded configurations: intervals and p of the comparison say how far other configurations may "
    "differ (jackknife over configurations), which more seeds do not change. p: Student's test of the "
    "signed-rank statistic on paired log T, Holm's correction over the arms. Configurations for 15%: "
    "about how many would have to be recorded to show a ratio of 0.85 with 80% power."
)
_MEANS_SIMULATED = (
    "p (means, Holm): Student's test of the ratio of restricted means over configurations, where the numbers "
    "of searches that did not reach the target differ."
)
_MEANS = (
    "p (means, Holm): paired permutation test of the restricted mean, where the numbers of searches that did "
    "not reach the target differ."
)
_QUARTILES = "*: ratio of the interquartile ranges of log T, since {}."
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
    makers = (
        *(times_table, scores_table, overheads_table, areas_table, measures_table, spread_table),
        *(phases_table, counts_table, shifts_table),
    )
    made = [maker(comparison, group, slug) for maker in makers]
    return [table for table in made if table.rows]


def criteria_table(comparison: Comparison) -> Table:
    """Every criterion on every arm of every group, a row an arm."""
    judged = {each.criterion for each in comparison.criteria.verdicts}
    criteria = [name for name in CRITERIA if name in judged]
    rows = [(group.name, other.arm) for group in comparison.groups for other in group.against]
    found = {(each.group, each.arm, each.criterion): each for each in comparison.criteria.verdicts}

    def of(criterion: str) -> Column[tuple[str, str]]:
        def cell(row: tuple[str, str]) -> str:
            verdict = found.get((*row, criterion))
            return NONE if verdict is None else " ".join(filter(None, verdict_cell(verdict)))

        return Column(CRITERIA[criterion].title, cell, "l")

    columns = [
        Column[tuple[str, str]]("group", lambda row: row[0], "l"),
        Column("arm", lambda row: row[1], "l"),
        *map(of, criteria),
    ]
    notes = [f"{each.arm}: {each.verdict}: {each.sentence}" for each in comparison.criteria.overall]
    return tabulate("criteria", "The criteria, group by group", rows, columns, notes, by=lambda row: row[0])


def verdict_cell(verdict: Verdict) -> tuple[str, str]:
    """The verdict, and the estimate with its interval."""
    value, low, high = verdict.value, verdict.low, verdict.high
    if verdict.criterion == "cost":
        shown = percent_interval(value, low, high, 1, "%")
    elif verdict.criterion == "score":
        shown = with_interval(value, low, high, "+.4f" if abs(verdict.threshold) < 0.01 else "+.3g")
    else:
        shown = with_interval(value, low, high, ".2f")
    return verdict.verdict, "" if shown == NONE else shown


class _Timed(NamedTuple):
    """An arm's times to one target in one measure, and how they compare with the baseline's if they do."""

    arm: Arm
    other: Against | None
    target: float
    measure: str
    unit: Scale
    times: Times
    effect: TimeEffect | None


def _timed(comparison: Comparison, group: Group, target: float, measure: str) -> list[_Timed]:
    unit = scale(comparison, group, measure)
    return [
        _Timed(
            arm,
            other,
            target,
            measure,
            unit,
            arm.at(target, measure),
            other.at(target, measure) if other is not None and other.times else None,
        )
        for arm, other in arm_rows(group)
    ]


def _of_effect(header: str, cell: Callable[[TimeEffect], str], *, shown: bool = True) -> Column[_Timed]:
    """A column on the comparison with the baseline."""
    return Column(header, lambda row: NONE if row.effect is None else cell(row.effect), shown=shown)


_ARM = Column[_Timed]("arm", lambda row: row.arm.name, "l")
_REACHED = Column[_Timed]("reached", lambda row: f"{row.times.reached.k} of {row.times.reached.n}")
_RATIO = _of_effect("ratio [95%]", lambda effect: _ratio(effect.ratio, "medians"))
_PAIRED = _of_effect("paired ratio [95%]", lambda effect: _ratio(effect.hodges_lehmann, OF))


def times_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """T@tau by arm in the study's measure, for every target: the main table."""
    measure = comparison.measure
    unit = scale(comparison, group, measure)
    effects = [each for other in group.against for each in other.times if each.measure == measure]
    recorded = max((each.configurations for each in effects), default=0)
    permuted = any(each.permutation is not None for each in effects)
    targets = sorted(group.all_targets, key=lambda target: target != group.primary)

    def named(row: _Timed) -> str:
        later = "" if row.target in group.targets else _LATER
        primary = " (primary)" if row.target == group.primary and len(targets) > 1 else ""
        return f"{row.target:g}{later}{primary}"

    columns = [
        Column(f"{group.metric} target", named, "l"),
        _ARM,
        _REACHED,
        Column(f"median T ({unit.unit}) [95%]", _median),
        _RATIO,
        _PAIRED,
        _of_effect("pairs", lambda effect: str(effect.n)),
        _of_effect("p", lambda effect: p_cell(effect.p)),
        _of_effect("p (Holm)", lambda effect: p_cell(effect.p_holm)),
        _of_effect("p (means, Holm)", lambda effect: p_cell(effect.p_holm_permutation), shown=permuted),
        _of_effect(
            "configurations for 15%" if recorded else "pairs for 15%",
            lambda e: NONE if e.seeds_needed is None else f"{e.seeds_needed:,}",
        ),
    ]
    notes = [_SIMULATED.format(recorded) if recorded else _TIMES]
    if any(each.ratio.of != "medians" and not math.isnan(each.ratio.value) for each in effects):
        notes.append("*: ratio of restricted means, since a median was not reached.")
    if permuted:
        notes.append(_MEANS_SIMULATED if recorded else _MEANS)
    if group.later:
        notes.append(f"{_LATER}: a target chosen after the runs: exploratory, so without p-values.")
    return tabulate(
        f"times-{slug}",
        f"Time to target, {group.name}, in {measure_name(comparison, measure)}",
        [row for target in targets for row in _timed(comparison, group, target, measure)],
        columns,
        [*notes, *_remarks(group, measure)],
        by=lambda row: row.target,
    )


def _remarks(group: Group, measure: str) -> list[str]:
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


def _median(row: _Timed) -> str:
    times, unit = row.times, row.unit
    ends = (
        ""
        if math.isnan(times.low) or math.isinf(times.median)
        else f" [{unit(times.low)}, {unit(times.high)}]"
    )
    return f"{_time(times.median, row)}{ends}"


def _time(time: float, row: _Timed) -> str:
    """A time; one that was not observed is longer than the horizon."""
    return f"> {row.unit(row.times.horizon)}" if math.isinf(time) else row.unit(time)


def _ratio(ratio: Ratio | None, usual: str) -> str:
    """A ratio and its interval; with a star if it is not of what ratios usually are of."""
    if ratio is None:
        return NONE
    value, _, rest = with_interval(ratio.value, ratio.low, ratio.high, ".2f").partition(" ")
    star = "*" if ratio.of != usual and value != NONE else ""
    return f"{value}{star} {rest}".strip()


def measures_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """T@tau of the primary target in the measures that the tests were not made in."""
    target, tested = group.primary, comparison.measure
    clock = clock_name(comparison).removesuffix(" time")
    columns = [
        Column[_Timed](
            "measure",
            lambda row: f"{clock} ({row.unit.unit})" if row.measure == "seconds" else row.unit.unit,
            "l",
        ),
        _ARM,
        _REACHED,
        Column("median T [95%]", _median),
        _RATIO,
        _PAIRED,
    ]
    others = [measure for measure in MEASURES if measure != tested and target is not None]
    return tabulate(
        f"measures-{slug}",
        f"Time to {group.metric} {target or 0:g} in other measures, {group.name}",
        [row for measure in others for row in _timed(comparison, group, target or 0.0, measure)],
        columns,
        [f"These are described; the tests are of {measure_name(comparison, tested)}."],
        by=lambda row: row.measure,
    )


def spread_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """How far seeds differ, and the descriptive tests at the primary target."""
    target, measure = group.primary, comparison.measure
    unit = scale(comparison, group, measure)

    def ratio(row: _Timed) -> str:
        return _ratio(row.other.spread if row.other else None, "standard deviations of log time")

    def reached_by_one(effect: TimeEffect) -> str:
        found = effect.mcnemar
        return NONE if found is None else f"{found.only_other} arm, {found.only_base} baseline"

    columns = [
        _ARM,
        Column("sd of log T", lambda row: significant(row.times.sd_log) if row.times.reached.k else NONE),
        Column(
            f"quartiles of T ({unit.unit})",
            lambda row: f"{_time(row.times.q25, row)} to {_time(row.times.q75, row)}",
        ),
        Column("ratio of spread [95%]", ratio),
        _of_effect("sd of log ratio", lambda effect: significant(effect.sd_log_ratio)),
        _of_effect("reached by one only", reached_by_one),
        _of_effect(
            "McNemar's p", lambda e: p_cell(e.mcnemar.p if e.mcnemar and e.n >= LEAST_PAIRS else None)
        ),
        _of_effect(
            "log-rank p", lambda e: p_cell(e.log_rank.p if e.log_rank and e.n >= LEAST_PAIRS else None)
        ),
    ]
    ratios = [other.spread for other in group.against if other.spread is not None]
    simulated = any(each.configurations for each in group.against)
    why = "these are surer over configurations" if simulated else "some searches did not reach the target"
    by_quartiles = any(each.of.startswith("inter") and not math.isnan(each.value) for each in ratios)
    return tabulate(
        f"spread-{slug}",
        f"Spread over seeds of the time to {group.metric} {target or 0:g}, {group.name}",
        [] if target is None else _timed(comparison, group, target, measure),
        columns,
        [_SPREAD, *([_QUARTILES.format(why)] if by_quartiles else [])],
    )
