"""What a warm start costs on a GPU, and that it is right there: python benchmarks/gpu/warm_start_cost.py

1. `benchmarks/warm_start_cost.py` on ResNet-20 with batch 128, in float32 and in bfloat16; TF32 is off.
2. The hyper-gradient on the GPU in float32 against the CPU's in float64, to 1% of the largest entry.
3. A warm start with eta_h = 0 leaves no trace: random states are as before, and the losses of the first
   20 training steps are those without it, to the last bit.

Needs no data and no network. With --device cpu it checks itself, with digits in the place of ResNet-20.
Figures go to benchmarks/results/warm_start_cost_gpu_*.json (--folder).
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import warm_start_cost as cost  # noqa: E402 - found only now
from trials.tasks.cifar import SPACE  # noqa: E402
from trials.torch_task.learner import fresh_model  # noqa: E402
from warmstart.problem.model_problem import ModelProblem  # noqa: E402
from warmstart.strategies.hypergradient import HyperGradient  # noqa: E402

TOLERANCE = 0.01


def told(good: bool, what: str) -> bool:
    print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)
    return good


def gradient(device: str, dtype: torch.dtype) -> dict[str, float]:
    """Of ResNet-20 on fixed images; no augmentation, whose draws come from the device's own generator."""
    task = cost.task_of("resnet20", "sgd", 128)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(128, 3, 32, 32, generator=generator, dtype=torch.float64)
    targets = torch.randint(10, (128,), generator=generator)

    def model(config: Any) -> torch.nn.Module:
        return fresh_model(task, config, 0, "cpu").to(device, dtype)

    problem = ModelProblem(
        SPACE,
        model=model,
        optimizer=lambda network, config: task.optimizer(network.parameters(), config),
        data=lambda draw: (images.to(device, dtype), targets.to(device)),
        loss=task.loss,
        heldout_loss=task.heldout_loss,
        device=device,
    )
    configuration = SPACE.configuration(cost.VALUES)
    found: dict[str, float] = (
        HyperGradient(eta_h=0.0).refine(problem, configuration, 0).diagnostics["gradient"]
    )
    return found


def agrees(device: str) -> bool:
    exact, here = gradient("cpu", torch.float64), gradient(device, torch.float32)
    largest = max(map(abs, exact.values()))
    worst = max(abs(here[name] - exact[name]) for name in exact) / largest
    for name, slope in exact.items():
        print(f"     {name:16s} {slope:+.6e} (float64, CPU) {here[name]:+.6e} (float32, {device})")
    return told(worst <= TOLERANCE, f"hyper-gradient against float64: {worst:.4%} of the largest entry")


def states(device: str) -> list[Any]:
    found = [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()]
    return found if device == "cpu" else [*found, torch.cuda.get_rng_state(device)]


def same(left: Any, right: Any) -> bool:
    return torch.equal(left, right) if isinstance(left, Tensor) else left == right


def losses(case: cost.Case, warm: bool) -> tuple[list[float], bool]:
    """(losses of the first 20 training steps, whether the random states are as they were)."""
    torch.manual_seed(0)
    before = states(case.device)
    if warm:
        HyperGradient(eta_h=0.0).refine(case.task.problem(0, case.device), case.config, 0)
    clean = all(same(a, b) for a, b in zip(before, states(case.device), strict=True))
    loop, found = cost.Loop(case.task, case.config, case.device), []
    for _ in range(20):
        loop.step()
        found.append(loop.loss.item())
    return found, clean


def leaves_no_trace(device: str, model: str) -> bool:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    case = cost.Case(model, "sgd", cost.MODELS[model], device)
    plain, _ = losses(case, warm=False)
    again, _ = losses(case, warm=False)
    after, clean = losses(case, warm=True)
    good = told(clean, "random states are as they were")
    if plain != again:
        worst = max(abs(a - b) for a, b in zip(plain, again, strict=True))
        return told(False, f"training itself is not repeatable here (losses differ by {worst:.2e})") and good
    return told(plain == after, "20 losses after a warm start with eta_h = 0, to the last bit") and good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    device = options.device
    if device != "cpu" and not torch.cuda.is_available():
        sys.exit("no GPU here: nothing was measured")
    model = "digits-cnn" if device == "cpu" else "resnet20"
    for precision in ("full", "usual"):  # float32; what the training loop takes by itself: bfloat16
        print(f"\n{model}, {precision} precision")
        rounds = ["--quick"] if device == "cpu" else ["--repeats", "15", "--number", "5"]
        file = options.folder / f"warm_start_cost_gpu_{precision}.json"
        cost.main(
            ["--model", model, "--device", device, "--precision", precision, "--json", str(file), *rounds]
        )
    print()
    torch.backends.cudnn.allow_tf32 = False
    sys.exit(0 if all([agrees(device), leaves_no_trace(device, model)]) else 1)


if __name__ == "__main__":
    main()
