"""What only a GPU can show of kills and memory: python benchmarks/gpu/faults.py [--gpu 0]

1. A trial that asks for more memory than its share goes once more, alone on the GPU, and completes there;
   one that asks for more than there is fails, and the search goes on to its end.
2. A worker that holds memory is killed with SIGKILL: its memory is free again before the next one starts.
3. The engine is killed with SIGKILL, and stopped with Ctrl-C: no process and no memory is left on the GPU.

Needs no data and no network. Two workers share the GPU. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.runtime.storage.journal import read_journal
from trials.trial import Trial

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
GIB = 1 << 30


def hungry(trial: Trial) -> None:
    """Trial 3 wants most of the GPU, trial 5 more than there is; all others one GiB."""
    import torch

    total = torch.cuda.mem_get_info()[1]
    wanted = {3: int(0.85 * total), 5: int(1.5 * total)}.get(trial.id, GIB)
    for unit in trial.units():
        held = torch.empty(wanted, dtype=torch.uint8, device=trial.device)
        held.fill_(unit)
        time.sleep(0.3)
        trial.report(unit * trial.config["x"])


def killed(trial: Trial) -> None:
    """Trial 2 kills its worker, which holds 8 GiB; every job begins by looking how much is free."""
    import torch

    torch.zeros(1, device=trial.device)
    free = torch.cuda.mem_get_info()[0]
    print(f"free {free / GIB:.1f} GiB")
    for unit in trial.units():
        held = torch.zeros(2 * GIB, dtype=torch.float32, device=trial.device)
        if trial.id == 2 and trial._attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        trial.report(float(held[0]) + unit, free_gib=free / GIB)


def endless(trial: Trial) -> None:
    import torch

    for unit in trial.units():
        held = torch.zeros(GIB, dtype=torch.uint8, device=trial.device)
        time.sleep(1.0)
        trial.report(float(held[0]) + unit)


def search(function: Any, folder: Path, gpu: str, **settings: Any) -> list[dict[str, Any]]:
    scheduler = ASHA(SPACE, max_resource=9, **{"max_trials": 9, **settings})
    tune(function, scheduler, gpus=gpu, workers_per_gpu=2, results_dir=folder, progress="none")
    return read_journal(folder / "journal.jsonl").records


def on_the_gpu(gpu: str) -> list[str]:
    query = ("nvidia-smi", "-i", gpu, "--query-compute-apps=pid,used_memory", "--format=csv,noheader")
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def say(ok: bool, name: str, detail: object = "") -> bool:
    print(f"{'ok  ' if ok else 'FAIL'} {name}" + (f": {detail}" if detail != "" else ""))
    return ok


def memory(folder: Path, gpu: str) -> bool:
    records = search(hungry, folder, gpu)
    failed = [(r["trial"], r["kind"]) for r in records if r["type"] == "failed"]
    reached = {r["trial"] for r in records if r["type"] == "report"}
    alone = [r["trial"] for r in records if r["type"] == "job" and r.get("alone")]
    return all(
        [
            say(3 in reached, "a trial that needs the GPU for itself is trained", f"failed {failed}"),
            say(failed.count((5, "oom")) == 2, "one that needs more than there is fails", f"alone {alone}"),
            say(records[-1]["reason"] == "complete", "and the search goes on to its end"),
        ]
    )


def death(folder: Path, gpu: str) -> bool:
    records = search(killed, folder, gpu)
    free = [r["metrics"]["free_gib"] for r in records if r["type"] == "report"]
    lost = [r["reason"] for r in records if r["type"] == "lost"]
    notices = [r["text"] for r in records if r["type"] == "notice"]
    spread = max(free) - min(free)
    return say(
        len(lost) == 1 and spread < 10 and records[-1]["reason"] == "complete",
        "the memory of a killed worker is free before the next starts",
        f"free between {min(free):.1f} and {max(free):.1f} GiB; {lost}; {notices}",
    )


def end(folder: Path, gpu: str, number: int) -> bool:
    before = on_the_gpu(gpu)
    command = [sys.executable, __file__, "--gpu", gpu, "--endless", str(folder)]
    with subprocess.Popen(command) as engine:
        deadline = time.monotonic() + 90
        while len(on_the_gpu(gpu)) < len(before) + 2 and time.monotonic() < deadline:
            time.sleep(0.5)
        started = len(on_the_gpu(gpu)) >= len(before) + 2
        engine.send_signal(number)
        engine.wait(30)
    began = time.monotonic()
    while on_the_gpu(gpu) != before and time.monotonic() < began + 30:
        time.sleep(0.1)
    name = signal.Signals(number).name
    took = time.monotonic() - began
    return say(
        started and on_the_gpu(gpu) == before, f"after {name} nothing is left on the GPU", f"{took:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpu", default="0")
    parser.add_argument("--endless", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.endless:
        search(endless, options.endless, options.gpu, max_trials=1000)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = [
            memory(folder / "memory", options.gpu),
            death(folder / "death", options.gpu),
            end(folder / "killed", options.gpu, signal.SIGKILL),
            end(folder / "stopped", options.gpu, signal.SIGINT),
        ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
