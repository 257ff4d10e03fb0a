"""Which part of a mini-batch are its inputs, and which its targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.errors import TaskError

_TARGETS = ("labels", "label", "targets", "target")  # of a dictionary; the first are Hugging Face's


def unpacked(batch: Any, override: str) -> tuple[Any, Any]:
    """(inputs, targets): of a tuple or list, what comes first, and the rest; of a dictionary, all but the
    entry "labels" (or "label", "targets", "target"), and that one.

    Args:
        override: how a user says which they are, for the message.
    Raises:
        TaskError: it cannot be told which are the targets.
    """
    if isinstance(batch, Mapping):
        found = [name for name in _TARGETS if name in batch]
        if len(found) != 1:
            has = ", ".join(map(str, batch))
            raise TaskError(f"a batch has {has}, of which {found or 'none'} may be the targets: {override}")
        inputs = {name: value for name, value in batch.items() if name != found[0]}
        if not inputs:
            raise TaskError(f"a batch has nothing but {found[0]}: {override}")
        return inputs, batch[found[0]]
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TaskError(f"a batch is a {type(batch).__name__} without targets: {override}")
    inputs, *targets = batch
    return inputs, targets[0] if len(targets) == 1 else tuple(targets)
