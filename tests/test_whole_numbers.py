"""Where 3.0 is taken for 3, it is used as 3."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from analysis.stats.paired import paired_difference
from analysis.stats.power import detectable_ratio, power_of
from analysis.stats.sensitivity import benefit_by_gradient
from trials.data.splits import stratified_split, symmetric_noise
from trials.models import build

TIMES = np.arange(1.0, 13.0)
LONG = np.arange(1.0, 31.0)
LABELS = np.arange(100) % 4


@pytest.mark.parametrize(
    "made",
    [
        lambda four: stratified_split(LABELS, 0.25, 1.0, seed=four)[0],
        lambda four: symmetric_noise(LABELS, 0.5, classes=four, seed=four),
        lambda four: power_of(four * 10, 0.3),
        lambda four: detectable_ratio(four * 10, 0.3),
        lambda four: paired_difference(LONG, LONG[::-1] + 1, draws=four * 10, seed=four).p,
        lambda four: benefit_by_gradient(TIMES, TIMES, bins=four).counts,
        lambda four: (
            build("small-cnn", classes=four, channels=four, size=four * 4)(torch.zeros(1, 4, 16, 16)).shape
        ),
    ],
)
def test_a_whole_float_is_its_integer(made: Callable[[float], object]) -> None:
    assert np.array_equal(np.asarray(made(4.0)), np.asarray(made(4)))
