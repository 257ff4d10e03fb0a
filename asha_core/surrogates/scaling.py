"""From losses to what a model sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LARGEST = 1e100  # losses beyond are all as bad, or as good: what is made of them stays finite


@dataclass(frozen=True, slots=True)
class Scaling:
    """Settled when a fit is begun.

    A loss is first drawn together: asinh((loss - median) / quartile range) is linear among the bulk, and
    a logarithm far out on both sides, so that neither one that diverged nor the first that learns
    anything makes all others look alike. Then these are standardised.

    Attributes:
        middle, width: median and quartile range of the losses.
        mean, spread: of what was drawn together.
        least, most: the best of it and the worst; what is not finite counts as the worst.
    """

    middle: float
    width: float
    mean: float
    spread: float
    least: float
    most: float

    @classmethod
    def of(cls, losses: Sequence[float]) -> Scaling:
        """Of some losses, at least one of them finite."""
        finite = sorted(map(_bounded, filter(math.isfinite, losses)))
        quarter = len(finite) // 4
        middle = finite[len(finite) // 2]
        width = finite[-1 - quarter] - finite[quarter] or finite[-1] - finite[0] or 1.0
        drawn = [math.asinh(_bounded((loss - middle) / width)) for loss in finite]
        drawn += [drawn[-1]] * (len(losses) - len(finite))
        mean = math.fsum(drawn) / len(drawn)
        spread = math.sqrt(math.fsum((each - mean) ** 2 for each in drawn) / len(drawn)) or 1.0
        return cls(middle, width, mean, spread, drawn[0], max(drawn))

    def target(self, loss: float) -> float:
        """What is predicted; lower is better."""
        return (self._drawn(loss) - self.mean) / self.spread

    def height(self, loss: float) -> float:
        """In a curve: the best is 1 and the worst 0."""
        return (self.most - self._drawn(loss)) / (self.most - self.least or 1.0)

    def _drawn(self, loss: float) -> float:
        if not math.isfinite(loss):
            return self.most
        return math.asinh(_bounded((_bounded(loss) - self.middle) / self.width))


def _bounded(number: float) -> float:
    return min(max(number, -_LARGEST), _LARGEST)
