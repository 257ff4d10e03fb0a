"""How the settings of `ohgw-trust` were chosen: many configurations of digits at once, and ASHA replayed.

What is run     150 configurations (random search, seed 0) of the digits task with model=mlp, each refined by
                the project's own strategies on its own problem, then trained for 27 epochs, all at once as
                one batched network: own initial weights, learning rate, momentum, decay, smoothing and
                augmentation each; the order of batches is one for all.
What is told    The share of configurations that reach an accuracy at all; and, from the recorded curves,
                ASHA (rungs 1/3/9/27) with 4 simulated workers, over 200 random orders of the 150
                configurations: the median T@tau over the baseline's, in epochs. The warm start's mini-batches
                count as the part of an epoch that they are.
How             The project's own ASHA, in virtual time, one epoch a unit of it.

    python benchmarks/trust_settings.py                    # all arms; a quarter of an hour on one core
    python benchmarks/trust_settings.py --only ohgw-trust
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asha_core import ASHA, Configuration, Float, RandomSearch, Report, SearchSpace
from asha_core.searchers.listed import Listed
from trials.data.augmentation import affine
from trials.tasks.digits import Digits
from trials.torch_task.learner import fresh_model, load_data
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart import build

EPOCHS, BATCH, WORKERS, ORDERS = 27, 32, 4, 200
TARGETS = (0.90, 0.95, 0.97, 0.98)
BEST_HALF = (10**-1.76, 3.0)  # of the learning rates, in hindsight

_TRUST = {"delta": 0.15, "steps": 4, "batches": 1, "lookahead": 3, "route": "first-order"}
# name -> (strategy, settings, mini-batches)
ARMS: dict[str, tuple[str, dict[str, Any], float]] = {
    "baseline": ("none", {}, 0),
    "literal (ohgw-1step)": ("hypergradient", {}, 7 / 3),
    "prior narrowed": ("none", {}, 0),
    "delta .1, 3 steps, H=1, significant over 2": (
        "trust",
        {"delta": 0.1, "steps": 3, "batches": 2, "lookahead": 1},
        6,
    ),
    "delta .1, 3 steps, H=1": ("trust", {"delta": 0.1, "steps": 3, "lookahead": 1}, 3),
    "delta .1, 3 steps, H=3, first-order": ("trust", {**_TRUST, "delta": 0.1, "steps": 3}, 6),
    "delta .1, 3 steps, H=3, exact": (
        "trust",
        {**_TRUST, "delta": 0.1, "steps": 3, "route": "tangents"},
        14,
    ),
    "delta .15, 4 steps, H=3, first-order (ohgw-trust)": ("trust", _TRUST, 8),
    "the same, significant over 2": ("trust", {**_TRUST, "batches": 2, "threshold": 1.0}, 16),
    "the same, lr and momentum": ("trust", {**_TRUST, "mask": ["lr", "momentum"]}, 8),
    "the same length at random (trust-matched)": ("random-matched", {"of": "trust", **_TRUST}, 8),
    "the wrong way (trust-flipped)": ("flipped", {"of": "trust", **_TRUST}, 8),
}


class Batched:
    """All configurations of an arm as one network."""

    def __init__(self, task: Digits, configurations: Sequence[Configuration]) -> None:
        weights = [
            [p.detach() for p in fresh_model(task, c, 1000 + i, "cpu").parameters()]
            for i, c in enumerate(configurations)
        ]
        self.weights = [torch.stack(each).requires_grad_() for each in zip(*weights, strict=True)]
        self.count = len(configurations)
        names = ("lr", "weight_decay", "momentum", "magnitude", "label_smoothing")
        columns = (torch.tensor([c[name] for c in configurations]) for name in names)
        self.lr, self.decay, self.momentum, self.magnitude, self.smoothing = columns
        self.velocity: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(count, B, 64) -> (count, B, 10)."""
        for k in range(0, len(self.weights), 2):
            x = torch.baddbmm(self.weights[k + 1][:, None, :], x, self.weights[k].transpose(1, 2))
            if k < len(self.weights) - 2:
                x = x.relu()
        return x

    def step(self, x: Tensor, y: Tensor, draws: Tensor, factor: float) -> None:
        """One mini-batch: x (B, 1, 8, 8), draws (B, 4) in [-1, 1]."""
        amounts = (draws[None] * self.magnitude[:, None, None]).reshape(-1, 4)
        angle, scale = amounts[:, 0] * math.radians(20), 1 + amounts[:, 1] * 0.2
        warped = affine(x.repeat(self.count, 1, 1, 1), angle, scale, amounts[:, 2:] * 0.25)
        z = torch.log_softmax(self.forward(warped.reshape(self.count, -1, 64)), -1)
        right = -z.gather(2, y.expand(self.count, -1)[..., None])[..., 0].mean(1)
        loss = (1 - self.smoothing) * right - self.smoothing * z.mean((1, 2))
        gradients = torch.autograd.grad(loss.sum(), self.weights)
        with torch.no_grad():
            after = []
            for k, (weights, g) in enumerate(zip(self.weights, gradients, strict=True)):
                lr, decay, m = (
                    t.view(-1, *[1] * (weights.ndim - 1))
                    for t in (self.lr * factor, self.decay, self.momentum)
                )
                d = g + decay * weights
                v = d if self.velocity is None else m * self.velocity[k] + d
                weights.sub_(lr * (d + m * v))
                after.append(v)
            self.velocity = after


