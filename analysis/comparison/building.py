"""A study turned into a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.comparison.contrasts import contrasts
from analysis.comparison.criteria import judge
from analysis.comparison.data import CONFIDENCE, GroupData, group_data
from analysis.comparison.describing import describe
from analysis.comparison.extras import Bands
from analysis.comparison.schema import Comparison, Group, Source
from analysis.comparison.shifts import diagnose
from analysis.comparison.sweeps import best_configurations, sweeps
from analysis.journals.replicate import Replicate, best_at
from analysis.stats.arrays import Floats
from analysis.stats.summaries import Band, interquartile_mean_band
from analysis.study.loading import Study
from asha_core.runtime.budget import Measure

GRID = 200  # points of a band
_BAND_DRAWS = 500  # of its bootstrap: a band is looked at, and no number of it is quoted
_BAND_CURVES = 200_000  # drawn for it in all: with a thousand seeds it is narrow, and fewer draws show it


def compare(study: Study, targets: Sequence[float] = ()) -> Comparison:
    """What each arm reached and cost, what differs from the baseline, and the verdicts on that.

    Args:
        study: as ``analysis.study.loading.load_study`` reads it.
        targets: further ones, chosen after the runs: told, but not tested.
    """
    problems = list(study.problems)
    groups = []
    for name in study.groups:
        data, found = group_data(study, name, targets)
        problems += found
        if data is not None:
            groups.append(_group(data))
    return Comparison(
        name=study.name,
        directory=str(study.directory),
        baseline=study.baseline,
        measure=study.measure,
        planned=study.planned,
        used=sum(len(arm.seeds) for group in groups for arm in group.arms),
        groups=tuple(groups),
        criteria=judge(groups, study.measure),
        problems=tuple(problems),
        sources=tuple(_sources(study.replicates)),
    )


def _group(data: GroupData) -> Group:
    first = data.all[0]
    against, families = contrasts(data)
    told = [each for arm in data.runs if (each := diagnose(data, arm)) is not None]
    return Group(
        name=data.name,
        task=first.task,
        scheduler=first.scheduler,
        metric=first.metric,
        mode=first.mode,
        unit=first.unit,
        seeds=tuple(sorted({each.seed for each in data.all})),
        targets=data.targets,
        later=data.later,
        auc_start=data.auc_start,
        families=families,
        horizons=tuple(data.horizons.values()),
        arms=tuple(describe(data, arm) for arm in data.runs),
        against=tuple(against),
        bands=tuple(_bands(data, measure) for measure in _shown(data.measure)),
        diagnostics=tuple(told),
        sweeps=tuple(sweeps(data)),
        best_configurations=best_configurations(data.all),
        simulated=first.manifest.get("simulated"),
    )


def _shown(measure: Measure) -> list[Measure]:
    """The study's measure, and seconds beside it."""
    measures: list[Measure] = [measure, "seconds"]
    return list(dict.fromkeys(measures))


def _bands(data: GroupData, measure: Measure) -> Bands:
    """The interquartile mean of the best value so far, arm by arm, up to the group's horizon."""
    grid = np.linspace(0.0, data.limit(measure), GRID)
    arms = {}
    for arm, runs in data.runs.items():
        curves = np.array([best_at(each, grid, measure) for each in runs])
        arms[arm] = _band(curves)
    return Bands(measure, grid, arms)


def _band(curves: Floats) -> Band:
    """The band of step functions, (seeds, grid): computed once between two steps."""
    steps = np.append(True, (curves[:, 1:] != curves[:, :-1]).any(axis=0))
    draws = min(_BAND_DRAWS, max(_BAND_CURVES // len(curves), 1))
    band = interquartile_mean_band(curves[:, steps], draws, confidence=CONFIDENCE)
    place = np.cumsum(steps) - 1
    return replace(band, centre=band.centre[place], low=band.low[place], high=band.high[place])


def _sources(runs: Sequence[Replicate]) -> list[Source]:
    """What the journals were made with, those that are alike together."""
    kinds: dict[str, list[Replicate]] = {}
    for each in runs:
        made = [each.manifest.get(key) for key in ("commit", "versions", "hardware")]
        kinds.setdefault(json.dumps(made, sort_keys=True), []).append(each)
    found = []
    for alike in kinds.values():
        manifest = alike[0].manifest
        begun = sorted(str(each.manifest.get("created", "")) for each in alike)
        found.append(
            Source(
                manifest.get("commit"),
                dict(manifest.get("versions", {})),
                dict(manifest.get("hardware", {})),
                tuple(sorted({each.schema for each in alike})),
                tuple(each.id for each in alike),
                begun[0],
                begun[-1],
            )
        )
    return found
