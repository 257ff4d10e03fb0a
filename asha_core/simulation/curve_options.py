"""``curves-option``: how a table of recorded curves is used in a simulated search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from asha_core.arguments import number, true_or_false
from asha_core.errors import SettingError, nearest
from asha_core.simulation.curve import CurveSource
from asha_core.simulation.curves import Curves


@dataclass(frozen=True, slots=True)
class CurveOptions:
    """What is asked for.

    Attributes:
        resample: the configurations come again when a search has met them all; else it ends there.
        warm_start_cost: by what the recorded seconds of warm starts are multiplied: 33 / 352 charges those of
            units of 33 mini-batches as if a unit had 352.
    """

    resample: bool = False
    warm_start_cost: float = 1.0

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> CurveOptions:
        """From KEY=VALUE options.

        Raises:
            SettingError: an option that there is not, or a value that is not allowed.
        """
        options, known = dict(given or {}), [each.name for each in fields(cls)]
        for name in options:
            if name not in known:
                raise SettingError(f"curves have no option {name!r}{nearest(name, known)}")
        cost = number("curves-option warm_start_cost", options.get("warm_start_cost", 1.0), above=0)
        return cls(true_or_false("curves-option resample", options.get("resample", False)), cost)

    def charged(self, curves: CurveSource) -> CurveSource:
        """The curves with warm starts at this price.

        Raises:
            SettingError: it is another than the recorded one, and they are no table.
        """
        if self.warm_start_cost == 1.0:
            return curves
        if not isinstance(curves, Curves):
            raise SettingError(
                "curves-option warm_start_cost is of a table's recorded warm starts, and these curves are a "
                "model's: leave it out"
            )
        return replace(curves, warm_seconds=curves.warm_seconds * self.warm_start_cost)
