"""The report on one or more runs: ``comparison.json``, figures, and one HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.load import Run, best_value
from analysis.metrics import (
    area_under_curve,
    best_so_far,
    bracket_survival,
    rung_survival,
    time_split,
    time_to_target,
)
from analysis.page import html_page
from asha_core.runtime.results import write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RELATIVE = (0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report lies."""

    page: Path
    comparison: Path
    figures: list[Path]
    summaries: list[dict[str, Any]]  # one a run, as in comparison.json


def targets_for(runs: Sequence[Run], targets: Sequence[float]) -> list[float]:
    """The targets to report: the given ones, the runs' own, else shares of the best value reached."""
    own = [run.manifest["target"] for run in runs if run.manifest.get("target") is not None]
    chosen = sorted({*targets, *own})
    if chosen:
        return chosen
    finals = [float(curve.value[-1]) for run in runs if len((curve := best_so_far(run)).value)]
    if runs[0].mode == "min" or not finals or max(finals) <= 0:
        return []
    return [round(share * max(finals), 4) for share in _RELATIVE]


def summary_of(run: Run, targets: Sequence[float]) -> dict[str, Any]:
    """One run's numbers, JSON-able."""
    curve, split = best_so_far(run), time_split(run)
    found = len(curve.value) > 0
    ranking = _ranking(run, 10)
    states = [trial.state for trial in run.trials.values()]
    return {
        "run": str(run.directory),
        "name": run.name,
        "variation": run.manifest["variation"]["name"],
        "seed": run.manifest["scheduler"]["seed"],
        "ended": run.reason,
        "torn_last_line": run.torn,
        "seconds": run.end,
        "sessions": len(run.sessions),
        "gpu_hours": run.device_seconds(run.end) / 3600,
        "units": int(run.units[-1]) if len(run.units) else 0,
        "trials": sum(state != "rejected" for state in states),
        "rejected": states.count("rejected"),
        "failed": states.count("failed"),
        "best": float(curve.value[-1]) if found else None,
        "best_trial": int(curve.trial[-1]) if found else None,
        "best_after_seconds": float(curve.t[-1]) if found else None,
        "auc": area_under_curve(run) if run.mode == "max" and found else None,
        "time_to_target": [asdict(time_to_target(run, target)) for target in targets],
        "rungs": [asdict(share) for share in rung_survival(run)],
        "brackets": [asdict(share) for share in bracket_survival(run)],
        "time_split": {**asdict(split), "total": split.total},
        "warm_start": _warm_start(run),
        "top": ranking,
    }


def _ranking(run: Run, count: int) -> list[dict[str, Any]]:
    entries = []
    for trial in run.trials.values():
        value, resource, order = best_value(trial, run.mode)
        if resource:
            entries.append((value, order, resource, trial))
    sign = -1 if run.mode == "max" else 1
    entries.sort(key=lambda entry: (sign * entry[0], entry[1]))
    return [
        {
            "trial": trial.id,
            "value": value,
            "resource": resource,
            "reached": trial.reached,
            "configuration": trial.configuration,
        }
        for value, _, resource, trial in entries[:count]
    ]


def _warm_start(run: Run) -> dict[str, Any] | None:
    """Medians over trials of what the warm start cost, measured and moved; None for the baseline."""
    refined = [trial for trial in run.trials.values() if trial.diagnostics]
    if not refined:
        return None
    told = [trial.diagnostics for trial in refined]
    names = list(run.dimensions)
    slopes = {name: _sizes(told, "gradient", name) for name in names}
    steps = {name: _sizes(told, "step", name) for name in names}
    seconds = [trial.warm_start_seconds for trial in refined]
    return {
        "trials": len(refined),
        "skipped": sum("note" in each for each in told),
        "skipped_because": sorted({each["note"] for each in told if "note" in each}),
        "non_finite": sum(_non_finite(each) for each in told),
        "fallbacks": sum("fallback" in each for each in told),
        "fallback_because": sorted({each["fallback"] for each in told if "fallback" in each}),
        "redrawn": sum(each.get("rejected", 0) > 0 for each in told),
        "rejected": sum(each.get("rejected", 0) for each in told),
        "braked": sum(each.get("acted", 0) > 0 for each in told),
        "brake_steps": sum(each.get("acted", 0) for each in told),
        "seconds": sum(seconds),
        "median_seconds": float(np.median(seconds)),
        "median_abs_gradient": {n: float(np.median(v)) if v else None for n, v in slopes.items()},
        "median_abs_step": {n: float(np.median(v)) if v else None for n, v in steps.items()},
        "largest_abs_step": {n: max(v) if v else None for n, v in steps.items()},
    }


def _sizes(told: Sequence[dict[str, Any]], key: str, name: str) -> list[float]:
    """Finite absolute values of one coordinate: of every gradient or step that the diagnostics have."""
    found: list[float] = []
    for diagnostics in told:
        entries = diagnostics.get(key, {})
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry.get(name, "nan"), str):  # "nan", "inf"
                found.append(abs(entry[name]))
    return found


def _non_finite(diagnostics: dict[str, Any]) -> int:
    """How many estimates were not finite; journals of the first versions have a note instead of a number."""
    noted = str(diagnostics.get("note", "")).startswith("non-finite")
    return int(diagnostics.get("non_finite", noted))


def write_report(runs: Sequence[Run], output: Path, targets: Sequence[float] = ()) -> Written:
    """Write ``report.html``, ``comparison.json`` and ``figures/`` into ``output``.

    Args:
        runs: at least one; all of the same metric and mode.
        targets: values for T@tau; by default the runs' own, else 90, 95 and 99% of the best value.
    """
    from analysis import plots

    chosen = targets_for(runs, targets)
    summaries = [summary_of(run, chosen) for run in runs]
    folder = output / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    comparison = output / "comparison.json"
    metric, mode = runs[0].metric, runs[0].mode
    write_json(comparison, {"schema": 1, "metric": metric, "mode": mode, "runs": summaries})
    asked = bool(targets) or any(run.manifest.get("target") is not None for run in runs)
    target = chosen[-1] if asked else None
    suffixes = [f"_{index}" if len(runs) > 1 else "" for index in range(len(runs))]
    draw: list[tuple[Callable[[Axes], None], str, tuple[float, float]]] = [
        (partial(plots.plot_best_so_far, runs=runs, target=target), "best_so_far", plots.SIZE),
        *(
            (partial(plots.plot_learning_curves, run=run), f"learning_curves{suffix}", plots.SIZE)
            for run, suffix in zip(runs, suffixes, strict=True)
        ),
        (partial(plots.plot_rung_survival, runs=runs), "rung_survival", plots.SIZE),
        *(
            (partial(plots.plot_warm_start, run=run), f"warm_start{suffix}", plots.SIZE)
            for run, suffix, summary in zip(runs, suffixes, summaries, strict=True)
            if summary["warm_start"]
        ),
        (partial(plots.plot_time_split, runs=runs), "time_split", (6.4, 2.0 + 0.4 * len(runs))),
    ]
    figures = [plots.save_figure(function, folder / name, size) for function, name, size in draw]
    page = output / "report.html"
    page.write_text(
        html_page(runs, summaries, [png for _, png in figures], relative=not asked), encoding="utf-8"
    )
    return Written(page, comparison, [path for pair in figures for path in pair], summaries)
