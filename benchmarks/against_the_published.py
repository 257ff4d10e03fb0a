"""What the papers say and what ours does, on recorded curves; beside Optuna and Syne Tune on the same table.

*pasha*         ASHA and PASHA, r = 1, eta = 3, 256 configurations, 4 workers, in the recorded seconds
                (Bohdal et al. 2023). Time until one more configuration would begin (so the paper's code
                ends its searches) and until nothing is left to do; the value at R of the configuration with
                the best value seen. Syne Tune 0.13 (its authors') meets the same configurations in the same
                order.
*regret*        The best value seen, beside the best of the table, over units of resource: one worker, 1,000
                units, R = 52, r = 1, eta = 3 (Wistuba et al. 2022; Falkner et al. 2018). 0 is the table's
                best value; 1 is that of its median configuration, trained to R. Searches at random meet the
                same configurations in the same order, ours and Syne Tune's.
*anywhere*      The same, but YAHPO's surrogate itself (ONNX) answers for any configuration, where a table
                has the nearest of its 2,000. Searches at random draw from the whole space.
On what         12 tasks of LCBench by YAHPO's surrogate, 2,000 configurations, R = 52; for *pasha* also a
                CNN on CIFAR-10, really trained, 265 configurations, R = 40. Configurations that a table
                lacks are answered by its nearest one, for all systems.
n               `--seeds` searches a table; with slow systems fewer, as the results say.
Interval        95%, bootstrap over tables and, in each, over seeds; of one table over seeds.

    python -m benchmarks.against_the_published [PART...] [--only TEXT] [--syne-python syne/bin/python]
    python -m benchmarks.against_the_published --markdown
    python -m benchmarks.against_the_published_figure

Systems that were not measured now keep their rows in the results.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import Curves, SettingError, simulate
from asha_core.schedulers import scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.searchers import make_searcher
from benchmarks import replays, table_parts
from benchmarks.published_curves import lcbench_description
from benchmarks.replays import ETA, best_at
from benchmarks.table_parts import CIFAR, gains
from benchmarks.tables import PAGES, RESULTS, put, write

FILE = RESULTS / "against_the_published.json"
TRIALS, WORKERS = 256, 4
R = 52
BUDGETS = (50, 100, 200, 400, 700, 1000)
BOOTSTRAPS = 2000

PARTS = ["pasha", "regret", "anywhere"]
PASHA_SYSTEMS = ("asha-core asha", "asha-core pasha", "Syne Tune ASHA", "Syne Tune PASHA")
RANDOM = {  # those that draw the table's configurations in the order of the seed
    "asha-core random": ("random", None),
    "asha-core asha": ("asha", None),
    "asha-core pasha": ("pasha", None),
    "asha-core hyperband": ("hyperband", None),
    "asha-core sync-hyperband": ("sync-hyperband", None),
}
MODELS = {
    "asha-core bohb": ("bohb", None),
    "asha-core asha + tpe": ("asha", "tpe"),
    "asha-core dyhpo": ("dyhpo", None),
    "asha-core boil": ("boil", None),
}
OPTUNA = {"Optuna random + Hyperband": "RandomSampler", "Optuna TPE + Hyperband": "TPESampler"}
SYNE_TUNE = {
    "Syne Tune RandomSearch": "RandomSearch",
    "Syne Tune ASHA": "ASHA",
    "Syne Tune Hyperband": "Hyperband",
    "Syne Tune BOHB": "BOHB",
    "Syne Tune DyHPO": "DyHPO",
}
SAME = ("RandomSearch", "ASHA", "Hyperband")  # those of Syne Tune that are told which configurations to try
SLOW = {"asha-core dyhpo": 2, "asha-core boil": 3, "Syne Tune DyHPO": 1}  # searches a table
ANYWHERE = ("asha-core random", "asha-core asha", "asha-core sync-hyperband", *MODELS)
FEW = ("Fashion-MNIST", "helena", "jasmine", "sylvine", "vehicle", "volkert")  # tables that they get


def _new(curves: Curves, name: str, searcher: Any, seed: int) -> Scheduler:
    return scheduler_class(name)(
        curves.space,
        mode=curves.mode,
        max_resource=curves.units[-1],
        reduction_factor=ETA,
        seed=seed,
        searcher=make_searcher(searcher, curves.space, seed) if isinstance(searcher, str) else searcher,
    )


# -- PASHA and ASHA --------------------------------------------------------------------------------------


def pasha_tables(data: Path) -> Iterator[tuple[str, Curves]]:
    """The tables of the first part."""
    yield CIFAR, table_parts.cifar_table(data)
    yield from table_parts.lcbench_tables(data)


def _configurations(curves: Curves, seed: int) -> list[int]:
    return np.random.default_rng(seed).choice(len(curves), TRIALS, replace=False).tolist()


def _pasha_row(
    curves: Curves, seconds: float, units: int, row: int, end: float | None = None
) -> dict[str, Any]:
    final = gains(curves)[:, -1]
    return {
        "seconds": seconds,
        "end": end,
        "units": units,
        "final": float(final[row]),
        "short": float(final.max() - final[row]),
    }


def pasha_ours(curves: Curves, name: str, seeds: int) -> list[dict[str, Any]]:
    """Searches through 256 configurations, those of the seed and in its order."""
    rows = []
    for seed in range(seeds):
        searchers = [curves.searcher(seed, among=_configurations(curves, seed)) for _ in range(2)]
        first, second = (_new(curves, name, searcher, seed) for searcher in searchers)
        seconds = replays.until_one_more_would_begin(first, curves, WORKERS)
        assert first.best is not None
        row = searchers[0].row(first.best.trial)
        end = simulate(second, curves, workers=WORKERS).seconds
        rows.append(_pasha_row(curves, seconds, first.units, row, end))
    return rows


def pasha_syne_tune(curves: Curves, system: str, seeds: int, python: Path) -> list[dict[str, Any]]:
    """The same configurations in the same order."""
    searches = []
    for seed in range(seeds):
        searcher = curves.searcher(seed, among=_configurations(curves, seed))
        order = [searcher.row(index) for index in range(TRIALS)]
        spare = [row for row in range(len(curves)) if row not in set(order)][:1]  # the one more
        searches.append(
            {"system": system, "workers": WORKERS, "order": order + spare, "seed": seed, "trials": TRIALS}
        )
    return [
        _pasha_row(curves, answer["seconds"], answer["units"], answer["improvements"][-1][3])
        for answer in replays.syne_tune(python, curves, searches)
    ]


def measure_pasha(options: argparse.Namespace, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """System -> table -> rows, one a search."""
    found: dict[str, Any] = {}
    for table, curves in pasha_tables(options.data):
        for system in filter(wanted, PASHA_SYSTEMS):
            package, _, name = system.rpartition(" ")
            if package == "asha-core":
                rows = pasha_ours(curves, name, options.seeds)
            elif options.syne_python is None:
                continue
            else:
                few = options.seeds if table == CIFAR else max(options.seeds // 4, 2)
                rows = pasha_syne_tune(curves, name, few, options.syne_python)
            found.setdefault(system, {})[table] = rows
            print(f"{system}, {table}: {len(rows)} searches", flush=True)
    return found


# -- regret over budget ----------------------------------------------------------------------------------


def regrets(curves: Curves, improvements: Sequence[replays.Improvement]) -> list[float]:
    """At each budget: 0 is the table's best value, 1 that of its median configuration at R."""
    gain, sign = gains(curves), 1.0 if curves.mode == "max" else -1.0
    best, middle = float(gain.max()), float(np.median(gain[:, -1]))
    worst = sign * float(gain[:, 0].min())
    return [
        round((best - sign * value) / (best - middle), 5) for value in best_at(improvements, BUDGETS, worst)
    ]


