"""Does a configuration explode? What a few virtual steps make of the held-out loss."""

from __future__ import annotations

import math

from asha_core.arguments import integer, number, one_of
from asha_core.space import Configuration
from warmstart.base import HELDOUT, Heldout, Losses


class ExplosionStrategy:
    """A strategy that acts on what explodes, and leaves all others as they are.

    Args:
        factor: a configuration explodes where the held-out loss ends above this many times the initial one,
            or is not finite; above 1.
        limit: how often to act at most; at least 1.
        lookahead: virtual steps H.
        heldout: see ``GradientStrategy``.
    """

    needs_losses = True

    def __init__(self, factor: float, limit: int, lookahead: int, heldout: Heldout) -> None:
        one_of("heldout", heldout, HELDOUT)
        self.factor = number("factor", factor, above=1)
        self.limit = integer("limit", limit, 1)
        self.lookahead = integer("lookahead", lookahead, 1)
        self.heldout: Heldout = heldout

    def explodes(self, ratio: float) -> bool:
        """Whether that is too much for the held-out loss to grow by; NaN is."""
        return not ratio <= self.factor

    def probe(self, losses: Losses, configuration: Configuration) -> Probe:
        """How much the held-out loss grows, from where this configuration's trial would start."""
        return Probe(losses, configuration, self.lookahead, self.heldout)


class Probe:
    """H virtual steps from the initial weights, always on the same samples.

    Args:
        losses: of the configuration.
        lookahead: H.
        heldout: which samples are held out.

    Attributes:
        initial: the held-out loss before any step.
    """

    def __init__(
        self, losses: Losses, configuration: Configuration, lookahead: int, heldout: Heldout
    ) -> None:
        self.losses = losses
        self._train, self._heldout = losses.samples(0, lookahead, heldout)
        self.initial = losses.after(configuration, [], self._heldout)

    def ratio(self, configuration: Configuration) -> float:
        """The held-out loss after the steps over the one before; infinite where it is not finite."""
        final = self.losses.after(configuration, self._train, self._heldout)
        if not (math.isfinite(final) and math.isfinite(self.initial)):
            return math.inf
        return final / self.initial if self.initial > 0 else math.inf if final > 0 else 1.0
