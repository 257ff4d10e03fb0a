"""A hyper-gradient beside differences through the real optimiser, along one line through the space.

Along a direction of the unit cube that goes up by every coordinate, F is the held-out loss after real steps:

    D(s) = (F(s) - F(-s)) / 2s            at s = 1 and 1/2, where 1 is at most 2% of a dimension's range
    R = (4 D(1/2) - D(1)) / 3             the difference that is compared with the slope, of order s^4
    |D(1) - D(1/2)|, and rounding         how far R can be trusted

Slope and R agree within a fifth. They disagree where they are further apart than that and than four times
what R can be trusted to, and where a difference over an eighth of the way says the same: the loss of a ReLU
network has kinks, which a difference over too long a way does not see. In between nothing can be told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from asha_core.space import Configuration, Float, SearchSpace
from warmstart.moves import move

Verdict = Literal["agrees", "disagrees", "cannot tell"]

REACH = 0.02  # of a dimension's range
TOLERANCE = 0.2  # of the larger of the two
_MOST = 0.01  # of the loss, that a coordinate's part may be: beyond, a loss that explodes is no line
_CLEAR = 200.0  # roundings of the loss, which it may be in any case, to be told from them
_CLOSER = 1 / 8  # of the way: where a second difference is taken, before a slope is called wrong
_LEAST = 1e-6  # of a dimension's range: a shorter way is none


@dataclass(frozen=True, slots=True)
class Comparison:
    """A slope, and the difference that it is compared with.

    Attributes:
        verdict: whether they agree.
        slope: of the estimate, along the direction: nats per range of the dimension that moves furthest.
        difference: likewise, through the real optimiser.
        names: the coordinates that move.
        signs: of their moves: all go up by the slope.
    """

    verdict: Verdict
    slope: float
    difference: float
    names: tuple[str, ...]
    signs: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.slope:.3g} against {self.difference:.3g} along {', '.join(self.names)}"


def compare(
    after: Callable[[Configuration], float],
    space: SearchSpace,
    configuration: Configuration,
    gradient: Mapping[str, float],
    *,
    loss: float,
    eps: float,
) -> Comparison:
    """Compare a hyper-gradient with a difference; four losses, and two more where they disagree.

    Args:
        after: configuration -> held-out loss after real steps; with the samples and steps of the gradient.
        gradient: nats per search coordinate, by name.
        loss: about what ``after`` gives.
        eps: the rounding of the network's numbers.
    """
    shares = _shares(space, configuration, gradient, max(_MOST, _CLEAR * eps) * abs(loss))
    if not shares:
        return Comparison("cannot tell", 0.0, 0.0, ())
    spans = {name: _span(space, name) for name in shares}
    slope = sum(gradient[name] * spans[name] * share for name, share in shares.items())

    def at(scale: float) -> float:
        step = {name: scale * share for name, share in shares.items()}
        return after(move(space, configuration, step, coordinates="unit"))

    far, near = (at(1.0) - at(-1.0)) / 2, at(0.5) - at(-0.5)
    difference = (4 * near - far) / 3
    verdict = _verdict(slope, difference, abs(far - near) + 4 * eps * abs(loss))
    if verdict == "disagrees":
        closer = (at(_CLOSER) - at(-_CLOSER)) / (2 * _CLOSER)
        verdict = _verdict(slope, closer, abs(closer - difference) + 2 / _CLOSER * eps * abs(loss))
    longest = max(map(abs, shares.values()))
    signs = tuple(math.copysign(1.0, share) for share in shares.values())
    return Comparison(verdict, slope / longest, difference / longest, tuple(shares), signs)


def _verdict(slope: float, difference: float, doubt: float) -> Verdict:
    size, gap = max(abs(slope), abs(difference)), abs(slope - difference)
    if not math.isfinite(size + doubt):
        return "cannot tell"
    if slope == difference or (gap <= TOLERANCE * size and doubt <= size / 2):
        return "agrees"
    return "disagrees" if gap > max(TOLERANCE * size, 4 * doubt) else "cannot tell"


def _shares(
    space: SearchSpace, configuration: Configuration, gradient: Mapping[str, float], most: float
) -> dict[str, float]:
    """How far each coordinate goes, as a share of its range; upwards along the gradient.

    Args:
        most: the change of the loss beyond which no coordinate goes.
    """
    shares = {}
    for name, slope in gradient.items():
        unit = slope * _span(space, name)
        share = min(REACH, most / abs(unit)) if unit else REACH
        dimension = _real(space, name)
        low, high = dimension.search_bounds
        centre = dimension.to_search(configuration[name])
        share = min(share, (centre - low) / (high - low), (high - centre) / (high - low))
        if share >= _LEAST:  # else it is on a bound
            shares[name] = math.copysign(share, unit)
    return shares


def _span(space: SearchSpace, name: str) -> float:
    low, high = _real(space, name).search_bounds
    return high - low


def _real(space: SearchSpace, name: str) -> Float:  # as in stencils, which loads numpy
    dimension = space[name]
    assert isinstance(dimension, Float)
    return dimension
