"""Decisions per second: how fast a scheduler turns reports into decisions, with no workers at all.

What is timed   Everything between a free slot's question and the last report: sampling a
                configuration, choosing what runs next, making the report, taking it in.
On what         64 running trials that report in turn, after every unit; eta = 3, r = 1, R = 81; four
                hyper-parameters, random search; the metric is a seeded uniform random number.
n               ours 1e3 to 1e6 trials, run to the end; Ray Tune 300 and 30,000; Optuna 300, 3,000, 10,000.
How             One fresh process for each (system, n), `--repeats` times, one at a time; once if it takes
                more than 10 s. CPU time of the process (nothing here waits for anything), so that other
                programs disturb little; the smallest time is reported, because noise only ever adds, and
                the JSON file has every one. Imports and construction are not timed.
Memory          How much ru_maxrss, the process's peak memory, grew while it ran, for each trial. The
                stub bookkeeping of this script is in it, and is the same few objects at every n.

The rules differ. Ours is the *promotion* rule: a trial pauses at a rung and may go on later. Ray's
AsyncHyperBandScheduler (alias ASHAScheduler) and Optuna's SuccessiveHalvingPruner are *stopping* rules:
a trial that is not good enough on arrival is over. So the reports of one trial differ too; compare
time a report, and how it grows with n.

    python benchmarks/decisions.py                 # about five minutes
    python benchmarks/decisions.py --only asha     # ours alone; other rows of the JSON file stay
    python benchmarks/decisions.py --quick         # the small sizes alone
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import date
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

RUNNING = 64
MIN_RESOURCE, MAX_RESOURCE, ETA = 1, 81, 3
TODAY = date.today().isoformat()
RESULTS = Path(__file__).parent / "results" / "decisions.json"
NOT_INSTALLED = 3  # exit status of a child whose system is not there


def ours(trials: int) -> dict[str, float]:
    from asha_core import ASHA, Choice, Float, Report, SearchSpace

    space = SearchSpace(
        {
            "lr": Float(1e-5, 1.0, log=True),
            "momentum": Float(0.0, 0.99),
            "weight_decay": Float(1e-7, 1e-1, log=True),
            "batch_size": Choice([32, 64, 128, 256]),
        }
    )
    scheduler = ASHA(
        space,
        mode="min",
        min_resource=MIN_RESOURCE,
        max_resource=MAX_RESOURCE,
        reduction_factor=ETA,
        max_trials=trials,
    )
    value = Random(0).random
    reports = 0
    running: deque[list[Any]] = deque()  # [job, the last unit reported]
    before = peak_memory()
    began = time.process_time()
    while True:
        while len(running) < RUNNING and (job := scheduler.ask()) is not None:
            running.append([job, job.start])
        if not running:
            break
        seat = running.popleft()
        job = seat[0]
        seat[1] += 1
        scheduler.tell(Report(job.trial, job.attempt, seat[1], value(), 0.0))
        reports += 1
        if seat[1] < job.until:
            running.append(seat)
    return finish(began, before, trials, reports)


def ray(trials: int) -> dict[str, float]:
    from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
    from ray.tune.search.sample import Domain, choice, loguniform, uniform

    class StubTrial:  # the scheduler asks a trial for its id, and for nothing else
        def __init__(self, number: int, config: dict[str, Any]) -> None:
            self.trial_id = f"{number:08d}"
            self.config = config

    space: dict[str, Domain] = {
        "lr": loguniform(1e-5, 1.0),
        "momentum": uniform(0.0, 0.99),
        "weight_decay": loguniform(1e-7, 1e-1),
        "batch_size": choice([32, 64, 128, 256]),
    }
    scheduler = AsyncHyperBandScheduler(
        metric="value", mode="min", grace_period=MIN_RESOURCE, max_t=MAX_RESOURCE, reduction_factor=ETA
    )
    controller: Any = None  # the rule does not look at it
    value = Random(0).random
    reports = started = 0
    running: deque[list[Any]] = deque()
    before = peak_memory()
    began = time.process_time()
    while True:
        while len(running) < RUNNING and started < trials:
            trial: Any = StubTrial(started, {name: domain.sample() for name, domain in space.items()})
            scheduler.on_trial_add(controller, trial)
            running.append([trial, 0])
            started += 1
        if not running:
            break
        seat = running.popleft()
        seat[1] += 1
        result = {"training_iteration": seat[1], "value": value()}
        reports += 1
        if scheduler.on_trial_result(controller, seat[0], result) == TrialScheduler.CONTINUE:
            running.append(seat)
        else:
            scheduler.on_trial_complete(controller, seat[0], result)
    return finish(began, before, trials, reports)


def optuna(trials: int) -> dict[str, float]:
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=MIN_RESOURCE, reduction_factor=ETA),
    )
    value = Random(0).random
    reports = started = 0
    running: deque[list[Any]] = deque()
    before = peak_memory()
    began = time.process_time()
    while True:
        while len(running) < RUNNING and started < trials:
            trial = study.ask()
            trial.suggest_float("lr", 1e-5, 1.0, log=True)
            trial.suggest_float("momentum", 0.0, 0.99)
            trial.suggest_float("weight_decay", 1e-7, 1e-1, log=True)
            trial.suggest_categorical("batch_size", [32, 64, 128, 256])
            running.append([trial, 0])
            started += 1
        if not running:
            break
        seat = running.popleft()
        trial = seat[0]
        seat[1] += 1
        loss = value()
        trial.report(loss, seat[1])
        reports += 1
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
        elif seat[1] == MAX_RESOURCE:
            study.tell(trial, loss)
        else:
            running.append(seat)
    return finish(began, before, trials, reports)


def peak_memory() -> int:
    """Bytes; Linux counts in KiB and macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def finish(began: float, memory: int, trials: int, reports: int) -> dict[str, float]:
    seconds = time.process_time() - began
    return {
        "seconds": seconds,
        "reports": reports,
        "bytes_per_trial": (peak_memory() - memory) / trials,
    }


