"""What the first trials of a search have found out serves for all later ones: a place, pooled.

A place is measured in every trial from another network and other mini-batches, so each is off by some noise,
and all are of one task. The median of a few is a better guess than the trial's own measurement, and costs
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Protocol

from asha_core.arguments import integer
from asha_core.space import Configuration
from warmstart.base import Outcome, Problem, WarmStart


class Places(WarmStart, Protocol):
    """A strategy that finds a place, and can do without looking for it.

    ``diagnostics["place"]`` of its outcomes is name -> number, such that those of different configurations
    can be compared; it is left out where none was found.
    """

    def at(self, problem: Problem, configuration: Configuration, place: Mapping[str, float]) -> Outcome:
        """What ``refine`` gives where that is the place; nothing is measured."""
        ...


class Pooled:
    """Takes the median of the places that earlier trials measured; until there are enough, it measures.

    Args:
        inner: the strategy that measures. The registry builds it, from the setting ``of`` (its name, by
            default "place") and all other settings, which are that strategy's.
        after: how many places of a dimension are enough; at least 1.
    """

    name = "pooled"
    needs_losses = True
    learns = True

    def __init__(self, inner: Places, after: int = 8) -> None:
        self.inner = inner
        self.after = integer("after", after, 1)

    def refine(
        self, problem: Problem, configuration: Configuration, seed: int, earlier: Sequence[Any] = ()
    ) -> Outcome:
        """The configuration at the pooled place, or at one of its own, which later trials are told."""
        pooled = {}
        for name in configuration:
            known = [place[name] for place in earlier if name in place]
            if len(known) >= self.after:
                pooled[name] = median(known)
        if pooled:
            outcome = self.inner.at(problem, configuration, pooled)
            more: dict[str, Any] = {"pooled": len(earlier)}
        else:
            outcome = self.inner.refine(problem, configuration, seed)
            more = {"learned": outcome.diagnostics["place"]} if outcome.diagnostics.get("place") else {}
        return Outcome(outcome.configuration, {**outcome.diagnostics, "strategy": self.name, **more})
