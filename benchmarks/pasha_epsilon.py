"""Which curves PASHA's epsilon is measured on, and what it does to a search's length.

Epsilon is the 90th percentile of the final distances of pairs of learning curves that crossed and crossed
back. With several workers some trials are between the two highest rungs when another arrives at the upper.

What is compared  Three rules. *arrived*: the curves of trials that have arrived at the highest unlocked rung
                  count. *on their way*: those beyond the rung below, too, each pair up to the last unit
                  that both have. *every report*: the same, and rankings are compared at every report, not
                  only at arrivals, as in Syne Tune 0.13.
On what           Recorded learning curves, r = 1, eta = 3, in the recorded seconds: a CNN on CIFAR-10 (Klein
                  et al. 2017; 265 configurations, R = 40), and 12 tasks of LCBench through YAHPO's surrogate,
                  whose curves are smooth (300 configurations each, R = 52); all of them, and 60.
n                 Random orders of the configurations: 120 for CIFAR-10, 10 for each task of LCBench.
What is told      Units of a whole search, and their ratio to those of *arrived*; how
                  often each level was the highest unlocked in the end; by how much the configuration with
                  the best value seen falls short, at R, of the best of all; and in how many searches any
                  job was another than that of *arrived*.

    python -m benchmarks.pasha_epsilon DATA          # DATA has lc_cifar10_cnn/ and lc_lcbench_surrogate/
    python -m benchmarks.pasha_epsilon DATA --orders 12 --json FILE
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from asha_core import PASHA, Float, Job, Report, SearchSpace
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.soft_ranking import Curve, crossing_distance
from asha_core.schedulers.state import TrialState
from benchmarks.tables import RESULTS

SLOTS = (1, 4, 16)
FEW = 60  # configurations of a small search; the others take all that there are
SPACE = SearchSpace({"x": Float(0.0, 1.0)})


class OnTheirWay(PASHA):
    """Epsilon from all that are beyond the rung below the highest; written down as it is said, and slow."""

    def begin(self) -> None:
        super().begin()
        self._whole: dict[tuple[int, int], float | None] = {}  # pairs that have both arrived

    def _compare(self, trial: TrialState, loss: float) -> None:
        self._update()
        below = self._curves[trial.id].at(self.levels[self._highest - 1])
        self._ranking.add(below, loss)
        if not self._ranking.agrees(self.epsilon):
            self._unlock()

    def _unlock(self) -> None:
        super()._unlock()
        self._whole.clear()

    def _update(self) -> None:
        top, below = self.levels[self._highest], self.levels[self._highest - 1]
        counted = [(number, curve) for number, curve in self._curves.items() if len(curve.losses) > below]
        found = [self._distance(one, other, top) for one, other in combinations(counted, 2)]
        distances = [distance for distance in found if distance is not None]
        if distances:
            self.epsilon = float(np.percentile(distances, 90))

    def _distance(self, one: tuple[int, Curve], other: tuple[int, Curve], top: int) -> float | None:
        pair = one[0], other[0]
        if pair in self._whole:
            return self._whole[pair]
        end = min(len(one[1].losses), len(other[1].losses), top)
        distance = crossing_distance(one[1].losses[:end], other[1].losses[:end])
        if end == top:
            self._whole[pair] = distance
        return distance


class EveryReport(OnTheirWay):
    """The same, asked whenever a unit is reported."""

    def observed(self, trial: TrialState, resource: int, loss: float) -> None:
        super().observed(trial, resource, loss)
        if self.observes and resource > self.levels[self._highest - 1]:
            self._update()
            if resource < self.levels[self._highest] and not self._ranking.agrees(self.epsilon):
                self._unlock()


RULES: dict[str, type[PASHA]] = {"arrived": PASHA, "on their way": OnTheirWay, "every report": EveryReport}


def curves_of(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(losses, seconds of each unit), (configurations, units) each, by problem."""
    cifar = np.load(data / "lc_cifar10_cnn" / "cifar10_cnn3.npz", allow_pickle=False)
    lcbench = np.load(data / "lc_lcbench_surrogate" / "lcbench_surrogate.npz", allow_pickle=False)
    found = {"CNN on CIFAR-10": (cifar["valid_error"], _each(cifar["time"]))}
    for number, task in enumerate(lcbench["tasks"]):
        losses = 1 - lcbench["valid_accuracy"][number, :300].astype(float) / 10_000
        found[f"LCBench {task.decode()}"] = losses, _each(lcbench["time"][number, :300])
    return found


def _each(cumulative: np.ndarray) -> np.ndarray:
    rising = np.maximum.accumulate(cumulative.astype(float), axis=1)
    return np.maximum(np.diff(rising, axis=1, prepend=0.0), 1e-6)


