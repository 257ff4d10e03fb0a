"""Engine overhead: what one trial costs when the trial itself costs nothing.

What is timed   Wall-clock milliseconds a trial, from sampling it to its result being stored: starting
                it, nine reports, the scheduler's answers, and the system's own records on disk.
On what         A trial that does no work and reports nine times; two workers (two trials at a time);
                one hyper-parameter, random search, one machine. Nothing is checkpointed.
n               `SYSTEMS`, below: (n1, n2) for each system; slow ones get few trials.
How             Marginal cost: (time of n2 trials - time of n1 trials) / (n2 - n1), so that what is paid
                once (imports, starting workers or a cluster, closing down) cancels out. Every run is a
                fresh process, one at a time. The time is taken around the call that runs the search.
                `--repeats` pairs for each system (two, if a pair takes more than 20 s); the median of the
                pairs is reported, and all of them are in the JSON file.

What each row does, and what its trials live in:

  asha-core, one job      ASHA with r = R = 9: nine units in one job. Persistent worker processes, a
                          journal on disk, a log file for each trial.
  asha-core, halving      ASHA with r = 1, R = 9, eta = 3: a trial is one to three jobs, and most trials
                          stop at a rung, so fewer than nine reports each.
  Ray Tune                Tuner, FIFO scheduler, function trainable; a process ("actor") for each trial, as
                          it comes; with "reused", processes are kept from trial to trial.
  Syne Tune               LocalBackend: a Python process for each trial. The tuner's sleep is turned down
                          from its default of 5 s to 0.01 s, or it would be all there is to see.
  Optuna, SQLite          two processes call study.optimize on one SQLite file; the trial runs in them.
  Optuna, threads         study.optimize(n_jobs=2): two threads, in memory, no store and no process.

A trial that crashes takes its process along: the worker with asha-core (which starts another), the trial's
own with Ray Tune and Syne Tune, and the whole study's with Optuna.

    python benchmarks/engine_overhead.py                # about four minutes with every system installed
    python benchmarks/engine_overhead.py --only asha    # ours alone; other rows of the JSON file stay
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tables

if TYPE_CHECKING:
    from trials.trial import Trial

REPORTS = 9
WORKERS = 2
RESULTS = tables.RESULTS / "engine_overhead.json"


# -- ours ------------------------------------------------------------------------------------------


def idle(trial: Trial) -> None:
    for _ in trial.units():
        trial.report(trial.config["x"])


def asha_one_job(trials: int, folder: Path) -> float:
    return asha(trials, folder, min_resource=REPORTS)


def asha_halving(trials: int, folder: Path) -> float:
    return asha(trials, folder, min_resource=1)


def asha(trials: int, folder: Path, min_resource: int) -> float:
    from asha_core import ASHA, Float, SearchSpace, tune

    scheduler = ASHA(
        SearchSpace({"x": Float(0.0, 1.0)}),
        min_resource=min_resource,
        max_resource=REPORTS,
        reduction_factor=3,
        max_trials=trials,
    )
    began = time.perf_counter()
    result = tune(
        idle,
        scheduler,
        gpus="cpu",
        workers_per_gpu=WORKERS,
        results_dir=folder / "results",
        progress="none",
    )
    seconds = time.perf_counter() - began
    assert result.outcome.trials == trials
    assert result.outcome.failures == 0
    return seconds


# -- Ray Tune --------------------------------------------------------------------------------------


def ray_trial(config: dict[str, float]) -> None:
    from ray import tune

    for _ in range(REPORTS):
        tune.report({"value": config["x"]})


def ray_fresh(trials: int, folder: Path) -> float:
    return ray_tune(trials, folder, reuse=None)


def ray_reused(trials: int, folder: Path) -> float:
    return ray_tune(trials, folder, reuse=True)


def ray_tune(trials: int, folder: Path, reuse: bool | None) -> float:
    import ray
    from ray import tune

    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        _temp_dir=str(folder / "ray"),
    )
    tuner = tune.Tuner(
        ray_trial,
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            num_samples=trials,
            max_concurrent_trials=WORKERS,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "results"), verbose=0),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    assert len(results) == trials
    assert results.num_errors == 0
    assert all(result.metrics["training_iteration"] == REPORTS for result in results)
    ray.shutdown()
    return seconds


# -- Syne Tune -------------------------------------------------------------------------------------

SYNE_TRIAL = f"""
from argparse import ArgumentParser
from syne_tune import Reporter
parser = ArgumentParser()
parser.add_argument("--x", type=float)
arguments, _ = parser.parse_known_args()
report = Reporter()
for unit in range(1, {REPORTS} + 1):
    report(unit=unit, value=arguments.x)
