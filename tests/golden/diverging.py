"""The functions that the searches kept here have tuned."""

from __future__ import annotations

import math

from trials.trial import Trial


def most_diverge(trial: Trial) -> None:
    """Trials 0 to 6 report NaN, the others what their configuration says."""
    state = trial.resume_from() or {"sum": 0.0}
    for unit in trial.units():
        trial.save(state)
        trial.report(math.nan if trial.id < 7 else trial.config["x"] + unit / 100)
