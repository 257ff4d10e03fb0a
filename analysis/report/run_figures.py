"""Figures, each drawn on an Axes of the caller's, from runs as loaded. Colours are colour-blind-safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis import figures
from analysis.figures.layout import across, headed, labelled, legend_below, nothing, plain, sample
from analysis.figures.slices import rung_colours
from analysis.figures.style import GREY, PALETTE, styles
from analysis.figures.value_axis import ValueAxis
from analysis.journals.metrics import best_so_far, rung_survival, time_split
from analysis.journals.runs import Run, TrialHistory, best_value, labels
from analysis.number_formats import time_unit
from analysis.report.captions import measured
from asha_core.runtime.terminal.notices import without_best
from asha_core.runtime.units import counted


def seconds_axis(axes: Axes, end: float, clock: str) -> float:
    """Label the x axis, of ``clock``, in the unit that suits ``end`` seconds; returns seconds a unit."""
    scale, name = time_unit(end)
    axes.set_xlabel(f"{clock} ({name})")
    axes.set_xlim(0, max(end / scale, 1e-9) * 1.02)
    return scale


def clock_of(runs: Sequence[Run]) -> str:
    """What the seconds of these are."""
    virtual = all("simulation" in run.manifest for run in runs)
    return "virtual time" if virtual else "wall-clock time"


def plot_best_so_far(axes: Axes, runs: Sequence[Run], target: float | None = None) -> None:
    """Best validation value so far against time, one step curve a run."""
    curves = {
        name: (run, curve)
        for name, run in zip(labels(runs), runs, strict=True)
        if len((curve := best_so_far(run)).t)
    }
    if not curves:
        reports = sum(len(trial.resources) for run in runs for trial in run.trials.values())
        nothing(axes, without_best(reports))
        return
    scale = seconds_axis(axes, max(run.end for run in runs), clock_of(runs))
    style = styles(labels(runs), baseline="")
    for name, (run, curve) in curves.items():
        times = np.append(curve.t, run.end) / scale
        values = np.append(curve.value, curve.value[-1])
        look = style[name]
        axes.step(times, values, where="post", color=look.colour, linestyle=look.dash)
        axes.plot(curve.t[-1] / scale, curve.value[-1], look.marker, color=look.colour, markersize=5)
    if target is not None:
        axes.axhline(target, color="#555555", linestyle="--", linewidth=1)
        axes.annotate(f" target {target:g}", (0, target), va="bottom", color="#555555", fontsize="small")
    labelled(axes, measured(runs[0], f"best {runs[0].metric} so far"))
    axes.set_title("Best so far")
    if len(runs) > 1:
        legend_below(axes, [sample(style[name], plain(name)) for name in curves])


def plot_learning_curves(
    axes: Axes, run: Run, name: str | None = None, beside: Sequence[Run] | None = None
) -> None:
    """Every trial's validation curve, coloured by the rung that it reached.

    Args:
        name: what tells the run from others, such as its entry of ``labels(runs)``; by default its name.
        beside: the runs whose figures stand beside this one: all have the same axes and colours.
    """
    if not any(trial.resources for trial in run.trials.values()):
        nothing(axes, "no trial reported a value: no learning curves")
        return
    alike = list(beside or [run])
    levels = sorted({level for each in alike for level in each.levels})
    reached = _draw_curves(axes, run, levels)
    handles = [
        Line2D([], [], color=colour, label=f"{level} ({counted(reached[level], 'trial')})")
        for level, colour in zip(levels, rung_colours(len(levels)), strict=True)
        if level in run.levels
    ]
    axes.legend(
        handles=handles[::-1],
        title=plain(f"reached {run.unit}"),
        frameon=False,
        fontsize="small",
        loc="lower right" if run.mode == "max" else "upper right",
    )
    values = [value for each in alike for trial in each.trials.values() for value in trial.values]
    ValueAxis(values, run.mode).set_on(axes)
    if levels[-1] >= 27:
        axes.set_xscale("log")
        axes.set_xticks(levels, [str(level) for level in levels])
        axes.minorticks_off()
        axes.set_xlim(0.9 * levels[0], 1.1 * levels[-1])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(levels[0] - 0.03 * levels[-1], 1.03 * levels[-1])
    across(axes, f"resource ({run.unit}s)")
    labelled(axes, measured(run, run.metric))
    _titled(axes, f"Learning curves of {counted(len(run.trials), 'trial')}", run, name)


def _draw_curves(axes: Axes, run: Run, levels: Sequence[int]) -> dict[int, int]:
    """A line a trial, a dot of one that reported once; returns how many reached each level and no higher."""
    reached, many = dict.fromkeys(levels, 0), len(run.trials) > 100
    look: dict[str, Any] = {"alpha": 0.6 if many else 0.85, "rasterized": len(run.trials) > 1_000}
    curves: list[list[list[tuple[int, float]]]] = [[] for _ in levels]
    for trial in run.trials.values():
        if trial.resources:
            rung = max(int(np.searchsorted(levels, trial.reached, side="right")) - 1, 0)
            reached[levels[rung]] += 1
            curves[rung].append(list(zip(trial.resources, trial.values, strict=True)))
    for colour, of_rung in zip(rung_colours(len(levels)), curves, strict=True):
        lines = [curve for curve in of_rung if len(curve) > 1]
        dots = [curve[0] for curve in of_rung if len(curve) == 1]
        width = 0.8 if many else 1.2
        axes.add_collection(LineCollection(lines, colors=[colour], linewidths=width, **look))
        if dots:
            axes.plot(*zip(*dots, strict=True), ".", color=colour, markersize=5, **look)
    axes.autoscale_view()
    return reached


def plot_rung_survival(axes: Axes, runs: Sequence[Run]) -> None:
    """The share of configurations that reached each rung, and the share that eta alone would let up."""
    width = 0.8 / len(runs)
    levels = sorted({level for run in runs for level in run.levels})  # not every scheduler has the same
    names = labels(runs) if len(runs) > 1 else ["this search"]
    style, handles = styles(names, baseline=""), list[Artist]()
    for index, (name, run) in enumerate(zip(names, runs, strict=True)):
        shares = rung_survival(run)
        places = np.array([levels.index(share.level) for share in shares], dtype=float)
        bars = axes.bar(
            places + (index - (len(runs) - 1) / 2) * width,
            [share.share * 100 for share in shares],
            width * 0.95,
            color=style[name].colour,
        )
        handles.append(Patch(color=style[name].colour, label=plain(name)))
        if len(runs) <= 2:
            axes.bar_label(bars, [str(share.trials) for share in shares], padding=2, fontsize="small")
    eta = runs[0].manifest["scheduler"]["reduction_factor"]
    one = all(run.levels == levels and run.manifest["scheduler"]["reduction_factor"] == eta for run in runs)
    if one and all(len(run.brackets) == 1 for run in runs):  # several brackets have no common share
        ideal = [100 / eta**k for k in range(len(levels))]
        handles += axes.plot(
            range(len(levels)), ideal, "k_", markersize=16, label=f"one in {eta} of the rung before"
        )
    axes.set_xticks(range(len(levels)), [str(level) for level in levels])
    across(axes, f"rung ({runs[0].unit}s)")
    axes.set_ylabel("configurations that reached it (%)")
    axes.set_ylim(0, 112)
    axes.set_title("Survival of configurations by rung")
    legend_below(axes, handles)
    axes.grid(visible=False, axis="x")


def plot_time_split(axes: Axes, runs: Sequence[Run]) -> None:
    """Where the workers' time went, in per cent of workers x wall-clock."""
    splits = [time_split(run) for run in runs]
    names = {
        "training": "training",
        "warm_start": "warm start",
        "starting": "starting workers",
        "waiting": "waiting",
    }
    parts = {name: [getattr(split, part) for split in splits] for part, name in names.items()}
    figures.plot_time_split(axes, labels(runs), parts, title="Where the time went")


