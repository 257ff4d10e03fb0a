"""The first study: do warm starts shorten the time to a target? Paired searches on digits, or on CIFAR-10.

What is run     `asha-run` with every arm below and every seed, one worker in this process (--gpus inline), so
                that searches of one seed differ by their warm start and by nothing else: one and the same
                stream of configurations, initial weights, order of batches. Within a seed the arms run in
                random order.
What is told    T@tau: epochs that all trials together had trained when the best validation accuracy so
                far first reached tau; a warm start counts as the part of an epoch that its mini-batches of
                arithmetic are. Seconds, with the warm starts' own time in them, beside it. All searches are
                cut at one budget, the epochs of the shortest one; one that did not get there by then is
                censored at the budget, and stays in.
How             Ratios of Kaplan-Meier medians to the baseline's (of means restricted to the budget where one
                is undefined, and then in every bootstrap draw), with a bootstrap interval over seeds;
                two-sided Wilcoxon signed-rank tests on paired log T (zero_method="pratt"): two that are both
                censored are a tie. Holm's correction over the arms.
Targets         Fixed before the runs: TARGETS, below. The settings of `ohgw-trust` were chosen on digits with
                another network (model=mlp) and other seeds.

    python benchmarks/warm_start_study.py run --study digits --dir DIR --seeds 24       # goes on where it was
    python benchmarks/warm_start_study.py tell --study digits --dir DIR                 # tables, in Markdown

`prior-narrowed` is a control that a user cannot have: the baseline, in a space whose learning rate is
narrowed to the half of its range that is best in hindsight (on digits; on CIFAR-10 it is the same half).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
VARIATIONS = (
    "baseline",
    "random-warm",
    "random-matched",
    "ohgw-1step",
    "ohgw-3step",
    "ohgw-flipped",
    "ohgw-brake",
    "ohgw-screen",
    "ohgw-trust",
    "ohgw-screen-trust",
    "trust-matched",
    "trust-flipped",
)
NARROWED = "prior-narrowed"
# mini-batches of arithmetic a configuration, as warmstart.registry has them, with L = A = 1
COSTS = {
    "random-matched": 7 / 3,
    "ohgw-1step": 7 / 3,
    "ohgw-3step": 7.0,
    "ohgw-flipped": 7 / 3,
    "ohgw-brake": 5 / 6,
    "ohgw-screen": 5 / 6,
    "ohgw-trust": 8.0,
    "ohgw-screen-trust": 8 + 5 / 6,
    "trust-matched": 8.0,
    "trust-flipped": 8.0,
}


@dataclass(frozen=True)
class Study:
    """task: asha-run's. narrowed: the task with the narrow prior. steps: mini-batches in an epoch."""

    task: tuple[str, ...]
    narrowed: tuple[str, ...]
    arms: tuple[str, ...]
    search: tuple[str, ...]
    targets: tuple[float, ...]
    steps: int


STUDIES = {
    "digits": Study(
        ("digits",),
        ("study_tasks:NarrowedDigits",),
        (*VARIATIONS, NARROWED),
        ("--max-trials", "27"),
        (0.95, 0.97, 0.98),
        33,
    ),
    "cifar": Study(
        ("study_tasks:SmallCifar", "--task-option", "subset=0.05"),
        ("study_tasks:NarrowedSmallCifar", "--task-option", "subset=0.05"),
        ("baseline", "ohgw-1step", "ohgw-trust", "trust-matched", NARROWED),
        ("--max-trials", "27", "--max-resource", "9"),
        (0.25, 0.30, 0.35),
        35,
    ),
}


def command(study: Study, arm: str, seed: int, directory: Path, data: str | None) -> list[str]:
    """asha-run's arguments."""
    task = study.narrowed if arm == NARROWED else study.task
    variation = "baseline" if arm == NARROWED else arm
    where = ["--data-dir", data] if data is not None else []
    return [
        *("--task", *task, *where, "--variation", variation, "--seed", str(seed), *study.search),
        *("--gpus", "inline", "--progress", "none", "--results-dir", str(directory)),
    ]


