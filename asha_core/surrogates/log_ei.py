"""The logarithm of the expected improvement, exact where that is below the smallest float."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erfcx, log_ndtr

Array = np.ndarray[Any, np.dtype[np.float64]]

_LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_FAR = -200.0  # below this, differences of nearly equal numbers have lost more digits than a series has


def log_expected_improvement(mean: Array, deviation: Array, incumbent: float | Array) -> Array:
    """Log E[max(f - incumbent, 0)] of normal f, by element; larger f is better.

    Args:
        mean, deviation: of f, of one shape; the deviation is positive.
        incumbent: what is to be improved on, for all or for each.

    With z = (mean - incumbent) / deviation it is log(deviation) + log h(z), h(z) = pdf(z) + z cdf(z).
    Source: Jones et al. 1998 for the expectation; Ament et al. 2023, arXiv:2310.20708, for its logarithm
        where z is very negative.
    """
    return np.log(deviation) + _log_h((mean - incumbent) / deviation)


def _log_h(z: Array) -> Array:
    found = np.empty_like(z)
    near, far = z > -1.0, z < _FAR
    between = ~(near | far)
    some = z[near]
    pdf = np.exp(-0.5 * some * some - _LOG_ROOT_TWO_PI)
    found[near] = np.log(pdf + some * np.exp(log_ndtr(some)))
    some = z[between]
    tail = 1.0 + some * np.sqrt(np.pi / 2.0) * erfcx(-some / np.sqrt(2.0))
    found[between] = -0.5 * some * some - _LOG_ROOT_TWO_PI + np.log(tail)
    some = z[far]
    square = some * some
    # h(z) = pdf(z) / z^2 (1 - 3 / z^2 + 15 / z^4 - ...)
    found[far] = -0.5 * square - _LOG_ROOT_TWO_PI - np.log(square) + np.log1p((15.0 / square - 3.0) / square)
    return found
