"""Waits for room on a full disk, instead of failing trials that are not to blame."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from asha_core.runtime.units import format_bytes

_LEAST = 1 << 20
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0


class DiskWatch:
    """Says whether jobs may be handed out, after one was lost to a full disk.

    A pause ends when there is room for a checkpoint of every slot, and after some seconds, more each time,
    because the disk may be full for what a task writes elsewhere.

    Args:
        directory: where a search writes.
        slots: how many jobs may write at once.
    """

    def __init__(self, directory: Path, slots: int) -> None:
        self._directory = directory
        self._slots = slots
        self._until: float | None = None  # a pause lasts at least until then
        self._pause = _FIRST_PAUSE
        self._need = _LEAST

    @property
    def paused(self) -> bool:
        """Whether jobs are held back."""
        return self._until is not None

    def on_full(self, now: float) -> None:
        """A job found the disk full."""
        if self._until is None:
            self._need = _LEAST + self._slots * self._largest_checkpoint()
        self._until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def on_written(self) -> None:
        """A job reported a unit: there is room again, and the next pause begins short."""
        self._pause = _FIRST_PAUSE

    def pause_ended(self, now: float) -> bool:
        """Whether a pause is over now."""
        if self._until is None or now < self._until or self.free() < self._need:
            return False
        self._until = None
        return True

    def free(self) -> int:
        """Bytes that can be written."""
        return shutil.disk_usage(self._directory).free

    def describe(self) -> str:
        """For people: how much there is, and how much is wanted."""
        return f"{format_bytes(self.free())} free, {format_bytes(self._need)} wanted in {self._directory}"

    def _largest_checkpoint(self) -> int:
        try:
            with os.scandir(self._directory / "checkpoints") as entries:
                return max((entry.stat().st_size for entry in entries), default=0)
        except OSError:
            return 0
