"""Figures on one search's hyper-parameters: which mattered, value against each, and all as lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from analysis import figures
from analysis.figures.value_axis import ValueAxis
from analysis.journals.runs import Run, TrialHistory, best_value
from analysis.journals.space import place, ticks_of
from analysis.number_formats import better, listed, percent
from analysis.report.drawings import Drawing
from analysis.stats.arrays import Floats
from analysis.stats.importance import Importance, importance, r2
from asha_core.runtime.units import counted

_SLICES, _LINES, _BARS = 12, 12, 20  # dimensions in one figure
_COLOURED = 100  # lines at most; more hide one another
_PANEL = (3.4, 2.5)  # inches


@dataclass(frozen=True, slots=True)
class Settings:
    """What the figures show: one row a trial that was started, (N, D) places in [0, 1]."""

    names: tuple[str, ...]
    trials: tuple[TrialHistory, ...]
    before: Floats
    after: Floats
    best: Floats  # (N,); NaN where no value was finite
    rungs: tuple[int, ...]  # (N,) which each reached, counted from 0


def settings_of(run: Run) -> Settings:
    """The hyper-parameters of a run's trials, as proposed and as trained."""
    trials = tuple(trial for trial in run.trials.values() if trial.state != "rejected")
    names = tuple(run.searched)

    def places(of: str) -> Floats:
        rows = [[_place(run, name, getattr(trial, of)) for name in names] for trial in trials]
        return np.array(rows, dtype=np.float64).reshape(len(trials), len(names))

    return Settings(
        names,
        trials,
        places("proposed"),
        places("configuration"),
        np.array([best_value(trial, run.mode)[0] for trial in trials], dtype=np.float64),
        tuple(max(int(np.searchsorted(run.levels, trial.reached, side="right")) - 1, 0) for trial in trials),
    )


def _place(run: Run, name: str, configuration: dict[str, Any]) -> float:
    return place(run.searched[name], configuration[name]) if name in configuration else math.nan


def importance_of(run: Run, settings: Settings) -> Importance:
    """By the values at the lowest rung: there all trials can be compared."""
    level = run.levels[0]
    values = [
        next((v for r, v in zip(t.resources, t.values, strict=True) if r >= level), math.nan)
        for t in settings.trials
    ]
    seen = np.array([bool(t.resources) for t in settings.trials], dtype=bool)
    names, after = settings.names, settings.after
    return importance(names, after[seen], np.array(values, dtype=np.float64)[seen], run.mode)


def settings_drawings(run: Run) -> list[Drawing]:
    """Which mattered; slices; parallel coordinates. None where nothing was searched or reported."""
    settings = settings_of(run)
    if not settings.names or not np.isfinite(settings.best).any():
        return []
    mattered = importance_of(run, settings)
    drawings = [_importance(run, mattered), _slices(run, settings, mattered)]
    if len(settings.names) > 1:
        drawings.append(_parallel(run, settings, mattered))
    return drawings


def _ranked(settings: Settings, mattered: Importance, most: int) -> list[str]:
    """The dimensions to show, in the order of the space: all, or those that mattered most."""
    ranks = np.argsort(-np.nan_to_num(mattered.mean, nan=0.0), kind="stable")[:most]
    return [name for place_, name in enumerate(settings.names) if place_ in ranks]


