"""How fast CIFAR-10 trains on a GPU, beside a plain script: python benchmarks/gpu/training_speed.py

1. routes: `benchmarks/training_speed.py` on the whole of CIFAR-10: the plain script with worker processes and
   without; ours in bfloat16, with each option that may make it faster; both in float32 (with TF32 in
   convolutions, as torch has it by default). How busy the GPU was: `nvidia-smi` is asked for utilization.gpu
   twice a second, the mean of its answers. It is the share of time in which any kernel ran, not how full the
   GPU was.
2. together: 1, 2, 3, 4, 6 and 8 processes that train ours at the same time, as `--workers-per-gpu` has it.
   They wait for each other after an epoch; images are counted while all of them train.
3. again: two runs of one trial with deterministic algorithms alone, and one that pauses after an epoch and
   goes on, which should end with the same weights.

One GPU, torch and torchvision are all that it needs: without --data-dir the images are random. With --device
cpu it checks itself, on a few images. Figures go to --json (benchmarks/results/training_speed_gpu.json); what
--parts leaves out stays there as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import training_speed as speed  # noqa: E402 - found only now
from benchmarks.training_routes import EPOCHS, VALUES, Plan, Route, Row, Running, plan_of, task_of  # noqa: E402

TOGETHER = (1, 2, 3, 4, 6, 8)
PARTS = ("routes", "together", "again")


def routes(workers: Sequence[int]) -> list[Route]:
    """Of the first part: bfloat16, then float32."""
    return [
        *speed.routes(workers, ("default", "reduce-overhead")),
        Route("ours, channels_last off", channels_last=False),
        *(
            replace(route, name=f"{route.name}, float32", precision="float32")
            for route in speed.routes(workers[-1:])
        ),
    ]


# -- how busy the GPU is ---------------------------------------------------------------------------


class Monitor:
    """Asks ``nvidia-smi`` about one GPU, again and again, in a thread.

    Args:
        gpu: "GPU-<uuid>", which CUDA_VISIBLE_DEVICES does not change.
    """

    def __init__(self, gpu: str, seconds: float = 0.5) -> None:
        self._command = ["nvidia-smi", "-i", gpu, "--query-gpu=utilization.gpu,memory.used"]
        self._command.append("--format=csv,noheader,nounits")
        self._seconds = seconds
        self._samples: list[tuple[float, float, float]] = []  # when, busy share, bytes
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        while True:
            try:
                done = subprocess.run(self._command, capture_output=True, text=True, check=True, timeout=60)
            except (OSError, subprocess.SubprocessError) as error:
                print(f"how busy the GPU is cannot be told: {error}", file=sys.stderr)
                return
            with suppress(ValueError):  # "[N/A]", on a part of a GPU
                busy, memory = (float(word) for word in done.stdout.split(","))
                self._samples.append((time.monotonic(), busy / 100, memory * 2**20))
            time.sleep(self._seconds)

    def __call__(self, began: float, ended: float) -> Row:
        """utilisation: the mean; used: the most bytes on the GPU. Nothing if there was no answer."""
        inside = [(busy, memory) for when, busy, memory in self._samples if began <= when <= ended]
        if not inside:
            return {}
        busy, memory = zip(*inside, strict=True)
        return {"utilisation": statistics.fmean(busy), "used": max(memory)}


# -- several on one GPU ----------------------------------------------------------------------------


def crowd(plan: Plan, count: int, window: float, watch: speed.Watch) -> Row:
    """``count`` processes train at the same time: the images of all of them a second."""
    each_plan = replace(plan, threads=max(1, plan.threads // count))
    running = [Running(Route("ours"), each_plan) for _ in range(count)]
    try:
        for each in running:  # an epoch each, at once: then everything is loaded
            each.begin(1)
        for each in running:
            each.wait()
        deadline = time.monotonic() + window
        for each in running:
            each.begin(1, deadline)
        told = [each.wait() for each in running]
    finally:
        for each in running:
            each.close()
    row: Row = {"processes": count}
    errors = [each.error for each in running if each.error]
    if errors:
        return row | {"status": errors[0]}
    began, ended = max(each["began"] for each in told), min(each["ended"] for each in told)
    steps = sum(began <= stamp <= ended for each in told for stamp in each["stamps"])
    return row | {"images": steps * plan.batch / (ended - began), **watch(began, ended)}


def crowds(plan: Plan, counts: Sequence[int], window: float, watch: speed.Watch) -> list[Row]:
    rows: list[Row] = []
    print(f"\n{speed.CROWD.head()}")
    for count in counts:
        row = crowd(plan, count, window, watch)
        if "images" in row:
            row["ratio"] = row["images"] / rows[0]["images"] if rows and "images" in rows[0] else 1.0
        rows.append(row)
        print(speed.CROWD.line(row), flush=True)
    best = max((row for row in rows if "images" in row), key=lambda row: row["images"], default=None)
    if best:
        print(f"most images a second: with {best['processes']}")
    return rows


# -- the same again --------------------------------------------------------------------------------


def repeatable(plan: Plan, strict: bool) -> Row:
    """One trial of three epochs twice, and once in two jobs; in a process that has not used the GPU yet.

    Returns:
        again, resumed: the largest differences from the first run, "values" of the accuracies and "weights"
        of the network. error: of an operation that has no deterministic way, if ``strict``.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS gives no guarantee
    import torch

    torch.set_num_threads(plan.threads)
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    try:
        whole = _trained(plan, [3])
        pairs = {"again": _trained(plan, [3]), "resumed": _trained(plan, [1, 3])}
    except RuntimeError as error:
        return {"error": str(error).splitlines()[0]}
    return {name: _difference(whole, other) for name, other in pairs.items()}


