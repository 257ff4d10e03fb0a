"""Memory: how much is held, giving it back after a job, and telling whether the kernel has killed for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from asha_core.runtime.machine import control_groups


def resident_bytes() -> int:
    """Bytes of memory that this process holds; 0 if the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def release_gpu() -> None:
    """Give the GPU memory that torch keeps for later to others on the device; nothing without CUDA."""
    torch: Any = sys.modules.get("torch")  # a worker that has not loaded it holds none
    if torch is not None and torch.cuda.is_initialized():
        with suppress(Exception):  # the device may be what has failed
            torch.cuda.empty_cache()


def gpu_works() -> bool:
    """Whether the GPU still takes orders: after some errors, such as an assertion that failed in a kernel, it
    takes none from this process ever again. True without CUDA.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except Exception:
        return False
    return True


def oom_kills() -> dict[str, int]:
    """How often the kernel has killed for memory, by each counter that this process may read."""
    counts = {}
    for path in _counters():
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    counts[str(path)] = int(value)
    return counts


def has_risen(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether the kernel has killed for memory in between."""
    return any(count > before.get(name, count) for name, count in now.items())


def _counters() -> list[Path]:
    """The whole machine's counter, and those of this process's memory group, in both versions of cgroups."""
    found = [Path("/proc/vmstat")]
    for own, *parents in control_groups("memory"):
        for group in (own, *parents[-1:]):  # in a container its own group is the root that it sees
            found += [group / "memory.events", group / "memory.oom_control"]
    return found
