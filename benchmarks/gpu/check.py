"""Checks that need a GPU, in one command: python benchmarks/gpu/check.py [--device cuda:0]

1. A paused trial goes on to the uninterrupted one's curve, within 1% of accuracy (mixed precision); in
   float16 with its gradient scaler, too, also with clipped and accumulated gradients and an average of the
   weights; with deterministic algorithms exactly.
2. A warm start with a step of zero leaves the trial as it was, within the same tolerance; the hyper-gradient
   on the GPU agrees with the CPU's within 2% of its largest entry.
3. What units and a warm start cost: as many operations as on a CPU; of memory, tensors within what PyTorch
   holds, and that within what is in use on the device.
4. The GPUs that nvidia-smi lists, as the engine reads them, are those that torch sees, in its order.
5. A search with two workers on one GPU: each worker sees exactly one device.
6. Importing PyTorch opens no GPU, so that workers can be forked from a process that has done it (else each
   imports for itself), and a forked one trains on the GPU.
7. A warm start of somebody's own model, with dropout and batch norm, whose loader is read in a fork while a
   GPU is in use: weights, statistics and the generators of all GPUs are as before, bit for bit, alone and
   beside another thread; without dropout and in float64 the slopes are the CPU's.

Needs no data and no network: the digits task. With --device cpu it checks itself, without parts 4 and 5.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from asha_core import Float, Job, RandomSearch, Refined, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from trials.executors.fork_server import Server
from trials.gpu_detection import visible_gpus
from trials.tasks.digits import Digits
from trials.torch_task.warm_start_problem import TrainingProblem
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart import ModelProblem, Outcome, refine
from warmstart.strategies.hypergradient import HyperGradient

TOLERANCE = 0.01


class Half(Digits):
    """In float16, whose gradient scaler is part of the checkpoint."""

    precision = "float16"


class HalfRecipe(Half):
    """With all that a gradient scaler has to get along with."""

    max_grad_norm = 1.0
    gradient_accumulation_steps = 2
    ema_decay = 0.99


class Repeatable(Digits):
    """The same numbers every time."""

    deterministic = True


def curve(
    folder: Path,
    device: str,
    pieces: list[int],
    warm_start: str = "none",
    kind: type[Digits] = Digits,
    **settings: Any,
) -> list[float]:
    """The validation accuracies of one trial, in jobs that end at ``pieces``."""
    sent = events(folder, device, pieces, warm_start, kind, **settings)
    return [event.value for event in sent if isinstance(event, Report)]


def events(
    folder: Path,
    device: str,
    pieces: list[int],
    warm_start: str = "none",
    kind: type[Digits] = Digits,
    **settings: Any,
) -> list[Any]:
    directory = RunDirectory(folder)
    directory.create()
    configuration, start, sent = RandomSearch(Digits.space, 0).propose(10), 0, list[Any]()
    for until in pieces:
        runner = JobRunner(WorkerSettings(kind(), str(folder), 9, warm_start, settings), device)
        runner.run(Job(0, configuration, start, until, 0, 123, refine=start == 0), sent.append)
        configuration = next((e.configuration for e in sent if isinstance(e, Refined)), configuration)
        start = until
    return sent


def close(name: str, left: list[float], right: list[float], tolerance: float = TOLERANCE) -> bool:
    worst = max(abs(a - b) for a, b in zip(left, right, strict=True))
    print(f"{'ok  ' if worst <= tolerance else 'FAIL'} {name}: largest difference {worst:.4f}")
    return worst <= tolerance


def resumes(folder: Path, device: str, kind: type[Digits], tolerance: float) -> bool:
    name = kind.__name__.lower()
    whole = curve(folder / f"{name}-whole", device, [4], kind=kind)
    paused = curve(folder / f"{name}-paused", device, [1, 3, 4], kind=kind)
    return close(f"pause and resume, {name}", paused, whole, tolerance)


def gradients_agree(device: str) -> bool:
    # magnitude 0: the augmentation's own draws come from the device's generator, and would differ
    values = {**RandomSearch(Digits.space, 0).propose(10), "magnitude": 0.0}
    configuration = Digits.space.configuration(values)
    found = []
    for place in ("cpu", device):
        problem = TrainingProblem(Digits(), 5, place)
        found.append(HyperGradient(eta_h=0.0).refine(problem, configuration, 5).diagnostics["gradient"])
    names = [name for name in found[0] if name != "magnitude"]
    largest = max(abs(found[0][name]) for name in names)
    worst = max(abs(found[0][name] - found[1][name]) for name in names) / largest
    print(
        f"{'ok  ' if worst <= 0.02 else 'FAIL'} hyper-gradient, CPU against {device}: "
        f"{worst:.3%} of the largest entry"
    )
    return worst <= 0.02


def costs_are_told(folder: Path, device: str) -> bool:
    here, cpu = (
        events(folder / f"costs-{place[:3]}-{number}", place, [2], "hypergradient")
        for number, place in enumerate((device, "cpu"))
    )
    good = all(a.costs["flops"] == b.costs["flops"] > 0 for a, b in zip(here, cpu, strict=True))
    for event in here if device != "cpu" else []:
        sizes = [event.costs[name] for name in ("gpu_bytes", "gpu_reserved_bytes", "device_bytes")]
        good = good and sizes[0] > 0 and sizes == sorted(sizes)
    told = {name: f"{value:.4g}" for name, value in here[-1].costs.items()}
    print(f"{'ok  ' if good else 'FAIL'} costs of a warm start and two units; of the last: {told}")
    return good


def gpus_are_found() -> bool:
    found = [gpu.name for gpu in visible_gpus()]
    seen = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    print(f"{'ok  ' if found == seen else 'FAIL'} GPUs found: {found}, torch sees {seen}")
    return found == seen


def workers_can_be_forked() -> bool:
    server = Server(Digits.preload, {})
    while (answer := server.ready()) is None:
        time.sleep(0.1)
    print(f"{'ok  ' if answer else 'FAIL'} workers can be forked from one with {', '.join(Digits.preload)}")
    server.release()
    return answer


class Noisy(Dataset[Any]):
    """Samples that are drawn as they are read, so that they are read in a process of their own."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        x = torch.linspace(-1.0, 1.0, 12, dtype=torch.float64) * (row + 1) / 64
        return x + 0.1 * torch.rand(12, dtype=torch.float64), row % 3


