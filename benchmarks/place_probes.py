"""Which few mini-batches tell where a learning rate should be? Candidates beside the rates that are best.

What is run     The first configurations of a tuning task of benchmarks/studies/tables.yaml, each trained to
                the end at a grid of learning rates by ``benchmarks.batched_training``. Its best rate is the
                mean of log10 lr, weighted by exp((best score - its maximum) / TOLERANCE).
                At its initial weights, on half mini-batches: the held-out loss after 1 to 10 steps at rates
                10^0.25 apart; a range test, whose rate grows by that each step; power iterations.
What is told    For each candidate, mean and standard deviation over the configurations of log10 of the best
                rate over the candidate's; with SGD both are effective rates, lr / (1 - momentum), and steps
                are plain, but for "own", which is the strategy ``place`` with the optimiser as it is.

    python -m benchmarks.place_probes digits-mlp --data DIR --folder DIR
    python -m benchmarks.place_probes fashion --data DIR --folder DIR --configurations 20 --rates 10
    python -m benchmarks.place_probes language --data DIR --folder DIR --configurations 20 --rates 7
    python -m benchmarks.place_probes winequality --data DIR --folder DIR --configurations 14 --rates 9
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from asha_core import Configuration
from asha_core.space import Float
from benchmarks.batched_training import train
from benchmarks.published_tables import written
from benchmarks.study_tables import Plan, planned
from trials.spec import TaskSpec
from trials.tasks import task_target
from trials.torch_task.learner import fresh_model, heldout_inputs, load_data, training_inputs
from trials.torch_task.torch_task import TorchTask
from warmstart.problem.data.samples import call
from warmstart.registry import build

TABLES = {"winequality": "quality", "credit_g": "class"}  # name -> column that is guessed
TOLERANCE = {"digits-mlp": 0.01, "fashion": 0.01, "language": 0.15, **dict.fromkeys(TABLES, 0.01)}
# log10 of a rate
SLOWEST = {"digits-mlp": -3.4, "fashion": -3.2, "language": -3.3, **dict.fromkeys(TABLES, -5.0)}
STEP = 0.25  # decades
RISES = (1.2, 1.5, 2.0, 3.0)
# steps, factor, looks of the strategy
OWN = ((1, 1.2, 6), (2, 1.5, 6), (3, 1.2, 5), (3, 1.5, 5))


def plan_of(name: str, folder: Path, data: Path) -> Plan:
    """A task of tables.yaml; or a small network on another table, with AdamW, for 9 passes."""
    if name not in TABLES:
        return planned(name, "wide", folder, data)
    folder.mkdir(parents=True, exist_ok=True)
    table = str(written(data / "tabular", name, folder)[0])
    options = {"model": "mlp", "data": table, "target": TABLES[name], "width": 32}
    task = cast(TorchTask, TaskSpec(task_target("tabular"), options).build())
    task.prepare()
    return Plan(name, "tuning", task, 9, 1, 0, {})


def best_rates(plan: Plan, count: int, grid: Any, file: Path) -> Any:
    """log10 of each configuration's best rate, (count,)."""
    if not file.exists():
        rate = plan.task.space["lr"]
        assert isinstance(rate, Float)
        chosen, seeds = [], []
        for configuration, seed in zip(plan.proposed(count), plan.seeds(count), strict=True):
            for lr in grid:
                values = {**configuration, "lr": rate.from_search(float(lr))}
                chosen.append(plan.task.space.configuration(values))
                seeds.append(seed)
        found = train(plan.task, chosen, seeds, plan.max_resource)
        np.savez(file, value=found.value.reshape(count, len(grid), -1), grid=grid)
    kept = np.load(file)
    sign = 1 if plan.task.mode == "max" else -1
    best = np.nan_to_num(sign * kept["value"], nan=-1e9, neginf=-1e9).max(2)[:count]
    weights = np.exp((best - best.max(1, keepdims=True)) / TOLERANCE[plan.name])
    return (weights * kept["grid"]).sum(1) / weights.sum(1)


