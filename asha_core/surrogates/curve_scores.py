"""A learning curve as one number: a sum of its values, weighted with a logistic function of the unit.

    s(x, t) = sum over u <= t of w(u) v(x, u),    w(u) = 1 / (1 + exp(-growth (z(u) - midpoint)))

z(u) runs evenly from -6 at unit 1 to 6 at unit R, as in the authors' code. Values v are utilities from 0
(worst) to 1 (best). The weights are scaled so that they sum to one over the R units: then s is from 0 to 1
too, and a curve that is longer has never a lower score. How far from the end a value still counts is learned:
``midpoint`` and ``growth`` are fitted together with the Gaussian process (``boil_gp``).

Source: Nguyen, Schulze and Osborne 2020, "Bayesian Optimization for Iterative Learning", arXiv:1909.09593,
section 3.1. The authors' code (github.com/ntienvu/BOIL) takes a mean instead, over the last (8 - midpoint) /
12 of a curve, which jumps as the midpoint moves, and adds 500 to a curve that is nowhere positive.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

MIDPOINTS = (-2.0, 3.0)  # the bounds of the authors' code
GROWTHS = (0.5, 2.0)


class Weights(NamedTuple):
    """The weights of R units, and their derivatives; each of shape (R,)."""

    values: Array
    by_midpoint: Array
    by_growth: Array


def logistic_weights(units: int, midpoint: float, growth: float) -> Weights:
    """The weights of ``units`` units, which sum to one, and their derivatives by midpoint and growth.

    >>> logistic_weights(3, 0.0, 2.0).values.round(4).tolist()
    [0.0, 0.3333, 0.6667]
    """
    place = np.linspace(-6.0, 6.0, units) if units > 1 else np.zeros(1)
    raw = 1.0 / (1.0 + np.exp(-growth * (place - midpoint)))
    slope = raw * (1.0 - raw)
    total = raw.sum()
    values = raw / total
    moved = []
    for change in (-growth * slope, (place - midpoint) * slope):
        moved.append((change - values * change.sum()) / total)
    return Weights(values, moved[0], moved[1])
