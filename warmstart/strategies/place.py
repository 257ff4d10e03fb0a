"""Finds how fast a configuration may be before it explodes, and puts its learning rate a decade below.

The sign of a hyper-gradient says on which side of a short horizon's optimum a rate lies; where that optimum
is, a few mini-batches cannot tell: the held-out loss after one to five steps is flat over decades of rates,
and its least value wanders by more than a decade between mini-batches. Where the loss begins to rise is
sharp, to a fifth of a decade, and it moves with network and data as the best rate for the whole training
does (docs/results/warm-start-strategies-tried.md). So that rate is found by bisection, and the sampled
rate's rank becomes a rank in a window below it.

With SGD it is a window of effective rates lr / (1 - momentum): more momentum gets a smaller rate. With Adam,
whose steps have a size of their own, the distance was 0.6 to 2.2 decades by task, so it has to be given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asha_core.arguments import number
from asha_core.space import Configuration
from warmstart.base import Heldout, Outcome, Problem
from warmstart.masks import check_names, masked, no_match, optimizer_settings_of, read_mask
from warmstart.moves import step_taken
from warmstart.placing import mapped, placeable
from warmstart.strategies.explosion import ExplosionStrategy

if TYPE_CHECKING:  # it loads torch
    from warmstart.estimates.dependence import OptimizerSettings


_BELOW = {"SGD": 1.0}  # decades, by optimiser


class Place(ExplosionStrategy):
    """Put the learning rate into a window below the rate at which the virtual steps explode.

    Args:
        factor: the steps explode where the held-out loss ends above this many times the initial one.
        below: how far below that rate the window's middle lies, in decades; at least 0. None: 1 with SGD, and
            with another optimiser nothing is placed: no distance was found that several tasks share.
        width: of the window, in decades; at least 0. With 0 every configuration gets the middle.
        limit: looks of the bisection, each of so many virtual steps; at least 1.
        lookahead, heldout: see ``GradientStrategy``.
        mask: the dimensions to place: names, or the optimiser settings that they move. Those on a
            logarithmic axis are; several are placed together, at the same distance from their middles.
    """

    name = "place"

    def __init__(
        self,
        factor: float = 1.2,
        below: float | None = None,
        width: float = 0.6,
        limit: int = 6,
        *,
        lookahead: int = 1,
        heldout: Heldout = "half",
        mask: Sequence[str] | str = ("lr",),
    ) -> None:
        super().__init__(factor, limit, lookahead, heldout)
        self.below = None if below is None else number("below", below, least=0)
        self.width = number("width", width, least=0)
        self.mask = read_mask(mask)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration with its rate in the window; as it was where no rate explodes."""
        here = _Here(self, problem, configuration)
        if here.note is not None:
            return Outcome(configuration, {"strategy": self.name, "step": {}, **here.note})
        told, place = here.found()
        if place is None:
            return Outcome(configuration, {"strategy": self.name, "step": {}, **told})
        return here.put(place, told)

    def at(self, problem: Problem, configuration: Configuration, place: Mapping[str, float]) -> Outcome:
        """The configuration with its rate in the window about a place from elsewhere; nothing is measured.

        Args:
            place: name -> log10 of the window's middle as an effective rate, as ``diagnostics["place"]`` has
                it.
        """
        here = _Here(self, problem, configuration)
        if here.note is not None:
            return Outcome(configuration, {"strategy": self.name, "step": {}, **here.note})
        return here.put({name: place[name] for name in here.names if name in place}, {})


