"""All trials of one search: as a table that a page can sort and filter, and as every-trial.csv."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.journals.runs import Run, TrialHistory, best_value
from analysis.journals.space import shown
from analysis.number_formats import NONE
from asha_core.runtime.observers import value_text

MOST_ROWS = 1_000  # of the page's table: a page of 5,000 trials would take seconds to open
_STATES = {
    "done": "trained to the end",
    "paused": "not promoted",
    "finished": "stopped early, by itself",
    "failed": "failed",
    "rejected": "screened out",
    "running": "was running",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, and the number by which it is sorted; None sorts by the text, an empty one last."""

    text: str
    number: float | None = None


@dataclass(frozen=True, slots=True)
class TrialTable:
    """The best trials first.

    Attributes:
        header: a name a column.
        numeric: which columns are of numbers.
        rows: at most ``MOST_ROWS``.
        total: how many trials there are.
    """

    header: list[str]
    numeric: list[bool]
    rows: list[list[Cell]]
    total: int


def ranked(run: Run) -> list[tuple[TrialHistory, float, int]]:
    """Every trial, its best value and the unit of it (NaN and 0 without one): the best first."""
    found = [(trial, *best_value(trial, run.mode)[:2]) for trial in run.trials.values()]
    sign = -1 if run.mode == "max" else 1
    return sorted(
        found, key=lambda each: (math.isnan(each[1]), sign * each[1] if each[2] else 0.0, each[0].id)
    )


def trial_table(run: Run) -> TrialTable:
    """All trials for the page."""
    names = list(run.searched)
    header = ["trial", f"best {run.metric}", f"at {run.unit}", f"{run.unit}s trained", "state", *names]
    numeric = [True, True, True, True, False, *(run.searched[name]["type"] != "choice" for name in names)]
    every = ranked(run)
    return TrialTable(header, numeric, [_row(run, names, *each) for each in every[:MOST_ROWS]], len(every))


def _row(run: Run, names: Sequence[str], trial: TrialHistory, value: float, at: int) -> list[Cell]:
    return [
        Cell(str(trial.id), float(trial.id)),
        Cell(value_text(value), value) if at else Cell(NONE),
        Cell(str(at), float(at)) if at else Cell(NONE),
        Cell(str(trial.reached), float(trial.reached)),
        Cell(_STATES.get(trial.state, trial.state)),
        *(_setting(trial.trained_with(at), name) for name in names),
    ]


def _setting(configuration: dict[str, Any], name: str) -> Cell:
    if name not in configuration:
        return Cell(NONE)
    value = configuration[name]
    return Cell(shown(value), float(value) if type(value) in (int, float) else None)


def trials_csv(run: Run) -> str:
    """Every trial, a line each: values as they are, lists as JSON; with a warm start also as proposed."""
    names = list(run.searched)
    moved = any(trial.diagnostics for trial in run.trials.values())
    told = ["trial", f"best_{run.metric}", f"at_{run.unit}", "reached", "state", "seconds"]
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow([*told, *names, *(f"proposed.{name}" for name in names if moved)])
    for trial, value, at in ranked(run):
        settings = [_plain(trial.trained_with(at).get(name)) for name in names]
        before = [_plain(trial.proposed.get(name)) for name in names] if moved else []
        best = [repr(value), at] if at else ["", ""]
        seconds = f"{sum(trial.seconds):.6g}"
        write.writerow([trial.id, *best, trial.reached, trial.state, seconds, *settings, *before])
    return out.getvalue()


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value
