"""A figure as PDF and PNG, for a page or for one column of a paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import SIZE

_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 10,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
}
_COLUMN_STYLE: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "axes.labelpad": 2.5,
    "savefig.dpi": 300,
}


def make_figure(draw: Callable[[Axes], None], size: tuple[float, float] = SIZE) -> Figure:
    """A figure of its own with the drawing on it, laid out; it is nobody's current figure.

    size: (width, height) in inches: ``SIZE`` for a page, ``COLUMN`` for one column of a paper, whose letters
    are smaller. A legend or table under the axes makes the figure taller, so that the axes keep three fifths
    of the height that was asked for.
    """
    with mpl.rc_context(_style(size)):
        figure = Figure(figsize=size, dpi=mpl.rcParams["savefig.dpi"], layout="constrained")
        axes = figure.add_subplot()
        # else there would be as many ticks as suit the font size of whoever renders it
        axes.tick_params(labelsize=mpl.rcParams["font.size"])
        draw(axes)
        _lay_out(figure)
    return figure


def save_figure(
    draw: Callable[[Axes], None], stem: Path, size: tuple[float, float] = SIZE
) -> tuple[Path, Path]:
    """Draw on a fresh figure and write it as ``stem``.pdf and ``stem``.png; returns both paths.

    size: as for ``make_figure``. The PDF embeds its fonts as TrueType (type 42), as publishers ask.
    """
    paths = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")
    figure = make_figure(draw, size)
    with mpl.rc_context(_style(size)):
        # fixed metadata: the same journal gives the same bytes
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.savefig(paths[1])
    return paths


def _style(size: tuple[float, float]) -> dict[Any, Any]:
    return {**_STYLE, **(_COLUMN_STYLE if size[0] < 4.5 else {})}


def _lay_out(figure: Figure) -> None:
    """Place everything, once for both files, in a figure whose axes have room whatever stands below."""
    engine, axes, asked = figure.get_layout_engine(), figure.axes[0], figure.get_figheight()
    assert engine is not None
    if axes.get_aspect() == "auto":
        figure.set_figheight(4 * asked)  # where everything finds room, to see how much it takes
        engine.execute(figure)
        around = 4 * asked * (1 - axes.get_position().height)
        figure.set_figheight(max(asked, around + 0.6 * asked))
    engine.execute(figure)
    with mpl.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)  # one that does nothing would have everything drawn twice