class _Here:
    """What can be placed of one configuration, and where it explodes.

    Attributes:
        names: the dimensions that are placed.
        note: why there is nothing to place; None: there is.
    """

    def __init__(self, strategy: Place, problem: Problem, configuration: Configuration) -> None:
        self._strategy, self._space, self._configuration = strategy, problem.space, configuration
        check_names(strategy.mask, problem.space)
        self._losses = problem.losses(configuration)
        settings = optimizer_settings_of(self._losses, problem.space, configuration)
        wanted = masked(strategy.mask, problem.space, configuration, settings)
        axes = placeable(problem.space, configuration)
        self.names = [name for name in axes if name in wanted]
        self.note: dict[str, Any] | None = None
        if not wanted:
            self.note = no_match(strategy.mask, problem.space, configuration)
        elif not self.names:
            self.note = {"note": "nothing to place: no dimension of the mask is on a logarithmic axis"}
        elif self._losses.network is None:
            self.note = {"note": "nothing to place: there is no network to step", "inert": True}
        kind = _kind_of(settings)
        below = _BELOW.get(kind) if strategy.below is None else strategy.below
        if self.note is None and below is None:
            note = f"nothing is placed with {kind or 'this optimiser'}, unless below is given"
            self.note = {"note": note, "inert": True}
        self._below = below or 0.0
        bounds = {name: axes[name].search_bounds for name in self.names}
        self._middles = {name: (low + high) / 2 for name, (low, high) in bounds.items()}
        self._half = max(((high - low) / 2 for low, high in bounds.values()), default=0.0)
        self._slower, self._farther = _momentum_of(settings, strategy.lookahead)

    def found(self) -> tuple[dict[str, Any], dict[str, float] | None]:
        """(diagnostics, name -> the window's middle as an effective rate; None: nothing explodes).

        Rates are counted in decades from the middles of their axes, and looked at only where a window below
        them would meet the axis.
        """
        strategy = self._strategy
        told: dict[str, Any] = {"lookahead": strategy.lookahead}
        probe = strategy.probe(self._losses, self._configuration)
        if not 0 < probe.initial < math.inf:
            return {**told, "note": f"nothing is placed: the held-out loss begins at {probe.initial:g}"}, None
        away = self._below - self._farther - self._slower  # of what explodes, from the window's middle
        reach = self._half + strategy.width / 2
        slowest, fastest = calm, wild = away - reach, away + reach
        for _ in range(strategy.limit):
            middle = (calm + wild) / 2
            if strategy.explodes(probe.ratio(self._at(middle))):
                wild = middle
            else:
                calm = middle
        told["looks"] = strategy.limit
        if wild == fastest:
            return {**told, "note": "nothing is placed: no rate that was looked at explodes"}, None
        explodes = (calm + wild) / 2 if calm > slowest else slowest
        shift = explodes + self._farther - self._below
        return told, {name: middle + shift for name, middle in self._middles.items()}

    def put(self, place: Mapping[str, float], told: Mapping[str, Any]) -> Outcome:
        """The outcome with each named dimension in the window about its place."""
        offset = dict.fromkeys(place, self._slower)
        after = mapped(self._space, self._configuration, place, self._strategy.width, offset)
        step = step_taken(self._space, self._configuration, after)
        diagnostics = {"strategy": self._strategy.name, "step": step, **told, "place": dict(place)}
        return Outcome(after, diagnostics | ({"offset": offset} if self._slower else {}))

    def _at(self, shift: float) -> Configuration:
        """The configuration at a rate, which may be beyond its bounds."""
        values: dict[str, Any] = dict(self._configuration)
        for name, middle in self._middles.items():
            values[name] = 10.0 ** (middle + shift)
        return Configuration(tuple(values), tuple(values.values()))


def _kind_of(settings: OptimizerSettings | None) -> str:
    """The optimiser's name; empty where it is not known."""
    return settings.found[0].kind if settings is not None and settings.found else ""


def _momentum_of(settings: OptimizerSettings | None, steps: int) -> tuple[float, float]:
    """Two distances in decades, 0 for what is not SGD with momentum.

    Returns:
        (log10 of the rate over the effective rate lr / (1 - m); log10 of how many times as far as plain steps
        so many first steps go, where the gradient stays the same).
    """
    group: Any = settings.found[0] if settings is not None and settings.found else None
    if getattr(group, "kind", None) != "SGD" or not 0 < group.momentum < 1:
        return 0.0, 0.0
    keep, velocity, far = 1.0 - group.dampening, 0.0, 0.0
    for step in range(steps):
        velocity = group.momentum * velocity + (keep if step else 1.0)
        far += 1.0 + group.momentum * velocity if group.nesterov else velocity
    return math.log10((1.0 - group.momentum) / keep), math.log10(far / steps)
