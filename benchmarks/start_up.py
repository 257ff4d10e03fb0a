"""Start-up: how soon the first result is there, and how soon a killed worker's successor works.

What is timed   Seconds from the start of a fresh `asha-run` to the first report in its journal; from a
                kill -9 of a worker to the next "ready" of its slot; from `tune` to the first report of the
                second search in one Python, as in a notebook. And CPU seconds of all processes until the
                first report.
On what         The digits task (torch, scikit-learn), rungs of one epoch, on the CPU.
How             "forked": workers are forked from a server that has loaded the large modules. "own": each
                is a Python of its own that imports for itself (ASHA_FORK_SERVER=0), as before 0.2. Each
                pair back to back in one run, the order turned around from pair to pair; medians, ranges,
                and the median of the pairs' ratios.

    python benchmarks/start_up.py                 # about three minutes
    python benchmarks/start_up.py --workers 4 --pairs 5
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOWS = ("forked", "own")
MEASURES = {
    "first": "first report of a search",
    "again": "a killed worker's successor is ready",
    "second": "first report of the next search",
    "cpu": "CPU until the first report",
}


def environment(how: str) -> dict[str, str]:
    return {**os.environ, "ASHA_FORK_SERVER": "1" if how == "forked" else "0"}


def records(journal: Path) -> Iterator[dict[str, Any]]:
    """As they are written."""
    while not journal.exists():
        time.sleep(0.005)
    with open(journal) as file:
        text = ""
        while True:
            text += file.readline()
            if text.endswith("\n"):
                yield json.loads(text)
                text = ""
            else:
                time.sleep(0.005)


def search(how: str, workers: int, gpus: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "asha_core.cli.run", "--task", "digits", "--gpus", gpus]
    command += ["--workers-per-gpu", str(workers), "--max-resource", "27", "--max-trials", "100000"]
    command += ["--results-dir", str(folder / "run"), "--progress", "none"]
    began = time.perf_counter()
    engine = subprocess.Popen(
        command, env=environment(how), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    took: dict[str, float] = {}
    killed, ready = 0.0, 0
    for record in records(folder / "run" / "journal.jsonl"):
        now = time.perf_counter()
        if record["type"] == "worker":
            pid = record["pid"]
            if killed:
                took["again"] = now - killed
                break
            ready += 1
        elif record["type"] == "report" and not killed:
            took.setdefault("first", now - began)
            if ready < workers:
                continue
            killed = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
    engine.send_signal(signal.SIGINT)
    engine.wait()
    return took


TWICE = """
import json, sys, time
from asha_core import ASHA, tune
from trials.tasks.digits import Digits
task = Digits()
for number in range(2):
    began = time.perf_counter()
    tune(task, ASHA(task.space, max_resource=1, max_trials=1), gpus=sys.argv[2], workers_per_gpu=1,
         progress="none", results_dir=f"{sys.argv[1]}/{number}")
    took = time.perf_counter() - began
print(took)
"""


def second(how: str, gpus: str, folder: Path) -> float:
    """A search of one epoch, from its call to its end, in a Python that has had one before."""
    command = [sys.executable, "-c", TWICE, str(folder), gpus]
    done = subprocess.run(command, env=environment(how), check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def cpu(how: str, workers: int, gpus: str, folder: Path) -> float:
    """CPU seconds of a search of one epoch a worker, all processes together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "asha_core.cli.run", "--task", "digits", "--gpus", gpus]
    command += ["--workers-per-gpu", str(workers), "--max-resource", "1", "--max-trials", str(workers)]
    command += ["--results-dir", str(folder / "cpu"), "--progress", "none"]
    subprocess.run(command, env=environment(how), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(how: str, workers: int, gpus: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            **search(how, workers, gpus, folder),
            "second": second(how, gpus, folder),
            "cpu": cpu(how, workers, gpus, folder),
        }


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--gpus", default="cpu", help="as of asha-run: cpu, or one GPU's number")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {how: [] for how in HOWS}
    for pair in range(arguments.pairs):
        for how in HOWS if pair % 2 else reversed(HOWS):
            runs[how].append(measured(how, arguments.workers, arguments.gpus))
            print(how, {name: round(value, 2) for name, value in runs[how][-1].items()}, flush=True)
    print(f"\n{arguments.workers} workers, {arguments.pairs} pairs; seconds: median (range)\n")
    print("| | forked | own | own / forked |\n|---|---:|---:|---:|")
    for name, words in MEASURES.items():
        forked, own = ([run[name] for run in runs[how]] for how in HOWS)
        ratio = statistics.median(b / a for a, b in zip(forked, own, strict=True))
        print(f"| {words} | {shown(forked)} | {shown(own)} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
