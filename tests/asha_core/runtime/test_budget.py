"""What a budget allows."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.runtime.budget import Budget

quick = settings(max_examples=200, deadline=None)


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
