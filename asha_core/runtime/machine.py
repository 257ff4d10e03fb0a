"""How much of the machine this process may use: cores and memory, as far as a container leaves them.

Control groups limit both, in two versions that one machine may have side by side: the documents are
``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1`` of Linux. A group has what the least of its
parents has.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """How many cores this process may use; at least 1, and a part of one counts as one."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(there, _cpu_limit())), 1)


def memory_bytes() -> float:
    """The memory that this process may use; infinity if nobody tells."""
    limit = min([math.inf, *_numbers("memory", "memory.max"), *_numbers("memory", "memory.limit_in_bytes")])
    with suppress(AttributeError, OSError, ValueError):
        limit = min(limit, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return limit


def control_groups(controller: str) -> list[list[Path]]:
    """The process's groups of a controller, such as "cpu"; in each hierarchy its own, then each parent's.

    Not each folder needs to be there: a container may see its own group as the root of all.
    """
    try:
        lines = _OWN_GROUPS.read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        place = PurePosixPath(inside.strip("/"))
        places = [place, *place.parents] if place.parts else [place]
        if controllers == "":
            found += [[root / each for each in places] for root in (_CGROUPS, _CGROUPS / "unified")]
        elif controller in controllers.split(","):
            found += [[_CGROUPS / name / each for each in places] for name in {controller, controllers}]
    return found


def _cpu_limit() -> float:
    """Cores' worth of time that the groups allow; infinity without a limit."""
    limit = math.inf
    for group in (each for groups in control_groups("cpu") for each in groups):
        for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
            with suppress(OSError, ValueError):  # it is not there, or says "max"
                quota, period = map(float, " ".join((group / name).read_text() for name in files).split())
                if quota > 0 and period > 0:
                    limit = min(limit, quota / period)
    return limit


def _numbers(controller: str, name: str) -> Iterator[float]:
    for group in (each for groups in control_groups(controller) for each in groups):
        with suppress(OSError, ValueError):
            yield float((group / name).read_text())
