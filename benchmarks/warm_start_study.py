"""The first study: do warm starts shorten the time to a target? Paired searches on digits, or on CIFAR-10.

What is run     `asha-run` with every arm below and every seed, one worker in this process (--gpus inline), so
                that searches of one seed differ by their warm start and by nothing else: one and the same
                stream of configurations, initial weights, order of batches. Within a seed the arms run in
                random order.
What is told    T@tau: epochs that all trials together had trained when the best validation accuracy so
                far first reached tau, and the same in seconds with the warm starts' own time in it. A search
                that never gets there is censored at its end, and stays in.
How             Ratios of Kaplan-Meier medians to the baseline's (of restricted means where one is undefined),
                with a bootstrap interval over seeds; two-sided Wilcoxon signed-rank tests on paired log T
                (zero_method="pratt"), and Holm's correction over the arms.
Targets         Fixed before the runs: TARGETS, below. The settings of `ohgw-trust` were chosen on digits with
                another network (model=mlp) and other seeds.

    python benchmarks/warm_start_study.py run --study digits --dir DIR --seeds 24       # goes on where it was
    python benchmarks/warm_start_study.py tell --study digits --dir DIR                 # tables, in Markdown

`prior-narrowed` is a control that a user cannot have: the baseline, in a space whose learning rate is
narrowed to the half of its range that is best in hindsight.
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


def times(directory: Path, arm: str, seeds: list[int], tau: float) -> tuple[Any, Any, Any]:
    """(epochs, seconds, censored) of each seed."""
    from analysis.load import load
    from analysis.metrics import time_to_target

    found = [time_to_target(load(directory / arm / f"seed-{seed}"), tau) for seed in seeds]
    return (
        np.array([t.units for t in found], float),
        np.array([t.seconds for t in found]),
        np.array([t.censored for t in found]),
    )


def km_median(t: Any, censored: Any) -> float:
    """The Kaplan-Meier median, infinite where it is undefined."""
    from scipy.stats import CensoredData, ecdf

    survival = ecdf(CensoredData.right_censored(t, censored)).sf
    below = survival.probabilities <= 0.5
    return float(survival.quantiles[below][0]) if below.any() else np.inf


def ratio(t: Any, c: Any, t0: Any, c0: Any) -> float:
    """Ratio of medians; of means restricted to the common end where one is undefined."""
    top, bottom = km_median(t, c), km_median(t0, c0)
    if np.isfinite(top) and np.isfinite(bottom):
        return top / bottom
    end = min(t[c].min(initial=np.inf), t0[c0].min(initial=np.inf))
    return float(np.minimum(t, end).mean() / np.minimum(t0, end).mean())


def holm(p: list[float]) -> list[float]:
    order = np.argsort(p)
    adjusted, highest = np.empty(len(p)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted.tolist()


def compare(directory: Path, study: Study, seeds: list[int], tau: float) -> list[dict[str, Any]]:
    from scipy.stats import wilcoxon

    base = times(directory, "baseline", seeds, tau)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(seeds), (2000, len(seeds)))
    rows = []
    for arm in study.arms:
        t, s, c = times(directory, arm, seeds, tau)
        row: dict[str, Any] = {
            "arm": arm,
            "reached": int((~c).sum()),
            "median": km_median(t, c),
            "median_s": km_median(s, c),
        }
        if arm != "baseline":
            row["ratio"] = ratio(t, c, base[0], base[2])
            row["ratio_s"] = ratio(s, c, base[1], base[2])
            boot = [ratio(t[d], c[d], base[0][d], base[2][d]) for d in draws]
            row["interval"] = np.quantile(boot, [0.025, 0.975]).tolist()
            difference = np.log(t) - np.log(base[0])
            same = not np.any(difference)
            row["p"] = 1.0 if same else float(wilcoxon(difference, zero_method="pratt").pvalue)
            row["sd"] = float(difference.std(ddof=1))
        rows.append(row)
    others = [row for row in rows if "p" in row]
    for row, adjusted in zip(others, holm([row["p"] for row in others]), strict=True):
        row["p_holm"] = adjusted
    return rows


def shares(directory: Path, study: Study, seeds: list[int]) -> list[dict[str, Any]]:
    """What the warm starts cost and moved, and what was found in the end."""
    from analysis.load import load
    from analysis.metrics import best_so_far

    base = None
    rows = []
    for arm in study.arms:
        runs = [load(directory / arm / f"seed-{seed}") for seed in seeds]
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
    report: dict[str, Any] = {"seeds": seeds, "targets": {}}
    for tau in study.targets:
        rows = compare(directory, study, seeds, tau)
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
    report["shares"] = shares(directory, study, seeds)
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
