"""Draw results/against_the_published.json, regret over budget: docs/results/against-the-published.png, .svg.

python -m benchmarks.against_the_published_figure
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.against_the_published import BUDGETS, FEW, FILE, MODELS, OPTUNA, RANDOM, SYNE_TUNE, tables_of
from benchmarks.decisions_figure import MARKS, PALETTE
from benchmarks.faster_start_figure import STYLE
from benchmarks.tables import PAGES

STEM = PAGES / "against-the-published"


def draw(content: dict[str, Any], stem: Path) -> list[Path]:
    """Write ``stem``.png and ``stem``.svg."""
    found = content["regret"]
    with mpl.rc_context(STYLE | {"svg.hashsalt": "published"}):
        figure = Figure(figsize=(9.5, 5.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        every = [system for system in [*RANDOM, *MODELS, *OPTUNA, *SYNE_TUNE] if system in found]
        for axes, tables in zip(panels, (None, FEW), strict=True):
            for number, system in enumerate(every):
                rows = found[system]
                names = tables_of(found, system, tables)
                if not names:
                    continue
                mean = np.mean([np.mean(rows[table], axis=0) for table in names], axis=0)
                kind = "-" if system.startswith("asha-core") else ":" if system.startswith("Optuna") else "--"
                axes.plot(
                    BUDGETS[: len(mean)],
                    mean,
                    kind,
                    label=system,
                    color=PALETTE[number % len(PALETTE)],
                    marker=MARKS[(number * 3 + number // 6) % len(MARKS)],
                    markersize=4.5,
                    linewidth=2.0 if system in MODELS else 1.2,
                )
            axes.set(xscale="log", yscale="log", xlabel="units of resource, all trials together")
            axes.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
            axes.set_yticks([0.1, 0.2, 0.3, 0.5, 1.0], ["0.1", "0.2", "0.3", "0.5", "1"])
            axes.minorticks_off()
            axes.set_title("12 tasks" if tables is None else "six of them, with the slow ones", fontsize=9)
        panels[0].set_ylabel("mean regret (1: the median configuration at R)")
        handles, names = panels[1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=8)
        figure.supxlabel(
            "LCBench through YAHPO's surrogate, R = 52, r = 1, eta = 3, one worker; the best value seen, "
            f"beside the best of the table.\nSearches and intervals: in the tables. {content['date']}.",
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
