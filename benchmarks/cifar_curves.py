"""Warm starts on real CIFAR-10: configurations trained to the end, and ASHA replayed over random orders.

What is run     60 configurations (random search, seed 0) of real CIFAR-10 with a small network
                (`study_tasks.SmallCifar`: 2,250 training images, batches of 64, so 35 mini-batches an epoch),
                each refined by the arm's warm start and then trained for 9 epochs by the project's own loop.
What is told    The share of configurations that reach an accuracy; the mean of their best ones, with the
                standard error of the paired difference to the baseline; and the median T@tau over the
                baseline's, from ASHA (rungs 1/3/9) with 4 simulated workers over 200 orders, as in
                `trust_settings.py`. After the table: the fifth best accuracy, and the same ratios of T@tau
                were the warm starts free.

    python benchmarks/cifar_curves.py --data-dir DIR        # DIR holds cifar-10-batches-py/
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from study_tasks import NarrowedSmallCifar, SmallCifar
from trust_settings import replay

from asha_core import Configuration, Job, RandomSearch, Refined, Report
from trials.worker.job_runner import JobRunner, WorkerSettings

EPOCHS, STEPS = 9, 35
TARGETS = (0.20, 0.25, 0.30, 0.35)
ARMS: dict[str, tuple[str, dict[str, Any], float]] = {
    "baseline": ("none", {}, 0),
    "ohgw-1step": ("hypergradient", {}, 7 / 3),
    "ohgw-trust": ("trust", {}, 8),
    "trust-matched": ("random-matched", {"of": "trust"}, 8),
    "prior-narrowed": ("none", {}, 0),
}


def trained(
    task: SmallCifar, strategy: str, settings: dict[str, Any], count: int
) -> tuple[list[Configuration], Any]:
    """(refined configurations, (count, EPOCHS) accuracies)."""
    refined, curves = [], []
    with tempfile.TemporaryDirectory() as directory:
        checkpoints = Path(directory) / "checkpoints"
        checkpoints.mkdir()
        runner = JobRunner(WorkerSettings(task, directory, EPOCHS, strategy, settings), "cpu", inline=True)
        for i in range(count):
            configuration = RandomSearch(task.space, 0).propose(i)
            events: list[Any] = []
            runner.run(Job(i, configuration, 0, EPOCHS, 0, 1000 + i, refine=True), events.append)
            told = [event.configuration for event in events if isinstance(event, Refined)]
            refined.append(told[0] if told else configuration)
            curves.append([event.value for event in events if isinstance(event, Report)])
            for file in checkpoints.iterdir():
                file.unlink()
    return refined, np.array(curves)


def against(bases: dict[str, Any], which: str, medians: Any) -> list[float | None]:
    """Medians over the first arm's of this kind, which is the baseline; None where one was not reached."""
    base = bases.setdefault(which, medians)
    return [
        float(m / b) if np.isfinite(m) and np.isfinite(b) else None
        for m, b in zip(medians, base, strict=True)
    ]


def shown_ratios(ratios: list[float | None]) -> str:
    return " | ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--configurations", type=int, default=60)
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told, bases, base_curve = {}, dict[str, Any](), None
    beside = []  # what is told after the table
    heads = " | ".join(f"reach {tau:.0%}" for tau in TARGETS)
    print(f"| arm | mini-batches | {heads} | mean best | against baseline | ", end="")
    print(" | ".join(f"T@{tau:.0%}" for tau in TARGETS) + " |")
    print("|---|---|" + "---|" * (2 * len(TARGETS) + 2))
    for name, (strategy, settings, cost) in ARMS.items():
        kind = NarrowedSmallCifar if name == "prior-narrowed" else SmallCifar
        task = kind(options.data_dir, subset=0.05, download=False)
        refined, curve = trained(task, strategy, settings, options.configurations)
        best = curve.max(1)
        base_curve = best if base_curve is None else base_curve
        difference = best - base_curve
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        shares = [(best >= tau).mean() for tau in TARGETS]
        ratios, free = (
            against(bases, which, np.median(replay(task.space, refined, curve, paid, TARGETS), axis=0))
            for which, paid in (("as it is", cost / STEPS), ("free", 0.0))
        )
        told[name] = {"shares": shares, "ratios": ratios, "free": free, "curves": curve.tolist()}
        fifth = f"{np.sort(best)[-5]:.3f}" if len(best) >= 5 else "-"
        beside.append(f"{name}: fifth best {fifth}; were it free, T@tau: {shown_ratios(free)}")
        shown = " | ".join(f"{share:.2f}" for share in shares)
        times = shown_ratios(ratios)
        gain = f"{best.mean():.3f} | {difference.mean():+.3f} ({error:.3f})"
        print(f"| `{name}` | {cost:.1f} | {shown} | {gain} | {times} |", flush=True)
        if options.json:  # after every arm: they take minutes each
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(told, file, indent=1)
    print("\n".join(["", *beside]))


if __name__ == "__main__":
    main()
