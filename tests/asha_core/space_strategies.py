"""Hypothesis strategies for dimensions and spaces."""

from __future__ import annotations

from hypothesis import assume, settings
from hypothesis import strategies as st

from asha_core.space import Choice, Constant, Float, Int, SearchSpace

quick = settings(max_examples=100, deadline=None)
units = st.floats(0.0, 1.0)


@st.composite
def linear_floats(draw):
    lower = draw(st.floats(-1e6, 1e6))
    span = draw(st.floats(1e-3, 1e6))
    assume(span > 1e-3 * abs(lower))
    return Float(lower, lower + span)


@st.composite
def log_floats(draw):
    lower = 10.0 ** draw(st.floats(-12, 6))
    return Float(lower, lower * 10.0 ** draw(st.floats(0.01, 12)), log=True)


@st.composite
def linear_ints(draw):
    lower = draw(st.integers(-(10**9), 10**9))
    return Int(lower, lower + draw(st.integers(1, 10**9)))


@st.composite
def log_ints(draw):
    lower = draw(st.integers(1, 10**6))
    return Int(lower, lower + draw(st.integers(1, 10**9)), log=True)


names_of_options = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
constants = names_of_options.map(Constant)
choices = st.lists(names_of_options, min_size=1, max_size=8, unique_by=lambda o: o).map(Choice)
floats = linear_floats() | log_floats()
ints = linear_ints() | log_ints()
dimensions = floats | ints | choices | constants
spaces = st.dictionaries(st.text(min_size=1), dimensions, min_size=1, max_size=5).map(SearchSpace)
