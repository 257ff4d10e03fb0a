"""How fast a simulated search is, ours beside Syne Tune's simulator: the same table, trials and workers.

What is timed   Processor time of one search in virtual time, imports and the reading of the table left out.
On what         LCBench's Fashion-MNIST by YAHPO's surrogate, R = 52, r = 1, eta = 3; ASHA (Syne Tune: its
                promotion type) and random search, over the same configurations in the same order.
Ours            `simulate`, the library form: no directory, no journal; until nothing is left to do.
Syne Tune       0.13.0: `Tuner` with `UserBlackboxBackend` over its own `BlackboxTabular`, no delays,
                results kept in memory; until one more trial would begin. It looks for events every 5
                virtual seconds, its default, or every half; a unit takes 10 on average. It keeps a line for
                each report, as our journal would.
n               `--trials` trials, 4 and 64 workers; the smallest of `--repeats` runs of each.

    python -m benchmarks.simulator_beside_syne_tune --syne-python syne/bin/python     # a minute
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from asha_core import Curves, simulate
from asha_core.schedulers import scheduler_class
from benchmarks import replays, table_parts
from benchmarks.published_curves import lcbench
from benchmarks.tables import PAGES, RESULTS, Table, put, write

WORKERS = (4, 64)
SYSTEMS = {"asha": "ASHA", "random": "RandomSearch"}
SLEEPS = (5.0, 0.5)
TASK = "Fashion-MNIST"
FILE = RESULTS / "simulator_beside_syne_tune.json"

TABLE = Table(
    [
        ("System", lambda row: row["system"]),
        ("Scheduler", lambda row: row["scheduler"]),
        ("Workers", lambda row: str(row["workers"])),
        ("Trials", lambda row: f"{row['trials']:,}"),
        ("Units", lambda row: f"{row['units']:,}"),
        ("Seconds", lambda row: f"{row['took']:.3f}"),
        ("Units a second", lambda row: f"{row['units'] / row['took']:,.0f}"),
        ("Ours is faster", lambda row: f"{row['ratio']:.0f} times" if "ratio" in row else ""),
    ],
    first=32,
)


def ours(curves: Curves, name: str, workers: int, rows: list[int]) -> dict[str, Any]:
    """One search of ours."""
    began = time.process_time()
    searcher = curves.searcher(0, among=rows)
    scheduler = scheduler_class(name)(
        curves.space, max_resource=curves.units[-1], reduction_factor=3, searcher=searcher
    )
    found = simulate(scheduler, curves, workers=workers)
    return {"took": time.process_time() - began, "units": found.units, "trials": found.trials}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--syne-python", type=Path, help="of an environment with Syne Tune 0.13")
    parser.add_argument("--markdown", action="store_true", help="put the table in the page; measures nothing")
    table_parts.data_option(parser)
    options = parser.parse_args()
    if options.markdown:
        put(PAGES / "scale.md", {"syne_tune": TABLE.markdown(json.loads(FILE.read_text())["rows"])})
        return
    curves = lcbench(options.data, TASK)
    rows = list(range(options.trials))
    searcher = curves.searcher(0, among=rows)
    order = [searcher.row(index) for index in rows]
    order += range(options.trials, options.trials + 2 * WORKERS[-1])  # those that are begun at the very end
    found: list[dict[str, Any]] = []
    print(TABLE.head())
    for name, theirs in SYSTEMS.items():
        for workers in WORKERS:
            runs = [ours(curves, name, workers, rows) for _ in range(options.repeats)]
            about = {"scheduler": name, "workers": workers}
            best = min(runs, key=lambda run: run["took"])
            found.append({"system": "asha-core, simulate"} | about | best)
            print(TABLE.line(found[-1]), flush=True)
            for sleep in SLEEPS if options.syne_python else ():
                search = {"system": theirs, "workers": workers, "order": order, "seed": 0, "sleep": sleep}
                search |= {"trials": options.trials, "own_table": True}
                answers = replays.syne_tune(options.syne_python, curves, [search] * options.repeats)
                run = min(answers, key=lambda answer: answer["took"])
                row = {"system": f"Syne Tune, every {sleep:g} s"} | about
                row |= {"took": run["took"], "units": run["units"], "trials": options.trials}
                row["ratio"] = (run["took"] / run["units"]) / (best["took"] / best["units"])
                found.append(row)
                print(TABLE.line(row), flush=True)
    settings = {"task": TASK, "repeats": options.repeats, "syne_tune": "0.13.0"}
    write(FILE, found, ["asha-core", "numpy"], settings)


if __name__ == "__main__":
    main()
