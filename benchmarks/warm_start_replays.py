"""Does a warm start shorten a search? Replays of the study's tables: arms, schedulers, workers, prices.

What is run     Searches in virtual time over the tables of benchmarks/studies/tables.yaml, which are
                benchmarks/tables/NAME-SPACE.npz. Search s meets rows that were drawn with replacement from
                the stream of s alone, the same for all arms and schedulers. eta = 3, from the first unit of
                the table to its last.
Arms            Those of the wide table, "baseline" among them, and two controls: *narrow*, the baseline of
                the expert's narrow space (row i is the same draw there, its learning rate's rank kept), and
                *early*, the baseline with a smallest rung of a part of a unit.
Equal cost      Every arm has the same time: that in which ASHA without a warm start trains as many
                configurations as were recorded. Configurations do not run out before it does (four times as
                many rows are drawn). So what a warm start spends, the baseline spends on more of them.
Prices          *long*: a warm start's time in mini-batches, as if a unit had 352 of them. *measured*: the
                same over the task's own unit. *arithmetic*: its operations in those of a mini-batch, as if a
                unit had 352, which is what it comes to where kernels are not small. The last two: 4 workers.
Targets         What 10, 3 and 1% of the baseline's configurations in the wide space reach in any unit; of two
                that are equal (scores come in steps) the later is left out.
What is kept    A file a cell in ``--raw``: when each search reached each target, how many configurations it
                had begun by then, what its warm starts took; of the first searches (4 workers, long) also the
                best value at the end of the time, for which they are not stopped at the hardest target.
Model-based     ``--schedulers dyhpo,bohb --seeds 20``: as many as there is time for; 4 workers, long.

    python -m benchmarks.warm_start_replays               # goes on where it stopped; two processes
    python -m benchmarks.warm_start_replays --plan        # how many searches are missing; runs nothing
    python -m benchmarks.warm_start_replays --results     # raw files to results/warm_start_replays.json
    python -m benchmarks.warm_start_replays --markdown    # the results as tables of the page
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import Curves, simulate
from asha_core.launch.yaml_files import read_yaml
from asha_core.schedulers import scheduler_class
from asha_core.simulation.drawn_table import DrawnTable
from asha_core.simulation.shares import best_values, target_of_share

HERE = Path(__file__).parent
TABLES, RAW = HERE / "tables", Path("build") / "warm_start_replays"
ETA, LONG, AGAIN = 3, 352, 4
SHARES = (0.1, 0.03, 0.01)
PLAIN, MODELS = ("asha", "pasha", "hyperband"), ("dyhpo", "bohb")
WORKERS, MAIN = (1, 4, 16), 4
SEEDS, WHOLE = 1_000, 200
PRICES = ("long", "measured", "arithmetic")
BASE, NARROW, EARLY = "baseline", "narrow", "early"


@dataclass(frozen=True)
class Cell:
    """Searches of one arm that differ in their seed alone."""

    task: str
    scheduler: str
    workers: int
    price: str  # one of PRICES
    arm: str

    @property
    def tuple(self) -> tuple[str, str, int, str]:
        """What all arms share."""
        return self.task, self.scheduler, self.workers, self.price


class Tables:
    """The tables of one task, and what is fixed by its baseline alone."""

    def __init__(self, task: str, folder: Path = TABLES) -> None:
        self.task = task
        files = {space: folder / f"{task}-{space}.npz" for space in ("wide", NARROW, EARLY)}
        self.curves = {space: Curves.load(file) for space, file in files.items() if file.exists()}
        wide = self.wide = self.curves["wide"]
        if BASE not in wide.arms:
            raise SystemExit(f"{files['wide']} has no arm {BASE}: its arms are {', '.join(wide.arms)}")
        self.steps: int | None = wide.source.get("mini-batches a unit")
        found = [target_of_share(wide, BASE, share) for share in SHARES]
        kept = [n for n, value in enumerate(found) if value not in found[:n]]
        self.shares = [SHARES[n] for n in kept]
        self.targets = [found[n] for n in kept]

    @property
    def sign(self) -> int:
        """1 if larger values are better, or -1."""
        return 1 if self.wide.mode == "max" else -1

    @property
    def arms(self) -> list[str]:
        """All, the baseline first, and the controls that there are tables of."""
        others = [arm for arm in self.wide.arms if arm != BASE]
        return [BASE, *others, *(each for each in (NARROW, EARLY) if each in self.curves)]

    @property
    def budget(self) -> float:
        """Time in which ASHA with one worker trains as many configurations as were recorded."""
        assert self.wide.seconds is not None
        level, units, share = self.wide.units[0], float(self.wide.units[0]), 1.0
        while level < self.wide.units[-1]:
            share /= ETA
            following = min(level * ETA, self.wide.units[-1])
            units, level = units + share * (following - level), following
        base = self.wide.arms.index(BASE)
        return len(self.wide) * units * float(self.wide.seconds[base].mean())

    def of(self, arm: str) -> tuple[Curves, str]:
        """Whose curves an arm has."""
        return (self.curves[arm], BASE) if arm in (NARROW, EARLY) else (self.wide, arm)

    def digest(self, arm: str) -> str:
        """Of all that its searches depend on: its curves, and those of the baseline, for the targets."""
        told = hashlib.sha256()
        for curves, own in dict.fromkeys([self.of(BASE), self.of(arm)]):
            place = curves.arms.index(own)
            for part in (curves.value, curves.seconds, curves.warm_seconds):
                assert part is not None
                told.update(np.ascontiguousarray(part[place]).tobytes())
        return told.hexdigest()[:8]

    def reach(self, arm: str) -> list[float]:
        """The share of an arm's configurations that reach each target."""
        best = self.sign * best_values(*self.of(arm))
        return [float((best >= self.sign * target).mean()) for target in self.targets]

    def warm(self, arm: str, price: str) -> float:
        """What a warm start takes in the median, in units of training."""
        curves, own = self.of(arm)
        assert curves.seconds is not None
        place = curves.arms.index(own)
        return float(np.median(self.charged(curves, price)[place]) / curves.seconds[place].mean())

    def charged(self, curves: Curves, price: str) -> np.ndarray:
        """(A, N) the seconds of warm starts at a price; a task without mini-batches has one price."""
        if price == "measured" or not self.steps:
            return curves.warm_seconds
        taken = curves.warm_seconds
        if price == "arithmetic":
            assert curves.seconds is not None
            of_one = curves.seconds.mean(axis=(1, 2))[:, None] / self.steps
            taken = np.where(np.isfinite(curves.warm_batches), curves.warm_batches * of_one, taken)
        return np.asarray(taken * self.steps / LONG)


