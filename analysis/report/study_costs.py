"""The tables on scores, costs and what the warm starts did, from a study's comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from analysis.comparison import Against, Arm, Comparison, DimensionShift, Estimate, Group
from analysis.number_formats import (
    NONE,
    better,
    megabytes,
    p_cell,
    percent_cell,
    percent_interval,
    significant,
    with_interval,
)
from analysis.report.measures import measure_name, scale
from analysis.report.tables import Column, Table, tabulate
from analysis.stats.paired import Difference
from analysis.stats.sensitivity import Shift
from asha_core.runtime.budget import MEASURES

_BYTES = {
    "host_bytes": "host",
    "gpu_bytes": "GPU, torch",
    "gpu_reserved_bytes": "GPU, reserved",
    "device_bytes": "GPU, whole",
}
_PHASES = {
    "training": "training",
    "steps": "train",
    "validation": "evaluate",
    "checkpoints": "checkpoint",
    "building": "build",
    "warm start": "warm_start",
    "starting workers": "starting",
    "waiting": "waiting",
}
_COUNTS = {
    **{name: name for name in ("trials", "failed", "rejected", "units", "skipped")},
    **{"fell back": "fallbacks", "not finite": "non_finite", "braked": "braked", "redrawn": "redrawn"},
}


class ArmRow(NamedTuple):
    """An arm, and its comparison with the baseline; None for the baseline itself, or without one."""

    arm: Arm
    other: Against | None


def arm_rows(group: Group) -> list[ArmRow]:
    """A row for each arm of a group."""
    against = {each.arm: each for each in group.against}
    return [ArmRow(arm, against.get(arm.name)) for arm in group.arms]


_ARM = Column[ArmRow]("arm", lambda row: row.arm.name, "l")


def _form(group: Group) -> str:
    """How scores are printed."""
    largest = max((abs(value) for arm in group.arms for value in arm.best.values), default=0.0)
    return ".4f" if largest < 10 else ""


def scores_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Final scores by arm, on validation and on test data."""
    form = _form(group)
    tested = any(arm.test is not None for arm in group.arms)
    columns = [
        _ARM,
        Column[ArmRow]("seeds", lambda row: str(row.arm.best.n)),
        Column(f"best {group.metric}", lambda row: _plain(row.arm.best.mean, form)),
        Column("sd", lambda row: _plain(row.arm.best.sd, form)),
        Column(
            "interquartile mean [95%]",
            lambda row: with_interval(row.arm.best.iqm, row.arm.best.low, row.arm.best.high, form),
        ),
        _difference(lambda other: other.best, form),
        Column("p", lambda row: p_cell(row.other.best.p if row.other and row.other.best else None)),
        Column(
            "on test data (n)",
            lambda row: f"{_plain(row.arm.test.mean, form)} ({row.arm.test.n})" if row.arm.test else NONE,
            shown=tested,
        ),
        _difference(lambda other: other.test, form, shown=tested),
    ]
    simulated = any(each.configurations for each in group.against)
    test = "Student's test of its mean over configurations" if simulated else "the sign-flip test of its mean"
    note = (
        f"Best {group.metric}: of each search on validation data, mean over seeds; {better(group.mode)}. "
        f"Difference: arm minus baseline, over pairs; p: of {test}, not corrected."
    )
    return tabulate(f"scores-{slug}", f"Final scores, {group.name}", arm_rows(group), columns, [note])


