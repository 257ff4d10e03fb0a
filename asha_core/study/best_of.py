"""``best_of``: the variation that did best in an experiment, once that experiment is over."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from asha_core.errors import SettingError
from asha_core.study.arm_names import arm_name
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned_runs import PlannedRun


def check_comparable(experiment: str, runs: Sequence[PlannedRun], baseline: str, place: str) -> None:
    """Raise ``SettingError`` if no variation of an experiment can turn out to be its best one.

    Args:
        runs: of it and of the experiments before it.
        place: of ``best_of`` in the file.
    """
    with_baseline = {run.pairing for run in runs if run.arm == baseline}
    if not any(
        run.experiment == experiment and run.arm != baseline and run.targets and run.pairing in with_baseline
        for run in runs
    ):
        raise SettingError(
            f"{place}: best_of {experiment}: none of its runs can be compared with {baseline}: there must be "
            f"targets, {baseline}, and another variation"
        )


def best_variation(
    directory: StudyDirectory, runs: Sequence[PlannedRun], baseline: str
) -> dict[str, Any] | None:
    """The variation with the shortest time to the primary target; None: these runs are not all done.

    The mean of log(T / T of the baseline) over all pairs of all groups, T censored at its group's horizon; of
    two with the same mean the first by name.

    Args:
        runs: of the experiment.
    Returns:
        As an entry of a study's file: its name, and the options of its warm start if it has some.
    Raises:
        SettingError: no pair of them can be compared.
    """
    if not runs or any(directory.state(run) != "done" for run in runs):
        return None
    entries, ratios = _ratios(directory, runs, baseline)
    found = {name: statistics.fmean(values) for name, values in ratios.items() if values}
    if not found:
        raise SettingError(
            f"best_of {runs[0].experiment}: no pair of its runs can be compared with {baseline}; asha-report "
            f"{directory.path} says why"
        )
    return entries[min(found, key=lambda name: (found[name], name))]


def _ratios(
    directory: StudyDirectory, runs: Sequence[PlannedRun], baseline: str
) -> tuple[dict[str, dict[str, Any]], dict[str, list[float]]]:
    """By the name of each variation its entry in a file, and log(T / T of the baseline) of its pairs."""
    import numpy as np

    from analysis.study.loading import load_study

    study = load_study(directory.path)
    groups = {run.id: run.group for run in directory.read()}  # as study.json calls them
    arms: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in runs:
        arms.setdefault((groups.get(run.id, run.group), run.arm), []).append(run)
    entries: dict[str, dict[str, Any]] = {}
    ratios: dict[str, list[float]] = {}
    for (group, arm), alike in sorted(arms.items()):
        targets = study.targets(group)
        if arm == baseline or not targets or arm not in study.arms(group):
            continue
        options = dict(alike[0].options.get("warm_start_option", {}))
        name = arm_name(alike[0].variation, options)
        entry = {"name": alike[0].options["variation"]}  # with the folder of a file
        entries[name] = entry | ({"warm_start_option": options} if options else {})
        times = study.times(group, arm, targets[-1])
        own = np.isin(times.seeds, [run.seed for run in alike])
        own &= (times.times > 0) & (times.base > 0)  # a search that trained nothing has no time
        ratios.setdefault(name, []).extend(np.log(times.times[own] / times.base[own]).tolist())
    return entries, ratios
