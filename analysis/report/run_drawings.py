"""Which figures a report on runs has, with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from analysis.figures.confusion import plot_confusion
from analysis.figures.style import SIZE
from analysis.journals.runs import Run, labels
from analysis.report import captions
from analysis.report.drawings import Drawing
from analysis.report.run_figures import (
    by_score,
    clock_of,
    losses_of,
    plot_best_so_far,
    plot_learning_curves,
    plot_losses,
    plot_rung_survival,
    plot_time_split,
    plot_warm_start,
)
from analysis.report.run_settings import settings_drawings


def drawings_of(
    runs: Sequence[Run], summaries: Sequence[dict[str, Any]], target: float | None
) -> list[Drawing]:
    """The figures of a report on runs: those on hyper-parameters only of a single one."""
    best = partial(plot_best_so_far, runs=runs, target=target)
    words = f"Best {runs[0].metric} so far against {clock_of(runs)}"
    found = [Drawing("best_so_far", best, words, captions.best_so_far(runs, target))]
    for index, (run, label, summary) in enumerate(zip(runs, labels(runs), summaries, strict=True)):
        suffix, of = (f"_{index}", f" of {label}") if len(runs) > 1 else ("", "")
        found += _own(run, label, summary, runs, suffix, of)
    rungs, split = partial(plot_rung_survival, runs=runs), partial(plot_time_split, runs=runs)
    found.append(Drawing("rung_survival", rungs, "Survival of configurations by rung", captions.rungs(runs)))
    size = (SIZE[0], 2.0 + 0.4 * len(runs))
    found.append(Drawing("time_split", split, "Where the workers' time went", captions.time_split(), size))
    return found


def _own(
    run: Run, label: str, summary: dict[str, Any], beside: Sequence[Run], suffix: str, of: str
) -> list[Drawing]:
    """A run's own figures, in the same order for each."""

    def drawing(name: str, draw: Any, words: str, caption: str) -> Drawing:
        return Drawing(f"{name}{suffix}", draw, f"{words}{of}", caption)

    curves = partial(plot_learning_curves, run=run, name=label, beside=beside)
    found = [
        drawing("learning_curves", curves, "Learning curves of every trial", captions.learning_curves(run))
    ]
    if not of:
        found += settings_drawings(run)
    if by_score(run):
        draw = partial(plot_losses, run=run, name=label)
        kinds = losses_of(run)
        words = f"{captions.losses_title(kinds)} loss of the best trials"
        found.append(drawing("losses", draw, words, captions.losses(run, kinds)))
    if summary["warm_start"]:
        draw = partial(plot_warm_start, run=run, name=label)
        found.append(drawing("warm_start", draw, "What the warm start moved", captions.warm_start()))
    test = summary["test"]
    if test and test["confusion"]:
        title = f"Confusion, {label}" if of else "Confusion of the chosen configuration"
        draw = partial(plot_confusion, matrix=test["confusion"], title=title)
        words = "Confusion matrix of the chosen configuration on test data"
        found.append(drawing("confusion", draw, words, captions.confusion()))
    return found
