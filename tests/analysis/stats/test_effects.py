"""Ratios and p-values on arrays as people give them: nothing censored, one number far from all others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from analysis.stats.effects import ratio_of_times
from analysis.stats.paired import paired_difference, wilcoxon_log

NONE = [False] * 7


def test_without_censored_times_the_ratio_is_of_the_medians() -> None:
    base, other = [10, 12, 14, 11, 13, 12, 11], [20, 25, 22, 24, 23, 21, 26]
    ratio = ratio_of_times(base, NONE, other, NONE)
    assert (ratio.value, ratio.of) == (pytest.approx(23 / 12), "medians")
    assert ratio_of_times([1.0], [False], [2.0], [False]).value == 2.0


def test_what_is_known_ends_with_a_censored_last_time() -> None:
    base, other = [10, 12, 14, 11, 13, 12, 11], [20, 25, 22, 24, 23, 21, 26]
    open_end = [False, False, True, False, False, False, False]  # the 14
    assert ratio_of_times(base, open_end, other, NONE) == ratio_of_times(base, open_end, other, NONE, 14.0)


@pytest.mark.parametrize("last", [1.0, -1.0])
def test_one_huge_difference_does_not_swallow_the_others(last: float) -> None:
    differences = np.array([1e10, 1, 1, 1, 1, 1, 1, last])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=8)]
    exact = np.mean([each >= abs(differences.sum()) for each in sums])
    assert paired_difference(np.zeros(8), differences).p == pytest.approx(exact)


@pytest.mark.parametrize("differing", [3, 4, 5, 6, 8])
def test_many_equal_pairs_do_not_make_the_few_others_surer(differing: int) -> None:
    """All of them on one side: 2 / 2^differing, however many pairs are equal."""
    for n in (150, 201, 1000):
        other = np.ones(n)
        other[:differing] = 2.0
        assert wilcoxon_log(np.ones(n), other).p == pytest.approx(2.0 ** (1 - differing))
