"""The tables on scores, costs and what the warm starts did, from a study's comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.comparison import Against, Arm, Comparison, Estimate, Group
from analysis.report.study_numbers import (
    MEASURES,
    NONE,
    measure_name,
    megabytes,
    number,
    p_value,
    per_cent,
    scale,
    with_interval,
)
from analysis.report.study_tables import Table
from analysis.stats.paired import Difference

_BYTES = {
    "host_bytes": "host",
    "gpu_bytes": "GPU, torch",
    "gpu_reserved_bytes": "GPU, reserved",
    "device_bytes": "GPU, whole",
}


def _baseline_of(group: Group, arm: Arm) -> Against | None:
    return next((each for each in group.against if each.arm == arm.name), None)


def _form(group: Group) -> str:
    """How scores are printed."""
    largest = max((abs(value) for arm in group.arms for value in arm.best.values), default=0.0)
    return ".4f" if largest < 10 else ""


def scores_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Final scores by arm, on validation and on test data, and the area under the best score so far."""
    form = _form(group)
    tested = any(arm.test is not None for arm in group.arms)
    rows: list[Sequence[str]] = []
    for arm in group.arms:
        other = _baseline_of(group, arm)
        row = [arm.name, str(arm.best.n), _plain(arm.best.mean, form), _plain(arm.best.sd, form)]
        row.append(with_interval(arm.best.iqm, arm.best.low, arm.best.high, form))
        row += _difference(other.best if other else None, form)
        if tested:
            row.append(NONE if arm.test is None else f"{_plain(arm.test.mean, form)} ({arm.test.n})")
            row += _difference(other.test if other else None, form)[:1]
        rows.append(row)
    header = ["arm", "seeds", f"best {group.metric}", "sd", "interquartile mean [95%]", "difference [95%]"]
    header += ["p", *(["on test data (n)", "difference [95%]"] if tested else [])]
    better = "larger" if group.mode == "max" else "smaller"
    notes = (
        f"Best {group.metric}: of each search on validation data, mean over seeds; {better} is better. "
        "Difference: arm minus baseline, over pairs; p: of the sign-flip test of its mean, not corrected.",
    )
    return Table(f"scores-{slug}", f"Final scores, {group.name}", header, rows, notes)


def areas_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Areas under the best score so far, by measure."""
    form = _form(group)
    measures = [name for name in MEASURES if any(name in arm.auc for arm in group.arms)]
    rows: list[Sequence[str]] = []
    for arm in group.arms if measures else ():
        other, row = _baseline_of(group, arm), [arm.name]
        for name in measures:
            area = arm.auc.get(name)
            row.append(NONE if area is None else _plain(area.mean, form))
            row += _difference(other.auc.get(name) if other else None, form)[:1]
        rows.append(row)
    header = ["arm"]
    for name in measures:
        header += [f"over {measure_name(comparison, name)}", "difference [95%]"]
    notes = (
        f"Area under the curve of the best {group.metric} so far, up to the horizon and divided by it: the "
        "mean of what a search had at hand, which counts speed and height; before its first report a search "
        "has nothing, which counts as "
        f"{number(group.auc_start)}. Difference: arm minus baseline, over pairs. Horizons: "
        + "; ".join(_horizon(comparison, group, name) for name in measures)
        + ".",
    )
    return Table(f"areas-{slug}", f"Mean of the best so far, {group.name}", header, rows, notes)


def _horizon(comparison: Comparison, group: Group, measure: str) -> str:
    unit, horizon = scale(comparison, group, measure), group.horizon(measure)
    return f"{unit(horizon.value)} {unit.unit}, {horizon.words}"


def _plain(value: float, form: str) -> str:
    return f"{value:{form}}" if form and math.isfinite(value) else number(value, 4)


def _difference(found: Difference | None, form: str) -> list[str]:
    if found is None:
        return [NONE, NONE]
    return [with_interval(found.mean, found.low, found.high, f"+{form}" if form else ""), p_value(found.p)]


def overheads_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """What the warm starts cost, and whole searches against the baseline's: time, FLOPs, memory."""
    peaks = [name for name in _BYTES if any(name in arm.peaks for arm in group.arms)]
    rows: list[Sequence[str]] = []
    for arm in group.arms:
        other, cost = _baseline_of(group, arm), arm.overhead
        row = [arm.name]
        for each in (cost.seconds_share, cost.seconds_extra, cost.flops_extra):
            row.append(with_interval(100 * each.value, 100 * each.low, 100 * each.high, ".2f"))
        row += [_times(other.costs.get(name) if other else None) for name in ("gpu_hours", "flops")]
        for name in peaks:
            row.append(megabytes(arm.peaks.get(name, math.nan)))
            row.append(_times(other.peaks.get(name) if other else None))
        rows.append(row)
    hours = measure_name(comparison, "gpu_hours")
    header = ["arm", "warm start (% of time) [95%]", "time added (%) [95%]", "FLOPs added (%) [95%]"]
    header += [f"{hours} ratio [95%]", "FLOPs ratio [95%]"]
    for name in peaks:
        header += [f"peak memory, {_BYTES[name]} (MB)", "ratio [95%]"]
    notes = (
        "Warm start: seconds in warm starts over workers x wall-clock, mean over seeds. Added: over "
        "everything else. Ratios: of whole searches, arm over baseline, geometric mean over pairs. Peak "
        "memory: median over searches.",
    )
    return Table(f"overheads-{slug}", f"Overheads, {group.name}", header, rows, notes)