class Steps:
    """Steps of one configuration from its initial weights, with plain SGD where it has SGD."""

    def __init__(self, plan: Plan, configuration: Configuration, seed: int) -> None:
        self.task, self.configuration = plan.task, configuration
        self.model = fresh_model(plan.task, configuration, seed, "cpu").train()
        parameters = plan.task.param_groups(self.model, configuration)
        self.optimizer = plan.task.optimizer(parameters, configuration)
        for group in self.optimizer.param_groups:
            if "momentum" in group:
                group |= {"momentum": 0.0, "nesterov": False}
        self.start = {name: each.clone() for name, each in self.model.state_dict().items()}
        self.draws = torch.Generator().manual_seed(seed % 2**31)
        size = plan.task.batch_size // 2
        self.halves = [self._samples(size) for _ in range(10)]
        self.heldout = self._samples(size)
        self.initial = self.heldout_loss()

    def _samples(self, size: int) -> Any:
        return self.task.unpack_batch(load_data(self.task, "cpu")[0].draw(size, self.draws))

    def reset(self) -> None:
        """Back to the initial weights."""
        self.model.load_state_dict(self.start)
        self.optimizer.state.clear()

    def heldout_loss(self) -> float:
        """On the held-out half."""
        with torch.no_grad():
            outputs = call(self.model, heldout_inputs(self.task, self.heldout[0]))
            return _finite(float(self.task.heldout_loss(outputs, self.heldout[1])))

    def loss(self, samples: Any) -> Any:
        """The training loss."""
        inputs = training_inputs(self.task, samples[0], self.configuration, self.draws)
        return self.task.loss(call(self.model, inputs), samples[1], self.configuration)

    def step(self, samples: Any, rate: float) -> float:
        """One step at 10^rate; gives the training loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(samples)
        loss.backward()
        if (norm := getattr(self.task, "max_grad_norm", None)) is not None:
            clip_grad_norm_(self.model.parameters(), norm)
        for group in self.optimizer.param_groups:
            group["lr"] = 10.0**rate
        self.optimizer.step()
        return _finite(loss.item())

    def after(self, count: int, rate: float) -> float:
        """The held-out loss after so many steps."""
        self.reset()
        for samples in self.halves[:count]:
            self.step(samples, rate)
        return self.heldout_loss()

    def range_test(self, rates: Any, samples: Callable[[int], Any]) -> Any:
        """Training losses, one at each rate."""
        self.reset()
        return np.array([self.step(samples(number), rate) for number, rate in enumerate(rates)])

    def sharpness(self) -> tuple[float, float]:
        """(largest eigenvalue of the Hessian after 6 power iterations, norm of the gradient)."""
        self.reset()
        weights = list(self.model.parameters())
        slopes = torch.autograd.grad(self.loss(self.halves[0]), weights, create_graph=True)
        direction = [each.detach() for each in slopes]
        norm = _norm(direction)
        eigenvalue = math.nan
        for _ in range(6):
            size = _norm(direction)
            direction = [each / size for each in direction]
            product = sum((a * b).sum() for a, b in zip(slopes, direction, strict=True))
            assert isinstance(product, torch.Tensor)
            turned = torch.autograd.grad(product, weights, retain_graph=True)
            eigenvalue = sum(float((a * b).sum()) for a, b in zip(turned, direction, strict=True))
            direction = list(turned)
        return eigenvalue, norm


def _norm(tensors: Any) -> float:
    return math.sqrt(sum(float(each.square().sum()) for each in tensors))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 1e30


def _first(rates: Any, above: Any) -> float:
    return float(rates[int(np.argmax(above))]) if above.any() else math.nan


def candidates(steps: Steps, rates: Any, *, curvature: bool) -> dict[str, float]:
    """Name -> log10 of the place that each finds; NaN: none."""
    found: dict[str, float] = {}
    for count in (1, 3, 5, 10):
        losses = np.array([steps.after(count, rate) for rate in rates])
        found[f"{count} steps: least loss"] = float(rates[int(losses.argmin())])
        for rise in RISES:
            found[f"{count} steps: loss x {rise}"] = _first(rates, losses > rise * steps.initial)
    for name, which in (("fresh", None), ("same", steps.halves[0])):
        losses = steps.range_test(rates, lambda n: steps.halves[n % 10] if which is None else which)  # noqa: B023
        smooth = np.convolve(np.pad(np.minimum(losses, 2 * steps.initial), 1, "edge"), np.ones(3), "valid")
        found[f"range test, {name}: least loss"] = float(rates[int(smooth.argmin())])
        for rise in RISES:
            found[f"range test, {name}: loss x {rise}"] = _first(rates, losses > rise * steps.initial)
    if curvature:
        eigenvalue, norm = steps.sharpness()
        found |= {"2 / eigenvalue": math.log10(2 / abs(eigenvalue)), "1 / norm": -math.log10(norm)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=list(TOLERANCE))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where the trained grid is kept")
    parser.add_argument("--configurations", type=int, default=40)
    parser.add_argument("--rates", type=int, default=12, help="of the grid")
    parser.add_argument("--slowest", type=float, help="log10 of the grid's slowest rate")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    plan = plan_of(options.task, options.folder / options.task, options.data)
    rate = plan.task.space["lr"]
    assert isinstance(rate, Float)
    slowest = SLOWEST[options.task] if options.slowest is None else options.slowest
    grid = np.linspace(slowest, rate.search_bounds[1], options.rates)
    count = options.configurations
    best = best_rates(plan, count, grid, options.folder / f"grid-{options.task}.npz")
    proposed = plan.proposed(count)
    adam = "beta1" in plan.task.space
    best_effective = best - [0.0 if adam else math.log10(1 - c["momentum"]) for c in proposed]
    print(f"log10 of the best rate: {best.mean():+.2f} ± {best.std():.2f}; as an effective rate "
          f"{best_effective.mean():+.2f} ± {best_effective.std():.2f}")  # fmt: skip
    rates = np.arange(-3.5 if adam else -3.0, 0.76 if adam else 1.51, STEP)
    rows: list[dict[str, float]] = []
    for configuration, seed in zip(proposed, plan.seeds(count), strict=True):
        row = candidates(Steps(plan, configuration, seed), rates, curvature=not adam)
        for ahead, factor, looks in OWN:
            strategy = build("place", {"lookahead": ahead, "factor": factor, "limit": looks, "below": 1.0})
            outcome = strategy.refine(plan.task.problem(seed, "cpu"), configuration, seed)
            place = outcome.diagnostics.get("place", {}).get("lr", math.nan)
            row[f"own, {ahead} steps: loss x {factor}, {looks} looks"] = place + 1.0
        rows.append(row)
    print("| place | best - place | found |\n|---|---|---|")
    for name in rows[0]:
        away = best_effective - np.array([row[name] for row in rows])
        there = ~np.isnan(away)
        told = f"{away[there].mean():+.2f} ± {away[there].std():.2f}" if there.any() else "-"
        print(f"| {name} | {told} | {there.sum()} of {count} |")


if __name__ == "__main__":
    main()
