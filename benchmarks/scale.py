"""How far one engine goes: reports a second, and what warm starts and decisions take, with 1 to 512 workers.

*processes*     Real worker processes, as many as 64, that sleep for a unit and report: processor time of the
                engine's own process, as a constant, so much a second (it looks after its workers) and so
                much a report; by least squares of four runs of two paces. Workers' time is not in it. (What
                the loop takes without workers, simulation_speed.py measures.)
*warm*          Searches in virtual time, 20 trials a worker or more: shares of the slots' time that warm
                starts take and that is idle, and reports a unit's mean time; a warm start costs 1% or 10%
                of a unit.
*decisions*     Processor time of one `ask` about the n-th report, of schedulers that fit a model; one worker.
                Of the deciding thread alone: fits that run beside it are not in it.
On what         warm, decisions: LCBench's Fashion-MNIST by YAHPO's surrogate, R = 27, r = 1, eta = 3;
                asha.

    python -m benchmarks.scale                       # ten minutes
    python -m benchmarks.scale warm             # parts of it; the others keep their rows
    python -m benchmarks.scale --markdown
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asha_core import Curves, SettingError, simulate
from asha_core.schedulers import scheduler_class
from asha_core.searchers import make_searcher
from benchmarks import table_parts
from benchmarks.published_curves import lcbench
from benchmarks.tables import PAGES, RESULTS, put, write

if TYPE_CHECKING:
    from trials.trial import Trial

WORKERS = (1, 8, 64, 512)
REAL = (2, 8, 64)
R, ETA = 27, 3
TASK = "Fashion-MNIST"
FILE = RESULTS / "scale.json"
SPEED = RESULTS / "simulation_speed.json"
PACES = {2: (0.1, 0.01), 8: (0.2, 0.04), 64: (1.0, 0.2)}  # of a unit: the workers never fill the two cores
MODELS = {
    "dyhpo": ("dyhpo", None),
    "bohb": ("bohb", None),
    "boil": ("boil", None),
    "asha, gp": ("asha", "gp"),
}
SIZES = (10, 30, 100, 300, 1000)
UNITS = {"a second": 1.0, "a minute": 60.0, "an hour": 3600.0}


def sleeping(trial: Trial) -> None:
    """A unit takes what the configuration says."""
    for _ in trial.units():
        time.sleep(trial.config["seconds"])
        trial.report(trial.config["x"])


def processes() -> list[dict[str, Any]]:
    """The engine's own processor time, with real workers: what a second and a report take."""
    rows = []
    for workers in REAL:
        slow, fast = PACES[workers]
        runs = [_real(workers, *run) for run in ((4, slow), (16, slow), (16, fast), (40, fast))]
        known = np.array([(1.0, run["wall"], run["reports"]) for run in runs])
        took = np.array([run["took"] for run in runs])
        (_, second, report), *_ = np.linalg.lstsq(known, took)
        rows.append({"workers": workers, "a_second": float(second), "a_report": float(report), "runs": runs})
        print(rows[-1], flush=True)
    return rows


def _real(workers: int, each: int, seconds: float) -> dict[str, float]:
    """``each`` trials a worker, by ASHA up to 9 units of so many seconds."""
    from asha_core import ASHA, Constant, Float, SearchSpace, tune

    space = SearchSpace({"x": Float(0.0, 1.0), "seconds": Constant(seconds)})
    scheduler = ASHA(space, max_resource=9, reduction_factor=ETA, max_trials=each * workers)
    with tempfile.TemporaryDirectory() as folder:
        began, wall = time.process_time(), time.perf_counter()
        tune(
            sleeping,
            scheduler,
            gpus="cpu",
            workers_per_gpu=workers,
            results_dir=Path(folder) / "run",
            progress="none",
        )
        took, wall = time.process_time() - began, time.perf_counter() - wall
    return {"seconds": seconds, "took": took, "wall": wall, "reports": scheduler.units}


def warm(curves: Curves) -> list[dict[str, Any]]:
    """What the slots do, in virtual time; a unit's mean time is 1."""
    assert curves.seconds is not None
    unit = float(curves.seconds.mean())
    rows = []
    for cost in (0.01, 0.1):
        each = curves.seconds[0] / unit
        table = Curves.from_arrays(
            curves.space,
            curves.configurations,
            curves.value[0],
            seconds=each,
            arms=("warm",),
            warm_seconds=cost * each[None, :, 0],
            refined={(0, row): configuration for row, configuration in enumerate(curves.configurations)},
        )
        for workers in WORKERS:
            scheduler = _scheduler(table, "asha", None)
            scheduler.searcher = table.searcher(0, resample=True)
            scheduler.max_trials = max(2000, 20 * workers)
            found = simulate(scheduler, table, workers=workers)
            slots = workers * found.seconds
            trained = sum(
                sum(table.curve("warm", scheduler.searcher.row(trial.id)).seconds[: trial.resource])
                for trial in scheduler.trials
            )
            rows.append(
                {
                    "cost": cost,
                    "workers": workers,
                    "trials": found.trials,
                    "units": found.units,
                    "warm": found.warm_start_seconds / slots,
                    "idle": 1 - (trained + found.warm_start_seconds) / slots,
                    "reports": found.units / found.seconds,
                }
            )
            print(rows[-1], flush=True)
    return rows


