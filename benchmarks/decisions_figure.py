"""Draw results/decisions.json: reports a second against trials, into docs/results/decisions.png and .svg.

python benchmarks/decisions_figure.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
# Okabe and Ito 2008, safe for the colour-blind; the mark tells two lines apart where colours do not
PALETTE = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKS = "osD^vPX*"
PEER = "#D55E00"


def caption(content: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    settings, eta = content["settings"], content["settings"]["reduction_factor"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    repeats, dates = [row["repeats"] for row in rows], sorted({row["date"] for row in rows})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return (
        f"n is on the axis; each mark is the smallest CPU time of {min(repeats)} to {max(repeats)} runs. "
        f"{settings['running']} running trials, a report after every\nunit, eta = {eta}, "
        f"r = {settings['min_resource']}, R = {settings['max_resource']}, random values "
        f"unless it says stable; sampling included.\nMeasured {when}, "
        f"{content['cores']}-core {content['system']}: {versions}."
    )


def draw(content: dict[str, Any], stem: Path) -> list[Path]:
    """Write ``stem``.png and ``stem``.svg."""
    rows = [row for row in content["rows"] if row["status"] == "measured"]
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        lines.setdefault(row["system"], []).append((row["trials"], row["reports_per_second"]))
    style: dict[Any, Any] = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "svg.fonttype": "none",
        "svg.hashsalt": "decisions",  # the same figures give the same file
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for index, (system, points) in enumerate(lines.items()):
            peer = not system.startswith("asha-core")
            axes.plot(
                *zip(*sorted(points), strict=True),
                label=system,
                color=PEER if peer else PALETTE[index % len(PALETTE)],
                marker=MARKS[index % len(MARKS)],
                linestyle="--" if peer else ":" if "stable" in system else "-",
                markersize=6,
                linewidth=1.6,
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="trials of the search",
            ylabel="reports a second, one core",
            title="Decisions of a scheduler, without workers",
        )
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        figure.supxlabel(caption(content, rows), fontsize=7.5, x=0.01, ha="left")
        paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
        figure.savefig(paths[0], dpi=160)
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "decisions.json")
    parser.add_argument("--stem", type=Path, default=HERE.parent / "docs" / "results" / "decisions")
    arguments = parser.parse_args()
    for path in draw(json.loads(arguments.json.read_text()), arguments.stem):
        print(f"wrote {path.name}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
