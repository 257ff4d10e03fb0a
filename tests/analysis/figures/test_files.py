"""Figures: what becomes of missing and wrong input, the files, and the figures of one run."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from analysis import figures
from analysis.journals.runs import load_run
from analysis.report import run_figures as plots
from asha_core.errors import SettingError
from tests.analysis.figures.figure_cases import (
    FIVE,
    Draw,
    best_bands,
    curve_of,
    drawn,
    heading,
    legend,
    parallel,
)
from tests.analysis.journals.test_metrics import REPORTS, write_run


def test_a_measure_that_nobody_took_leaves_the_others_alone() -> None:
    shares = {"seconds": [1.0, 2.0], "FLOPs": [np.nan, np.nan]}
    axes = drawn(partial(figures.plot_overheads, names=["a", "b"], warm_share=shares))
    assert [bar.get_width() for bar in axes.patches] == [1.0, 2.0]
    assert [text.get_text() for text in axes.texts].count("FLOPs not measured") == 2


EMPTY: dict[str, Draw] = {
    "best": partial(figures.plot_best_bands, grid=[], bands={}),
    "best-nan": partial(figures.plot_best_bands, grid=[0, 1], bands={"a": ([np.nan] * 2,) * 3}),
    "km": partial(figures.plot_kaplan_meier, curves={}),
    "km-none": partial(figures.plot_kaplan_meier, curves={"a": ([], [], [], [], [])}),
    "rungs": partial(figures.plot_survival_by_rung, levels=[], shares={}),
    "scores": partial(figures.plot_final_scores, names=[], centre=[], low=[], high=[]),
    "scores-nan": partial(
        figures.plot_final_scores, names=["a"], centre=[np.nan], low=[np.nan], high=[np.nan]
    ),
    "effects": partial(figures.plot_effects, rows=[]),
    "overheads": partial(figures.plot_overheads, names=[], warm_share={}),
    "overheads-nan": partial(figures.plot_overheads, names=["a"], warm_share={"seconds": [np.nan]}),
    "split": partial(figures.plot_time_split, names=[], parts={}),
    "split-0": partial(figures.plot_time_split, names=["a"], parts={"training": [0.0]}),
    "benefit": partial(figures.plot_gradient_benefit, x_edges=[], y_edges=[], values=[]),
    "benefit-0": partial(figures.plot_gradient_benefit, x_edges=[0, 1], y_edges=[0, 1], values=[[0]]),
    "parallel": partial(figures.plot_parallel_coordinates, dimensions=["a"], values=[], score=[]),
    "before": partial(figures.plot_before_after, before=[], after=[], label="a"),
    "sweep": partial(figures.plot_sweep, x=[], y=[]),
    "confusion": partial(figures.plot_confusion, matrix=[]),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_input_is_a_sentence_and_no_failure(name: str) -> None:
    axes = figures.make_figure(EMPTY[name], figures.COLUMN).axes[0]
    (text,) = axes.texts
    assert len(text.get_text().split()) > 3
    assert not axes.lines
    assert len(axes.get_xticks()) == 0


def test_searches_that_all_failed_to_reach_the_target_are_a_flat_line() -> None:
    t, censored = np.full(4, 90.0), np.ones(4, dtype=bool)
    axes = drawn(partial(figures.plot_kaplan_meier, curves={"a": curve_of(t, censored)}))
    assert set(axes.lines[0].get_ydata()) == {100}
    assert axes.lines[0].get_xdata()[-1] == 90


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingError, match=r"bands\['a'\] has 2 entries, not 3"):
        drawn(partial(figures.plot_best_bands, grid=[0, 1, 2], bands={"a": ([1, 2], [1, 2], [1, 2])}))
    with pytest.raises(SettingError, match="low has 1 entries, not 2"):
        drawn(partial(figures.plot_final_scores, names=["a", "b"], centre=[1, 2], low=[1], high=[1, 2]))
    with pytest.raises(SettingError, match=r"shape \(1, 2\)"):
        drawn(partial(figures.plot_gradient_benefit, x_edges=[0, 1], y_edges=[0, 1], values=[[1, 2]]))
    with pytest.raises(SettingError, match="mode is 'best'"):
        drawn(parallel(mode="best"))
    with pytest.raises(SettingError, match="positive"):
        drawn(partial(figures.plot_sweep, x=[0.0], y=[1.0]))


# ---- files


@pytest.mark.long
def test_files_have_embedded_truetype_and_leave_matplotlib_as_it_was(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    pdf, png = figures.save_figure(
        best_bands(FIVE, title="costs $5 or $6"), tmp_path / "t_at_0.93", figures.COLUMN
    )
    assert (pdf.name, png.name) == ("t_at_0.93.pdf", "t_at_0.93.png")
    content = pdf.read_bytes()
    assert b"/CIDFontType2" in content
    assert b"/Type3" not in content
    assert dict(mpl.rcParams) == before
    again, _ = figures.save_figure(
        best_bands(FIVE, title="costs $5 or $6"), tmp_path / "again", figures.COLUMN
    )
    assert again.read_bytes() == content  # the same arrays give the same bytes


@pytest.mark.processes
@pytest.mark.slow
def test_figures_need_neither_pyplot_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from analysis.figures import Effect, plot_effects, save_figure;"
        "rows = [Effect('digits, asha', 'ohgw-1step', .9, .8, 1)];"
        "save_figure(lambda axes: plot_effects(axes, rows), pathlib.Path(sys.argv[1]) / 'a');"
        "sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- one run


def with_losses(folder: Path, losses: dict[int, list[tuple[float, float]]]) -> Any:
    """A run whose reports tell (train_loss, valid_loss), by trial and unit."""
    write_run(folder, REPORTS, end=10.0)
    path = folder / "journal.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["type"] == "report" and record["trial"] in losses:
            train, valid = losses[record["trial"]][record["resource"] - 1]
            record["metrics"] = {"train_loss": train, "valid_loss": valid}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_run(folder)


def test_losses_are_solid_for_validation_and_dashed_for_training(tmp_path: Path) -> None:
    told = [(1.0 / unit, 1.5 / unit) for unit in range(1, 10)]
    run = with_losses(tmp_path / "a", {1: told})
    axes = drawn(partial(plots.plot_losses, run=run))
    solid, dashed = axes.lines
    units = run.trials[1].resources
    assert list(solid.get_xdata()) == units
    assert list(solid.get_ydata()) == [told[unit - 1][1] for unit in units]
    assert list(dashed.get_ydata()) == [told[unit - 1][0] for unit in units]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert legend(axes) == ["trial 1 (score 0.9)", "validation", "training"]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert axes.get_xlabel() == "resource (epochs)"


def test_a_run_without_losses_says_so(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "a", REPORTS, end=10.0))
    axes = drawn(partial(plots.plot_losses, run=run))
    assert "reported train_loss or valid_loss" in axes.texts[0].get_text().replace("\n", " ")


def test_figures_of_several_runs_are_told_apart_and_units_are_whole(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "a", REPORTS, end=10.0))
    axes = drawn(partial(plots.plot_learning_curves, run=run))
    assert run.name in heading(axes)
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert "the second one" in heading(
        drawn(partial(plots.plot_learning_curves, run=run, name="the second one"))
    )
    both = [run, load_run(write_run(tmp_path / "b", REPORTS, end=10.0))]
    curves = drawn(partial(plots.plot_best_so_far, runs=both))
    assert len(set(legend(curves))) == 2
    assert len({line.get_linestyle() for line in curves.lines if line.get_linestyle() != "None"}) == 2
