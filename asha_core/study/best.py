"""``best_of``: the variation that did best in an experiment, once that experiment is over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asha_core.errors import SettingError
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned import PlannedRun


def best_variation(directory: StudyDirectory, runs: Sequence[PlannedRun], baseline: str) -> str | None:
    """The variation with the shortest time to the primary target; None: these runs are not all done.

    The mean of log(T / T of the baseline) over all pairs of all groups, T censored at its group's horizon.

    Args:
        runs: of the experiment.
    Raises:
        SettingError: no pair of them can be compared.
    """
    from analysis.study import load_study

    if not runs or any(directory.state(run) != "done" for run in runs):
        return None
    study = load_study(directory.path)
    ratios: dict[str, list[float]] = {}
    for group, arm, variation in sorted({(run.group, run.arm, run.variation) for run in runs}):
        targets = study.targets(group)
        if arm == baseline or not targets:
            continue
        times = study.times(group, arm, targets[-1])
        seeds = [run.seed for run in runs if (run.group, run.arm) == (group, arm)]
        own = np.isin(times.seeds, seeds)
        ratios.setdefault(variation, []).extend(np.log(times.times[own] / times.base[own]))
    found = {name: float(np.mean(values)) for name, values in ratios.items() if values}
    if not found:
        raise SettingError(
            f"best_of {runs[0].experiment}: none of its runs can be compared with {baseline}: there must be "
            "targets, the baseline, and another variation"
        )
    return min(found, key=lambda name: (found[name], name))
