"""Durations and sizes in bytes, as people write and read them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.runtime.units import (
    abridged,
    counted,
    format_bytes,
    format_duration,
    parse_bytes,
    parse_duration,
)

quick = settings(max_examples=200, deadline=None)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


# -- durations --------------------------------------------------------------------------------------


@pytest.mark.long
@quick
@given(st.lists(st.tuples(st.integers(1, 999), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_parts_add_up(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * UNITS[unit] for number, unit in parts)
    spaced = "  ".join(f"{number} {unit.upper()}" for number, unit in parts)
    assert parse_duration(f" {spaced} ") == parse_duration(text)


@pytest.mark.long
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


# -- bytes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20GB", 20 * 10**9),
        ("500MB", 500 * 10**6),
        ("1.5GiB", 3 * 2**29),
        ("1KB", 1000),
        ("1kib", 1024),
        ("2 TiB", 2**41),
        (" 3 tb ", 3 * 10**12),
        ("7b", 7),
        ("7", 7),
        ("1e9", 10**9),
        (1e9, 10**9),
        (4096, 4096),
        ("2.9", 2),
        ("1e3 MB", 10**9),
    ],
)
def test_a_size_is_read(text, size):
    assert parse_bytes(text) == size
    assert type(parse_bytes(text)) is int


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GB",
        "-1GB",
        "0",
        "0.5",
        "0MB",
        "1PB",
        "1 G B",
        "ten",
        "nan",
        "inf",
        "1e999",
        "1GBx",
        "1,5GB",
        "1.2.3MB",
        "+-1",
        "1e",
        "--",
        float("nan"),
        float("inf"),
        -1,
        0,
        True,
        False,
        None,
    ],
)
def test_what_is_no_size_is_told_with_what_would_be(text):
    with pytest.raises(SettingError) as caught:
        parse_bytes(text, "--checkpoint-budget")
    said = str(caught.value)
    assert said.startswith(f"--checkpoint-budget is {text!r}: give a size above zero such as 20GB")
    assert "\n" not in said


@given(st.text(max_size=12) | st.text("0123456789.eE+-kmgtib ", max_size=12))
def test_any_text_is_a_size_of_a_byte_or_more_or_refused(text):
    with suppress(SettingError):
        assert parse_bytes(text) >= 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234567, "1.2 MB"),
        (20e9, "20.0 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_a_size_is_told(size, text):
    assert format_bytes(size) == text


@given(st.floats(1, 1e15))
def test_what_is_told_is_read_back_as_nearly_the_same(size):
    assert parse_bytes(format_bytes(size)) == pytest.approx(size, rel=0.06, abs=0.6)


@given(st.integers(1, 10**15))
def test_a_whole_number_of_bytes_is_that_number(size):
    assert parse_bytes(size) == parse_bytes(str(size)) == size


def test_of_many_words_the_ends_are_told():
    assert abridged([*"abcdefgh"]) == [*"abcdefgh"]
    assert "/".join(abridged([str(level) for level in range(1, 28)])) == "1/2/3/4/.../25/26/27"


def test_a_count_has_its_noun():
    assert [counted(n, "trial") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]
