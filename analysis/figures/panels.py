"""Several figures side by side in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes


def draw_panels(axes: Axes, panels: Sequence[Callable[[Axes], None]], columns: int, title: str = "") -> None:
    """Several figures side by side in the place of one.

    Args:
        axes: the only ones of their figure; they stay empty behind the others.
    """
    figure = axes.figure
    axes.set_axis_off()
    axes.set_aspect("equal")  # figures of such axes keep the height that they were given
    rows = -(-len(panels) // columns)
    for index, panel in enumerate(panels):
        panel(figure.add_subplot(rows, columns, index + 1))
    if title:
        figure.suptitle(title.replace("$", r"\$"), x=0.01, ha="left", fontsize=mpl.rcParams["axes.titlesize"])
