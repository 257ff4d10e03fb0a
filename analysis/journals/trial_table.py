"""The trials of a run as columns: states, values, costs, and what the warm start did to each dimension."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.journals.runs import Run, TrialHistory, best_value

Column = NDArray[Any]


def trial_columns(run: Run) -> dict[str, Column]:
    """One row a trial, in order of their numbers: column -> array, (T,).

    id; state ("running", "paused", "done", "finished", "failed", "rejected"); first (the level at which it is
    first compared); reached (units); best, best_at (unit; 0 if there is no finite value); first_value (of its
    first report); warm_start_seconds, warm_start_flops; seconds (of all its units), flops; heldout_loss
    (after the warm start's virtual steps).

    For each dimension ``d`` of the space that is not a constant ``proposed.d`` (by the searcher) and
    ``refined.d`` (as it was trained), and, unless it is a category, ``gradient.d`` (nats per search
    coordinate, of the first estimate, at the configuration as proposed) and ``step.d`` (the warm start's),
    all in search coordinates: log10 of logarithmic dimensions, and the value of others. NaN where there is
    none: no warm start, the dimension does not exist, nothing depends on it. Categories are objects, or None.
    """
    trials = [run.trials[number] for number in sorted(run.trials)]
    bests = [best_value(trial, run.mode) for trial in trials]
    told = [trial.diagnostics for trial in trials]
    columns: dict[str, Column] = {
        "id": np.array([trial.id for trial in trials], dtype=np.int64),
        "state": np.array([trial.state for trial in trials], dtype="U8"),
        "first": np.array([trial.first for trial in trials], dtype=np.int64),
        "reached": np.array([trial.reached for trial in trials], dtype=np.int64),
        "best": floats(best for best, _, _ in bests),
        "best_at": np.array([at for _, at, _ in bests], dtype=np.int64),
        "first_value": floats(trial.values[0] if trial.values else math.nan for trial in trials),
        "warm_start_seconds": floats(trial.warm_start_seconds for trial in trials),
        "warm_start_flops": floats(trial.warm_start_costs.get("flops", math.nan) for trial in trials),
        "seconds": floats(sum(trial.seconds) for trial in trials),
        "flops": floats(_flops(trial) for trial in trials),
        "heldout_loss": floats(each.get("heldout_loss", math.nan) for each in told),
    }
    gradients = [_first(each.get("gradient")) for each in told]
    steps = [_first(each.get("step")) for each in told]
    for name, dimension in run.searched.items():
        for kind, values in (
            ("proposed", [trial.proposed.get(name) for trial in trials]),
            ("refined", [trial.configuration.get(name) for trial in trials]),
        ):
            columns[f"{kind}.{name}"] = search_coordinates(values, dimension)
        if dimension["type"] != "choice":
            columns[f"gradient.{name}"] = floats(each.get(name, math.nan) for each in gradients)
            columns[f"step.{name}"] = floats(each.get(name, math.nan) for each in steps)
    return columns


def trials_as_trained(run: Run) -> dict[str, Column]:
    """One row a trial, in order of their numbers, as a user reads them: column -> array, (T,).

    trial; state; best, best_at (unit; 0 if there is no finite value), reached (units), seconds (of all its
    units and its warm start), and ``config.d`` for each dimension of the space: the value that it was trained
    with up to its best, None where it does not exist.
    """
    trials = [run.trials[number] for number in sorted(run.trials)]
    bests = [best_value(trial, run.mode) for trial in trials]
    trained = [trial.trained_with(at) for trial, (_, at, _) in zip(trials, bests, strict=True)]
    return {
        "trial": np.array([trial.id for trial in trials], dtype=np.int64),
        "state": objects([trial.state for trial in trials]),
        "best": floats(best for best, _, _ in bests),
        "best_at": np.array([at for _, at, _ in bests], dtype=np.int64),
        "reached": np.array([trial.reached for trial in trials], dtype=np.int64),
        "seconds": floats(sum(trial.seconds) + trial.warm_start_seconds for trial in trials),
        **{f"config.{name}": _values([each.get(name) for each in trained]) for name in run.dimensions},
    }


def _values(values: list[Any]) -> Column:
    kinds = {type(value) for value in values}
    return np.array(values) if kinds in ({int}, {float}) else objects(values)


def search_coordinates(values: Sequence[Any], dimension: Mapping[str, Any]) -> Column:
    """Values of a dimension in search coordinates, (T,): log10 of a logarithmic one, objects of a category.

    Args:
        values: one a trial; None where the dimension does not exist.
        dimension: its description in run.json.
    """
    if dimension["type"] == "choice":
        return objects(values)
    numbers = floats(math.nan if value is None else value for value in values)
    return np.log10(numbers) if dimension.get("log") else numbers


def objects(values: Sequence[Any]) -> Column:
    """An array of any things, one element each, lists and tuples too."""
    return np.fromiter(values, dtype=object, count=len(values))


def floats(values: Iterable[Any]) -> NDArray[np.float64]:
    """An array of numbers, NaN and infinite ones included."""
    return np.array(list(values), dtype=np.float64)  # which reads the journal's "nan" and "inf", too


def _flops(trial: TrialHistory) -> float:
    """Of all its units; NaN if not every one has them."""
    return sum(entry.get("flops", math.nan) for entry in trial.costs) if trial.costs else math.nan


def _first(entries: Any) -> Mapping[str, Any]:
    """What diagnostics say of each dimension; of several estimates the first."""
    if isinstance(entries, list):
        entries = entries[0] if entries else {}
    return entries if isinstance(entries, Mapping) else {}


def warm_start_summary(run: Run) -> dict[str, Any] | None:
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
            value = entry.get(name)
            if value is not None and not isinstance(value, str):  # "nan", "inf"
                found.append(abs(value))
    return found


def _non_finite(diagnostics: dict[str, Any]) -> int:
    """How many estimates were not finite; journals of the first versions have a note instead of a number."""
    noted = str(diagnostics.get("note", "")).startswith("non-finite")
    return int(diagnostics.get("non_finite", noted))
