"""Draw results/faster_start.json: docs/results/when-does-a-faster-start-help.png and .svg.

python -m benchmarks.faster_start_figure
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.decisions_figure import MARKS, PALETTE
from benchmarks.faster_start import COSTS, FILE, LCBENCH, SCHEDULERS, SHARES, WORKERS

STEM = Path(__file__).resolve().parent.parent / "docs" / "results" / "when-does-a-faster-start-help"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "faster_start",  # the same figures give the same file
}


def lines(axes: Axes, rows: list[dict[str, Any]], key: str, points: tuple[float, ...]) -> None:
    """One line a scheduler, with its intervals; a little apart, so that they can be told."""
    for number, name in enumerate(SCHEDULERS):
        found = {row[key]: row for row in rows if row["scheduler"] == name and row["ratio"] is not None}
        here = [point for point in points if point in found]
        places = [points.index(point) + 0.09 * (number - 2) for point in here]
        ratio = [found[point]["ratio"] for point in here]
        below = [found[point]["ratio"] - found[point]["low"] for point in here]
        above = [found[point]["high"] - found[point]["ratio"] for point in here]
        axes.errorbar(
            places,
            ratio,
            yerr=[below, above],
            label=name,
            color=PALETTE[number],
            marker=MARKS[number],
            markersize=4.5,
            linewidth=1.2,
            elinewidth=0.8,
        )
    axes.set_xticks(range(len(points)), [f"{100 * point:g}%" for point in points])
    axes.axhline(1.0, color="#555555", linewidth=0.8)


def draw(content: dict[str, Any], stem: Path) -> list[Path]:
    """Write ``stem``.png and ``stem``.svg."""
    rows = [row for row in content["rows"] if (row["group"], row["timing"]) == (LCBENCH, "dealt")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 8.2), layout="constrained")
        grid = figure.subplots(3, len(WORKERS), sharey="row")
        for column, workers in enumerate(WORKERS):
            these = [row for row in rows if row["workers"] == workers and row["times"] > 1]
            for line, times in enumerate((2, 4)):
                axes = grid[line][column]
                part = [row for row in these if row["times"] == times and row["cost"] == 0]
                lines(axes, part, "share", SHARES)
                axes.axhline(1 / times, color="#555555", linewidth=0.8, linestyle=":")
                axes.set(yscale="log", ylim=(0.1, 1.5))
                axes.set_yticks([0.1, 0.25, 0.5, 1.0], ["0.1", "0.25", "0.5", "1"])
                axes.minorticks_off()
                axes.set_title(f"share x {times}, {workers} worker{'s' * (workers > 1)}", fontsize=9)
                axes.set_xlabel("share that reaches the target, before")
            axes = grid[2][column]
            lines(axes, [row for row in these if row["times"] == 2 and row["share"] == 0.1], "cost", COSTS)
            axes.set(ylim=(0.0, 1.3), xlabel="each start costs, of rung 0")
            axes.set_title(f"share 10% x 2, {workers} worker{'s' * (workers > 1)}", fontsize=9)
        for line in range(3):
            grid[line][0].set_ylabel("median T@tau with / without")
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(SCHEDULERS), frameon=False)
        about = content["settings"]
        figure.supxlabel(
            f"12 tasks of LCBench's surrogate, 2,000 configurations each, {about['seeds']} searches a task "
            f"and point; R = {about['R']}, r = 1, eta = {about['eta']}.\nMedians over tasks; bars: "
            "95%, bootstrap over tasks and searches. Dotted: time falls as the share grows.\nMissing: in "
            f"most tasks the median search does not reach the target. {content['date']}.",
            fontsize=7.5,
            x=0.01,
            ha="left",
        )
        paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
        figure.savefig(paths[0], dpi=150)
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, default=FILE)
    parser.add_argument("--stem", type=Path, default=STEM)
    options = parser.parse_args()
    for path in draw(json.loads(options.json.read_text()), options.stem):
        print(f"wrote {path.name}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
