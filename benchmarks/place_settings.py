"""How the settings of `ohgw-place` were chosen: arms of a tuning task of the study, trained and replayed.

What is run     The first configurations of a task of benchmarks/studies/tables.yaml (its tuning half), each
                refined by a strategy as a worker would, and trained by ``benchmarks.batched_training``.
What is told    The share of configurations whose best value reaches the targets, which are the values that
                10, 3 and 1% of the baseline's reach; and ASHA replayed over the curves, with 4 workers,
                configurations drawn with replacement: the ratio of median T@tau to the baseline's. Time is
                counted in mini-batches, those of the warm starts too; once more as if a unit had 352.
Controls        `narrow`: the space within a decade about a pilot's best rate; `narrow-effective`: within a
                decade about the pilot's best effective rate.

    python -m benchmarks.place_settings digits-mlp --data DIR --folder DIR
    python -m benchmarks.place_settings digits-mlp --data DIR --folder DIR --arms baseline,place,trust
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asha_core import ASHA, Configuration, Curves, simulate
from asha_core.simulation.table_searcher import TableSearcher
from benchmarks.batched_training import train
from benchmarks.study_tables import Plan, planned
from warmstart.moves import movable
from warmstart.placing import mapped
from warmstart.registry import build

WORKERS, LONG = 4, 352
SHARES = (0.10, 0.03, 0.01)
# name -> (strategy, settings, mini-batches)
ARMS: dict[str, tuple[str, dict[str, Any], float]] = {
    "baseline": ("none", {}, 0),
    "narrow": ("none", {}, 0),
    "narrow-effective": ("none", {}, 0),
    "trust": ("trust", {}, 8),
    "place": ("place", {}, 4.2),
    "place, width .3": ("place", {"width": 0.3}, 4.2),
    "place, width 1": ("place", {"width": 1.0}, 4.2),
    "place, .3 higher": ("place", {"below": 0.7}, 4.2),
}


def curves_of(plan: Plan, name: str, count: int, folder: Path, data: Path) -> Curves:
    """One arm's curves, from its file if there is one."""
    file = folder / f"{plan.name}, {name}.npz"
    if file.exists():
        return Curves.load(file)
    strategy, settings, cost = ARMS[name]
    if name == "narrow":
        plan = planned(plan.name, "narrow", folder, data)
    proposed, seeds = plan.proposed(count), plan.seeds(count)
    refined = proposed
    if name == "narrow-effective":
        refined = _about_the_pilots_effective_rate(plan, proposed, folder)
    elif strategy != "none":
        warm_start = build(strategy, settings)
        refined = [
            warm_start.refine(plan.task.problem(seed, "cpu"), c, seed).configuration
            for c, seed in zip(proposed, seeds, strict=True)
        ]
    found = train(plan.task, refined, seeds, plan.max_resource)
    batches = [[float(plan.steps)] * plan.max_resource] * count
    curves = Curves.from_arrays(
        plan.task.space,
        proposed,
        found.value[None],
        seconds=np.array([batches]),
        mode=plan.task.mode,
        arms=[name],
        refined={(0, row): each for row, each in enumerate(refined)},
        warm_seconds=np.full((1, count), float(cost)),
        length=np.full((1, count), plan.max_resource, dtype=np.int32),
    )
    curves.save(file)
    return curves


def _about_the_pilots_effective_rate(
    plan: Plan, proposed: Sequence[Configuration], folder: Path
) -> list[Configuration]:
    """Ranks of rates mapped into a decade about the pilot's best lr / (1 - momentum)."""
    planned(plan.name, "narrow", folder, None) if not (folder / "pilot.npz").exists() else None
    pilot = Curves.load(folder / "pilot.npz")
    last = np.nan_to_num(pilot.value[0, :, -1] * (1 if pilot.mode == "max" else -1), nan=-np.inf)
    best = pilot.configurations[int(last.argmax())]
    assert "lr" in movable(plan.task.space, best)

    def slower(c: Mapping[str, Any]) -> float:
        return math.log10(1 - c.get("momentum", 0.0))

    place = {"lr": math.log10(best["lr"]) - slower(best)}
    return [mapped(plan.task.space, c, place, 1.0, {"lr": slower(c)}) for c in proposed]


def gains(curves: Curves) -> Any:
    """(N, U) values, higher is better; what diverged is the worst."""
    sign = 1 if curves.mode == "max" else -1
    return np.nan_to_num(sign * curves.value[0], nan=-np.inf)


