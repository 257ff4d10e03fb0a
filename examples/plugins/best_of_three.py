"""A warm start that tries three learning rates for one step, and takes the one with the lowest loss."""

import math

from warmstart import Outcome


class BestOfThree:
    """The proposed learning rate, one below and one above it.

    Args:
        factor: how far below and above.
    """

    name = "best-of-three"
    needs_losses = True

    def __init__(self, factor=3.0):
        self.factor = factor

    def refine(self, problem, configuration, seed):
        losses = problem.losses(configuration)
        train, heldout = losses.batches(0, "half")  # of draw 0: two halves of one mini-batch
        lr = problem.space["lr"]
        found = {}
        for rate in (
            configuration["lr"],
            configuration["lr"] / self.factor,
            configuration["lr"] * self.factor,
        ):
            inside = min(max(rate, lr.lower), lr.upper)
            tried = problem.space.configuration({**configuration, "lr": inside})
            after = losses.after(tried, [train], heldout)  # one real step from the initial weights
            found[inside] = after if math.isfinite(after) else math.inf
        best = min(found, key=found.get)  # the proposed one where all are equal
        step = lr.to_search(best) - lr.to_search(configuration["lr"])
        return Outcome(
            problem.space.configuration({**configuration, "lr": best}),
            {"strategy": self.name, "step": {"lr": step}},
        )
