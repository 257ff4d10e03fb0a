"""What the warm start costs, and where the time went, a row a variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from analysis.figures.checks import array
from analysis.figures.layout import (
    across,
    headed,
    joined,
    label_at,
    legend_below,
    names_down,
    nothing,
    plain,
    sample_size,
)
from analysis.figures.style import BASELINE, FAINT, GREY, PALETTE, Style, looks

_PARTS = (PALETTE[0], PALETTE[1], PALETTE[5], FAINT, PALETTE[2], PALETTE[3])
_HATCHES = ("", "////", "....", "xxxx")


def plot_overheads(
    axes: Axes,
    names: Sequence[str],
    warm_share: Mapping[str, ArrayLike],
    n: int | None = None,
    *,
    limit: float | None = 5.0,
    xlabel: str = "the warm start's share of the total (%)",
    look: Mapping[str, Style] | None = None,
    title: str = "",
) -> None:
    """Overhead bars from 0, a row a variation and a bar a measure, with the limit as a dashed line.

    Args:
        names: (K,) variations.
        warm_share: by measure, such as "seconds" and "FLOPs", (K,) per cent; NaN: not measured.
        n: seeds.
        limit: per cent; what the warm start may cost.
    Raises:
        SettingError: arrays whose lengths do not fit.
    """
    values = {what: array(f"warm_share[{what!r}]", each, len(names)) for what, each in warm_share.items()}
    if not len(names) or not any(np.isfinite(each).any() for each in values.values()):
        nothing(axes, "no overhead was measured: no search with a warm start")
        return
    style = looks(names, look)
    height = 0.76 / len(values)
    for index, (what, shares) in enumerate(values.items()):
        for row, (name, share) in enumerate(zip(names, shares, strict=True)):
            y = row + (index - (len(values) - 1) / 2) * height
            colour, hatch = style[name].colour, _HATCHES[index % len(_HATCHES)]
            if np.isfinite(share):
                face = colour if not hatch else "white"
                axes.barh(y, share, height * 0.9, color=face, edgecolor=colour, hatch=hatch, linewidth=0.8)
            text = f"{share:.2g}%" if np.isfinite(share) else f"{what} not measured"
            label_at(
                axes,
                text,
                (float(np.nan_to_num(max(share, 0))), y),
                fontsize="x-small",
                color=BASELINE if np.isfinite(share) else GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )
    if limit is not None:
        axes.axvline(limit, color=GREY, linestyle="--", linewidth=1)
    top = max(
        [float(np.nanmax(each)) for each in values.values() if np.isfinite(each).any()] + [limit or 0.0]
    )
    axes.set_xlim(min(0.0, *(float(np.nan_to_num(each).min()) for each in values.values())), top * 1.15 or 1)
    names_down(axes, names)
    across(axes, xlabel)
    headed(axes, title, joined(sample_size(n), f"dashed: {limit:g}%" if limit else ""), "figure")
    if len(values) > 1:
        legend_below(
            axes,
            [
                Patch(facecolor="white" if i else GREY, edgecolor=GREY, hatch=_HATCHES[i % 4], label=label)
                for i, label in enumerate(map(plain, values))
            ],
        )


def plot_time_split(
    axes: Axes,
    names: Sequence[str],
    parts: Mapping[str, ArrayLike],
    n: int | None = None,
    *,
    xlabel: str = "share of workers x wall-clock (%)",
    title: str = "",
) -> None:
    """Where the workers' time went: a stacked bar a row, its parts in per cent of their sum.

    Args:
        names: (K,) variations, or runs.
        parts: by name, such as "training", "warm start", "starting workers", "waiting": (K,) seconds.
        n: seeds.
    Raises:
        SettingError: arrays whose lengths do not fit.
    """
    seconds = {part: array(f"parts[{part!r}]", each, len(names)) for part, each in parts.items()}
    if not len(names) or not seconds or not sum(float(np.nansum(each)) for each in seconds.values()) > 0:
        nothing(axes, "no worker's time was recorded")
        return
    total = np.maximum(np.nansum(list(seconds.values()), axis=0), 1e-9)
    left = np.zeros(len(names))
    handles: list[Patch] = []
    for index, (part, each) in enumerate(seconds.items()):
        share = 100 * np.nan_to_num(each) / total
        colour = _PARTS[index % len(_PARTS)]
        label = plain(f"{part} ({share[0]:.1f}%)" if len(names) == 1 else part)
        axes.barh(range(len(names)), share, left=left, color=colour, height=0.66, label=label)
        handles.append(Patch(color=colour, label=label))
        left += share
    names_down(axes, names)
    if len(names) == 1:
        axes.set_yticks([])
    axes.set_xlim(0, 100)
    across(axes, xlabel)
    if title or n:
        headed(
            axes,
            title,
            sample_size(n) and f"{sample_size(n)}: means",
            "axes" if len(names) == 1 else "figure",
        )
    legend_below(axes, handles)