def reached(curves: Curves, targets: Sequence[float], seeds: int, cost: float) -> Any:
    """(seeds, targets) mini-batches of the clock until each target; infinite: never.

    Args:
        targets: as gains.
        cost: mini-batches of a warm start.
    """
    priced = Curves.from_arrays(
        curves.space,
        curves.configurations,
        curves.value,
        seconds=curves.seconds,
        mode=curves.mode,
        arms=curves.arms,
        warm_seconds=np.full((1, len(curves.configurations)), cost),
        length=curves.length,
    )
    times = np.full((seeds, len(targets)), np.inf)
    sign = 1 if curves.mode == "max" else -1
    for seed in range(seeds):
        searcher = TableSearcher(curves.space, curves.configurations, seed, resample=True)
        scheduler = ASHA(
            curves.space,
            max_resource=len(curves.units),
            max_trials=4 * len(curves.configurations),
            searcher=searcher,
        )
        found = simulate(scheduler, priced, workers=WORKERS, stop_at=sign * max(targets))
        for k, target in enumerate(targets):
            time = found.time_to(sign * target)
            times[seed, k] = np.inf if time is None else time
    return times


def resampled(curves: Curves, rows: Any) -> Curves:
    """The curves of some configurations, each as often as it is named."""
    return Curves.from_arrays(
        curves.space,
        [curves.configurations[row] for row in rows],
        curves.value[:, rows],
        seconds=None if curves.seconds is None else curves.seconds[:, rows],
        mode=curves.mode,
        arms=curves.arms,
        length=curves.length[:, rows],
    )


def bootstrapped(
    plan: Plan, arms: Mapping[str, Curves], targets: Sequence[float], times: int, seeds: int
) -> None:
    """Print each arm's ratios of median T@tau over samples of the configurations: median and 95% interval."""
    count = len(arms["baseline"].configurations)
    medians: dict[str, list[Any]] = {name: [] for name in arms}
    for sample in range(times):
        rows = np.random.default_rng(sample).integers(0, count, count)
        for name, curves in arms.items():
            price = ARMS[name][2] * plan.steps / LONG
            found = reached(resampled(curves, rows), targets, seeds, price)
            medians[name].append(np.median(found, axis=0))
    print(f"\n{times} samples of the configurations, at 352 mini-batches a unit")
    for name, each in medians.items():
        with np.errstate(invalid="ignore"):
            ratios = np.nan_to_num(np.array(each) / np.array(medians["baseline"]), nan=1.0, posinf=20.0)
        low, middle, high = np.quantile(ratios, [0.025, 0.5, 0.975], axis=0)
        told = (f"{m:.2f} ({a:.2f} to {b:.2f})" for a, m, b in zip(low, middle, high, strict=True))
        print(f"| {name} | {' | '.join(told)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", help="of the tuning half of benchmarks/studies/tables.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where the arms' curves are kept")
    parser.add_argument("--configurations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--arms", help="by name, with semicolons; the baseline is always among them")
    parser.add_argument(
        "--bootstrap", type=int, default=0, help="so many samples of the configurations: intervals at 352"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder / options.task
    plan = planned(options.task, "wide", folder, options.data)
    if plan.half != "tuning":
        raise SystemExit(f"{options.task} is of the half that is judged on: settings are not chosen there")
    folder.mkdir(parents=True, exist_ok=True)
    names = ["baseline", *([n for n in ARMS if n != "baseline"])]
    if options.arms:
        names = ["baseline", *(n for n in options.arms.split(";") if n != "baseline")]
    targets: list[float] = []
    base: dict[str, Any] = {}
    arms: dict[str, Curves] = {}
    print("| arm | mini-batches | share: 10% | 3% | 1% | T@10% | T@3% | T@1% | at 352: T@10% | T@3% | T@1% |")
    print("|---|---|" + "---|" * 9)
    for name in names:
        curves = arms[name] = curves_of(plan, name, options.configurations, folder, options.data)
        best = gains(curves).max(1)
        if not targets:
            targets = [float(np.sort(best)[::-1][round(s * len(best)) - 1]) for s in SHARES]
        shares = [(best >= target).mean() for target in targets]
        cost = ARMS[name][2]
        cells = []
        for kind, price in (("own", cost), ("long", cost * plan.steps / LONG)):
            medians = np.median(reached(curves, targets, options.seeds, price), axis=0)
            cells += [f"{m / b:.2f}" for m, b in zip(medians, base.setdefault(kind, medians), strict=True)]
        print(f"| {name} | {cost:g} | {' | '.join([f'{s:.3f}' for s in shares] + cells)} |", flush=True)
    if options.bootstrap:
        bootstrapped(plan, arms, targets, options.bootstrap, options.seeds)


if __name__ == "__main__":
    main()