def _importance(run: Run, mattered: Importance) -> Drawing:
    shown = np.argsort(-np.nan_to_num(mattered.mean, nan=0.0), kind="stable")[:_BARS]
    draw = partial(
        figures.plot_importance,
        dimensions=[mattered.dimensions[place_] for place_ in shown],
        mean=[mattered.mean[place_] for place_ in shown],
        sd=[mattered.sd[place_] for place_ in shown],
        note=f"n = {counted(mattered.trials, 'trial')}; {r2(mattered.score)} on trials left out",
        why=mattered.why and "too little is known to say which hyper-parameters mattered",
        title="Which hyper-parameters mattered",
    )
    caption = (
        f"How much worse a random forest tells good trials from bad ones, by {run.metric} at {run.unit} "
        f"{run.levels[0]}, when one hyper-parameter is shuffled among trials that it has not seen; lines are "
        "standard deviations over ten shuffles. "
    )
    if mattered.why:
        caption = f"Which hyper-parameters mattered is not drawn: {mattered.why}."
    else:
        caption += (
            f"The forest itself explains {max(mattered.score, 0):.0%} of the differences in rank (1 "
            "would be all): the less, the less the bars say. A bar of about 0 does not say that a "
            "hyper-parameter does not matter later in training, or outside of this search space."
        )
    size = figures.tall(len(shown)) if not mattered.why else (figures.SIZE[0], 1.2)
    return Drawing(
        "importance", draw, "Which hyper-parameters mattered, by permutation importance", caption, size
    )


def _slices(run: Run, settings: Settings, mattered: Importance) -> Drawing:
    names = _ranked(settings, mattered, _SLICES)
    axis = ValueAxis(settings.best, run.mode)
    columns = min(len(names), 3)
    panels = []
    for number, name in enumerate(names):
        at = settings.names.index(name)
        panels.append(
            partial(
                figures.plot_slice,
                name=name,
                ticks=ticks_of(run.searched[name]),
                before=settings.before[:, at],
                after=settings.after[:, at],
                values=settings.best,
                rungs=settings.rungs,
                levels=len(run.levels),
                category=run.searched[name]["type"] == "choice",
                axis=axis,
                ylabel=f"best {run.metric}" if number % columns == 0 else "",
            )
        )
    draw = partial(figures.draw_panels, panels=panels, columns=columns)
    moved = bool((np.abs(settings.after - settings.before) > 2e-3).any())
    parts = [
        f"Each mark is a trial: its best {run.metric} ({better(run.mode)}) against one hyper-parameter. The "
        f"darker, the further it got: rungs {listed(run.levels)}, from light to dark."
    ]
    if moved:
        parts.append(
            "A triangle was moved by the warm start, the way it points; a line begins where it was proposed."
        )
    if axis.outside:
        parts.append(f"{counted(axis.outside, 'trial')} far off the others stand at the edge.")
    if len(names) < len(settings.names):
        parts.append(f"The {len(names)} of {len(settings.names)} hyper-parameters that mattered most.")
    parts.append("A trial that was stopped early has fewer units to show: compare marks of one colour.")
    size = (_PANEL[0] * columns, _PANEL[1] * -(-len(names) // columns) + 0.2)
    words = f"Best {run.metric} of each trial against each hyper-parameter"
    return Drawing("slices", draw, words, " ".join(parts), size, wide=columns > 1)


def _parallel(run: Run, settings: Settings, mattered: Importance) -> Drawing:
    names = _ranked(settings, mattered, _LINES)
    at = [settings.names.index(name) for name in names]
    share = min(0.1, _COLOURED / len(settings.trials))
    draw = partial(
        figures.plot_parallel_coordinates,
        share=share,
        dimensions=names,
        values=settings.after[:, at],
        score=settings.best,
        ticks={name: ticks_of(run.searched[name]) for name in names},
        mode=run.mode,
        score_label=f"best {run.metric} ({better(run.mode)})",
        title="All configurations",
    )
    caption = (
        f"Each line is a trial, as it was trained; the best {percent(share, 0)} are coloured by value, "
        "all others are grey. Where the coloured lines pass close together, good values are found; "
        "where they spread, the hyper-parameter matters little, or only together with others. A line "
        "has a gap where a trial lacks the hyper-parameter."
    )
    if len(names) < len(settings.names):
        caption += f" The {len(names)} of {len(settings.names)} hyper-parameters that mattered most."
    words = "Every configuration as a line over its hyper-parameters"
    size = (max(6.4, 1.15 * len(names) + 1.5), 4.2)
    return Drawing("parallel", draw, words, caption, size, wide=len(names) > 5)