def decisions(curves: Curves) -> list[dict[str, Any]]:
    """Processor time of the asks about the n-th report; one worker, a search of its own length."""
    untimed = table_parts.part(curves, R, timed=False)
    rows = []
    for name, (kind, searcher) in MODELS.items():
        try:
            scheduler = _scheduler(untimed, kind, searcher)
        except SettingError as error:
            print(f"{name}: not measured: {error}")
            continue
        timed = _Timed(scheduler.ask)
        scheduler.ask = timed  # type: ignore[method-assign]
        timed.told = lambda scheduler=scheduler: scheduler.units
        simulate(scheduler, untimed, budget=float(SIZES[-1]))
        for size in SIZES:
            near = [took for units, took in timed.asks if 0.8 * size <= units <= 1.2 * size]
            if near:
                rows.append(
                    {
                        "scheduler": name,
                        "reports": size,
                        "mean": float(np.mean(near)),
                        "median": float(np.median(near)),
                        "most": max(near),
                        "asks": len(near),
                    }
                )
                print(rows[-1], flush=True)
    return rows


class _Timed:
    """An ``ask``, and what each took."""

    told: Callable[[], int]

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self.asks: list[tuple[int, float]] = []

    def __call__(self) -> Any:
        began, units = time.thread_time(), self.told()
        job = self._ask()
        self.asks.append((units, time.thread_time() - began))
        return job


def _scheduler(curves: Curves, name: str, searcher: str | None) -> Any:
    return scheduler_class(name)(
        curves.space,
        mode=curves.mode,
        max_resource=R,
        reduction_factor=ETA,
        searcher=None if searcher is None else make_searcher(searcher, curves.space, 0),
    )


def limits(content: dict[str, Any]) -> str:
    """The share of one core that the engine takes, by workers and the length of a unit."""
    lines = [
        "| workers | reports a second, units of a second | "
        + " | ".join(f"a unit of {name}" for name in UNITS)
    ]
    lines[0] += " |"
    lines.append("|---|---|" + "---|" * len(UNITS))
    real = {row["workers"]: row for row in content["processes"]}
    for workers in WORKERS:
        nearest = min(real, key=lambda known: abs(np.log(known / workers)))
        row = real[nearest]
        second = row["a_second"] * (workers / nearest if workers > nearest else 1.0)
        shares = [second + workers / unit * row["a_report"] for unit in UNITS.values()]
        lines.append(f"| {workers} | {workers} | " + " | ".join(f"{share:.2%}" for share in shares) + " |")
    return "\n".join(lines)


def markdown(content: dict[str, Any]) -> dict[str, str]:
    """The page's tables, by name."""
    loop = [
        "| form | scheduler | workers | trials | units a second | us a unit |",
        "|---|---|---|---|---|---|",
    ]
    forms = {"loop": "`asha-run --executor simulate`", "simulate": "`simulate`, the library form"}
    for row in json.loads(SPEED.read_text())["rows"] if SPEED.exists() else ():
        speed = row["units_a_second"]
        loop.append(
            f"| {forms[row['form']]} | {row['scheduler']} | {row['workers']:,} | {row['trials']:,} "
            f"| {speed:,} | {1e6 / speed:.1f} |"
        )
    real = [
        "| workers | ms a second | ms a report | reports a second that would fill a core |",
        "|---|---|---|---|",
    ]
    for row in content["processes"]:
        most = (1 - row["a_second"]) / row["a_report"]
        real.append(
            f"| {row['workers']} | {1000 * row['a_second']:.1f} | {1000 * row['a_report']:.2f} "
            f"| {most:,.0f} |"
        )
    warm = [
        "| a warm start costs, of a unit | workers | trials | of the slots' time | idle | reports a unit |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["warm"]:
        warm.append(
            f"| {row['cost']:.0%} | {row['workers']} | {row['trials']:,} | {row['warm']:.2%} "
            f"| {max(row['idle'], 0):.1%} | {row['reports']:.1f} |"
        )
    decisions = ["| scheduler | " + " | ".join(f"{size:,} reports" for size in SIZES) + " |"]
    decisions.append("|---|" + "---|" * len(SIZES))
    for name in dict.fromkeys(row["scheduler"] for row in content["decisions"]):
        known = {row["reports"]: row for row in content["decisions"] if row["scheduler"] == name}
        cells = (
            f"{1000 * known[size]['mean']:,.1f} ({1000 * known[size]['most']:,.0f})" if size in known else "-"
            for size in SIZES
        )
        decisions.append(f"| {name} | " + " | ".join(cells) + " |")
    named = {"loop": loop, "processes": real, "warm": warm, "decisions": decisions}
    return {name: "\n".join(lines) for name, lines in named.items()} | {"limits": limits(content)}


def main() -> None:
    parts = ("processes", "warm", "decisions")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", default=parts, help=", ".join(parts))
    parser.add_argument("--json", type=Path, default=FILE)
    parser.add_argument(
        "--markdown", action="store_true", help="put the tables in the page; measures nothing"
    )
    table_parts.data_option(parser)
    options = parser.parse_args()
    if options.markdown:
        put(PAGES / "scale.md", markdown(json.loads(options.json.read_text())))
        return
    curves = table_parts.part(lcbench(options.data, TASK), R)
    measures: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "processes": processes,
        "warm": lambda: warm(curves),
        "decisions": lambda: decisions(curves),
    }
    found = {part: measures[part]() for part in options.parts}
    before = json.loads(options.json.read_text()) if options.json.exists() else {}
    write(options.json, [], ["asha-core", "numpy"], {"R": R, "eta": ETA, "task": TASK})
    content = json.loads(options.json.read_text())
    for part in parts:
        content[part] = found.get(part) or before.get(part, [])
    options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
