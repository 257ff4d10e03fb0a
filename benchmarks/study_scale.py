"""How long the report of a large study takes, and how much memory: 1,000 runs of 200 trials.

What is timed   Wall-clock and processor seconds of two commands, each a fresh process: reading the study
                (`analysis.load_study`), and all of `asha-report` on it (reading, statistics, tables, figures,
                the page).
                `memory`: the greatest resident memory of the command and its children together, sampled 20
                times a second; what they share is counted once for each, so it is an upper bound.
On what         A study of 8 groups x 5 arms x 25 seeds, or `--runs`. Searches of 200 trials by ASHA, levels
                1 to 27, with the schedulers and the journal of this package, in virtual time: about 1,000
                records each, with gradients and steps of every dimension, metrics and costs.
n               `--repeats` (3); the median, and all of them in the JSON file.
How             The study is made first (`--folder`, kept if given; made again if it is not there), and lies
                in the file system's cache when it is read.

The bounds that the project has set itself are 60 s and 2 GB for the report.

    python -m benchmarks.study_scale
    python -m benchmarks.study_scale --runs 40 --trials 20 --repeats 1
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import tables
from tests.analysis.studies import write_study

RESULTS = tables.RESULTS / "study_scale.json"
ARMS = {"baseline": 1.0, "random-warm": 1.0, "ohgw-1step": 0.95, "ohgw-3step": 0.95, "ohgw-trust": 0.8}
SEEDS = 25
LOAD = "import sys; from analysis import load_study; assert load_study(sys.argv[1]).replicates"
REPORT = "import sys; from analysis.cli import main; sys.exit(main(sys.argv[1:]))"
_KIB = 1024
_INTERVAL = 0.05


def make(folder: Path, runs: int, trials: int) -> None:
    """Write a study, on all cores."""
    groups = max(runs // (len(ARMS) * SEEDS), 1)
    seeds = min(SEEDS, max(runs // len(ARMS), 1))
    jobs = [
        (folder, f"digits-{group}, asha", seed, trials) for group in range(groups) for seed in range(seeds)
    ]
    with multiprocessing.Pool() as pool:
        pool.starmap(_seed, jobs)
    for group in range(groups):  # the plan alone: the runs are there
        skip = [(arm, seed) for arm in ARMS for seed in range(seeds)]
        write_study(folder, ARMS, range(seeds), group=f"digits-{group}, asha", skip=skip)


def _seed(folder: Path, group: str, seed: int, trials: int) -> None:
    write_study(
        folder,
        ARMS,
        [seed],
        group=group,
        plan=False,
        trials=trials,
        levels=(1, 27),
        warm_seconds=0.05,
        shift=0.3,
    )


def measured(code: str, *arguments: str) -> dict[str, float]:
    """Run Python code in a process of its own: seconds, processor seconds, bytes of memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, _resident(process.pid))
        time.sleep(_INTERVAL)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"it ended with status {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor": used, "memory": most}


def _resident(pid: int) -> int:
    """Bytes of a process and of all below it; 0 of those that have just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = [line.split() for line in status.splitlines() if line.startswith("VmRSS:")]
        own = int(lines[0][1]) * _KIB if lines else 0
    except OSError:
        return 0
    return own + sum(_resident(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long the report of a large study takes.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the study is kept [nowhere]")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        study = options.folder or Path(scratch) / "study"
        if not (study / "study.json").exists():
            make(study, options.runs, options.trials)
        journals = [path.stat().st_size for path in study.glob("runs/*/*/journal.jsonl")]
        output = str(Path(scratch) / "report")
        rows: list[dict[str, Any]] = []
        for name, code, arguments in (
            ("load_study", LOAD, [str(study)]),
            ("asha-report", REPORT, [str(study), "--output", output]),
        ):
            every = [measured(code, *arguments) for _ in range(options.repeats)]
            row = {key: statistics.median(run[key] for run in every) for key in every[0]}
            rows.append({"system": name} | row | {"all": every})
            print(
                f"{name:12s} {row['seconds']:6.1f} s {row['processor']:6.1f} s of processor "
                f"{row['memory'] / 1e6:6.0f} MB"
            )
    settings = {
        "runs": len(journals),
        "trials": options.trials,
        "journal_bytes": sum(journals),
        "load_average": os.getloadavg()[0],
        "repeats": options.repeats,
    }
    options.json.parent.mkdir(exist_ok=True)
    tables.write(options.json, rows, ["asha-core", "numpy", "matplotlib"], settings)


if __name__ == "__main__":
    main()
