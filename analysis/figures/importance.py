"""Which hyper-parameters mattered, as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.figures.checks import array
from analysis.figures.layout import headed, names_down, nothing
from analysis.figures.style import BASELINE, PALETTE


def plot_importance(
    axes: Axes,
    dimensions: Sequence[str],
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    note: str = "",
    why: str = "",
    title: str = "",
) -> None:
    """A bar for each hyper-parameter, the longest first.

    Args:
        dimensions: (D,) names.
        mean, sd: (D,) loss of R^2 when it is shuffled.
        note: how far the bars can be trusted.
        why: why there are none; then this is said in their place.
    """
    means, sds = array("mean", mean, len(dimensions)), array("sd", sd, len(dimensions))
    if why or not np.isfinite(means).any():
        nothing(axes, why or "no importance is known")
        return
    order = np.argsort(-means, kind="stable")
    axes.barh(range(len(order)), means[order], 0.62, color=PALETTE[0])
    axes.errorbar(
        means[order], range(len(order)), xerr=sds[order], fmt="none", ecolor=BASELINE, elinewidth=1, capsize=2
    )
    axes.axvline(0, color=BASELINE, linewidth=0.8)
    names_down(axes, [dimensions[place] for place in order])
    axes.set_xlabel("loss of R\N{SUPERSCRIPT TWO} when it is shuffled")
    headed(axes, title, note, "figure")
