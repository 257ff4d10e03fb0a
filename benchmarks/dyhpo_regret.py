"""DyHPO beside searches without a model: regret over a short budget.

What is timed   Nothing: the best value seen after 50, 100 and 200 units (7.4 full trainings), as *regret* of
                ``against_the_published``: 0 is the table's best, 1 its median configuration trained to R.
On what         LCBench by YAHPO's surrogate, R = 27, r = 1, eta = 3, one worker. DyHPO's defaults were chosen
                on fabert, vehicle and cnae-9, with three seeds; by default the nine other tasks are measured.
n               `--seeds` searches a task and system.

    python -m benchmarks.dyhpo_regret --json FILE
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from asha_core import Curves
from asha_core.schedulers import scheduler_class
from asha_core.schedulers.base import Scheduler
from benchmarks import against_the_published, replays, table_parts

R, BUDGETS = 27, (50, 100, 200)
CHOSEN_ON = ("fabert", "vehicle", "cnae-9")
SYSTEMS = ("random", "asha", "hyperband", "dyhpo")


def made(name: str, curves: Curves, seed: int) -> Scheduler:
    return scheduler_class(name)(
        curves.space, mode=curves.mode, max_resource=R, reduction_factor=replays.ETA, seed=seed
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--tasks", nargs="*", help="by default those that nothing was chosen on")
    parser.add_argument("--json", type=Path, required=True)
    table_parts.data_option(parser)
    options = parser.parse_args()
    against_the_published.BUDGETS = BUDGETS  # type: ignore[assignment]
    found: dict[str, dict[str, list[list[float]]]] = {}
    for task, whole in table_parts.lcbench_tables(options.data, options.tasks or ()):
        if not options.tasks and task in CHOSEN_ON:
            continue
        curves = table_parts.part(whole, R, timed=False)
        for name in SYSTEMS:
            searches = [
                replays.ours(partial(made, name, curves, seed), curves, BUDGETS[-1])
                for seed in range(options.seeds)
            ]
            rows = [against_the_published.regrets(curves, one) for one in searches]
            found.setdefault(name, {})[task] = rows
            print(task, name, np.mean(rows, axis=0).round(3), flush=True)
    options.json.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