def measure_regret(options: argparse.Namespace, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """System -> table -> regrets at the budgets, one list a search; and the processor's seconds."""
    found: dict[str, Any] = {}
    for table, whole in table_parts.lcbench_tables(options.data):
        curves = table_parts.part(whole, R, timed=False)
        for system in filter(wanted, [*RANDOM, *MODELS, *OPTUNA, *SYNE_TUNE]):
            if (system in SLOW and table not in FEW) or (system in SYNE_TUNE and options.syne_python is None):
                continue
            seeds = min(SLOW.get(system, options.seeds), options.seeds)
            began = time.process_time()
            try:
                searches = list(regret_searches(system, curves, seeds, options.syne_python))
            except SettingError as error:
                print(f"{system}: not measured: {error}")
                continue
            found.setdefault(system, {})[table] = [regrets(curves, one) for one in searches]
            took = time.process_time() - began
            print(f"{system}, {table}: {len(searches)} searches, {took:.0f} s", flush=True)
    return found


def regret_searches(
    system: str, curves: Curves, seeds: int, python: Path | None
) -> Iterator[list[replays.Improvement]]:
    """The improvements of each search of a system."""
    most = BUDGETS[-1]
    if system in SYNE_TUNE:
        assert python is not None
        name = SYNE_TUNE[system]
        searches = []
        for seed in range(seeds):
            searcher = curves.searcher(seed)
            order = [searcher.row(index) for index in range(most)] if name in SAME else []
            searches.append({"system": name, "workers": 1, "order": order, "seed": seed, "units": most})
        for answer in replays.syne_tune(python, curves, searches):
            yield answer["improvements"]
        return
    for seed in range(seeds):
        if system in OPTUNA:
            yield replays.optuna(OPTUNA[system], curves, seed, most)
        else:
            name, searcher = (RANDOM | MODELS)[system]
            yield replays.ours(partial(_new, curves, name, searcher, seed), curves, most)


# -- the same where any configuration has an answer ------------------------------------------------------


def measure_anywhere(options: argparse.Namespace, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """As ``measure_regret``, but the surrogate itself answers for whatever is proposed."""
    from asha_core.simulation.onnx_source import OnnxCurves

    found: dict[str, Any] = {}
    for table, curves in table_parts.lcbench_tables(options.data):
        told = lcbench_description(options.data, table)
        del told["seconds"]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "surrogate.json"
            file.write_text(json.dumps(told))
            surrogate = OnnxCurves(file)
        for system in filter(wanted, ANYWHERE):
            name, searcher = (RANDOM | MODELS)[system]
            searches = []
            for seed in range(max(options.seeds // 4, 2)):
                make = partial(_new, surrogate, name, searcher, seed)
                improvements = replays.ours(make, surrogate, BUDGETS[-1])
                # it answers in per cent, and the table has fractions
                searches.append(
                    regrets(
                        curves, [(when, units, value / 100, row) for when, units, value, row in improvements]
                    )
                )
            found.setdefault(system, {})[table] = searches
            print(f"{system}, any configuration, {table}: {len(searches)} searches", flush=True)
    return found


# -- tables ----------------------------------------------------------------------------------------------


def interval(each: Sequence[Sequence[float]], mean: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """[the mean over tables of a table's mean, low, high]; ``mean`` over the last axis."""
    rng = np.random.default_rng(0)
    tables = [np.asarray(one, dtype=float) for one in each]
    draws = np.stack([mean(one[rng.integers(len(one), size=(BOOTSTRAPS, len(one)))]) for one in tables])
    chosen = rng.integers(len(tables), size=(len(tables), BOOTSTRAPS))
    low, high = np.quantile(mean(np.take_along_axis(draws, chosen, axis=0).T), (0.025, 0.975))
    point = mean(np.array([mean(one) for one in tables]))
    return [float(point), float(low), float(high)]


def _mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(axis=-1))


def _geometric(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(np.log(values).mean(axis=-1)))


def _shown(three: Sequence[float], digits: int = 2) -> str:
    point, low, high = (f"{value:.{digits}f}" for value in three)
    return f"{point} ({low} to {high})"


def pasha_markdown(content: dict[str, Any]) -> str:
    """Ratios of ASHA to PASHA, package by package."""
    lines = [
        "| curves | system | searches a table | ASHA's time / PASHA's | units | to the very end "
        "| ASHA falls short, points | PASHA falls short, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found = content["pasha"]
    for curves, tables in (("CNN on CIFAR-10", [CIFAR]), ("LCBench", None)):
        for package, slow, quick in (
            ("asha-core", "asha-core asha", "asha-core pasha"),
            ("Syne Tune 0.13", "Syne Tune ASHA", "Syne Tune PASHA"),
        ):
            if quick not in found:
                continue
            names = tables or [table for table in found[quick] if table != CIFAR]

            def ratios(key: str, slow: str = slow, quick: str = quick, names: Any = names) -> str:
                pairs = [
                    [
                        one[key] / other[key]
                        for one, other in zip(found[slow][table], found[quick][table], strict=True)
                    ]
                    for table in names
                    if found[quick][table][0][key] is not None
                ]
                return _shown(interval(pairs, _geometric)) if pairs else "-"

            def short(system: str, names: Any = names) -> str:
                return _shown(
                    interval([[100 * row["short"] for row in found[system][table]] for table in names], _mean)
                )

            cells = [curves if tables else f"{curves}, {len(names)} tables", package]
            cells += [str(len(found[quick][names[0]])), ratios("seconds"), ratios("units"), ratios("end")]
            lines.append("| " + " | ".join([*cells, short(slow), short(quick)]) + " |")
    return "\n".join(lines)


def tables_of(found: dict[str, Any], system: str, tables: Sequence[str] | None = None) -> list[str]:
    """``tables``, by default all that any system has; none, if the system has not been on all of them."""
    wanted = list(tables or max(found.values(), key=len, default={}))
    return wanted if all(table in found.get(system, {}) for table in wanted) else []


def regret_markdown(
    content: dict[str, Any], tables: Sequence[str] | None = None, part: str = "regret"
) -> str:
    """Mean regret over tables, at each budget; ``tables``: only these, and only systems that have them."""
    lines = [
        "| system | searches a table | " + " | ".join(f"{budget} units" for budget in BUDGETS) + " |",
        "|---|---|" + "---|" * len(BUDGETS),
    ]
    found = content.get(part, {})
    for system in [*RANDOM, *MODELS, *OPTUNA, *SYNE_TUNE]:
        rows = found.get(system, {})
        names = tables_of(found, system, tables)
        if not names:
            continue
        measured = min(len(search) for table in names for search in rows[table])  # a slow one's may end early
        cells = [
            _shown(interval([[search[place] for search in rows[table]] for table in names], _mean), 3)
            if place < measured
            else "-"
            for place in range(len(BUDGETS))
        ]
        lines.append(f"| {system} | {len(rows[names[0]])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(content: dict[str, Any]) -> dict[str, str]:
    """The page's tables, by name."""
    return {
        "pasha": pasha_markdown(content),
        "regret": regret_markdown(content),
        "slow": regret_markdown(content, FEW),
        "anywhere": regret_markdown(content, part="anywhere"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, help="by default all: " + ", ".join(PARTS))
    parser.add_argument("--only", default="", metavar="TEXT", help="systems with TEXT in their names")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--syne-python", type=Path, help="of an environment with Syne Tune 0.13")
    parser.add_argument("--json", type=Path, default=FILE)
    parser.add_argument(
        "--markdown", action="store_true", help="put the tables in the page; measures nothing"
    )
    table_parts.data_option(parser)
    options = parser.parse_args()
    if options.markdown:
        put(PAGES / "against-the-published.md", markdown(json.loads(options.json.read_text())))
        return

    def wanted(system: str) -> bool:
        return options.only.lower() in system.lower()

    measures = {"pasha": measure_pasha, "regret": measure_regret, "anywhere": measure_anywhere}
    found = {part: measures[part](options, wanted) for part in options.parts}
    before = json.loads(options.json.read_text()) if options.json.exists() else {}
    settings = {"trials": TRIALS, "workers": WORKERS, "eta": ETA, "R": R, "budgets": BUDGETS}
    write(options.json, [], ["asha-core", "numpy", "optuna"], settings)
    content = json.loads(options.json.read_text())
    for part in measures:
        content[part] = before.get(part, {}) | found.get(part, {})
    options.json.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
