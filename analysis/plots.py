"""Figures, each drawn on an Axes of the caller's, from runs as loaded. Colours are colour-blind-safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.load import Run, labels
from analysis.metrics import best_so_far, rung_survival, time_split

# Okabe and Ito 2008
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SIZE = (6.4, 4.0)  # inches
_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
}


def save_figure(
    draw: Callable[[Axes], None], stem: Path, size: tuple[float, float] = SIZE
) -> tuple[Path, Path]:
    """Draw on a fresh figure and write it as ``stem``.pdf and ``stem``.png; returns both paths."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size)
        draw(figure.add_subplot())
        paths = stem.with_suffix(".pdf"), stem.with_suffix(".png")
        # fixed metadata: the same journal gives the same bytes
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.savefig(paths[1])
    return paths


def seconds_axis(axes: Axes, end: float) -> float:
    """Label the x axis in the unit that suits ``end`` seconds; returns seconds a unit."""
    scale, name = next(
        ((scale, name) for limit, scale, name in ((300, 1.0, "s"), (7200, 60.0, "min")) if end < limit),
        (3600.0, "h"),
    )
    axes.set_xlabel(f"wall-clock time ({name})")
    axes.set_xlim(0, max(end / scale, 1e-9) * 1.02)
    return scale


def plot_best_so_far(axes: Axes, runs: Sequence[Run], target: float | None = None) -> None:
    """Best validation value so far against wall-clock time, one step curve a run."""
    scale = seconds_axis(axes, max(run.end for run in runs))
    worst: list[float] = []
    for index, run in enumerate(runs):
        curve = best_so_far(run)
        if not len(curve.t):
            continue
        times = np.append(curve.t, run.end) / scale
        values = np.append(curve.value, curve.value[-1])
        colour = PALETTE[index % len(PALETTE)]
        label = labels(runs)[index] if len(runs) > 1 else None
        axes.step(times, values, where="post", color=colour, label=label)
        axes.plot(curve.t[-1] / scale, curve.value[-1], "o", color=colour, markersize=5)
        worst.append(float(curve.value[0]))
    if target is not None:
        axes.axhline(target, color="#555555", linestyle="--", linewidth=1)
        axes.annotate(f" target {target:g}", (0, target), va="bottom", color="#555555", fontsize=9)
    axes.set_ylabel(f"best {runs[0].metric} so far (validation)")
    axes.set_title("Best so far")
    if len(runs) > 1:
        axes.legend(frameon=False, fontsize=8)
    if not worst:
        _nothing(axes)


def plot_learning_curves(axes: Axes, run: Run) -> None:
    """Every trial's validation curve, coloured by the rung that it reached."""
    levels = run.levels
    colours = [mpl.colormaps["viridis_r"](0.08 + 0.92 * x) for x in np.linspace(0, 1, len(levels))]
    reached = dict.fromkeys(levels, 0)
    for trial in sorted(run.trials.values(), key=lambda trial: trial.reached):
        rung = int(np.searchsorted(levels, trial.reached, side="right")) - 1
        if not trial.resources:
            continue
        level = levels[max(rung, 0)]
        reached[level] += 1
        many = len(run.trials) > 100
        axes.plot(
            trial.resources,
            trial.values,
            color=colours[max(rung, 0)],
            linewidth=0.8 if many else 1.2,
            alpha=0.6 if many else 0.85,
            marker="." if len(trial.resources) == 1 else None,
            markersize=5,
        )
    handles = [
        Line2D([], [], color=colour, label=f"{level} ({reached[level]} trials)")
        for level, colour in zip(levels, colours, strict=True)
    ]
    axes.legend(
        handles=handles[::-1],
        title=f"reached {run.unit}",
        frameon=False,
        fontsize=8,
        loc="lower right" if run.mode == "max" else "upper right",
    )
    if levels[-1] >= 27:
        axes.set_xscale("log")
        axes.set_xticks(levels, [str(level) for level in levels])
        axes.minorticks_off()
    axes.set_xlabel(f"resource ({run.unit}s)")
    axes.set_ylabel(f"{run.metric} (validation)")
    axes.set_title(f"Learning curves of {len(run.trials)} trials")
    if not any(reached.values()):
        _nothing(axes)


