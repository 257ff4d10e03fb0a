"""A table of recorded curves as arrays: what the trials of a simulated study trained by.

It reads the file by itself (docs/reference/curves-file.md has its form).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.journals.runs import dimensions_of
from analysis.journals.trial_table import search_coordinates
from analysis.stats.arrays import Floats, Ints
from asha_core.errors import ResultsError

_FORMAT = "asha-curves 1"
_KINDS = ("proposed", "refined", "gradient", "step")
_COLUMNS = (
    *("id", "row", "state", "first", "reached", "best", "best_at", "first_value"),
    *("warm_start_seconds", "warm_start_flops", "seconds", "flops", "heldout_loss"),
)


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Curves of N configurations under A arms at U units.

    Attributes:
        mode: "max" or "min".
        arms: (A,) names.
        units: (U,) resources, growing.
        value: (A, N, U); NaN where there is none.
        seconds: (A, N, U) of each unit, 1 for each unit of resource where they were not recorded.
        warm_seconds: (A, N) of the warm start.
        space: as run.json has it.
        proposed: (N,) configurations, as a journal has them.
        refined: (arm, row) -> what the warm start made of it.
    """

    mode: str
    arms: tuple[str, ...]
    units: Ints
    value: Floats
    seconds: Floats
    warm_seconds: Floats
    space: dict[str, Any]
    proposed: list[dict[str, Any]]
    refined: Mapping[tuple[int, int], dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> CurveTable:
        """Read a file.

        Raises:
            ResultsError: there is none, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["format"]) != _FORMAT:
                    raise ResultsError(
                        f"{path} is of the form {file['format']}: this version reads {_FORMAT}"
                    )
                return cls._of({name: file[name] for name in file.files})
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ResultsError(f"the table of curves {path} cannot be read: {error}") from None

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> CurveTable:
        units = found["units"].astype(np.int64)
        value = found["value"]
        value = np.where(np.arange(len(units)) < found["length"][..., None], value, np.nan)
        steps = np.diff(units, prepend=0).astype(np.float64)
        return cls(
            mode=str(found["mode"]),
            arms=tuple(str(arm) for arm in found["arms"]),
            units=units,
            value=value,
            seconds=found.get("seconds", np.broadcast_to(steps, value.shape)),
            warm_seconds=found["warm_seconds"],
            space=json.loads(str(found["space"])),
            proposed=[json.loads(str(each)) for each in found["configurations"]],
            refined={(arm, row): each for arm, row, each in json.loads(str(found["refined"]))},
        )

    def place(self, reached: Ints) -> Ints:
        """How many of the units a trial has reported, by the resource that it has reached."""
        return np.searchsorted(self.units, reached, side="right")

    @cached_property
    def elapsed(self) -> Floats:
        """Seconds of the first units, (A, N, U + 1), by how many these are."""
        sums = np.nancumsum(self.seconds, axis=2)
        return np.concatenate([np.zeros((*sums.shape[:2], 1)), sums], axis=2)

    @cached_property
    def best(self) -> Floats:
        """The best finite value of the first units, (A, N, U + 1); NaN: none."""
        return self._best[0]

    @cached_property
    def best_at(self) -> Ints:
        """The resource at which it came, (A, N, U + 1); 0: none."""
        return self._best[1]

    @cached_property
    def _best(self) -> tuple[Floats, Ints]:
        sign = 1.0 if self.mode == "max" else -1.0
        signed = np.where(np.isfinite(self.value), sign * self.value, -np.inf)
        running = np.maximum.accumulate(signed, axis=2)
        before = np.concatenate([np.full((*running.shape[:2], 1), -np.inf), running], axis=2)
        at = np.maximum.accumulate(np.where(running > before[..., :-1], self.units, 0), axis=2)
        best = np.where(np.isfinite(before), sign * before, np.nan)
        return best, np.concatenate([np.zeros((*at.shape[:2], 1), np.int64), at], axis=2)

    @cached_property
    def dimensions(self) -> dict[str, dict[str, Any]]:
        """The dimensions that are no constants, by name."""
        found = dimensions_of({"space": self.space})
        return {name: told for name, told in found.items() if told["type"] != "constant"}

    @cached_property
    def warmed(self) -> frozenset[int]:
        """The arms with a warm start."""
        changed = {arm for arm, _ in self.refined}
        return frozenset(changed | {arm for arm, taken in enumerate(self.warm_seconds) if taken.any()})

    @cached_property
    def names_of_columns(self) -> dict[str, None]:
        """Of the trials of a search over this table."""
        names = dict.fromkeys(_COLUMNS)
        for name, told in self.dimensions.items():
            kinds = ("proposed", "refined") if told["type"] == "choice" else _KINDS
            names |= dict.fromkeys(f"{kind}.{name}" for kind in kinds)
        return names

    def coordinates(self, arm: int | None) -> dict[str, NDArray[Any]]:
        """The configurations in search coordinates, one (N,) column a dimension.

        Args:
            arm: as its warm start left them; None: as they were drawn.
        """
        known = self._columns
        if arm not in known:
            drawn = enumerate(self.proposed)
            rows = [each if arm is None else self.refined.get((arm, row), each) for row, each in drawn]
            known[arm] = {
                name: search_coordinates([each.get(name) for each in rows], told)
                for name, told in self.dimensions.items()
            }
        return known[arm]

    @cached_property
    def _columns(self) -> dict[int | None, dict[str, NDArray[Any]]]:
        return {}
