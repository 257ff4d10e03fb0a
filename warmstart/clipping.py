"""How training clips a gradient before the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asha_core.arguments import number
from asha_core.errors import SettingError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Clipping:
    """To what gradients are clipped under a configuration; nothing said: they are not.

    Attributes:
        norm: as ``torch.nn.utils.clip_grad_norm_`` does it, with all parameters of the optimiser together.
        norm_type: which norm that is: 2, 1, another p of at least 1, or math.inf.
        value: as ``torch.nn.utils.clip_grad_value_`` does it, each element by itself.
    Raises:
        SettingError: a limit that is none, or both of them.
    """

    norm: float | None = None
    norm_type: float = 2.0
    value: float | None = None

    def __post_init__(self) -> None:
        for name, limit in (("norm", self.norm), ("value", self.value)):
            if limit is not None:
                object.__setattr__(self, name, number(f"max_grad_{name}", limit, above=0.0))
        if self.norm_type != math.inf:
            number("norm_type", self.norm_type, least=1.0)
        if self.norm is not None and self.value is not None:
            raise SettingError(
                f"max_grad_norm is {self.norm} and max_grad_value is {self.value}: give the one by which the "
                "training loop clips, and None for the other"
            )

    @property
    def limit(self) -> float | None:
        """The number that a configuration may set."""
        return self.norm if self.value is None else self.value

    def apply(self, weights: Iterable[Tensor]) -> None:
        """Clip the gradients (``.grad``) of some weights, in place."""
        from torch.nn import utils

        if self.norm is not None:
            utils.clip_grad_norm_(list(weights), self.norm, self.norm_type)
        if self.value is not None:
            utils.clip_grad_value_(list(weights), self.value)