def search(
    scheduler: Scheduler, losses: np.ndarray, seconds: np.ndarray, slots: int
) -> list[tuple[int, int]]:
    """Run a search in the recorded time; its jobs, as (trial, until)."""
    running: list[tuple[float, int, int, Job]] = []  # when its next unit is there, in which order, which unit
    jobs: list[tuple[int, int]] = []
    now, count = 0.0, 0

    def train(job: Job, unit: int) -> None:
        nonlocal count
        heapq.heappush(running, (now + float(seconds[job.trial, unit - 1]), count, unit, job))
        count += 1

    while True:
        while len(running) < slots and (job := scheduler.ask()) is not None:
            jobs.append((job.trial, job.until))
            train(job, job.start + 1)
        if not running:
            return jobs
        now, _, unit, job = heapq.heappop(running)
        scheduler.tell(Report(job.trial, job.attempt, unit, float(losses[job.trial, unit - 1]), 0.0))
        if unit < job.until:
            train(job, unit + 1)


def measured(
    problem: str, losses: np.ndarray, seconds: np.ndarray, slots: int, orders: int, trials: int
) -> list[dict[str, Any]]:
    """One row a rule: means over the orders."""
    rows = []
    first: list[list[tuple[int, int]]] = []
    for rule, kind in RULES.items():
        units, short, unlocked, jobs = 0, [], Counter[int](), []
        for order in range(orders):
            turn = random.Random(order).sample(range(len(losses)), trials)
            scheduler = kind(SPACE, mode="min", max_resource=losses.shape[1], max_trials=trials, seed=0)
            jobs.append(search(scheduler, losses[turn], seconds[turn], slots))
            units += scheduler.units
            unlocked[scheduler.unlocked] += 1
            assert scheduler.best is not None
            short.append(losses[turn][scheduler.best.trial, -1] - losses[:, -1].min())
        first = first or jobs
        rows.append(
            {
                "problem": problem,
                "slots": slots,
                "rule": rule,
                "searches": orders,
                "units": units / orders,
                "unlocked": {str(level): unlocked[level] for level in sorted(unlocked)},
                "short": float(np.mean(short)),
                "differ": sum(one != other for one, other in zip(first, jobs, strict=True)),
            }
        )
    return rows


def summed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of LCBench's tasks as one a rule and number of slots."""
    cifar = [row for row in rows if not row["problem"].startswith("LCBench")]
    others = [row for row in rows if row["problem"].startswith("LCBench")]

    def kind(row: dict[str, Any]) -> tuple[str, int, str]:
        return row["problem"].partition(", ")[2], row["slots"], row["rule"]

    for trials, slots, rule in sorted(
        dict.fromkeys(map(kind, others)), reverse=True, key=lambda k: len(k[0])
    ):
        alike = [row for row in others if kind(row) == (trials, slots, rule)]
        levels: Counter[str] = Counter()
        for row in alike:
            levels.update(row["unlocked"])
        cifar.append(
            {
                "problem": f"LCBench, {len(alike)} tasks, {trials}",
                "slots": slots,
                "rule": rule,
                "searches": sum(row["searches"] for row in alike),
                "units": float(np.mean([row["units"] for row in alike])),
                "unlocked": {level: levels[level] for level in sorted(levels, key=int)},
                "short": float(np.mean([row["short"] for row in alike])),
                "differ": sum(row["differ"] for row in alike),
            }
        )
    return cifar


def markdown(content: dict[str, Any]) -> str:
    """The table that the documentation has."""
    lines = [
        "| curves | workers | rule | decided otherwise | units | ratio | highest level "
        "| falls short, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = {
        (row["problem"], row["slots"]): row["units"] for row in content["rows"] if row["rule"] == "arrived"
    }
    for row in content["rows"]:
        ratio = row["units"] / base[row["problem"], row["slots"]]
        levels = ", ".join(f"{level}: {times}" for level, times in row["unlocked"].items())
        lines.append(
            f"| {row['problem']} | {row['slots']} | {row['rule']} | {row['differ']} of {row['searches']} | "
            f"{row['units']:.0f} | {ratio:.3f} | {levels} | {100 * row['short']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--orders", type=int, default=120, help="of CIFAR-10; of each task of LCBench a 12th")
    parser.add_argument("--json", type=Path, default=RESULTS / "pasha_epsilon.json")
    options = parser.parse_args()
    rows = []
    for problem, (losses, seconds) in curves_of(options.data).items():
        orders = options.orders if problem.startswith("CNN") else max(options.orders // 12, 1)
        for trials in (len(losses), FEW):
            for slots in SLOTS:
                name = f"{problem}, {trials} trials"
                rows += measured(name, losses, seconds, slots, orders, trials)
                print(*rows[-3:], sep="\n", flush=True)
    content = {"rows": summed(rows), "problems": rows}
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    print(markdown(content))


if __name__ == "__main__":
    main()
