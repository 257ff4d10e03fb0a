"""The confusion matrix of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from analysis.figures import checks
from analysis.figures.layout import colour_bar, font_points, headed, narrow, nothing, plain, room, text_width
from analysis.figures.style import BASELINE
from asha_core.errors import SettingError

_MOST_NUMBERS = 20  # classes; with more the numbers in the cells cannot be read


def plot_confusion(
    axes: Axes, matrix: ArrayLike, names: Sequence[str] = (), title: str = "", data: str = "test data"
) -> None:
    """Where samples of each true class were put, in per cent of that class: every row adds up to 100.

    Args:
        matrix: (K, K) counts, a row for each true class, as ``asha-test`` keeps them. A class without a
            sample is a row left white.
        names: (K,) of the classes; by default their numbers.
        data: of which the samples are.
    Raises:
        SettingError: a matrix that is not square or holds what is no count, or names that do not fit.
    """
    counts = checks.matrix("matrix", matrix)
    if not counts.size:
        nothing(
            axes, "no confusion matrix: outputs that are no classes, or nothing was measured on test data"
        )
        return
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise SettingError(f"matrix has shape {counts.shape}: give a square one, a row for each true class")
    wrong = ~np.isfinite(counts) | (counts < 0)
    checks.refuse_first("matrix", wrong, counts, "give counts, finite and none negative")
    classes = len(counts)
    if len(names) not in (0, classes):
        raise SettingError(
            f"names has {len(names)} entries for {classes} classes: give one for each, or none"
        )
    total = counts.sum(axis=1, keepdims=True)
    shares = np.ma.masked_invalid(np.where(total > 0, 100 * counts / np.maximum(total, 1), np.nan))
    numbers = classes <= _MOST_NUMBERS
    # hundreds of classes: a linear scale would show the diagonal alone
    norm = PowerNorm(1.0 if numbers else 0.4, 0, 100)
    image = axes.imshow(shares, cmap="Blues", norm=norm, aspect="equal", interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if numbers:
        _numbers(axes, shares)
    bar = colour_bar(axes, image, "share of the true class (%)", shrink=0.9)
    bar.set_ticks([0, 25, 50, 75, 100] if numbers else [0, 1, 5, 25, 50, 100])
    if numbers:
        texts = [plain(name) for name in names] or [str(index) for index in range(classes)]
        axes.set_yticks(range(classes), texts)
        axes.set_xticks(range(classes), texts)
        small = "small" if classes > 10 or narrow(axes) else "medium"
        turned = max(text_width(text, small) for text in texts) > 0.5 * min(room(axes)) / classes
        axes.tick_params(axis="x", rotation=90 if turned else 0, labelsize=small)
        axes.tick_params(axis="y", labelsize=small)
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    correct = 100 * float(np.trace(counts)) / max(float(counts.sum()), 1.0)
    note = f"n = {int(counts.sum())} samples of {data}; {correct:.4g}% on the diagonal"
    headed(axes, title, note, "figure", beside=4 * font_points())


def _numbers(axes: Axes, shares: np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    """Per cent in every cell that is not empty; light on the dark ones."""
    few = len(shares) <= 10
    size = "x-small" if few and not narrow(axes) else "xx-small"
    for row, line in enumerate(shares.filled(0)):
        for column, share in enumerate(line):
            if share > 0:
                text = f"{share:.1f}" if few else f"{share:.0f}" if share >= 0.5 else "<1"
                colour = "white" if share > 55 else BASELINE
                axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