@lru_cache(maxsize=4096)
def rows_of(seed: int, configurations: int) -> tuple[int, ...]:
    """Which rows search ``seed`` meets, independent draws."""
    drawn = np.random.default_rng([22, seed]).integers(configurations, size=AGAIN * configurations)
    return tuple(drawn.tolist())


@lru_cache(maxsize=2)
def tables_of(task: str, folder: Path) -> Tables:
    """Loaded once by each process."""
    return Tables(task, folder)


@lru_cache(maxsize=16)
def charged(tables: Tables, arm: str, price: str) -> tuple[Curves, str]:
    """An arm's curves with its warm starts at a price."""
    curves, own = tables.of(arm)
    return replace(curves, warm_seconds=tables.charged(curves, price)), own


def searched(cell: Cell, tables: Tables, seed: int, *, whole: bool) -> dict[str, Any]:
    """One search; not stopped at the hardest target, if ``whole``."""
    curves, arm = charged(tables, cell.arm, cell.price)
    rows = list(rows_of(seed, len(curves)))
    by_itself = cell.scheduler in MODELS  # it looks for the nearest among its own rows
    drawn = DrawnTable(curves, rows[: len(curves)] if by_itself else rows, resample=by_itself)
    scheduler = scheduler_class(cell.scheduler)(
        curves.space,
        mode=curves.mode,
        min_resource=curves.units[0],
        max_resource=curves.units[-1],
        reduction_factor=ETA,
        seed=seed,
    )
    stop = None if whole else tables.targets[-1]
    budget = tables.budget / cell.workers
    found = simulate(scheduler, drawn, workers=cell.workers, arm=arm, stop_at=stop, budget=budget)
    times, met = [], []
    for target in tables.targets:
        there = [n for n, value in enumerate(found.values) if tables.sign * (value - target) >= 0]
        times.append(found.times[there[0]] if there else math.inf)
        met.append(found.begun[there[0]] if there else found.trials)
    most = len(curves) if by_itself else found.trials
    busy = cell.workers * found.seconds
    return {
        "times": times,
        "met": [most if by_itself else each for each in met],
        "all": most,
        "final": found.best.value if whole and found.best else math.nan,
        "cost": found.warm_start_seconds / busy if busy else 0.0,
    }