def plot_warm_start(axes: Axes, run: Run, name: str | None = None) -> None:
    """What the warm start moved: the size of its step by dimension, in search coordinates.

    name: as for ``plot_learning_curves``.
    """
    steps: dict[str, list[float]] = {}
    for trial in run.trials.values():
        for dimension, step in trial.diagnostics.get("step", {}).items():
            if dimension in run.dimensions and np.isfinite(float(step)):
                steps.setdefault(dimension, []).append(abs(float(step)))
    names = [dimension for dimension, values in steps.items() if any(values)]
    if not names:
        nothing(axes, "no warm start moved a configuration")
        return
    logarithmic = run.dimensions
    data = [np.log10(np.maximum(steps[each], 1e-12)) for each in names]
    axes.boxplot(
        data,
        orientation="horizontal",
        widths=0.55,
        medianprops={"color": PALETTE[1], "linewidth": 1.6},
        flierprops={"marker": ".", "markersize": 4},
    )
    texts = [plain(f"log10 {each}" if logarithmic[each].get("log") else each) for each in names]
    axes.set_yticks(range(1, len(names) + 1), texts)
    ticks = np.arange(np.floor(min(map(np.min, data))), np.ceil(max(map(np.max, data))) + 1)
    ticks = ticks[:: max(-(-len(ticks) // 6), 1)]
    axes.set_xticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
    axes.set_xlabel("size of the step (search coordinates)")
    _titled(axes, f"What the warm start moved ({counted(len(data[0]), 'trial')})", run, name)
    axes.grid(visible=False, axis="y")


# one inside the other where both are equal
_LONE: dict[str, dict[str, Any]] = {
    "valid_loss": {"marker": "o", "markersize": 3.5},
    "train_loss": {"marker": "o", "markersize": 7, "markerfacecolor": "none"},
}


def plot_losses(axes: Axes, run: Run, count: int = 4, name: str | None = None) -> None:
    """Training loss (dashed) and validation loss (solid) of the best trials, by resource.

    A loss that was reported once is a mark: hollow for training, full for validation. A trial's losses are
    what its task reported as ``train_loss`` and ``valid_loss``, in their own unit (nats for cross-entropy).

    Args:
        count: how many trials.
        name: as for ``plot_learning_curves``.
    """
    ranked = by_score(run)
    if not ranked:
        nothing(axes, "no trial with a finite score reported train_loss or valid_loss")
        return
    seen: list[float] = []
    handles = []
    some_lone = False
    for place, (score, trial) in enumerate(ranked[:count]):
        colour = PALETTE[place % len(PALETTE)]
        for key, dash in (("valid_loss", "-"), ("train_loss", "--")):
            losses = np.array([metrics.get(key, np.nan) for metrics in trial.metrics], dtype=np.float64)
            losses[~np.isfinite(losses)] = np.nan
            lone = np.isfinite(losses).sum() == 1  # no line: only a mark tells one loss from the other
            mark = _LONE[key] if lone else {}
            some_lone = some_lone or bool(lone)
            axes.plot(trial.resources, losses, dash, color=colour, linewidth=1.3, **mark)
            seen += losses[np.isfinite(losses)].tolist()
        text = f"trial {trial.id} ({run.metric} {score:.4g})"
        handles.append(Line2D([], [], color=colour, label=plain(text)))
    kinds = {key: mark if some_lone else {} for key, mark in _LONE.items()}
    reported = losses_of(run)
    if "valid_loss" in reported:
        handles.append(Line2D([], [], color=GREY, linestyle="-", label="validation", **kinds["valid_loss"]))
    if "train_loss" in reported:
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="training", **kinds["train_loss"]))
    if seen and min(seen) > 0 and max(seen) / min(seen) > 30:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    across(axes, f"resource ({run.unit}s)")
    axes.set_ylabel("loss")
    several = f"the {len(ranked[:count])} best trials" if len(ranked) > 1 and count > 1 else "the best trial"
    _titled(axes, f"Losses of {several}", run, name)
    legend_below(axes, handles)


def losses_of(run: Run) -> set[str]:
    """Which of ``train_loss`` and ``valid_loss`` any trial reported."""
    reported = {key for trial in run.trials.values() for metrics in trial.metrics for key in metrics}
    return reported & set(_LONE)


def by_score(run: Run) -> list[tuple[float, TrialHistory]]:
    """The trials with a finite score that reported losses, the best one first, and their scores."""
    sign = -1 if run.mode == "max" else 1
    found = [
        (*best_value(trial, run.mode), trial)
        for trial in run.trials.values()
        if any("train_loss" in metrics or "valid_loss" in metrics for metrics in trial.metrics)
    ]
    ranked = sorted((each for each in found if each[1]), key=lambda each: (sign * each[0], each[2]))
    return [(value, trial) for value, _, _, trial in ranked]


def _titled(axes: Axes, title: str, run: Run, name: str | None) -> None:
    """A title, and above the axes in small letters which run it is of."""
    headed(axes, title, name or run.name)
