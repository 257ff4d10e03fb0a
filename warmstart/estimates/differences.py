"""Hyper-gradients by finite differences on the configuration alone: for whatever can be trained.

A real optimiser takes H real steps on a copy, under configurations a little below and a little above, and
the held-out losses are compared. Same weights, same samples, same randomness. It costs 2 runs of H steps a
coordinate, and works with any optimiser, any layer, and with no network at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from warmstart.base import Batch, Losses
from warmstart.estimates.dependence import wanted_names
from warmstart.estimates.stencils import LOSS_STEP, stencil_over
from warmstart.estimates.types import Estimate

BLACK_BOX_STEP = 0.05  # of a dimension's range: a tree model's loss is a staircase


def differences(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    *,
    only: Sequence[str] | None = None,
    step: float | None = None,
) -> Estimate:
    """The slope of the held-out loss after H = len(train) steps, by coordinate.

    Args:
        train, heldout: as for the other routes; the same ones for every configuration.
        step: half the distance between two configurations, as a share of the range. None: 1% for a network,
            5% for a black box.
    """
    if step is None:
        step = LOSS_STEP if losses.network is not None else BLACK_BOX_STEP
    after = losses.smooth or losses.after
    watched = Watched(configuration)
    final = after(watched, train, heldout)
    wanted = wanted_names(space, configuration, only)
    answer = dict.fromkeys(wanted, 0.0)
    ignored = tuple(name for name in wanted if name not in watched.reads)
    for name in wanted:
        if name in ignored:
            continue
        _, points = stencil_over(space, configuration, name, step)
        # the weights, with the configuration's own, add up to 0: what changes nothing is exactly 0
        answer[name] = sum(w * (after(there, train, heldout) - final) for w, there in points)
    return Estimate(answer, final, "differences", ignored)
