"""Which part of a batch are its inputs, and which its targets."""

from __future__ import annotations

from typing import Any

from warmstart.problem.data import unpacking


def unpacked(batch: Any) -> tuple[Any, Any]:
    """(inputs, targets): see ``TorchTask.unpack_batch``."""
    return unpacking.unpacked(batch, "say which with unpack_batch(batch), which gives (inputs, targets)")