def _trained(plan: Plan, pieces: Sequence[int]) -> tuple[list[float], dict[str, Any]]:
    """(accuracies, weights) of one trial, in jobs that end at ``pieces``."""
    from asha_core import Job, Report
    from asha_core.messages import Failed
    from asha_core.runtime.storage.run_directory import RunDirectory
    from trials.checkpoints.files import load_checkpoint
    from trials.worker.job_runner import JobRunner, WorkerSettings

    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "results")
        directory.create()
        events: list[Any] = []
        start = 0
        for until in pieces:
            task = task_of(plan, Route("ours"))
            runner = JobRunner(WorkerSettings(task, str(directory.path), EPOCHS), plan.device, slot=0)
            runner.run(Job(0, task.space.configuration(VALUES), start, until, 0, 1), events.append)
            if isinstance(events[-1], Failed):
                raise RuntimeError(events[-1].error)
            start = until
        kept = load_checkpoint(directory.trial_checkpoint(0, "last"))
        return [event.value for event in events if isinstance(event, Report)], kept["state"]["model"]


def _difference(one: tuple[list[float], dict[str, Any]], other: tuple[list[float], dict[str, Any]]) -> Row:
    values = max(abs(a - b) for a, b in zip(one[0], other[0], strict=True))
    weights = max((one[1][name] - other[1][name]).abs().max().item() for name in one[1])
    return {"values": values, "weights": weights}


def the_same_again(plan: Plan) -> Row:
    """As strict as it goes."""
    found: Row = {}
    for strict in (True, False):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # new: nothing is set yet
            told = pool.submit(repeatable, plan, strict).result()
        if "error" not in told:
            return found | told
        found["refused"] = told["error"]
    return found


# -- the whole of it -------------------------------------------------------------------------------


def monitor(device: str) -> speed.Watch:
    import torch

    identifier = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return (lambda began, ended: {}) if identifier is None else Monitor(f"GPU-{identifier}")


def arguments(command: Sequence[str] | None) -> argparse.Namespace:
    made = speed.parser(__doc__)
    made.set_defaults(json=ROOT / "benchmarks" / "results" / "training_speed_gpu.json")
    made.add_argument("--device", default="cuda:0")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--epochs", type=int, default=1, help="in a route's turn")
    made.add_argument("--window", type=float, default=20, help="seconds that several processes train")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = made.parse_args(command)
    if options.device == "cpu":
        options.batch, options.rounds, options.window, options.threads = 30, 1, 1.0, 1
        if options.json == made.get_default("json"):  # these are no figures
            options.json = None
    return options


def main(command: Sequence[str] | None = None) -> None:
    options = arguments(command)
    import torch

    gpu = options.device != "cpu"
    if gpu and not torch.cuda.is_available():
        sys.exit("no GPU here: nothing was measured")
    images, few = (50_000, 5_000) if gpu else (100, 100)
    chosen, counts = (routes(options.workers), TOGETHER) if gpu else (speed.routes([0]), TOGETHER[:2])
    watch = monitor(options.device) if gpu else lambda began, ended: {}
    common = {"device": options.device, "threads": options.threads, "batch": options.batch}
    content: Row = {}
    if options.json and options.json.exists():
        content = json.loads(options.json.read_text())
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of(options.data_dir, Path(folder), images=images, **common)
        if "routes" in options.parts:
            kept = {name: content[name] for name in PARTS[1:] if name in content}
            content = speed.measure(plan, chosen, options.rounds, options.epochs, watch) | kept
            speed.show(content)
        if "together" in options.parts:
            content["together"] = crowds(plan, counts, options.window, watch)
        if "again" in options.parts:
            source = Path(folder) / "few"
            source.mkdir()
            content["again"] = the_same_again(plan_of(options.data_dir, source, images=few, **common))
            print("", *speed.told_of_repeats(content["again"]), sep="\n")
    speed.write(content, options)


if __name__ == "__main__":
    main()
