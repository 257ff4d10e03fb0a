"""Sizes in bytes, as people write and read them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.runtime.units import format_bytes, parse_bytes


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