def run(study: Study, directory: Path, seeds: list[int], data: str | None) -> None:
    import torch

    from asha_core.cli.run import main as asha_run

    torch.set_num_threads(1)
    sys.path.insert(0, str(HERE))
    for seed in seeds:
        arms = list(study.arms)
        random.Random(seed).shuffle(arms)
        for arm in arms:
            where = directory / arm / f"seed-{seed}"
            if (where / "results.json").exists():
                continue
            arguments = command(study, arm, seed, where, data)
            if (where / "journal.jsonl").exists():
                arguments.append("--resume")
            print("asha-run", shlex.join(arguments), flush=True)
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                status = asha_run(arguments)
            if status != 0:
                raise SystemExit(f"it ended with status {status}")
            for checkpoint in (where / "checkpoints").glob("*.pt"):
                checkpoint.unlink()  # the journal is what counts here


def spent(run_: Any, cost: float) -> Any:
    """Epochs trained by each report, and the warm starts before it as parts of an epoch."""
    begun = np.maximum.accumulate(run_.trial) + 1  # one worker: trials begin in order
    return run_.units + cost * begun


def load_arms(directory: Path, study: Study, seeds: list[int]) -> dict[str, list[Any]]:
    from analysis.journals.runs import load_run

    return {arm: [load_run(directory / arm / f"seed-{seed}") for seed in seeds] for arm in study.arms}


def times(study: Study, arm: str, runs: list[Any], tau: float, budget: float) -> tuple[Any, Any, Any]:
    """(epochs, seconds, censored) of each search; the first cut at the budget."""
    t, seconds, censored = [], [], []
    for run_ in runs:
        reached = np.maximum.accumulate(run_.value) >= tau
        epochs = spent(run_, COSTS.get(arm, 0.0) / study.steps)
        first = int(np.argmax(reached)) if reached.any() else -1
        late = first < 0 or epochs[first] > budget
        t.append(budget if late else epochs[first])
        seconds.append(run_.t[np.searchsorted(epochs, budget, "right") - 1] if late else run_.t[first])
        censored.append(late)
    return np.array(t, float), np.array(seconds, float), np.array(censored)


def km_median(t: Any, censored: Any) -> float:
    """The Kaplan-Meier median, infinite where it is undefined."""
    from scipy.stats import CensoredData, ecdf

    survival = ecdf(CensoredData.right_censored(t, censored)).sf
    below = survival.probabilities <= 0.5
    return float(survival.quantiles[below][0]) if below.any() else np.inf


def summary(t: Any, censored: Any, medians: bool) -> float:
    """The median, or the mean restricted to the budget; a median beyond the budget counts as the budget."""
    return min(km_median(t, censored), float(t.max())) if medians else float(t.mean())


def holm(p: list[float]) -> list[float]:
    order = np.argsort(p)
    adjusted, highest = np.empty(len(p)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted.tolist()


def compare(study: Study, arms: dict[str, list[Any]], tau: float, budget: float) -> list[dict[str, Any]]:
    from scipy.stats import wilcoxon

    t0, s0, c0 = times(study, "baseline", arms["baseline"], tau, budget)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(t0), (2000, len(t0)))
    rows = []
    for arm in study.arms:
        t, s, c = times(study, arm, arms[arm], tau, budget)
        row: dict[str, Any] = {"arm": arm, "reached": int((~c).sum()), "median": km_median(t, c)}
        if arm != "baseline":
            both = bool(np.isfinite(km_median(t, c)) and np.isfinite(km_median(t0, c0)))
            boot = [summary(t[d], c[d], both) / summary(t0[d], c0[d], both) for d in draws]
            row["ratio"] = summary(t, c, both) / summary(t0, c0, both)
            row["ratio_of"] = "medians" if both else "restricted means"
            row["ratio_s"] = summary(s, c, both) / summary(s0, c0, both)
            row["interval"] = np.quantile(boot, [0.025, 0.975]).tolist()
            difference = np.log(t) - np.log(t0)
            same = not np.any(difference)
            row["p"] = 1.0 if same else float(wilcoxon(difference, zero_method="pratt").pvalue)
            row["sd"] = float(difference.std(ddof=1))
        rows.append(row)
    others = [row for row in rows if "p" in row]
    for row, adjusted in zip(others, holm([row["p"] for row in others]), strict=True):
        row["p_holm"] = adjusted
    return rows


