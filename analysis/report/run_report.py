"""The report on one or more runs: ``comparison.json``, figures, and one HTML page that stands alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.comparison.data import RELATIVE
from analysis.journals.metrics import (
    area_under_curve,
    best_so_far,
    bracket_survival,
    rung_survival,
    time_split,
    time_to_target,
)
from analysis.journals.runs import Run, best_value
from analysis.journals.trial_table import warm_start_summary
from analysis.number_formats import relative_targets
from analysis.report.run_page import run_page
from analysis.report.run_trials import trials_csv
from asha_core.runtime.storage.json_files import read_optional_json, write_json
from asha_core.runtime.unread import Unread


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report lies."""

    page: Path
    comparison: Path
    figures: list[Path]
    summaries: list[dict[str, Any]]  # one a run, as in comparison.json
    failures: dict[str, str]  # figures that cannot be drawn, by name: why


def targets_for(runs: Sequence[Run], targets: Sequence[float]) -> tuple[list[float], bool]:
    """The targets to report, the hardest last, and whether somebody named them.

    The given ones and the runs' own; if there are none, shares of the best value that any of them reached.

    Args:
        runs: of one problem: values of different ones have no common targets.
    """
    own = [run.manifest["target"] for run in runs if run.manifest.get("target") is not None]
    chosen = sorted({*targets, *own}, reverse=runs[0].mode == "min")
    if chosen:
        return chosen, True
    finals = [float(curve.value[-1]) for run in runs if len((curve := best_so_far(run)).value)]
    mode = runs[0].mode
    best = (max if mode == "max" else min)(finals, default=math.nan)
    return [float(f"{target:.4g}") for target in relative_targets(best, mode, RELATIVE)], False


def read_test(directory: Path) -> dict[str, Any] | None:
    """What ``asha-test`` kept of the look at the test data; None if there was none, or it cannot be read.

    Keys: metric, value, loss (or None), count, what (one is), trial (or None), resource, confusion (a
    row of counts for each true class, or None).
    """
    content = read_optional_json(directory / "test.json")
    told = {key: content.get(key) for key in ("metric", "count", "trial", "resource")}
    told["what"] = content.get("what") or "sample"
    confusion = content.get("confusion")
    try:
        value, loss = float(content["value"]), content["loss"]  # "nan" is text in JSON
        loss = None if loss is None else float(loss)
    except (ValueError, TypeError, KeyError):
        return None
    rows: list[Any] = confusion if isinstance(confusion, list) else []
    square = all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    counts = square and all(type(count) is int and count >= 0 for row in rows for count in row)
    return {**told, "value": value, "loss": loss, "confusion": rows if counts and rows else None}


def summary_of(run: Run, targets: Sequence[float], *, named: bool = True) -> dict[str, Any]:
    """One run's numbers, JSON-able.

    Args:
        targets: of T@tau.
        named: somebody named them; else they are shares of the best value.
    """
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
        "stopped_early": states.count("finished"),
        "unread": _unread(run),
        "best": float(curve.value[-1]) if found else None,
        "best_trial": int(curve.trial[-1]) if found else None,
        "best_after_seconds": float(curve.t[-1]) if found else None,
        "auc": area_under_curve(run) if run.mode == "max" and found and curve.value[0] >= 0 else None,
        "test": read_test(run.directory),
        "targets_named": named,
        "time_to_target": [asdict(time_to_target(run, target)) for target in targets],
        "rungs": [asdict(share) for share in rung_survival(run)],
        "brackets": [asdict(share) for share in bracket_survival(run)],
        "time_split": {**asdict(split), "total": split.total},
        "warm_start": warm_start_summary(run),
        "top": ranking,
    }


def _unread(run: Run) -> list[str]:
    """The dimensions that no trial has read."""
    unread = Unread()
    for record in run.records:
        if "unread" in record:
            unread.add(record["trial"], run.trials[record["trial"]].configuration, record["unread"])
    return list(unread.names())


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
            "configuration": trial.trained_with(resource),
        }
        for value, _, resource, trial in entries[:count]
    ]


def write_report(runs: Sequence[Run], output: Path, targets: Sequence[float] = ()) -> Written:
    """Write ``report.html``, ``comparison.json`` and ``figures/`` into ``output``.

    Args:
        runs: at least one; all of the same metric and mode.
        targets: values for T@tau; by default the runs' own, else 90, 95 and 99% of the best value that a run
            of the same problem reached.
    """
    from analysis.report.drawings import files_of
    from analysis.report.run_drawings import drawings_of

    chosen: dict[str, tuple[list[float], bool]] = {}
    for problem in dict.fromkeys(run.problem for run in runs):
        chosen[problem] = targets_for([run for run in runs if run.problem == problem], targets)
    summaries = [summary_of(run, chosen[run.problem][0], named=chosen[run.problem][1]) for run in runs]
    folder = output / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    comparison = output / "comparison.json"
    metric, mode = runs[0].metric, runs[0].mode
    write_json(comparison, {"schema": 1, "metric": metric, "mode": mode, "runs": summaries})
    hardest = {tuple(values[-1:]) if named else () for values, named in chosen.values()}
    target = next(iter(hardest), ()) if len(hardest) == 1 else ()
    drawings = drawings_of(runs, summaries, target[0] if target else None)
    told = {drawing.name: drawing.save_or_say(folder) for drawing in drawings}
    failures = {name: why for name, why in told.items() if why}
    figures = files_of(drawings, folder, failures)
    page = output / "report.html"
    if len(runs) == 1:
        (output / "every-trial.csv").write_text(
            trials_csv(runs[0]), encoding="utf-8", errors="backslashreplace"
        )
    html = run_page(runs, summaries, drawings, folder, failures)
    page.write_text(html, encoding="utf-8", errors="backslashreplace")
    return Written(page, comparison, figures, summaries, failures)
