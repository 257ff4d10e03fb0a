"""Threads of torch's in this very process.

By itself it takes one for each core of the machine, whatever a control group allows; they then wait for each
other's turns.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asha_core.runtime.machine import cores


@contextmanager
def threads_within_limits() -> Iterator[None]:
    """No more threads than this process may use cores, unless the user has said how many; then as before."""
    torch: Any = sys.modules.get("torch")  # who has not loaded it has no threads of its
    before = 0 if torch is None or "OMP_NUM_THREADS" in os.environ else torch.get_num_threads()
    if before <= (most := cores()):  # read from the control groups' files
        yield
        return
    torch.set_num_threads(most)
    try:
        yield
    finally:
        torch.set_num_threads(before)