def shares(study: Study, arms: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """What the warm starts cost and moved, and what was found in the end."""
    from analysis.journals.metrics import best_so_far

    base = None
    rows = []
    for arm in study.arms:
        runs = arms[arm]
        trials = [trial for run_ in runs for trial in run_.trials.values()]
        best = np.array([best_so_far(run_).value[-1] for run_ in runs])
        base = best if base is None else base
        moved = [abs(trial.diagnostics.get("step", {}).get("lr", 0.0)) for trial in trials]
        spent = sum(trial.warm_start_seconds for trial in trials)
        rows.append(
            {
                "arm": arm,
                "best": float(best.mean()),
                "difference": float((best - base).mean()),
                "moved": float(np.mean(moved)),
                "share": spent / sum(run_.end for run_ in runs),
                "rejected": sum(trial.diagnostics.get("rejected", 0) for trial in trials) / len(trials),
                "acted": sum(trial.diagnostics.get("acted", 0) > 0 for trial in trials) / len(trials),
                "first_unit": float(np.mean([t.values[0] for t in trials if t.values])),
                "non_finite": sum(trial.diagnostics.get("non_finite", 0) for trial in trials),
                "trials": len(trials),
            }
        )
    return rows


def tell(study: Study, directory: Path, seeds: list[int]) -> None:
    arms = load_arms(directory, study, seeds)
    ends = [spent(run_, COSTS.get(arm, 0.0) / study.steps)[-1] for arm in study.arms for run_ in arms[arm]]
    budget = float(min(ends))
    report: dict[str, Any] = {"seeds": seeds, "budget": budget, "targets": {}}
    print(f"{len(seeds)} seeds, {len(study.arms)} arms; every search cut at {budget:.0f} epochs")
    for tau in study.targets:
        rows = compare(study, arms, tau, budget)
        report["targets"][str(tau)] = rows
        print(f"\n### T@{100 * tau:g}%\n")
        print("| arm | reached | median epochs | ratio [95% interval] | p | p (Holm) | ratio of seconds |")
        print("|---|---|---|---|---|---|---|")
        for row in rows:
            median = f"{row['median']:.0f}" if np.isfinite(row["median"]) else "-"
            head = f"| `{row['arm']}` | {row['reached']} of {len(seeds)} | {median} |"
            if "p" not in row:
                print(f"{head} 1 | | | 1 |")
                continue
            low, high = row["interval"]
            print(
                f"{head} {row['ratio']:.2f} [{low:.2f}, {high:.2f}] | {row['p']:.3g} | {row['p_holm']:.3g} | "
                f"{row['ratio_s']:.2f} |"
            )
    report["shares"] = shares(study, arms)
    print("\n| arm | best accuracy | against baseline | mean accuracy after 1 epoch | ", end="")
    print("mean move of log10 lr | warm start's share of the time | rejected | braked | not finite |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in report["shares"]:
        print(
            f"| `{row['arm']}` | {row['best']:.4f} | {row['difference']:+.4f} | {row['first_unit']:.3f} | "
            f"{row['moved']:.3g} | {row['share']:.2%} | {row['rejected']:.3f} | {row['acted']:.3f} | "
            f"{row['non_finite']} of {row['trials']} |"
        )
    (directory / "study.json").write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("what", choices=["run", "tell"])
    parser.add_argument("--study", choices=STUDIES, default="digits")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=24, help="how many")
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--every", type=int, default=1, help="take every n-th seed: to share the work")
    parser.add_argument("--data-dir", help="for --study cifar")
    options = parser.parse_args()
    study = STUDIES[options.study]
    seeds = list(range(options.first, options.first + options.seeds, options.every))
    if options.what == "run":
        run(study, options.dir, seeds, options.data_dir)
    else:
        tell(study, options.dir, seeds)


if __name__ == "__main__":
    main()
