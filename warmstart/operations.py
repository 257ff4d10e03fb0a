"""Floating point operations, counted while they are done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations inside, as ``torch.utils.flop_counter`` does, and leaves modules without its hooks.

    Attributes:
        total: how many; not a number if PyTorch could not count one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and add what it computes."""
        found = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            try:
                self.total += formula(*args, **(kwargs or {}), out_val=found)
            except Exception:  # a refinement must not fail of being counted
                self.total = math.nan
        return found