def areas_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Areas under the best score so far, by measure."""
    form = _form(group)
    measures = [name for name in MEASURES if any(name in arm.auc for arm in group.arms)]

    def of(measure: str) -> tuple[Column[ArmRow], Column[ArmRow]]:
        def area(row: ArmRow) -> str:
            return _plain(row.arm.auc[measure].mean, form) if measure in row.arm.auc else NONE

        difference = _difference(lambda other: other.auc.get(measure), form)
        return Column(f"over {measure_name(comparison, measure)}", area), difference

    def horizon(measure: str) -> str:
        unit, found = scale(comparison, group, measure), group.horizon(measure)
        return f"{unit(found.value)} {unit.unit}, {found.words}"

    note = (
        f"Area under the curve of the best {group.metric} so far, up to the horizon and divided by it: the "
        "mean of what a search had at hand, which counts speed and height; before its first report a "
        f"search has nothing, which counts as {significant(group.auc_start)}. Difference: arm minus "
        f"baseline, over pairs. Horizons: {'; '.join(map(horizon, measures))}."
    )
    return tabulate(
        f"areas-{slug}",
        f"Mean of the best so far, {group.name}",
        arm_rows(group) if measures else [],
        [_ARM, *(column for measure in measures for column in of(measure))],
        [note],
    )


def _plain(value: float, form: str) -> str:
    return f"{value:{form}}" if form and math.isfinite(value) else significant(value, 4)


def _difference(
    of: Callable[[Against], Difference | None], form: str, *, shown: bool = True
) -> Column[ArmRow]:
    """A column with a difference to the baseline and its interval."""

    def cell(row: ArmRow) -> str:
        found = of(row.other) if row.other else None
        signed = f"+{form}" if form else ""
        return NONE if found is None else with_interval(found.mean, found.low, found.high, signed)

    return Column("difference [95%]", cell, shown=shown)


def overheads_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """What the warm starts cost, and whole searches against the baseline's: time, FLOPs, memory."""

    def ratio(header: str, of: Callable[[Against], Mapping[str, Estimate]], what: str) -> Column[ArmRow]:
        return Column(header, lambda row: _estimate(of(row.other).get(what) if row.other else None, ".3f"))

    def peak(what: str) -> Column[ArmRow]:
        header = f"peak memory, {_BYTES[what]} (MB)"
        return Column(header, lambda row: megabytes(row.arm.peaks.get(what, math.nan)))

    hours = measure_name(comparison, "gpu_hours")
    columns = [
        _ARM,
        Column("warm start (% of time) [95%]", lambda row: _percent(row.arm.overhead.seconds_share)),
        Column("time added (%) [95%]", lambda row: _percent(row.arm.overhead.seconds_extra)),
        Column("FLOPs added (%) [95%]", lambda row: _percent(row.arm.overhead.flops_extra)),
        ratio(f"{hours} ratio [95%]", lambda other: other.costs, "gpu_hours"),
        ratio("FLOPs ratio [95%]", lambda other: other.costs, "flops"),
    ]
    for what in _BYTES:
        if any(what in arm.peaks for arm in group.arms):
            columns += [peak(what), ratio("ratio [95%]", lambda other: other.peaks, what)]
    note = (
        "Warm start: seconds in warm starts over workers x wall-clock, mean over seeds. Added: over "
        "everything else. Ratios: of whole searches, arm over baseline, geometric mean over pairs. Peak "
        "memory: median over searches."
    )
    return tabulate(f"overheads-{slug}", f"Overheads, {group.name}", arm_rows(group), columns, [note])


def _estimate(found: Estimate | None, form: str) -> str:
    return NONE if found is None else with_interval(found.value, found.low, found.high, form)


def _percent(share: Estimate) -> str:
    return percent_interval(share.value, share.low, share.high, 2)


def phases_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Where the workers' time went."""

    def total(arm: Arm) -> float:
        of = arm.phases
        return of.training + of.warm_start + of.starting + of.waiting

    def share(title: str, part: str) -> Column[Arm]:
        return Column(
            f"{title} (%)", lambda arm: percent_cell(getattr(arm.phases, part) / (total(arm) or math.nan))
        )

    columns = [
        Column[Arm]("arm", lambda arm: arm.name, "l"),
        Column("worker-seconds a search", lambda arm: significant(total(arm))),
        *(share(*phase) for phase in _PHASES.items()),
    ]
    note = (
        "Training, warm start, starting and waiting make up the whole; steps, validation, checkpoints and "
        f"building are the parts of training that were recorded ({NONE}: not recorded)."
    )
    title = f"Where the time went, {group.name}"
    return tabulate(f"phases-{slug}", title, group.arms, columns, [note], folded=True)


def counts_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """What became of trials and of warm starts."""

    def count(title: str, of: str) -> Column[Arm]:
        return Column(title, lambda arm: f"{getattr(arm.counts, of):,.0f}")

    columns = [
        Column[Arm]("arm", lambda arm: arm.name, "l"),
        Column("searches", lambda arm: str(len(arm.seeds))),
        *(count(f"{group.unit}s" if of == "units" else title, of) for title, of in _COUNTS.items()),
    ]
    note = (
        "Sums over searches. The last five are of warm starts: left undone, measured in a simpler way, "
        "estimates that were no finite numbers, slowed down, drawn again."
    )
    return tabulate(f"counts-{slug}", f"Trials, {group.name}", group.arms, columns, [note], folded=True)


def shifts_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """How far the warm start moved each hyper-parameter."""
    Row = tuple[str, DimensionShift]

    def moved(header: str, cell: Callable[[Shift], str]) -> Column[Row]:
        return Column(header, lambda row: cell(row[1].shift) if row[1].shift else NONE)

    columns = [
        Column[Row]("arm", lambda row: row[0], "l"),
        Column(
            "search coordinate",
            lambda row: f"log10 {row[1].name}" if row[1].scale == "log" else row[1].name,
            "l",
        ),
        Column("trials", lambda row: f"{row[1].n:,}"),
        moved("median move", lambda shift: significant(shift.median)),
        moved("mean size", lambda shift: significant(shift.mean_absolute)),
        moved("moved (%)", lambda shift: percent_cell(shift.share_moved)),
        Column("KL (nats)", lambda row: significant(row[1].kl)),
        Column("median |gradient|", lambda row: significant(row[1].gradient)),
    ]
    note = (
        "Moves are after minus before the warm start, in search coordinates. KL: Kullback-Leibler divergence "
        "of the distribution after from the one before. Gradient: nats of held-out loss per search "
        "coordinate."
    )
    rows = [(told.arm, each) for told in group.diagnostics for each in told.dimensions]
    title = f"Shift of each hyper-parameter, {group.name}"
    return tabulate(f"shifts-{slug}", title, rows, columns, [note], by=lambda row: row[0], folded=True)
