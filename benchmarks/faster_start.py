"""When does a faster start help? Time to a target when more of the drawn configurations can reach it.

A warm start can do two things to a search: raise the share of configurations that reach the target, and cost
something before each first unit. Both are put on here by hand, on recorded curves, in virtual time.

What is timed   T@tau: virtual time until the first report at or beyond tau, and its ratio: the median with
                the shift to the median without.
The shift       Configurations are drawn from all of a table, from its better half (share x 2), or from its
                best quarter (share x 4), ranked by the value at R. Each start then costs 0, 1, 3 or 10% of
                that configuration's own first unit (rung 0: r = 1).
The target      tau is the value at R that a share f of the whole table reaches: .3, .1, .03, .01.
On what         12 tasks of LCBench by YAHPO's surrogate (2,000 configurations each, smooth curves), and a
                CNN on CIFAR-10, really trained (265 configurations, so f = .01 would be three of them, and
                is left out). R = 27, r = 1, eta = 3; sh in brackets of 27; no time for decisions.
Timing          *dealt*: each configuration has the recorded seconds of another one, dealt out at random, so
                that better configurations are as fast as others; this is the main one. *recorded*: its own
                seconds. *alike*: each unit takes 1. The last two at no cost alone.
n               `--seeds` orders of a table's configurations, without replacement, the first 600 of each.
                CIFAR-10: `--resamples` bootstrap samples of its 265 configurations, each a table of its own,
                with half as many orders.
Ratio           Of a table: of the medians over its orders. Of all: the median over tables. A search that does
                not reach the target with its configurations counts as longest. Tables whose median without
                the shift is such a one are left out; where that is more than half of them there is no ratio.
Interval        95%, bootstrap over tables and, in each, over orders.

    python -m benchmarks.faster_start                  # six minutes on one core; goes on where it stopped
    python -m benchmarks.faster_start --could asha 4 0.1 2 0.03
                          # what a doubled share of 10% at 3% a start buys, from the results; measures nothing
    python -m benchmarks.faster_start --markdown       # the results as tables of the page
    python -m benchmarks.faster_start_figure           # as a picture
"""

from __future__ import annotations

import argparse
import json
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import Curves, simulate
from asha_core.schedulers import scheduler_class
from benchmarks import table_parts
from benchmarks.table_parts import CIFAR, LCBENCH, gains
from benchmarks.tables import PAGES, RESULTS, put, write

R, ETA = 27, 3
TRIALS = 600  # after so many configurations a search has not reached its target
SCHEDULERS = ("asha", "pasha", "hyperband", "sh", "random")
WORKERS = (1, 4, 16)
SHARES = (0.3, 0.1, 0.03, 0.01)
TIMES = (1, 2, 4)
COSTS = (0.0, 0.01, 0.03, 0.1)
TIMINGS = ("dealt", "recorded", "alike")
FILE = RESULTS / "faster_start.json"
PAGE = PAGES / "when-does-a-faster-start-help.md"
BOOTSTRAPS = 500


