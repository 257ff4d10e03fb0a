"""Constraints at a module's top level, as JSON needs them."""

from __future__ import annotations

import numpy as np


def small(configuration):
    """Half of a unit square: below its diagonal."""
    return configuration["x"] + configuration["y"] <= 1.0


def anything(configuration):
    return True


def even(configuration):
    return configuration["n"] % 2 == 0


def hardly_ever(configuration):
    return configuration["x"] < 1e-9


def never(configuration):
    return False


def always(configuration):
    return True


def raises(configuration):
    return 1 / 0 > 0


def says_nothing(configuration):
    return None


def says_one(configuration):
    return 1


def says_yes(configuration):
    return "yes"


def numpy_bool(configuration):
    return np.float64(configuration["x"]) < 0.5


def needs_momentum(configuration):
    return configuration["momentum"] < 0.5


class Below:
    """A callable with a state."""

    def __init__(self, limit):
        self.limit = limit

    def __call__(self, configuration):
        return configuration["x"] < self.limit


NOT_A_FUNCTION = 3
