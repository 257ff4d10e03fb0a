"""Files without a name, whose numbers workers inherit."""

from __future__ import annotations

import os
import tempfile


def nameless_file(name: str, size: int) -> int:
    """The number of a new file of ``size`` bytes, all 0.

    Args:
        name: for people who look into ``/proc``.
    """
    if hasattr(os, "memfd_create"):
        number = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        number, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - just made
    os.ftruncate(number, size)
    return number
