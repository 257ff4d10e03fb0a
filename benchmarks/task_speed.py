"""How fast a unit of the tasks language, tabular and atari is, beside the same training written plainly.

What is timed   A unit: training, validation, a checkpoint. "plain" is `plain_tasks.py`; "ours" the task as a
                worker of a search runs it, with a `JobRunner`. And a whole warm start (`ohgw-1step`,
                `ohgw-trust`), in per cent of our unit, and in mini-batches: a unit's time over their number.
On what         The text that comes with Python, breast-cancer (341 rows to train on), digits (1,078), the
                table of --table (its column --target), CartPole-v1, ALE/Pong-v5; one thread.
How             One process. Blocks of units (`UNITS`) take turns, plain first in every other round, each
                after a unit that is left out. Processor time, which other programs disturb
                less than seconds; both are kept. The ratio is plain over ours in a round: above 1, ours is
                faster. Median, and range.

    python -m benchmarks.task_speed --json FILE --document FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from asha_core.messages import Failed, Job, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.space import Configuration
from benchmarks import plain_tasks
from trials.task import Task
from trials.torch_task.learner import load_data
from trials.torch_task.options import step_settings
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart.registry import VARIATIONS, build

BAR = 0.95  # ours, in the speed of the plain script
UNITS = {
    "language": 1,
    "tabular, mlp": 25,
    "tabular, mlp, digits": 25,
    "tabular, xgboost": 25,
    "tabular, mlp, a file": 1,
    "tabular, xgboost, a file": 10,
    "atari, CartPole-v1": 1,
    "atari, ALE/Pong-v5": 1,
}  # of a block
WARM_STARTS = ("ohgw-1step", "ohgw-trust")
Plain = Callable[[Any, Configuration, int, Path], Iterator[None]]
Row = dict[str, Any]


def tasks(table: dict[str, str] | None = None) -> dict[str, tuple[Callable[[], Task], Plain, dict[str, Any]]]:
    """What is measured: task, plain script, and the configuration's values.

    Args:
        table: ``data`` and ``target`` of a file; None: there is none.
    """
    from trials.tasks.atari import Atari
    from trials.tasks.language import Language
    from trials.tasks.tabular import Tabular

    adamw = {"beta1": 0.9, "one_minus_beta2": 0.01, "dropout": 0.1, "label_smoothing": 0.1}
    trees = {"eta": 0.1, "lambda": 1.0, "alpha": 0.01, "gamma": 0.0, "subsample": 0.8}
    game = {"lr": 1e-3, "ent_coef": 1e-4, "clip_range": 0.2, "one_minus_gae_lambda": 0.1}
    return {
        "language": (Language, plain_tasks.language, {"lr": 3e-3, "weight_decay": 0.1, **adamw}),
        "tabular, mlp": (
            lambda: Tabular(model="mlp"),
            plain_tasks.network,
            {"lr": 1e-3, "weight_decay": 0.01, **adamw},
        ),
        "tabular, mlp, digits": (
            lambda: Tabular(model="mlp", data="digits"),
            plain_tasks.network,
            {"lr": 1e-3, "weight_decay": 0.01, **adamw},
        ),
        "tabular, xgboost": (
            lambda: Tabular(model="xgboost"),
            plain_tasks.trees,
            {**trees, "colsample_bytree": 0.8, "max_depth": 6, "min_child_weight": 1.0},
        ),
        "tabular, mlp, a file": (
            lambda: Tabular(model="mlp", **table or {}),
            plain_tasks.network,
            {"lr": 1e-3, "weight_decay": 0.01, **adamw},
        ),
        "tabular, xgboost, a file": (
            lambda: Tabular(model="xgboost", **table or {}),
            plain_tasks.trees,
            {**trees, "colsample_bytree": 0.8, "max_depth": 6, "min_child_weight": 1.0},
        ),
        "atari, CartPole-v1": (
            lambda: Atari(env="CartPole-v1"),
            plain_tasks.ppo,
            {**game, "one_minus_gamma": 0.01},
        ),
        "atari, ALE/Pong-v5": (
            lambda: Atari(n_envs=2, steps_per_unit=2048),  # a whole episode each
            plain_tasks.ppo,
            {**game, "one_minus_gamma": 0.01},
        ),
    }


def mini_batches(task: Any, config: Configuration) -> int | None:
    """How many a unit has; None: of trees."""
    if hasattr(task, "n_epochs"):
        return int(task.n_epochs * task.steps_per_unit // task.batch_size)
    if not hasattr(task, "batch_size"):
        return None
    return step_settings(task, config).steps(load_data(task, "cpu")[0])


def clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def ours(task: Task, config: Configuration, units: int, folder: Path) -> list[tuple[float, float]]:
    """Both clocks after each unit, as a worker runs it."""
    stamps: list[tuple[float, float]] = []
    failed: list[str] = []

    def send(event: Any) -> None:
        if isinstance(event, Report):
            stamps.append(clocks())
        elif isinstance(event, Failed):
            failed.append(event.error)

    RunDirectory(folder).create()
    JobRunner(WorkerSettings(task, str(folder), units), "cpu", slot=0, stopping=lambda: False).run(
        Job(0, config, 0, units, 0, 1), send
    )
    if failed:
        raise RuntimeError(failed[0])
    return stamps


def plainly(script: Plain, task: Task, config: Configuration, units: int, folder: Path) -> list[Any]:
    """The same of a plain script."""
    folder.mkdir(parents=True)
    running = script(task, config, units, folder / "checkpoint")
    return [clocks() for _ in range(units) if next(running) is None]


def of_a_unit(stamps: list[Any]) -> tuple[float, float]:
    """(processor seconds, seconds) of a unit, but for the first."""
    between = len(stamps) - 1
    return (stamps[-1][0] - stamps[0][0]) / between, (stamps[-1][1] - stamps[0][1]) / between


def warm_starts(task: Task, config: Configuration, repeats: int) -> dict[str, float]:
    """Processor seconds of each whole warm start, the problem's making included: medians."""
    found = {}
    for name in WARM_STARTS:
        variation = VARIATIONS[name]
        warm_start = build(variation.strategy, dict(variation.settings))
        taken = []
        for repeat in range(repeats + 1):
            began = time.process_time()
            warm_start.refine(task.problem(repeat, "cpu"), config, repeat)
            taken.append(time.process_time() - began)
        found[name] = statistics.median(taken[1:])
    return found