def refined(device: str, dropout: float, *, shared: bool = False) -> tuple[bool, Outcome]:
    """(whether all is as it was, what was found) of a model on a device.

    Args:
        shared: another thread draws from the CPU's generator.
    """
    torch.manual_seed(0)
    layers = [nn.Linear(12, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3)]
    model = nn.Sequential(*layers).double().to(device)
    problem = ModelProblem(
        {"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.1, 0.9)},
        model=model,
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"], momentum=c["momentum"]),
        data=DataLoader(Noisy(), batch_size=32, shuffle=True),
        loss=lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
    )

    def state() -> list[torch.Tensor]:
        gpus = torch.cuda.get_rng_state_all() if device != "cpu" else []
        own = [] if shared else [torch.get_rng_state()]
        return [each.clone() for each in (*model.state_dict().values(), *own, *gpus)]

    before = state()
    outcome = refine("ohgw-1step", problem, {"lr": 0.05, "momentum": 0.5})
    return all(map(torch.equal, before, state())), outcome


def own_models(device: str) -> bool:
    alone, _ = refined(device, 0.3)
    over = threading.Event()
    other = threading.Thread(target=lambda: [torch.rand(9) for _ in iter(over.is_set, True)])
    other.start()
    try:
        beside, _ = refined(device, 0.3, shared=True)
    finally:
        over.set()
        other.join()
    here, there = (refined(each, 0.0)[1].diagnostics["gradient"] for each in (device, "cpu"))
    same = all(abs(here[name] - there[name]) <= 1e-9 * abs(there[name]) for name in there)
    good = alone and beside and same
    print(f"{'ok  ' if good else 'FAIL'} own model: {alone=} {beside=} slopes={same}")
    return good


def search(folder: Path) -> bool:
    command = [sys.executable, "-c", "from asha_core.cli.run import main; raise SystemExit(main())"]
    options = [
        *("--task", "digits", "--gpus", "0", "--workers-per-gpu", "2", "--variation", "ohgw-1step"),
        *("--max-trials", "12", "--json"),
    ]
    done = subprocess.run(
        [*command, *options, "--results-dir", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"FAIL search on the GPU: {done.stderr[-2000:]}")
        return False
    result = json.loads(done.stdout)
    good = result["best"]["value"] > 0.9 and result["failed"] == 0
    print(f"{'ok  ' if good else 'FAIL'} search on the GPU: best {result['best']['value']:.3f}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    device = parser.parse_args().device
    if device != "cpu" and not torch.cuda.is_available():
        sys.exit("no GPU here: nothing was checked")
    if device != "cpu":
        print(torch.cuda.get_device_name(device), torch.__version__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = curve(folder / "whole", device, [4])
        checks = [
            close("pause and resume", curve(folder / "paused", device, [1, 3, 4]), whole),
            close("no trace", curve(folder / "warm", device, [4], "hypergradient", eta_h=0.0), whole),
            resumes(folder, device, Half, TOLERANCE),
            resumes(folder, device, HalfRecipe, TOLERANCE),
            resumes(folder, device, Repeatable, 0.0),
            gradients_agree(device),
            costs_are_told(folder, device),
            workers_can_be_forked(),
            own_models(device),
        ]
        if device != "cpu":
            checks += [gpus_are_found(), search(folder / "search")]
    sys.exit(0 if all(checks) else 1)


if __name__ == "__main__":
    main()