def _times(ratio: Estimate | None) -> str:
    return NONE if ratio is None else with_interval(ratio.value, ratio.low, ratio.high, ".3f")


def phases_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """Where the workers' time went."""
    rows: list[Sequence[str]] = []
    for arm in group.arms:
        parts = arm.phases
        total = parts.training + parts.warm_start + parts.starting + parts.waiting
        main = (parts.training, parts.train, parts.evaluate, parts.checkpoint, parts.build)
        rest = (parts.warm_start, parts.starting, parts.waiting)
        shares = [per_cent(part / total) if total > 0 else NONE for part in (*main, *rest)]
        rows.append([arm.name, number(total), *shares])
    header = ["arm", "worker-seconds a search", "training (%)", "steps (%)", "validation (%)"]
    header += ["checkpoints (%)", "building (%)", "warm start (%)", "starting workers (%)", "waiting (%)"]
    notes = (
        "Training, warm start, starting and waiting make up the whole; steps, validation, checkpoints and "
        f"building are the parts of training that were recorded ({NONE}: not recorded).",
    )
    return Table(f"phases-{slug}", f"Where the time went, {group.name}", header, rows, notes)


def counts_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """What became of trials and of warm starts."""
    rows: list[Sequence[str]] = []
    for arm in group.arms:
        c = arm.counts
        numbers = (c.trials, c.failed, c.rejected, c.units)
        warm = (c.skipped, c.fallbacks, c.non_finite, c.braked, c.redrawn)
        rows.append([arm.name, str(len(arm.seeds)), *(f"{count:,.0f}" for count in (*numbers, *warm))])
    header = ["arm", "searches", "trials", "failed", "rejected", f"{group.unit}s", "skipped", "fell back"]
    header += ["not finite", "braked", "redrawn"]
    notes = (
        "Sums over searches. The last five are of warm starts: left undone, measured in a simpler way, "
        "estimates that were no finite numbers, slowed down, drawn again.",
    )
    return Table(f"counts-{slug}", f"Trials, {group.name}", header, rows, notes)


def shifts_table(comparison: Comparison, group: Group, slug: str) -> Table:
    """How far the warm start moved each hyper-parameter."""
    rows: list[Sequence[str]] = []
    rules = []
    for told in group.diagnostics:
        rules.append(len(rows))
        for each in told.dimensions:
            label = f"log10 {each.name}" if each.scale == "log" else each.name
            move = each.shift
            moves = [NONE] * 3
            if move is not None:
                moves = [number(move.median), number(move.mean_absolute), per_cent(move.share_moved)]
            rows.append([told.arm, label, f"{each.n:,}", *moves, number(each.kl), number(each.gradient)])
    header = ["arm", "search coordinate", "trials", "median move", "mean size", "moved (%)", "KL (nats)"]
    header += ["median |gradient|"]
    notes = (
        "Moves are after minus before the warm start, in search coordinates. KL: Kullback-Leibler divergence "
        "of the distribution after from the one before. Gradient: nats of held-out loss per search "
        "coordinate.",
    )
    title = f"Shift of each hyper-parameter, {group.name}"
    return Table(f"shifts-{slug}", title, header, rows, notes, 2, frozenset(rules))