System = tuple[str, str, str, Callable[[int], dict[str, float]], list[int]]
SYSTEMS: list[System] = [  # name, rule, distribution, function, sizes
    ("asha-core", "promotion", "asha-core", ours, [1_000, 10_000, 100_000, 1_000_000]),
    ("Ray AsyncHyperBandScheduler", "stopping", "ray", ray, [300, 30_000]),
    ("Optuna SuccessiveHalvingPruner", "stopping", "optuna", optuna, [300, 3_000, 10_000]),
]


def child(name: str, trials: int) -> None:
    function = next(system[3] for system in SYSTEMS if system[0] == name)
    try:
        print(json.dumps(function(trials)))
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_INSTALLED)


def measure(name: str, trials: int) -> dict[str, float] | str:
    """The child's figures, or in a few words why there are none."""
    command = [sys.executable, __file__, "--child", name, str(trials)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode == NOT_INSTALLED:
        return "not installed"
    if process.returncode != 0:
        return "failed: " + (process.stderr.strip().splitlines() or ["no message"])[-1]
    figures: dict[str, float] = json.loads(process.stdout.strip().splitlines()[-1])
    return figures


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="sizes up to 10,000, once each; writes no file")
    parser.add_argument("--only", metavar="TEXT", default="", help="systems with TEXT in their names")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each size; the smallest time counts")
    parser.add_argument("--child", nargs=2, metavar=("SYSTEM", "TRIALS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], int(arguments.child[1]))
        return

    rows: list[dict[str, Any]] = []
    print(
        f"{'system':<32}{'rule':<11}{'trials':>10}{'reports':>10}{'reports/s':>12}{'us/report':>11}"
        f"{'us/trial':>10}{'bytes/trial':>13}"
    )
    for name, rule, _, _, sizes in SYSTEMS:
        if arguments.only.lower() not in name.lower():
            continue
        for trials in sizes:
            if arguments.quick and trials > 10_000:
                continue
            runs: list[dict[str, float]] = []
            for _ in range(1 if arguments.quick else arguments.repeats):
                figures = measure(name, trials)
                if isinstance(figures, str):
                    break
                runs.append(figures)
                if figures["seconds"] > 10:  # long runs even out the noise by themselves
                    break
            row: dict[str, Any] = {"system": name, "rule": rule, "trials": trials, "date": TODAY}
            rows.append(row)
            if isinstance(figures, str):
                row["status"] = figures
                print(f"{name:<32}{rule:<11}{trials:>10,}  {figures}", flush=True)
                continue
            seconds = [run["seconds"] for run in runs]
            best, reports = min(seconds), int(runs[0]["reports"])
            # below 10,000 trials the growth is a few pages: the allocator's, not the trials'
            memory = min(run["bytes_per_trial"] for run in runs) if trials >= 10_000 else None
            row |= {
                "status": "measured",
                "repeats": len(runs),
                "reports": reports,
                "seconds": best,
                "seconds_all": seconds,
                "reports_per_second": reports / best,
                "bytes_per_trial": memory,
            }
            print(
                f"{name:<32}{rule:<11}{trials:>10,}{reports:>10,}{reports / best:>12,.0f}"
                f"{1e6 * best / reports:>11.1f}{1e6 * best / trials:>10.1f}"
                f"{'-' if memory is None else format(memory, ',.0f'):>13}",
                flush=True,
            )

    if not arguments.quick:
        if arguments.only and RESULTS.exists():
            measured = {row["system"] for row in rows}
            rows += [row for row in json.loads(RESULTS.read_text())["rows"] if row["system"] not in measured]
        content = {
            "benchmark": "decisions",
            "date": TODAY,
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "versions": {"python": platform.python_version()}
            | {distribution: version(distribution) for _, _, distribution, _, _ in SYSTEMS},
            "settings": {
                "running": RUNNING,
                "min_resource": MIN_RESOURCE,
                "max_resource": MAX_RESOURCE,
                "reduction_factor": ETA,
            },
            "rows": rows,
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")
        print(f"\nwrote results/{RESULTS.name}")


if __name__ == "__main__":
    main()
