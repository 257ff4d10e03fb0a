"""Figures: what they claim, what they may not hide, and that they can be read, on a page and in a column."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from analysis import figures
from analysis.figures.style import BASELINE
from analysis.journals.runs import load_run
from analysis.report import run_figures as plots
from analysis.stats.summaries import interquartile_mean_band
from analysis.stats.survival import kaplan_meier
from asha_core.errors import SettingError
from tests.analysis.figures.figure_cases import (
    BY_NAME,
    FIVE,
    LOOK,
    SEEDS,
    THIRTEEN,
    Draw,
    before_after,
    benefit,
    best_bands,
    confusion,
    curve_of,
    drawn,
    final_scores,
    forest,
    heading,
    km_curves,
    legend,
    overheads,
    rung_shares,
    split,
    sweep,
    times,
)
from tests.analysis.journals.test_metrics import write_run


@given(st.lists(st.text(min_size=1, max_size=8), max_size=37, unique=True))
def test_styles_are_unique_and_depend_on_place_alone(names: list[str]) -> None:
    look = figures.styles(names, baseline="b")
    assert list(look) == names
    assert len({(style.colour, style.dash) for style in look.values()}) == len(names)
    if "b" in names:
        assert (look["b"].colour, look["b"].dash, look["b"].marker) == (BASELINE, "-", "o")
    for count in range(len(names)):  # variations that come later change nothing
        assert figures.styles(names[:count], baseline="b") == dict(itertools.islice(look.items(), count))


def colours_in(axes: Axes) -> set[str]:
    lines = {to_hex(line.get_color()) for line in axes.lines}
    return lines | {to_hex(patch.get_edgecolor()) for patch in axes.patches}


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "split"])
def test_a_variation_looks_the_same_in_every_figure(name: str) -> None:
    few = ["baseline", "ohgw-3step", "trust-flipped"]  # not the first ones of the study
    shown = few[1:] if name == "effects" else few
    found = colours_in(drawn(BY_NAME[name](few)))
    assert found >= {LOOK[each].colour.lower() for each in shown}
    others = {style.colour.lower() for style in LOOK.values()} - {LOOK[each].colour.lower() for each in few}
    assert not found & (others - {BASELINE})


def test_without_a_look_of_the_study_the_default_is_one_by_place() -> None:
    axes = drawn(best_bands(FIVE, look=None))
    assert {to_hex(line.get_color()) for line in axes.lines} >= {
        style.colour.lower() for style in figures.styles(FIVE).values()
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_every_figure_says_its_n_and_has_its_axes_named(name: str) -> None:
    axes = drawn(BY_NAME[name](FIVE))
    assert "n = 20" in heading(axes)
    assert axes.get_xlabel()
    if name in ("best", "km", "rungs"):
        assert axes.get_ylabel()
        assert any(unit in axes.get_xlabel() for unit in ("(h)", "(epochs of training)"))
        assert legend(axes)[:5] == FIVE
    if name not in ("split", "overheads"):
        assert "95%" in heading(axes)


def test_where_seeds_are_missing_each_variation_says_its_own_n() -> None:
    n = {"baseline": 20, "random-warm": 20, "ohgw-1step": 18, "ohgw-3step": 20, "ohgw-trust": 20}
    axes = drawn(best_bands(FIVE, n=n))
    assert "n = 18 to 20 seeds" in heading(axes)
    assert legend(axes)[2] == "ohgw-1step (n = 18)"


def test_the_bands_show_every_target_and_the_late_curves_whole() -> None:
    axes = drawn(best_bands(FIVE, targets=(0.5, 0.99)))
    low, high = axes.get_ylim()
    assert low < 0.5
    assert high > 0.99
    axes = drawn(best_bands(FIVE))
    low, high = axes.get_ylim()
    late = [line.get_ydata()[-1] for line in axes.lines[:5]]
    assert low < min(late) <= max(late) < high
    assert low > 0.2  # and the first minutes' scores do not flatten them
    assert "interquartile mean with 95% bootstrap band" in heading(axes)
    assert axes.get_xlabel() == "wall-clock time (h)"
    assert axes.get_xlim() == (0, 3)


def test_errors_are_shown_as_well_as_scores() -> None:
    grid = np.linspace(0, 100, 50)
    loss = 0.1 + 2 * np.exp(-grid / 10)
    axes = drawn(partial(figures.plot_best_bands, grid=grid, bands={"a": (loss, loss - 0.01, loss + 0.01)}))
    assert axes.get_ylim()[0] < 0.1
    assert axes.get_ylim()[1] < 1.0
    assert axes.get_xlabel() == "wall-clock time (s)"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=25),
    st.booleans(),
)
def test_the_kaplan_meier_step_is_the_estimate_everywhere(
    data: list[tuple[int, bool]], upwards: bool
) -> None:
    t = np.array([each for each, _ in data], dtype=float)
    censored = np.array([each for _, each in data])
    draw = partial(
        figures.plot_kaplan_meier, curves={"a": curve_of(t, censored)}, xlabel="time (s)", complement=upwards
    )
    axes = drawn(draw)
    x, y = axes.lines[0].get_data()
    assert (x[0], y[0]) == (0, 0 if upwards else 100)
    at = np.arange(0.5, t.max())
    share = y[np.searchsorted(x, at, side="right") - 1]
    expected = 100 * kaplan_meier(t, censored).at(at)
    assert share == pytest.approx(100 - expected if upwards else expected)
    marks = axes.lines[1]
    assert sorted(marks.get_xdata()) == sorted(t[censored])
    for at, height in zip(*marks.get_data(), strict=True):  # on the step: who reached it then came first
        assert height == y[np.searchsorted(x, at, side="right") - 1]
    assert ("censored" in heading(axes)) == bool(censored.any())


def test_the_numbers_at_risk_are_counts_of_searches_still_under_way() -> None:
    told = times(FIVE)
    axes = drawn(km_curves(FIVE))
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= axes.get_xlim()[1]]
    expected = [str(int((t >= 3600 * tick).sum())) for t, _ in told.values() for tick in ticks]
    numbers = [text.get_text() for text in axes.texts if text.get_text().isdigit()]
    assert numbers == expected
    assert expected[0] == "20"
    assert not [text for text in drawn(km_curves(THIRTEEN)).texts if text.get_text().isdigit()]  # no room


def test_kaplan_meier_names_its_target_and_direction() -> None:
    label = " ".join(drawn(km_curves(FIVE)).get_ylabel().split())
    assert label == "searches yet to reach accuracy 0.93 (%)"
    label = " ".join(drawn(km_curves(FIVE, complement=True)).get_ylabel().split())
    assert label == "searches that reached accuracy 0.93 (%)"


def test_survival_by_rung_is_logarithmic_unless_a_share_is_zero() -> None:
    axes = drawn(rung_shares(FIVE))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "3", "9", "27", "81"]
    assert legend(axes)[-1] == "one in 3 of the rung before"
    zero = {"a": ([1, 0.3, 0], [1, 0.2, 0], [1, 0.4, 0.1])}
    axes = drawn(partial(figures.plot_survival_by_rung, levels=[1, 3, 9], shares=zero))
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0
    missing = {"a": ([1, 0.3, np.nan], [1, 0.2, np.nan], [1, np.nan, np.nan])}
    axes = drawn(partial(figures.plot_survival_by_rung, levels=[1, 3, 9], shares=missing))
    (bars,) = (each for each in axes.containers if isinstance(each, ErrorbarContainer))
    assert list(bars.lines[0].get_ydata()) == pytest.approx([100, 30])


def test_final_scores_are_dots_with_intervals_and_every_seed() -> None:
    axes = drawn(final_scores(FIVE, test=([0.92] * 5, [0.91] * 5, [0.925] * 5)))
    assert not axes.patches  # no bar whose length would mean something from a base that is not 0
    faint = [line for line in axes.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in faint] == [SEEDS] * 5
    assert all(line.get_alpha() < 0.6 for line in faint)
    widest = max(line.get_zorder() for line in faint)  # nobody's score hides an interval
    assert all(
        line.get_zorder() > widest
        for line in axes.lines
        if line.get_marker() != "." and line.get_linestyle() != ":"
    )
    assert legend(axes) == ["validation", "test"]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in hollow] == [0.92] * 5
    assert [tick.get_text() for tick in axes.get_yticklabels()] == FIVE
    top, bottom = axes.get_ylim()[1], axes.get_ylim()[0]
    assert bottom > top  # the first is at the top
    square = drawn(final_scores(FIVE, points=np.full((5, 3), 0.93)))  # a matrix will do as well
    assert "n = 3 seeds" in heading(square)


def test_the_forest_plot_has_its_lines_its_numbers_and_arrows_where_intervals_go_on() -> None:
    rows = [
        figures.Effect("digits, asha", "a", 0.8, 0.7, 0.95, 20),
        figures.Effect("digits, asha", "b", 1.5, 0.0, np.inf, 20, "restricted means"),
        figures.Effect("digits, asha", "c", np.nan, np.nan, np.nan, 20),
    ]
    axes = drawn(partial(figures.plot_effects, rows=rows))
    assert axes.get_xscale() == "log"
    upright = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert {1, 0.85} <= set(upright)
    left, right = axes.get_xlim()
    assert left < 0.7
    assert right > 1.5
    arrows = [line.get_marker() for line in axes.lines if line.get_marker() in ("<", ">")]
    assert sorted(arrows) == ["<", ">"]
    written = [text.get_text() for text in axes.texts]
    assert written == ["0.80 [0.70, 0.95]", "1.50* [0.00, ∞]", "undefined"]
    assert "n = 20 pairs" in heading(axes)
    assert "*: ratio of restricted means" in heading(axes)
    assert "digits, asha" in heading(axes)


def test_a_ratio_without_an_interval_has_no_bar_and_no_arrow() -> None:
    rows = [figures.Effect("digits, asha", "a", 0.9, np.nan, np.nan, 4, "restricted means")]
    axes = drawn(partial(figures.plot_effects, rows=rows))
    assert not [line for line in axes.lines if line.get_marker() in ("<", ">")]
    assert [text.get_text() for text in axes.texts] == ["0.90 [?, ?]"]  # no star where all are of one kind
    assert "ratio of restricted means" in heading(axes)


def test_several_groups_stand_under_their_names() -> None:
    axes = drawn(forest(FIVE))
    assert [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"] == [
        "digits, asha",
        "fashion-mnist, pasha",
    ]
    assert len(axes.get_yticks()) == 8


def test_overhead_bars_begin_at_zero_and_the_limit_is_in_sight() -> None:
    axes = drawn(overheads(FIVE))
    assert all(bar.get_x() == 0 for bar in axes.patches)
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlim()[1] > 6
    small = drawn(partial(figures.plot_overheads, names=["a"], warm_share={"seconds": [0.01]}, limit=5.0))
    assert small.get_xlim()[1] > 5
    assert any(list(line.get_xdata()) == [5.0, 5.0] for line in small.lines)
    assert "dashed: 5%" in heading(small)
    assert "FLOPs not measured" in [text.get_text() for text in axes.texts]


def test_time_is_split_into_parts_that_add_up() -> None:
    axes = drawn(split(FIVE))
    for row in range(5):
        bars = [bar for bar in axes.patches if abs(bar.get_y() + bar.get_height() / 2 - row) < 0.01]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(100)
    alone = drawn(
        partial(figures.plot_time_split, names=["a"], parts={"training": [30.0], "waiting": [10.0]})
    )
    assert legend(alone) == ["training (75.0%)", "waiting (25.0%)"]


@pytest.mark.long
def test_the_heat_map_shows_counts_as_they_are() -> None:
    values = np.array([[0, 1, 2], [3, 0, 5]])
    axes = drawn(
        partial(figures.plot_gradient_benefit, x_edges=[0, 1, 2], y_edges=[-1, 0, 1, 2], values=values)
    )
    (mesh,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    shown = mesh.get_array().reshape(3, 2)
    assert shown[2, 1] == 5  # x bin 1, y bin 2
    assert shown[0, 1] == 3
    assert shown.mask.sum() == 2  # nothing was there: white, and not the colour of few
    bar = mesh.colorbar
    assert bar.ax.get_ylabel() == "configurations"
    assert all(float(tick).is_integer() for tick in bar.get_ticks())
    assert heading(drawn(benefit())).strip().endswith("Spearman's rho = 0.31")  # no p: searches are the unit


@pytest.mark.parametrize("mode", ["max", "min"])
def test_parallel_coordinates_colour_the_best(mode: str) -> None:
    score = np.arange(40.0)
    cube = np.tile(score[:, None] / 40, (1, 2))
    draw = partial(
        figures.plot_parallel_coordinates,
        dimensions=["a", "b"],
        values=cube,
        score=score,
        mode=mode,
        share=0.1,
    )
    axes = drawn(draw)
    rest, best = (each for each in axes.collections if isinstance(each, LineCollection))
    heights = sorted(40 * segment[0][1] for segment in best.get_segments())
    assert heights == pytest.approx([36, 37, 38, 39] if mode == "max" else [0, 1, 2, 3])
    assert len(rest.get_segments()) == 36
    assert "the best 4 (10%)" in heading(axes)


def test_before_and_after_are_counted_over_common_bins() -> None:
    axes = drawn(before_after())
    assert axes.get_xscale() == "log"
    one, other = (patch.get_path().vertices[:, 0] for patch in axes.patches)
    assert set(np.round(np.log10(one), 9)) == set(np.round(np.log10(other), 9))
    assert legend(axes) == ["before (n = 300)", "after (n = 300), KL = 0.04 nats"]
    names = drawn(
        partial(figures.plot_before_after, before=["sgd", "adam"], after=["sgd", "sgd"], label="optimizer")
    )
    assert [bar.get_height() for bar in names.patches] == [50, 50, 100, 0]
    with pytest.raises(SettingError, match="learning_rate: -1 is not positive"):
        drawn(partial(figures.plot_before_after, before=[-1.0], after=[1.0], label="learning_rate", log=True))


def test_a_sweep_shows_every_search_and_its_own_values_on_the_axis() -> None:
    axes = drawn(sweep())
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1e-4", "3e-4", "1e-3", "3e-3"]
    assert len(axes.lines[0].get_xdata()) == 32
    assert "mean, 95% t interval" in heading(axes)
    grid = np.logspace(-4, -2, 30)
    smooth = drawn(sweep(curve=(grid, grid, grid - 1, grid + 1), of="LOESS", interval="95% bootstrap band"))
    assert len(smooth.lines[1].get_xdata()) == 30
    assert "LOESS, 95% bootstrap band" in heading(smooth)


def test_a_confusion_matrix_counts_by_true_class() -> None:
    axes = drawn(
        partial(figures.plot_confusion, matrix=[[3, 1, 0], [0, 0, 0], [1, 1, 2]], names=["a", "b", "$"])
    )
    shares = axes.images[0].get_array()
    assert shares[0].tolist() == [75, 25, 0]
    assert shares[1].mask.all()  # a class without samples is no class that is always right or wrong
    assert shares[2].tolist() == [25, 25, 50]
    assert [text.get_text() for text in axes.texts] == ["75.0", "25.0", "25.0", "25.0", "50.0"]
    assert "n = 8 samples of test data; 62.5% on the diagonal" in heading(axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert drawn(confusion(20)).texts
    assert not drawn(confusion(21)).texts
    with pytest.raises(SettingError, match=r"shape \(2, 3\)"):
        drawn(partial(figures.plot_confusion, matrix=np.ones((2, 3))))
    for wrong, said in (
        ([[5, np.nan], [2, 7]], r"matrix\[0\]\[1\] is nan: .*counts"),
        ([[5, 1], [-2, 7]], r"matrix\[1\]\[0\] is -2: .*counts"),
        ([[5, np.inf], [2, 7]], r"matrix\[0\]\[1\] is inf: .*counts"),
        ([[5], [2, 7]], "matrix must be numbers"),
        ([["a"]], "matrix must be numbers"),
    ):
        with pytest.raises(SettingError, match=said):
            drawn(partial(figures.plot_confusion, matrix=wrong))


# ---- what the library returns goes into its figures


def lines_of(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_xdata())]


def test_a_kaplan_meier_object_is_drawn_as_its_arrays_are() -> None:
    t, censored = np.array([3.0, 5, 7, 7, 9]), np.array([0, 0, 1, 0, 1], bool)
    curve = kaplan_meier(t, censored)
    axes = drawn(partial(figures.plot_kaplan_meier, curves={"a": curve}))
    arrays = (curve.times, curve.survival, curve.low, curve.high, [9.0])  # a curve goes on to its last time
    assert lines_of(axes) == lines_of(drawn(partial(figures.plot_kaplan_meier, curves={"a": arrays})))[:1]
    assert "n = 5 searches" in heading(axes)
    assert "censored" not in heading(axes)  # it does not know when
    never = kaplan_meier([4.0, 4.0], [True, True])
    (line,) = lines_of(drawn(partial(figures.plot_kaplan_meier, curves={"a": never})))
    assert line == ([0, 4], [100, 100])


def test_a_band_is_drawn_as_its_arrays_are() -> None:
    grid = np.arange(5.0)
    band = interquartile_mean_band(np.random.default_rng(0).random((7, 5)), draws=50)
    axes = drawn(partial(figures.plot_best_bands, grid=grid, bands={"a": band}))
    arrays = (band.centre, band.low, band.high)
    assert lines_of(axes) == lines_of(drawn(partial(figures.plot_best_bands, grid=grid, bands={"a": arrays})))
    assert "n = 7 seeds" in heading(axes)
    axes = drawn(partial(figures.plot_survival_by_rung, levels=[1, 3, 9, 27, 81], shares={"a": band}))
    assert "n = 7 seeds" in heading(axes)


BAND = ([1.0, 2.0], [1.0, 2.0], [1.0, 2.0])
CURVE = ([1.0], [0.5], [0.2], [0.8], [2.0])


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (
            partial(figures.plot_kaplan_meier, curves={"a": CURVE[:4]}),
            r"curves\['a'\] has 4 parts: .*times, survival, low, high, censor marks",
        ),
        (partial(figures.plot_kaplan_meier, curves={"a": 3.0}), r"curves\['a'\] is 3.0: .*times, survival"),
        (
            partial(figures.plot_kaplan_meier, curves={"baseline": CURVE}, n={"baselin": 4}),
            'n names "baselin", .*did you mean "baseline"',
        ),
        (
            partial(figures.plot_kaplan_meier, curves={"a": CURVE}, durations={"zzz": [1.0]}),
            'durations names "zzz", .*known: a',
        ),
        (partial(figures.plot_kaplan_meier, curves={"a": CURVE}, horizon=np.nan), "horizon is nan"),
        (
            partial(figures.plot_best_bands, grid=[0, 1], bands={"a": BAND[:2]}),
            r"bands\['a'\] has 2 parts: .*centre, low, high",
        ),
        (partial(figures.plot_best_bands, grid=[0, 1], bands={"a": None}), r"bands\['a'\] is None: .*centre"),
        (
            partial(figures.plot_best_bands, grid=[0, 1], bands={"a": BAND}, n={"zzz": 4}),
            'n names "zzz", .*known: a',
        ),
        (partial(figures.plot_best_bands, grid=[0, np.nan], bands={"a": BAND}), r"grid\[1\] is nan"),
        (
            partial(figures.plot_survival_by_rung, levels=[1, 3], shares={"a": BAND}, n={"zzz": 4}),
            'n names "zzz", .*known: a',
        ),
        (
            partial(figures.plot_survival_by_rung, levels=[1, 3], shares={"a": BAND * 2}),
            r"shares\['a'\] has 6 parts: .*mean, low, high",
        ),
        (partial(figures.plot_survival_by_rung, levels=[0, 3], shares={"a": BAND}), r"levels\[0\] is 0"),
        (partial(figures.plot_sweep, x=[np.nan, 1], y=[1, 2]), r"x\[0\] is nan"),
        (partial(figures.plot_sweep, x=[1, np.inf], y=[1, 2]), r"x\[1\] is inf"),
        (partial(figures.plot_sweep, x=[1, -2], y=[1, 2]), r"x\[1\] is -2"),
        (
            partial(figures.plot_sweep, x=[1, 2], y=[1, 2], curve=BAND),
            "curve has 3 parts: .*grid, centre, low, high",
        ),
        (
            partial(final_scores(FIVE), points=[[1.0]]),
            "points has 1 entries for 5 names",
        ),
        (
            partial(final_scores(FIVE), test=([1.0] * 5,)),
            "test has 1 parts: .*centre, low, high",
        ),
        (
            partial(figures.plot_gradient_benefit, x_edges=[0, 1], y_edges=[0, 1], values=[["a"]]),
            "values must be numbers",
        ),
        (
            partial(figures.plot_parallel_coordinates, dimensions=["a"], values=[["b"]], score=[1]),
            "values must be numbers",
        ),
    ],
)
def test_what_a_figure_cannot_use_is_named(draw: Draw, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        drawn(draw)


def test_a_look_of_the_whole_study_serves_every_figure() -> None:
    drawn(partial(figures.plot_best_bands, grid=[0, 1], bands={"baseline": BAND}, look=LOOK))


def test_a_variation_that_cannot_be_drawn_is_named() -> None:
    none = ([np.nan] * 2,) * 3
    bands = {"a": BAND, "late": none, "later": none}
    axes = drawn(partial(figures.plot_best_bands, grid=[0, 1], bands=bands))
    assert "not shown: late, later, no value by then" in heading(axes)
    assert legend(axes) == ["a"]
    assert "not shown" not in heading(drawn(best_bands(FIVE)))
    axes = drawn(partial(figures.plot_kaplan_meier, curves={"a": CURVE, "b": ([],) * 5}))
    assert "not shown: b, no search" in heading(axes)
    axes = drawn(partial(figures.plot_survival_by_rung, levels=[1, 3], shares={"a": BAND, "b": none}))
    assert "not shown: b, no rung" in heading(axes)


@pytest.mark.parametrize("size", [figures.SIZE, figures.COLUMN], ids=["page", "column"])
@pytest.mark.parametrize("count", range(2, 7))
def test_survival_by_rung_stands_in_clusters_whose_markers_are_apart(
    count: int, size: tuple[float, float]
) -> None:
    names = THIRTEEN[:count]
    figure = figures.make_figure(rung_shares(names), size)
    axes = figure.axes[0]
    markers = [each.lines[0] for each in axes.containers if isinstance(each, ErrorbarContainer)]
    assert len(markers) == count
    points = [
        72 / figure.dpi * axes.transData.transform(np.column_stack(line.get_data()))[:, 0] for line in markers
    ]
    levels = 72 / figure.dpi * axes.transData.transform([(level, 1) for level in (1, 3, 9, 27, 81)])[:, 0]
    width = points[-1] - points[0]
    assert (width <= 0.31 * np.diff(levels).min()).all()
    assert (points[0] + points[-1]) / 2 == pytest.approx(levels)  # around their rung
    for one, other, line in zip(points, points[1:], markers, strict=False):
        assert (other - one >= 0.99 * line.get_markersize()).all()
    assert min(line.get_markersize() for line in markers) >= 1.5


def test_the_points_of_single_searches_can_be_seen_at_page_size() -> None:
    for draw, place in ((final_scores(FIVE), 0), (sweep(), 0)):
        faint = figures.make_figure(draw).axes[0].lines[place]
        assert faint.get_marker() == "."
        assert faint.get_markersize() / 2 >= 3.5  # points across: a "." is half a marker
        assert faint.get_alpha() >= 0.45


def test_the_losses_of_a_single_epoch_are_two_marks_that_differ(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "a", [(2.0, 0, 1, 0.5)], end=10.0))
    run.trials[0].metrics[0].update(train_loss=0.7, valid_loss=0.7)
    axes = drawn(partial(plots.plot_losses, run=run))
    valid, train = axes.lines
    assert valid.get_marker() == train.get_marker() == "o"
    assert (train.get_markerfacecolor(), valid.get_markerfacecolor()) == ("none", valid.get_color())
    assert train.get_markersize() > valid.get_markersize()  # one around the other where both are equal
    handles = axes.get_legend().get_lines()[-2:]
    assert [handle.get_markerfacecolor() == "none" for handle in handles] == [False, True]
    assert [handle.get_marker() for handle in handles] == ["o", "o"]


def test_bands_without_a_value_say_up_to_when_there_was_none() -> None:
    """All searches may have reported later: that none did at all is not known here."""
    none = np.full(3, np.nan)
    axes = drawn(partial(figures.plot_best_bands, grid=[0.0, 1.0, 2.0], bands={"a": (none, none, none)}))
    (text,) = axes.texts
    assert " ".join(text.get_text().split()) == (
        "no search had reported a finite score by 2 (wall-clock time (s)), where this figure ends"
    )