def plot_rung_survival(axes: Axes, runs: Sequence[Run]) -> None:
    """The share of configurations that reached each rung, and the share that eta alone would let up."""
    width = 0.8 / len(runs)
    levels = sorted({level for run in runs for level in run.levels})  # not every scheduler has the same
    for index, run in enumerate(runs):
        shares = rung_survival(run)
        places = np.array([levels.index(share.level) for share in shares], dtype=float)
        bars = axes.bar(
            places + (index - (len(runs) - 1) / 2) * width,
            [share.share * 100 for share in shares],
            width * 0.95,
            color=PALETTE[index % len(PALETTE)],
            label=labels(runs)[index] if len(runs) > 1 else "this search",
        )
        if len(runs) <= 2:
            axes.bar_label(bars, [str(share.trials) for share in shares], padding=2, fontsize=9)
    eta = runs[0].manifest["scheduler"]["reduction_factor"]
    one = all(run.levels == levels and run.manifest["scheduler"]["reduction_factor"] == eta for run in runs)
    if one and all(len(run.brackets) == 1 for run in runs):  # several brackets have no common share
        ideal = [100 / eta**k for k in range(len(levels))]
        axes.plot(range(len(levels)), ideal, "k_", markersize=16, label=f"1 in {eta} a rung")
    axes.set_xticks(range(len(levels)), [str(level) for level in levels])
    axes.set_xlabel(f"rung ({runs[0].unit}s)")
    axes.set_ylabel("configurations that reached it (%)")
    axes.set_ylim(0, 112)
    axes.set_title("Survival of configurations by rung")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(visible=False, axis="x")


def plot_time_split(axes: Axes, runs: Sequence[Run]) -> None:
    """Where the workers' time went, in per cent of workers x wall-clock."""
    parts = ("training", "warm_start", "starting", "waiting")
    names = ("training", "warm start", "starting workers", "waiting")
    colours = (PALETTE[0], PALETTE[1], PALETTE[5], "#bbbbbb")
    left = np.zeros(len(runs))
    splits = [time_split(run) for run in runs]
    for part, name, colour in zip(parts, names, colours, strict=True):
        share = np.array([100 * getattr(s, part) / max(s.total, 1e-9) for s in splits])
        label = f"{name} ({share[0]:.1f}%)" if len(runs) == 1 else name
        axes.barh(range(len(runs)), share, left=left, color=colour, label=label, height=0.6)
        left += share
    if len(runs) > 1:
        axes.set_yticks(range(len(runs)), labels(runs))
        axes.invert_yaxis()
    else:
        axes.set_yticks([])
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of workers x wall-clock (%)")
    axes.set_title("Where the time went")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes.grid(visible=False, axis="y")


def plot_warm_start(axes: Axes, run: Run) -> None:
    """What the warm start moved: the size of its step by dimension, in search coordinates."""
    steps: dict[str, list[float]] = {}
    for trial in run.trials.values():
        for name, step in trial.diagnostics.get("step", {}).items():
            if name in run.dimensions and np.isfinite(float(step)):
                steps.setdefault(name, []).append(abs(float(step)))
    names = [name for name, values in steps.items() if any(values)]
    if not names:
        _nothing(axes)
        return
    logarithmic = run.dimensions
    data = [np.log10(np.maximum(steps[name], 1e-12)) for name in names]
    axes.boxplot(
        data,
        orientation="horizontal",
        widths=0.55,
        medianprops={"color": PALETTE[1], "linewidth": 1.6},
        flierprops={"marker": ".", "markersize": 4},
    )
    labels = [f"log10 {name}" if logarithmic[name].get("log") else name for name in names]
    axes.set_yticks(range(1, len(names) + 1), labels)
    ticks = np.arange(np.floor(min(map(np.min, data))), np.ceil(max(map(np.max, data))) + 1)
    ticks = ticks[:: max(-(-len(ticks) // 6), 1)]
    axes.set_xticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
    axes.set_xlabel("size of the step (search coordinates)")
    axes.set_title(f"What the warm start moved ({len(data[0])} trials)")
    axes.grid(visible=False, axis="y")


def _nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color="#777777")