class Problem:
    """A table, its targets, and who may be drawn."""

    def __init__(self, group: str, name: str, table: Curves, rows: np.ndarray) -> None:
        self.group, self.name, self.mode = group, name, table.mode
        assert table.seconds is not None
        seconds = table.seconds[0][rows, :R]
        dealt = seconds[np.random.default_rng(0).permutation(len(rows))]
        costs = np.repeat(dealt[None], len(COSTS), axis=0)
        costs[:, :, 0] *= 1 + np.array(COSTS)[:, None]
        self.curves = {
            "dealt": table_parts.part(table, R, rows=rows, seconds=costs, arms=[str(cost) for cost in COSTS]),
            "recorded": table_parts.part(table, R, rows=rows),
            "alike": table_parts.part(table, R, rows=rows, timed=False),
        }
        self.whole = {timing: float(seconds.sum(axis=1).mean()) for timing in TIMINGS} | {"alike": float(R)}
        value = gains(table)[rows, :R]
        self.shares = SHARES if len(rows) >= 1000 else SHARES[:-1]
        targets = [float(np.quantile(value[:, -1], 1 - share)) for share in self.shares]
        self.targets = targets if table.mode == "max" else [-target for target in targets]
        best_first = np.argsort(-value[:, -1], kind="stable")
        self.among = {times: sorted(best_first[: len(rows) // times].tolist()) for times in TIMES}
        whole = seconds.sum(axis=1)
        self.about = {
            "table": name,
            "group": group,
            "configurations": len(rows),
            "targets": self.targets,
            "at_R": [float((value[:, -1] >= target).mean()) for target in targets],
            "ever": [float((value.max(axis=1) >= target).mean()) for target in targets],
            "good_at_R": [
                [halved(value[self.among[times]], target) for times in TIMES] for target in targets
            ],
            "recorded_seconds": {
                times: float(whole[self.among[times]].mean() / whole.mean()) for times in TIMES
            },
        }

    def times_to_targets(
        self, timing: str, name: str, workers: int, times: int, cost: float, seed: int
    ) -> list[float]:
        """Time until each target, in complete trainings of mean length; infinite where it was not reached."""
        curves = self.curves[timing]
        scheduler = scheduler_class(name)(
            curves.space,
            mode=self.mode,
            max_resource=R,
            reduction_factor=ETA,
            seed=seed,
            max_trials=TRIALS,
            searcher=curves.searcher(seed, among=self.among[times]),
            **({"bracket_size": R} if name == "sh" else {}),
        )
        arm = str(cost) if timing == "dealt" else None
        found = simulate(scheduler, curves, workers=workers, arm=arm, stop_at=self.targets[-1])
        reached = [found.time_to(target) for target in self.targets]
        return [math.inf if at is None else at / self.whole[timing] for at in reached]


def halved(value: np.ndarray, target: float) -> float:
    """Of all that start, the share that reaches the target and the last rung, if each rung ranks them all.

    ``value`` (N, R). So does successive halving with N configurations in one bracket. Who passes depends
    on the others, so a larger share of good ones is not as many more good ones at R.
    """
    alive = np.arange(len(value))
    for level in (1, 3, 9):
        best_first = np.argsort(-value[alive, level - 1], kind="stable")
        alive = alive[best_first[: len(alive) // ETA]]
    return float((value[alive].max(axis=1) >= target).sum() / len(value))


def problems(data: Path, resamples: int) -> Iterator[Problem]:
    """LCBench's tasks, and samples of CIFAR-10's configurations."""
    for name, table in table_parts.lcbench_tables(data):
        yield Problem(LCBENCH, name, table, np.arange(len(table)))
    table = table_parts.cifar_table(data)
    for number in range(resamples):
        rows = np.random.default_rng(number).integers(len(table), size=len(table))
        yield Problem(CIFAR, f"sample {number}", table, rows)


def cells() -> Iterator[tuple[str, str, int, int, float]]:
    """(timing, scheduler, workers, times, cost) of what is run."""
    for timing in TIMINGS:
        for name in SCHEDULERS:
            for workers in WORKERS:
                for times in TIMES:
                    for cost in COSTS if times > 1 and timing == "dealt" else COSTS[:1]:
                        yield timing, name, workers, times, cost


def measure(problem: Problem, seeds: int) -> np.ndarray:
    """(cells, seeds, shares), in complete trainings."""
    return np.array(
        [[problem.times_to_targets(*cell, seed) for seed in range(seeds)] for cell in cells()],
        dtype=np.float64,
    )


# -- ratios and their intervals ------------------------------------------------------------------------


def _log_ratios(shifted: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Log of the medians' ratio over the last axis; NaN where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log(np.median(shifted, axis=-1)) - np.log(np.median(base, axis=-1)))


def ratio_of(shifted: np.ndarray, base: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """The ratio and its interval; both (tables, seeds)."""
    usable = np.isfinite(np.median(base, axis=-1))
    row: dict[str, Any] = {"tables": int(usable.sum()), "of": len(usable)}
    nothing = {"ratio": None, "low": None, "high": None}
    if 2 * usable.sum() < len(usable):
        return row | nothing
    shifted, base = shifted[usable], base[usable]
    count, seeds = base.shape
    point = _log_ratios(shifted, base)
    ratio = float(np.exp(np.median(point)))
    if not math.isfinite(ratio):
        return row | nothing
    draws = np.stack(
        [
            _log_ratios(
                one[rng.integers(seeds, size=(BOOTSTRAPS, seeds))],
                other[rng.integers(seeds, size=(BOOTSTRAPS, seeds))],
            )
            for one, other in zip(shifted, base, strict=True)
        ]
    )  # (tables, bootstraps)
    chosen = rng.integers(count, size=(count, BOOTSTRAPS))
    medians = np.nanmedian(np.take_along_axis(draws, chosen, axis=0), axis=0)
    low, high = np.exp(np.quantile(medians, (0.025, 0.975), method="closest_observation"))
    each = [round(float(one), 3) if math.isfinite(one) else None for one in np.exp(point)]
    return row | {"ratio": ratio, "low": float(low), "high": float(min(high, 99.0)), "each": each}


def results(group: str, times: np.ndarray) -> list[dict[str, Any]]:
    """A row for each cell and share; ``times`` (tables, cells, seeds, shares)."""
    rng = np.random.default_rng(0)
    order = list(cells())
    rows = []
    for index, (timing, name, workers, factor, cost) in enumerate(order):
        base = times[:, order.index((timing, name, workers, 1, 0.0))]
        for number in range(times.shape[-1]):
            here = times[:, index, :, number]
            with np.errstate(invalid="ignore"):
                medians = np.median(here, axis=1)
            row: dict[str, Any] = {
                "group": group,
                "timing": timing,
                "scheduler": name,
                "workers": workers,
                "share": SHARES[number],
                "times": factor,
                "cost": cost,
                "trainings": float(np.exp(np.log(medians[np.isfinite(medians)]).mean()))
                if np.isfinite(medians).any()
                else None,
                "not_reached": float(np.isinf(here).mean()),
            }
            if factor > 1:
                row |= ratio_of(here, base[:, :, number], rng)
            rows.append(row)
    return rows


# -- how to read the results ---------------------------------------------------------------------------


def could_have_bought(
    scheduler: str, workers: int, share: float, times: float, cost: float = 0.0, *, group: str = LCBENCH
) -> float | None:
    """The ratio of T@tau that a shift could have bought, as far as the recorded tables tell.

    Between the measured points it is interpolated: the ratio's logarithm linearly in log(workers),
    log(share), log(times) and in the cost; beyond them the nearest counts.

    Args:
        share: of the configurations without the warm start, how many reach the target at R.
        times: by what the warm start multiplies that share, 1 to 4.
        cost: of a start, as a share of a first rung's training.
    Returns:
        Median with the shift / median without; None where too few searches reached the target.
    """
    content = json.loads(FILE.read_text())
    log = {
        (row["workers"], row["share"], row["times"], row["cost"]): math.log(row["ratio"])
        for row in content["rows"]
        if (row["group"], row["timing"], row["scheduler"]) == (group, "dealt", scheduler)
        and row.get("ratio") is not None
    }
    if not log:
        return None

    def at(worker: int, part: float, factor: int, price: float) -> float:
        if factor == 1:  # the cost alone, of the smallest shift that was measured
            return log[worker, part, 2, price] - log[worker, part, 2, 0.0]
        return log[worker, part, factor, price]

    shares = sorted({key[1] for key in log})
    total = 0.0
    try:
        for worker, one in _between(WORKERS, workers, math.log):
            for part, two in _between(shares, share, math.log):
                for factor, three in _between(TIMES, times, math.log):
                    for price, four in _between(COSTS, cost, float):
                        total += one * two * three * four * at(worker, part, int(factor), price)
    except KeyError:
        return None
    return math.exp(total)


def _between(points: Sequence[Any], wanted: float, scale: Any) -> list[tuple[Any, float]]:
    """The two points beside ``wanted``, and their weights."""
    wanted = min(max(wanted, points[0]), points[-1])
    right = min(max(bisect_right(points, wanted), 1), len(points) - 1)
    low, high = points[right - 1], points[right]
    part = (scale(wanted) - scale(low)) / (scale(high) - scale(low))
    return [(point, weight) for point, weight in ((low, 1 - part), (high, part)) if weight > 0]


# -- tables ----------------------------------------------------------------------------------------------


def _shown(row: dict[str, Any] | None) -> str:
    if row is None or row["ratio"] is None:
        return "-"
    few = "" if row["tables"] == row["of"] else f", {row['tables']} of {row['of']}"
    return f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f}{few})"


def _table(rows: list[dict[str, Any]], key: str, points: Sequence[float], head: str) -> str:
    """Schedulers and workers by ``points`` of ``key``."""
    found = {(row["scheduler"], row["workers"], row[key]): row for row in rows}
    titles = " | ".join(f"{head} {100 * point:g}%" for point in points)
    lines = [f"| scheduler | workers | {titles} |", "|---|---|" + "---|" * len(points)]
    for name in SCHEDULERS:
        for workers in WORKERS:
            cells = (_shown(found.get((name, workers, point))) for point in points)
            lines.append(f"| {name} | {workers} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(content: dict[str, Any]) -> dict[str, str]:
    """The page's tables, by name."""
    rows = [row for row in content["rows"] if row["times"] > 1]

    def chosen(group: str, timing: str, times: int, **others: float) -> list[dict[str, Any]]:
        wanted = {"group": group, "timing": timing, "times": times} | others
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    tables = {
        f"{group}, {timing}, x {times}": _table(
            chosen(group, timing, times, cost=0.0), "share", SHARES[: 4 - (group == CIFAR)], "of"
        )
        for group in (LCBENCH, CIFAR)
        for timing in TIMINGS
        for times in TIMES[1:]
    }
    tables["costs"] = _table(chosen(LCBENCH, "dealt", 2, share=0.1), "cost", COSTS, "costs")
    base = [row for row in content["rows"] if row["times"] == 1 and row["timing"] == "dealt"]
    lines = ["| curves | scheduler | workers | " + " | ".join(f"of {100 * f:g}%" for f in SHARES) + " |"]
    lines.append("|---|---|---|" + "---|" * len(SHARES))
    for group in (LCBENCH, CIFAR):
        for name in SCHEDULERS:
            for workers in WORKERS:
                cells = []
                for share in SHARES:
                    key = (group, name, workers, share)
                    row = next(
                        (r for r in base if (r["group"], r["scheduler"], r["workers"], r["share"]) == key),
                        None,
                    )
                    cells.append("-" if row is None else f"{row['trainings']:.2f}; {row['not_reached']:.0%}")
                lines.append(f"| {group} | {name} | {workers} | " + " | ".join(cells) + " |")
    tables["base"] = "\n".join(lines)
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=10, help="of CIFAR-10's configurations")
    parser.add_argument(
        "--raw", type=Path, help="folder for what each table gave; there, it is not run again"
    )
    parser.add_argument(
        "--could",
        nargs=5,
        metavar=("SCHEDULER", "WORKERS", "SHARE", "TIMES", "COST"),
        help="print what such a shift could have bought",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="put the tables in the page; measures nothing"
    )
    table_parts.data_option(parser)
    options = parser.parse_args()
    if options.could:
        name, workers, *others = options.could
        print(could_have_bought(name, int(workers), *(float(other) for other in others)))
        return
    if options.markdown:
        put(PAGE, markdown(json.loads(FILE.read_text())))
        return
    raw: Path = options.raw or Path("build") / "faster_start"
    raw.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[np.ndarray]] = {LCBENCH: [], CIFAR: []}
    about = []
    for number, problem in enumerate(problems(options.data, options.resamples)):
        seeds = options.seeds if problem.group == LCBENCH else options.seeds // 2
        file = raw / f"{number}-{seeds}.npy"
        if not file.exists():
            np.save(file, measure(problem, seeds))
            print(f"{problem.group}: {problem.name} done", flush=True)
        found[problem.group].append(np.load(file, allow_pickle=False))
        about.append(problem.about)
    rows = [row for group, times in found.items() for row in results(group, np.stack(times))]
    settings = {"R": R, "eta": ETA, "seeds": options.seeds, "resamples": options.resamples, "tables": about}
    write(FILE, rows, ["asha-core", "numpy"], settings)
    FILE.write_text(json.dumps(json.loads(FILE.read_text())) + "\n")  # without the white space of 2,000 rows


if __name__ == "__main__":
    main()
