"""Units a second of simulated searches: through the whole loop with its journal, and of ``simulate``.

What is timed   CPU time of the process from the call that runs the search to its result: every decision,
                event and, of the loop, every record of the journal and results.json. Imports are not.
On what         ASHA, eta = 3, r = 1, R = 81, most of whose trials train one unit, and random search, all of
                whose trials train 81; on a made table of 1,000 configurations, drawn again and again;
                1, 64 and 1,000 workers. With ``--large`` 10^6 trials of 1,000 workers as well.
How             One after the other in one process, ``--repeats`` times; the largest number is reported, since
                noise only ever takes away, and the JSON file has every one.

    python -m benchmarks.simulation_speed                 # about a minute
    python -m benchmarks.simulation_speed --large         # some minutes more
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import ASHA, Curves, Float, FullTraining, Scheduler, SearchSpace, simulate, tune

RESULTS = Path(__file__).parent / "results" / "simulation_speed.json"
ROWS, UNITS = 1000, 81


def made_table() -> Curves:
    """Curves that rise to a level of their own, with noise, at a speed of their own."""
    draws = np.random.default_rng(0)
    space = SearchSpace({"x": Float(0, 1), "lr": Float(1e-4, 1, log=True)})
    rows = [{"x": x, "lr": 10 ** (-4 * y)} for x, y in draws.random((ROWS, 2))]
    rises = 1 - np.exp(-draws.uniform(0.05, 0.5, (ROWS, 1)) * np.arange(1, UNITS + 1))
    value = draws.uniform(0.3, 0.97, (ROWS, 1)) * rises + draws.normal(0, 0.005, (ROWS, UNITS))
    seconds = draws.uniform(0.5, 4, (ROWS, 1)) * draws.uniform(0.9, 1.1, (ROWS, UNITS))
    return Curves.from_arrays(space, rows, value, seconds=seconds)


KINDS: dict[str, tuple[type[Scheduler], int]] = {"asha": (ASHA, 10_000), "random": (FullTraining, 1_000)}


def library(kind: type[Scheduler], curves: Curves, trials: int, workers: int) -> tuple[int, float]:
    """Units and CPU seconds of ``simulate``."""
    searcher = curves.searcher(0, resample=True)
    scheduler = kind(curves.space, max_resource=UNITS, max_trials=trials, searcher=searcher)
    began = time.process_time()
    found = simulate(scheduler, curves, workers=workers)
    return found.units, time.process_time() - began


def loop(kind: type[Scheduler], curves: Curves, trials: int, workers: int) -> tuple[int, float]:
    """Units and CPU seconds of the engine, with a directory."""
    scheduler = kind(curves.space, max_resource=UNITS, max_trials=trials)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        result = tune(
            curves,
            scheduler,
            workers=workers,
            curves_options={"resample": True},
            results_dir=Path(folder) / "run",
            progress="none",
        )
        return result.outcome.units, time.process_time() - began


def main() -> None:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    curves, rows = made_table(), list[dict[str, Any]]()
    forms: dict[str, Callable[..., tuple[int, float]]] = {"loop": loop, "simulate": library}
    for (name, run), (scheduler, (kind, few)) in itertools.product(forms.items(), KINDS.items()):
        run(kind, curves, 300, 4)  # what is done once
        sizes = [(few, workers, given.repeats) for workers in (1, 64, 1000)]
        large = [(1_000_000, 1000, 1)] if given.large and kind is ASHA else []
        for trials, workers, repeats in [*sizes, *large]:
            found = [run(kind, curves, trials, workers) for _ in range(repeats)]
            speeds = [round(units / seconds) for units, seconds in found]
            row = {"form": name, "scheduler": scheduler, "trials": trials, "workers": workers}
            rows.append({**row, "units": found[0][0], "units_a_second": max(speeds), "all": speeds})
            what = f"{name:9} {scheduler:7} {trials:>9,} trials {workers:>5} workers"
            print(f"{what} {max(speeds):>10,} units a second", flush=True)
    about = {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "note": "the machine was shared with other work where the load is above 1",
    }
    given.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