def measure(name: str, table: dict[str, str] | None, units: int, rounds: int, repeats: int) -> Row:
    """One row: a task beside its plain script, in turn."""
    make, script, values = tasks(table)[name]
    task = make()
    task.prepare()
    task.setup("cpu")
    config = task.space.configuration(values)
    found: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for who in ("plain", "ours") if turn % 2 == 0 else ("ours", "plain"):
                place = Path(folder) / f"{who}{turn}"
                if who == "ours":
                    stamps = ours(task, config, units + 1, place)
                else:
                    stamps = plainly(script, task, config, units + 1, place)
                found[who].append(of_a_unit(stamps))
            print(f"{name}: round {turn + 1}: {found['plain'][-1]} {found['ours'][-1]}", file=sys.stderr)
    ratios = [plain[0] / own[0] for plain, own in zip(found["plain"], found["ours"], strict=True)]
    unit = statistics.median(own[0] for own in found["ours"])
    return {
        "name": name,
        "units": units,
        "rounds": rounds,
        "mini_batches": mini_batches(task, config),
        "steps_per_unit": getattr(task, "steps_per_unit", None),
        "plain": statistics.median(plain[0] for plain in found["plain"]),
        "ours": unit,
        "seconds": {who: statistics.median(each[1] for each in kept) for who, kept in found.items()},
        "ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "of_the_fastest": min(p[0] for p in found["plain"]) / min(o[0] for o in found["ours"]),
        "warm_starts": warm_starts(task, config, repeats),
    }


def markdown(content: Row) -> str:
    """The table, as the docs quote it."""
    lines = [
        f"{content['date']}, {content['machine']}, processor time, medians of rounds.",
        "",
        "| task | rounds x units | plain, s a unit | ours | plain / ours | range | bar 0.95 "
        "| ohgw-1step, of a unit | in mini-batches | ohgw-trust | in mini-batches |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in content["rows"]:
        taken = [row["warm_starts"][name] / row["ours"] for name in WARM_STARTS]
        batches = row["mini_batches"]
        shares = " | ".join(
            f"{100 * share:.1f}% | {f'{share * batches:.1f}' if batches else '-'}" for share in taken
        )
        lines.append(
            f"| {row['name']} | {row['rounds']} x {row['units']} | {row['plain']:.3f} | {row['ours']:.3f} "
            f"| {row['ratio']:.2f} | {row['range'][0]:.2f} to {row['range'][1]:.2f} "
            f"| {'met' if row['ratio'] >= BAR else 'NOT MET'} | {shares} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(tasks()), help="rows; else all, of a file if given")
    parser.add_argument("--table", help="a CSV file")
    parser.add_argument("--target", help="its column to predict")
    parser.add_argument("--quick", action="store_true", help="blocks of one unit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="of each warm start")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--document", type=Path, help="whose table it becomes")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = {"data": args.table, "target": args.target} if args.table else None
    names = args.only or [name for name in tasks() if table or "a file" not in name]
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"cpu, {os.cpu_count()}-core {platform.system()} {platform.machine()}, python "
        f"{platform.python_version()}, torch {torch.__version__.partition('+')[0]}",
        "rows": [
            measure(name, table, 1 if args.quick else UNITS[name], args.rounds, args.repeats)
            for name in names
        ],
    }
    print(markdown(content))
    if args.json:
        args.json.write_text(json.dumps(content, indent=1) + "\n")
    if args.document:
        text = args.document.read_text()
        before, _, rest = text.partition("<!-- tasks -->\n")
        after = rest.partition("<!-- end -->")[2]
        args.document.write_text(f"{before}<!-- tasks -->\n{markdown(content)}\n<!-- end -->{after}")


if __name__ == "__main__":
    main()
