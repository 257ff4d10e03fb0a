"""What a unit of training costs: seconds by phase, whatever is counted beside them, and memory at its peak.

Torch is not loaded here: the worker of a plain function does without it.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, SupportsFloat

from asha_core.errors import ReportError

_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_STATUS_BYTES = 4096  # the line is among the first thousand
_MICRO = 1e6


class Costs:
    """What the unit that is being trained has cost so far, by name.

        with trial.costs.timed("evaluate_seconds"):
            ...
        trial.costs.add("flops", 2e9)

    Seconds go to the innermost ``timed`` alone. So no second is counted twice, and those of all phases
    together are at most the unit's own.

    Args:
        peaks: the memory that was taken; asked when a unit is complete.
    """

    def __init__(self, peaks: Callable[[], Mapping[str, float]] = dict) -> None:
        self._peaks = peaks
        self._spent: dict[str, float] = {}
        self._phases: list[str] = []  # the last one runs; the others wait for it
        self._since = 0.0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds inside."""
        self._settle(time.perf_counter())
        self._phases.append(name)
        try:
            yield
        finally:
            self._settle(time.perf_counter())
            self._phases.pop()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Count the seconds inside nowhere."""
        self._settle(time.perf_counter())
        try:
            yield
        finally:
            self._since = time.perf_counter()

    def add(self, name: str, amount: SupportsFloat) -> None:
        """Count something else, such as floating point operations.

        Raises:
            ReportError: not a number.
        """
        try:
            self._spent[name] = self._spent.get(name, 0.0) + float(amount)
        except (TypeError, ValueError, OverflowError):
            kind = type(amount).__name__
            raise ReportError(f"the cost {name} is a {kind}: add a number, as in add('flops', 2e9)") from None

    def so_far(self) -> dict[str, float]:
        """What the unit has cost until now, without the memory, which is this process's own."""
        self._settle(time.perf_counter())
        return dict(self._spent)

    def complete(self, now: float) -> dict[str, float]:
        """What the unit has cost. The next one begins at ``now``, a time of ``perf_counter``."""
        self._settle(now)
        spent, self._spent = self._spent, {}
        for name, value in spent.items():
            if name.endswith("_seconds") and math.isfinite(value):  # down, or the sum could exceed the unit
                spent[name] = math.floor(value * _MICRO) / _MICRO
        spent.update(self._peaks())
        return spent

    def _settle(self, now: float) -> None:
        if self._phases:
            name = self._phases[-1]
            self._spent[name] = self._spent.get(name, 0.0) + now - self._since
        self._since = now


class MemoryPeaks:
    """The most memory that this process, and its GPU, have held since ``begin``.

    Args:
        device: for torch.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._used = 0

    def begin(self) -> None:
        """Forget the peaks until now, where the system lets us."""
        with suppress(OSError):
            file = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(file, b"5")  # proc(5): "reset the peak resident set size"
            finally:
                os.close(file)
        self._used = 0
        cuda = self._cuda()
        if cuda is not None:
            with suppress(Exception):  # the device may be what has failed
                cuda.reset_peak_memory_stats(self._device)

    def __call__(self) -> dict[str, float]:
        """``host_bytes``; and on a GPU ``gpu_bytes``, ``gpu_reserved_bytes`` and ``device_bytes``.

        What cannot be had is left out.
        """
        found: dict[str, float] = {}
        host = host_peak()
        if host:
            found["host_bytes"] = host
        cuda = self._cuda()
        if cuda is not None:
            with suppress(Exception):
                found["gpu_bytes"] = cuda.max_memory_allocated(self._device)
                found["gpu_reserved_bytes"] = cuda.max_memory_reserved(self._device)
                self._used = max(self._used, device_used(cuda, self._device))
                found["device_bytes"] = self._used
        return found

    def _cuda(self) -> Any:
        """``torch.cuda``, if this process trains on a GPU."""
        torch: Any = sys.modules.get("torch") if self._device.startswith("cuda") else None
        return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def host_peak() -> int:
    """Bytes: the most that was resident of this process; 0 if the system does not tell.

    On Linux since the peak was reset, elsewhere since the process began.
    """
    with suppress(OSError):
        file = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _PEAK.search(os.read(file, _STATUS_BYTES))
        finally:
            os.close(file)
        if found is not None:
            return int(found[1]) * 1024
    with suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024  # getrusage(2): bytes there, else kilobytes
    return 0


def device_used(cuda: Any, device: str) -> int:
    """Bytes in use on the whole GPU, by whomever: as NVML tells it, or, without its package, as CUDA does."""
    try:
        return int(cuda.device_memory_used(device))
    except Exception:  # no pynvml, or a driver that it does not know
        free, total = cuda.mem_get_info(device)
        return int(total - free)
