"""Does a configuration explode? What a few virtual steps make of the held-out loss."""

from __future__ import annotations

import math
from typing import Any

from asha_core.space import Configuration
from warmstart.base import Heldout, Losses, number_in


class Probe:
    """H virtual steps from the initial weights, always on the same samples.

    Args:
        losses: of the configuration. lookahead: H. heldout: which samples are held out.
    """

    def __init__(
        self, losses: Losses, configuration: Configuration, lookahead: int, heldout: Heldout
    ) -> None:
        self.losses = losses
        self._train, self._heldout = losses.samples(0, lookahead, heldout)
        self._initial = losses.after(configuration, [], self._heldout)

    def ratio(self, configuration: Configuration) -> float:
        """The held-out loss after the steps over the one before; infinite where it is not finite."""
        final = self.losses.after(configuration, self._train, self._heldout)
        if not (math.isfinite(final) and math.isfinite(self._initial)):
            return math.inf
        return final / self._initial if self._initial > 0 else math.inf if final > 0 else 1.0


def check_factor(factor: Any) -> None:
    """Raise ``SettingError`` unless it is a finite number above 1."""
    number_in("factor", factor, lambda value: value > 1, "above 1")
