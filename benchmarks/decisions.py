"""Decisions per second: how fast a scheduler turns reports into decisions, with no workers at all.

What is timed   Everything between a free slot's question and the last report: sampling a
                configuration, choosing what runs next, making the report, taking it in.
On what         64 running trials that report in turn, after every unit; eta = 3, r = 1, R = 81; four
                hyper-parameters, random search; the metric is a seeded uniform random number at every
                report. With "stable values" it is one such number for each trial, the same at every unit:
                nobody's rank ever changes, so PASHA never unlocks a third rung. The ASHA that does the
                same work has the same two rungs, R = 3.
n               `SYSTEMS`, below: trials, run to the end.
How             One fresh process for each (system, n), `--repeats` times, one at a time; once if it takes
                more than 10 s. CPU time of the process (nothing here waits for anything), so that other
                programs disturb little; the smallest time is reported, because noise only ever adds, and
                the JSON file has every one. Imports and construction are not timed.
Memory          How much ru_maxrss, the process's peak memory, grew while it ran, for each trial. The
                stub bookkeeping of this script is in it, and is the same few objects at every n.

The rules differ. With a *promotion* rule a trial pauses at a rung and may go on later. With a *stopping*
rule, like Ray's AsyncHyperBandScheduler (alias ASHAScheduler) and Optuna's SuccessiveHalvingPruner, a trial
that is not good enough on arrival is over. The *synchronous* rules wait until a rung is complete, and
*random* compares nobody. So the reports of one trial differ too; compare time a report, and how it
grows with n.

    python benchmarks/decisions.py                     # about ten minutes
    python benchmarks/decisions.py --only asha-core    # ours alone; other rows of the JSON file stay
    python benchmarks/decisions.py --quick             # the small sizes alone, once; writes no file
    python benchmarks/decisions.py --markdown          # JSON file to README.md; measures nothing
    python benchmarks/decisions_figure.py              # JSON file to the figure
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import tables

RUNNING = 64
MIN_RESOURCE, MAX_RESOURCE, ETA = 1, 81, 3
RESULTS = tables.RESULTS / "decisions.json"
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- decisions.py --markdown -->", "<!-- end -->"  # around what --markdown writes


def ours(name: str, trials: int, *, stable: bool = False, R: int = MAX_RESOURCE) -> dict[str, float]:
    from asha_core import Choice, Float, Report, SearchSpace
    from asha_core.schedulers import scheduler_class

    space = SearchSpace(
        {
            "lr": Float(1e-5, 1.0, log=True),
            "momentum": Float(0.0, 0.99),
            "weight_decay": Float(1e-7, 1e-1, log=True),
            "batch_size": Choice([32, 64, 128, 256]),
        }
    )
    scheduler = scheduler_class(name)(
        space, mode="min", min_resource=MIN_RESOURCE, max_resource=R, reduction_factor=ETA, max_trials=trials
    )
    value = Random(0).random
    own = [value() for _ in range(trials)] if stable else []
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
        loss = own[job.trial] if stable else value()
        scheduler.tell(Report(job.trial, job.attempt, seat[1], loss, 0.0))
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


# below 10,000 trials the growth is a few pages: the allocator's, not the trials'
LEAST_FOR_MEMORY = 10_000
FROM_1E3_TO_1E6 = [1_000, 10_000, 100_000, 1_000_000]
TWO_SIZES = [1_000, 100_000]
STABLE = "asha-core pasha, stable values", "asha-core asha, stable values, R = 3"

System = tuple[str, str, str, Callable[[int], dict[str, float]], list[int]]
SYSTEMS: list[System] = [  # name, rule, distribution, function, sizes
    ("asha-core asha", "promotion", "asha-core", partial(ours, "asha"), FROM_1E3_TO_1E6),
    ("asha-core asha-stopping", "stopping", "asha-core", partial(ours, "asha-stopping"), FROM_1E3_TO_1E6),
    ("asha-core pasha", "promotion", "asha-core", partial(ours, "pasha"), FROM_1E3_TO_1E6),
    (STABLE[0], "promotion", "asha-core", partial(ours, "pasha", stable=True), FROM_1E3_TO_1E6),
    (STABLE[1], "promotion", "asha-core", partial(ours, "asha", stable=True, R=3), FROM_1E3_TO_1E6),
    ("asha-core hyperband", "promotion", "asha-core", partial(ours, "hyperband"), TWO_SIZES),
    ("asha-core sync-hyperband", "synchronous", "asha-core", partial(ours, "sync-hyperband"), TWO_SIZES),
    ("asha-core sh", "synchronous", "asha-core", partial(ours, "sh"), TWO_SIZES),
    ("asha-core random", "none", "asha-core", partial(ours, "random"), TWO_SIZES),
    ("Ray AsyncHyperBandScheduler", "stopping", "ray", ray, [300, 3_000, 30_000]),
    ("Optuna SuccessiveHalvingPruner", "stopping", "optuna", optuna, [300, 3_000, 10_000]),
]
RULES = {name: rule for name, rule, *_ in SYSTEMS}


def memory(row: tables.Row) -> str:
    found = row["bytes_per_trial"]
    return "-" if found is None else f"{found:,.0f}"


TABLE = tables.Table(
    [
        ("System", lambda row: row["system"]),
        ("Rule", lambda row: row["rule"]),
        ("Trials", lambda row: f"{row['trials']:,}"),
        ("Reports", lambda row: f"{row['reports']:,}"),
        ("Reports a second", lambda row: f"{row['reports_per_second']:,.0f}"),
        ("us a report", lambda row: f"{1e6 * row['seconds'] / row['reports']:,.1f}"),
        ("us a trial", lambda row: f"{1e6 * row['seconds'] / row['trials']:,.1f}"),
        ("Bytes a trial", memory),
    ],
    first=37,
)


def run(name: str, trials: int, repeats: int) -> tables.Row:
    """One row: the smallest time of ``repeats`` children."""
    row: tables.Row = {"system": name, "rule": RULES[name], "trials": trials, "date": tables.TODAY}
    runs: list[dict[str, float]] = []
    for _ in range(repeats):
        figures, row["status"] = tables.measure(__file__, name, str(trials))
        if figures is None:
            return row
        runs.append(figures)
        if figures["seconds"] > 10:  # long runs even out the noise by themselves
            break
    seconds = [run["seconds"] for run in runs]
    best, reports = min(seconds), int(runs[0]["reports"])
    grown = min(run["bytes_per_trial"] for run in runs) if trials >= LEAST_FOR_MEMORY else None
    return row | {
        "repeats": len(runs),
        "reports": reports,
        "seconds": best,
        "seconds_all": seconds,
        "reports_per_second": reports / best,
        "bytes_per_trial": grown,
    }


def markdown() -> str:
    """The figures of README.md: conditions, every row, and what PASHA adds to ASHA where both do the same."""
    content = json.loads(RESULTS.read_text())
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    conditions = f"{content['date']}, {content['cores']}-core {content['system']}, {versions}."
    lines = [conditions, "", TABLE.markdown(content["rows"])]
    cost = {(row["system"], row["trials"]): row for row in content["rows"] if "seconds" in row}
    both = [n for name, n in cost if name == STABLE[0] and (STABLE[1], n) in cost]
    if both:
        pairs = [(n, cost[STABLE[0], n], cost[STABLE[1], n]) for n in both]
        columns: list[tuple[str, Callable[[tables.Row], str]]] = [
            ("Stable values, trials", lambda row: f"{row['trials']:,}"),
            ("PASHA / ASHA, time a report", lambda row: f"{row['report']:.2f}"),
            ("PASHA / ASHA, time a trial", lambda row: f"{row['trial']:.2f}"),
        ]
        ratios = [
            {
                "trials": n,
                "report": pasha["seconds"] / pasha["reports"] / (asha["seconds"] / asha["reports"]),
                "trial": pasha["seconds"] / asha["seconds"],
            }
            for n, pasha, asha in pairs
        ]
        lines += ["", tables.Table(columns, first=22).markdown(ratios)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="sizes up to 10,000, once each; writes no file")
    parser.add_argument("--only", metavar="TEXT", default="", help="systems with TEXT in their names")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each size; the smallest time counts")
    parser.add_argument("--markdown", action="store_true", help="put the JSON file in README.md")
    parser.add_argument("--child", nargs=2, metavar=("SYSTEM", "TRIALS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, trials = arguments.child
        function = next(system[3] for system in SYSTEMS if system[0] == name)
        tables.answer(lambda: function(int(trials)))
        return
    if arguments.markdown:
        before, rest = README.read_text().split(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{rest.split(END)[1]}")
        return

    rows: list[tables.Row] = []
    print(TABLE.head())
    for name, _, _, _, sizes in SYSTEMS:
        if arguments.only.lower() not in name.lower():
            continue
        for trials in sizes:
            if not arguments.quick or trials <= 10_000:
                rows.append(run(name, trials, 1 if arguments.quick else arguments.repeats))
                print(TABLE.line(rows[-1]), flush=True)
    if arguments.quick:
        return
    if arguments.only:
        rows = tables.with_rows_before(rows, RESULTS, list(RULES))
    settings = {
        "running": RUNNING,
        "min_resource": MIN_RESOURCE,
        "max_resource": MAX_RESOURCE,
        "reduction_factor": ETA,
    }
    tables.write(RESULTS, rows, dict.fromkeys(system[2] for system in SYSTEMS), settings)


if __name__ == "__main__":
    main()