def run(cell: Cell, folder: Path, raw: Path, seeds: int) -> float:
    """All searches of a cell, into its file; seconds that they took."""
    began = time.process_time()
    tables = tables_of(cell.task, folder)
    whole = WHOLE if (cell.workers, cell.price) == (MAIN, "long") and cell.scheduler in PLAIN else 0
    found = [searched(cell, tables, seed, whole=seed < whole) for seed in range(seeds)]
    columns = {name: np.array([each[name] for each in found]) for name in found[0]}
    file = file_of(cell, tables, raw, seeds)
    partial = file.with_suffix(".part.npz")
    np.savez_compressed(partial, **columns)
    partial.replace(file)
    return time.process_time() - began


def file_of(cell: Cell, tables: Tables, raw: Path, seeds: int) -> Path:
    """Where a cell is kept; with other curves it has another name."""
    return raw / f"{stem_of(cell, tables)}-{seeds}.npz"


def stem_of(cell: Cell, tables: Tables) -> str:
    """The name of its files, without the number of searches."""
    told = (tables.digest(cell.arm), cell.scheduler, cell.workers, cell.price, cell.arm)
    return "-".join([cell.task, *map(str, told)])


def cells(
    tables: Tables, schedulers: Sequence[str], workers: Sequence[int], arms: Sequence[str] | None = None
) -> Iterator[Cell]:
    """What is to be run of a task: the baseline, and what has no warm start, at one price."""
    for price in PRICES:
        for scheduler in schedulers:
            for count in workers:
                if count != MAIN and (price != "long" or scheduler in MODELS):
                    continue
                for arm in (each for each in tables.arms if arms is None or each in arms):
                    free = arm in (BASE, NARROW, EARLY)
                    if price == "long" or not (free or scheduler in MODELS or not tables.steps):
                        yield Cell(tables.task, scheduler, count, price, arm)


def tasks_of(folder: Path, wanted: str | None = None) -> list[str]:
    """Tasks with a wide table, in the order of tables.yaml; further ones after them."""
    known = list(read_yaml((HERE / "studies" / "tables.yaml").read_text(encoding="utf-8"))["tasks"])
    there = {file.name.removesuffix("-wide.npz") for file in folder.glob("*-wide.npz")}
    found = [*(task for task in known if task in there), *sorted(there - set(known))]
    if wanted is None:
        return found
    chosen = wanted.split(",")
    if unknown := [task for task in chosen if task not in there]:
        raise SystemExit(f"--tasks has {', '.join(unknown)}: {folder} has tables of {', '.join(found)}")
    return [task for task in found if task in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", help="with commas [all that there are tables of]")
    parser.add_argument("--schedulers", default=",".join(PLAIN))
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--arms", help="with commas [all that a table has, and the controls]")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--tables", type=Path, default=TABLES, metavar="FOLDER")
    parser.add_argument("--raw", type=Path, default=RAW, metavar="FOLDER")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--plan", action="store_true", help="say what is missing")
    parser.add_argument("--results", action="store_true", help="raw files to the JSON file")
    parser.add_argument("--markdown", action="store_true", help="put the tables in the page")
    options = parser.parse_args()
    if options.results or options.markdown:
        from benchmarks import warm_start_tables, warm_start_verdicts

        if options.results:
            warm_start_verdicts.write_results(options.tables, options.raw, options.processes)
        if options.markdown:
            warm_start_tables.write_page()
        return
    options.raw.mkdir(parents=True, exist_ok=True)
    workers = [int(each) for each in options.workers.split(",")]
    arms = options.arms.split(",") if options.arms else None
    missing = [
        cell
        for task in tasks_of(options.tables, options.tasks)
        for tables in [tables_of(task, options.tables)]
        for cell in cells(tables, options.schedulers.split(","), workers, arms)
        if not file_of(cell, tables, options.raw, options.seeds).exists()
    ]
    print(f"{len(missing)} cells of {options.seeds} searches are missing", flush=True)
    if options.plan or not missing:
        return
    began = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [pool.submit(run, cell, options.tables, options.raw, options.seeds) for cell in missing]
        for number, (cell, job) in enumerate(zip(missing, jobs, strict=True), 1):
            took = job.result()
            left = (time.monotonic() - began) / number * (len(missing) - number) / 60
            print(
                f"{number}/{len(missing)} {cell.task} {cell.scheduler} {cell.workers} {cell.price} "
                f"{cell.arm}: {took:.1f} s; about {left:.0f} min left",
                flush=True,
            )


if __name__ == "__main__":
    main()