def curves(task: Digits, configurations: Sequence[Configuration]) -> Any:
    """(count, EPOCHS) validation accuracies."""
    train, valid = load_data(task, "cpu")
    (x, y), (vx, vy) = (next(iter(source.ordered(10**6))) for source in (train, valid))
    batched, generator = Batched(task, configurations), torch.Generator().manual_seed(5)
    steps, rows = len(x) // BATCH, []
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for step in range(steps):
            at = order[step * BATCH : (step + 1) * BATCH]
            draws = torch.rand(BATCH, 4, generator=generator) * 2 - 1
            factor = 0.5 * (1 + math.cos(math.pi * (epoch + step / steps) / EPOCHS))
            batched.step(x[at], y[at], draws, factor)
        with torch.no_grad():
            guess = batched.forward(vx.reshape(1, -1, 64).expand(batched.count, -1, -1)).argmax(-1)
            rows.append((guess == vy).double().mean(1))
    return torch.stack(rows, 1).numpy()


def replay(
    space: SearchSpace,
    configurations: Sequence[Configuration],
    curve: Any,
    cost: float,
    targets: Sequence[float] = TARGETS,
) -> Any:
    """(ORDERS, targets) epochs of all workers together until each target; infinite: never.

    Args:
        curve: (configurations, epochs) accuracies. cost: of a warm start, in epochs.
    """
    reached = np.full((ORDERS, len(targets)), np.inf)
    for number in range(ORDERS):
        order = random.Random(number).sample(range(len(configurations)), len(configurations))
        scheduler = ASHA(
            space,
            max_resource=curve.shape[1],
            max_trials=len(order),
            searcher=Listed([configurations[i] for i in order], RandomSearch(space, 0)),
        )
        now, best, running = 0.0, 0.0, list[tuple[float, int, Any, int]]()
        ticket = 0
        while True:
            while len(running) < WORKERS and (job := scheduler.ask()) is not None:
                begin = now + (cost if job.start == 0 else 0.0)
                heapq.heappush(running, (begin + 1, ticket, job, job.start + 1))
                ticket += 1
            if not running:
                break
            now, _, job, unit = heapq.heappop(running)
            value = float(curve[order[job.trial], unit - 1])
            if value > best:
                best = value
                better = [k for k, tau in enumerate(targets) if value >= tau]
                reached[number, better] = np.minimum(reached[number, better], now * WORKERS)
            scheduler.tell(Report(job.trial, job.attempt, unit, value, 1.0))
            if unit < job.until:
                heapq.heappush(running, (now + 1, ticket, job, unit + 1))
                ticket += 1
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=int, default=150)
    parser.add_argument("--only", help="arms by name, with commas; the baseline is always run")
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = Digits("mlp")
    narrow = SearchSpace({**task.space, "lr": Float(*BEST_HALF, log=True)})
    told, base = {}, None
    heads = " | ".join(f"reach {tau:.0%}" for tau in TARGETS)
    print(f"| arm | mini-batches | {heads} | " + " | ".join(f"T@{tau:.0%}" for tau in TARGETS) + " |")
    print("|---|---|" + "---|" * (2 * len(TARGETS)))
    for name, (strategy, settings, cost) in ARMS.items():
        if options.only and name != "baseline" and not any(k in name for k in options.only.split(",")):
            continue
        space = narrow if name == "prior narrowed" else task.space
        proposed = [RandomSearch(space, 0).propose(i) for i in range(options.configurations)]
        warm_start = build(strategy, settings)
        refined = [
            warm_start.refine(TrainingProblem(task, 1000 + i, "cpu"), c, 1000 + i).configuration
            for i, c in enumerate(proposed)
        ]
        curve = np.nan_to_num(curves(task, refined))
        shares = [(curve.max(1) >= tau).mean() for tau in TARGETS]
        medians = np.median(replay(space, refined, curve, cost / (1077 // BATCH)), axis=0)
        base = medians if base is None else base
        ratios = [
            m / b if np.isfinite(m) and np.isfinite(b) else np.inf for m, b in zip(medians, base, strict=True)
        ]
        told[name] = {"cost": cost, "shares": shares, "medians": medians.tolist(), "ratios": ratios}
        shown = " | ".join([f"{s:.2f}" for s in shares] + [f"{r:.2f}" for r in ratios])
        print(f"| {name} | {cost:.0f} | {shown} |", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(told, file, indent=1)


if __name__ == "__main__":
    main()
