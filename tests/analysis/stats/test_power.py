"""Seeds, power and detectable effects: published numbers, one relation among the three, a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.cli import _parser
from analysis.stats.paired import wilcoxon_log
from analysis.stats.power import detectable_ratio, power_of, seeds_needed
from asha_core.errors import SettingError

spreads = st.floats(0.05, 2)
ratios = st.floats(0.5, 0.97)


def test_fifteen_per_cent_takes_297_times_the_variance() -> None:
    # the design's numbers: 27 seeds at a standard deviation of .3, 74 at .5
    assert (seeds_needed(0.3), seeds_needed(0.5)) == (27, 74)
    assert seeds_needed(10) == pytest.approx(297 * 10**2, rel=2e-3)
    assert power_of(74, 0.5) == pytest.approx(0.8, abs=0.002)


def test_power_of_a_standard_table() -> None:
    # (z_.975 + z_power)^2: 7.849 for 80%, 10.507 for 90% (Julious 2010, Sample Sizes for Clinical Trials)
    assert seeds_needed(10, math.exp(-1)) == round(784.9)
    assert seeds_needed(10, math.exp(-1), power=0.9) == round(1050.7)
    # at the least effect that 50% power finds, the estimate is as likely above the critical value as below
    assert detectable_ratio(100, 1, power=0.5) == pytest.approx(math.exp(-0.1959964), rel=1e-6)


@given(spreads, ratios, st.floats(0.5, 0.95))
def test_the_seeds_needed_have_the_power_asked_to_within_half_a_seed(
    sd: float, ratio: float, power: float
) -> None:
    n = seeds_needed(sd, ratio, power)
    assert n >= 6
    assert power_of(n + 1, sd, ratio) >= power
    if n > 6:
        assert power_of(n - 1, sd, ratio) <= power
    assert seeds_needed(sd, 1 / ratio, power) == n


@given(st.integers(6, 500), spreads, st.floats(0.3, 0.95))
def test_the_detectable_ratio_is_found_with_the_power_asked(n: int, sd: float, power: float) -> None:
    ratio = detectable_ratio(n, sd, power)
    assert power_of(n, sd, ratio) == pytest.approx(power)
    assert detectable_ratio(n + 1, sd, power) > ratio
    assert detectable_ratio(n, 1.1 * sd, power) < ratio


@pytest.mark.parametrize("n", range(1, 6))
def test_five_pairs_show_nothing(n: int) -> None:
    assert power_of(n, 0.01, 0.5) == 0
    assert detectable_ratio(n, 0.01) == 0
    assert seeds_needed(0) == 6


@pytest.mark.parametrize(("n", "power"), [(27, 0.75), (30, 0.80)])
def test_the_signed_rank_test_finds_what_the_docstring_says(n: int, power: float) -> None:
    rng = np.random.default_rng(0)
    log_ratios = rng.normal(math.log(0.85), 0.3, (1000, n))
    found = np.mean([wilcoxon_log(np.ones(n), np.exp(row)).p <= 0.05 for row in log_ratios])
    assert found == pytest.approx(power, abs=0.04)  # three standard errors
    assert found < power_of(n, 0.3) + 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeds_needed(0.3, 1), "ratio is 1: no effect"),
        (lambda: seeds_needed(0.3, -0.5), "ratio is -0.5"),
        (lambda: seeds_needed(-0.1), "sd_log_ratio is -0.1"),
        (lambda: seeds_needed(math.nan), "sd_log_ratio is nan"),
        (lambda: seeds_needed(0.3, power=1), "power is 1"),
        (lambda: seeds_needed(0.3, power=0.01), "above alpha / 2"),
        (lambda: seeds_needed(0.3, alpha=0), "alpha is 0"),
        (lambda: power_of(0, 0.3), "n is 0"),
        (lambda: detectable_ratio(2.5, 0.3), "n is 2.5"),
        (lambda: seeds_needed("0.3"), "sd_log_ratio is '0.3'"),
        (lambda: seeds_needed(None), "sd_log_ratio is None"),
        (lambda: seeds_needed([0.3, 0.4]), "sd_log_ratio is"),
        (lambda: seeds_needed(0.3, "0.85"), "ratio is '0.85'"),
        (lambda: seeds_needed(0.3, power="0.8"), "power is '0.8'"),
        (lambda: power_of(30, 0.3, alpha=None), "alpha is None"),
    ],
)
def test_what_is_wrong_is_named(call, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        call()


@pytest.mark.parametrize("number", [0.3, np.float32(0.3), np.float64(0.3), np.array(0.3)])
def test_any_kind_of_real_number_will_do(number) -> None:
    assert seeds_needed(number) == 27


@pytest.mark.parametrize("text", ["abc", "nan", "inf", ""])
def test_a_target_on_the_command_line_that_is_no_number_is_named(text: str) -> None:
    with pytest.raises(SettingError, match=f"--target is '?{text}'?: it must be a finite number"):
        _parser().parse_args(["--target", text, "results"])
    assert _parser().parse_args(["--target", "0.9", "--target", "1e-2", "results"]).target == [0.9, 0.01]