"""


def syne_tune(trials: int, folder: Path) -> float:
    os.environ["SYNETUNE_FOLDER"] = str(folder / "results")  # read when Syne Tune is imported
    import logging

    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.baselines import RandomSearch

    logging.getLogger().setLevel(logging.ERROR)
    script = folder / "trial.py"
    script.write_text(SYNE_TRIAL)
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script)),
        scheduler=RandomSearch({"x": uniform(0.0, 1.0)}, metrics=["value"], do_minimize=False),
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=WORKERS,
        sleep_time=0.01,
        print_update_interval=1e9,
        save_tuner=False,
    )
    began = time.perf_counter()
    tuner.run()
    return time.perf_counter() - began


# -- Optuna ----------------------------------------------------------------------------------------


def optuna_trial(trial: Any) -> float:
    x: float = trial.suggest_float("x", 0.0, 1.0)
    for unit in range(1, REPORTS + 1):
        trial.report(x, unit)
        trial.should_prune()  # the pruner prunes nothing; asking is part of the protocol
    return x


def optuna_study(storage: str | None, seed: int | None = 0) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        study_name="idle",
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.NopPruner(),
        direction="maximize",
        load_if_exists=True,
    )


def optuna_worker(storage: str, trials: int, seed: int) -> None:
    optuna_study(storage, seed).optimize(optuna_trial, n_trials=trials)


def optuna_sqlite(trials: int, folder: Path) -> float:
    storage = f"sqlite:///{folder / 'study.db'}"
    study = optuna_study(storage)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=optuna_worker, args=(storage, trials // WORKERS, seed))
        for seed in range(WORKERS)
    ]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    assert all(worker.exitcode == 0 for worker in workers)
    assert len(study.trials) == trials
    return seconds


def optuna_threads(trials: int, folder: Path) -> float:
    study = optuna_study(None)
    began = time.perf_counter()
    study.optimize(optuna_trial, n_trials=trials, n_jobs=WORKERS)
    seconds = time.perf_counter() - began
    assert len(study.trials) == trials
    return seconds


# -- the measurement -------------------------------------------------------------------------------

System = tuple[str, str, Callable[[int, Path], float], int, int]
SYSTEMS: list[System] = [  # name, distribution, function, n1, n2
    ("asha-core, one job", "asha-core", asha_one_job, 200, 2200),
    ("asha-core, halving", "asha-core", asha_halving, 200, 2200),
    ("Ray Tune", "ray", ray_fresh, 2, 8),
    ("Ray Tune, reused", "ray", ray_reused, 10, 60),
    ("Syne Tune", "syne-tune", syne_tune, 4, 12),
    ("Optuna, SQLite", "optuna", optuna_sqlite, 10, 60),
    ("Optuna, threads", "optuna", optuna_threads, 200, 2200),
]


TABLE = tables.Table(
    [
        ("system", lambda row: row["system"]),
        ("version", lambda row: row["version"]),
        ("n1", lambda row: f"{row['n1']:,}"),
        ("n2", lambda row: f"{row['n2']:,}"),
        ("ms/trial", lambda row: f"{row['ms_per_trial']:.2f}"),
        ("min", lambda row: f"{min(row['ms_per_trial_all']):.2f}"),
        ("max", lambda row: f"{max(row['ms_per_trial_all']):.2f}"),
    ],
    first=22,
)


def child(name: str, trials: int) -> None:
    function = next(system[2] for system in SYSTEMS if system[0] == name)
    # not the default temporary name: Ray's socket paths must stay under 107 characters
    with tempfile.TemporaryDirectory(prefix="eo", ignore_cleanup_errors=True) as folder:
        tables.answer(lambda: function(trials, Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="systems with TEXT in their names")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs for each system")
    parser.add_argument("--child", nargs=2, metavar=("SYSTEM", "TRIALS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], int(arguments.child[1]))
        return

    rows: list[dict[str, Any]] = []
    print(TABLE.head())
    for name, distribution, _, n1, n2 in SYSTEMS:
        if arguments.only.lower() not in name.lower():
            continue
        row: dict[str, Any] = {
            "system": name,
            "version": tables.version(distribution),
            "n1": n1,
            "n2": n2,
            "date": tables.TODAY,
        }
        rows.append(row)
        pairs: list[list[float]] = []
        for _ in range(arguments.repeats):
            (few, status), (many, other) = (tables.measure(__file__, name, str(n)) for n in (n1, n2))
            row["status"] = other if status == "measured" else status
            if row["status"] != "measured":
                break
            pairs.append([few, many])
            if few + many > 20 and len(pairs) == 2:
                break
        row["seconds"] = pairs
        if row["status"] == "measured":
            costs = [1000 * (many - few) / (n2 - n1) for few, many in pairs]
            row |= {"ms_per_trial": statistics.median(costs), "ms_per_trial_all": costs}
        print(TABLE.line(row), flush=True)

    if arguments.only:
        rows = tables.with_rows_before(rows, RESULTS, [system[0] for system in SYSTEMS])
    reference = next((row["ms_per_trial"] for row in rows if "ms_per_trial" in row), None)
    print("\nratio to the first row:")
    for row in rows:
        if "ms_per_trial" in row:
            row["ratio"] = row["ms_per_trial"] / reference
            print(f"{row['system']:<22}{row['ratio']:>9.1f}   (measured on {row['date']})")

    settings = {"reports": REPORTS, "workers": WORKERS, "repeats": arguments.repeats}
    tables.write(RESULTS, rows, [], settings)


if __name__ == "__main__":
    main()
