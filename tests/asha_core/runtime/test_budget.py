"""Durations, read and written, and what a budget allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.runtime.budget import Budget
from asha_core.runtime.units import format_duration, parse_duration

quick = settings(max_examples=200, deadline=None)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@quick
@given(st.lists(st.tuples(st.integers(1, 999), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_parts_add_up(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * UNITS[unit] for number, unit in parts)
    spaced = "  ".join(f"{number} {unit.upper()}" for number, unit in parts)
    assert parse_duration(f" {spaced} ") == parse_duration(text)


@quick
@given(st.floats(1e-6, 1e9))
def test_a_plain_number_is_seconds(seconds):
    assert parse_duration(seconds) == parse_duration(str(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3h", 10800),
        ("90m", 5400),
        ("1h30m", 5400),
        ("600s", 600),
        ("1.5h", 5400),
        ("600", 600),
        ("2d", 172800),
    ],
)
def test_the_forms_that_the_error_names(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "h",
        "3x",
        "1h30",
        "30m-1s",
        "-5",
        "-3h",
        "0",
        "0s",
        "0h0m",
        "nan",
        "inf",
        "1e999",
        "h3",
        "three",
        "1,5h",
    ],
)
def test_what_is_no_time_above_zero_is_refused_by_its_option(text):
    with pytest.raises(SettingError) as caught:
        parse_duration(text, "--budget-gpu")
    said = str(caught.value)
    assert said.startswith(f"--budget-gpu is {text!r}")
    for form in ("3h", "90m", "1h30m", "600s"):
        assert form in said


@quick
@given(st.floats(0.05, 1e7))
@example(9.949)
@example(9.95)
@example(59.5)
@example(59.49)
@example(3599.5)
@example(3599.4)
@example(7199.9)
def test_a_duration_for_people_is_right_to_what_it_shows(seconds):
    shown = format_duration(seconds)
    error = seconds - parse_duration(shown)
    if seconds < 9.95:
        assert abs(error) <= 0.0500001
    elif seconds < 3599.5:
        assert abs(error) <= 0.5
    else:
        assert -0.5 <= error < 60.5  # whole minutes, cut off


@quick
@given(st.floats(0, 1e7))
@example(9.97)
@example(59.7)
@example(3599.9)
def test_a_duration_for_people_never_shows_sixty_of_anything(seconds):
    shown = format_duration(seconds)
    parts = shown.replace("h", "h ").replace("m", "m ").split()
    assert all(float(part[:-1]) < 60 for part in parts if part[-1] in "sm")
    assert len(parts) <= 2
    assert all(len(part) == 3 for part in parts[1:])  # "05s", "07m": so columns keep their width


def test_a_duration_grows_with_its_seconds():
    shown = [parse_duration(format_duration(0.1 * 1.1**k)) for k in range(150)]
    assert shown == sorted(shown)


@quick
@given(
    st.none() | st.floats(0.1, 1e6),
    st.none() | st.floats(0.1, 1e6),
    st.integers(1, 64),
)
def test_the_deadline_is_the_nearest_limit(seconds, gpu_seconds, devices):
    deadline = Budget(seconds, gpu_seconds, devices).deadline
    limits = [
        limit
        for limit in (seconds, None if gpu_seconds is None else gpu_seconds / devices)
        if limit is not None
    ]
    if not limits:
        assert deadline is None
    else:
        assert deadline in limits
        assert all(deadline <= limit for limit in limits)
    assert deadline is None or math.isfinite(deadline)
