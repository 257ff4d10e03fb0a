"""A table of recorded learning curves: what trials report, without training them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asha_core.arguments import one_of
from asha_core.searchers.base import Searcher
from asha_core.simulation.curve import ENDED, Curve
from asha_core.simulation.curves_file import read_parts, write_parts
from asha_core.simulation.table_finder import TableFinder
from asha_core.simulation.table_parts import Floats, table_parts
from asha_core.simulation.table_searcher import TableSearcher
from asha_core.space import Configuration, SearchSpace


@dataclass(frozen=True, eq=False)
class Curves:
    """Recorded curves of N configurations under A arms at U units; make one with ``from_arrays`` or ``load``.

    Attributes:
        space: the search space.
        metric, mode, unit: as a task has them.
        arms: names of the warm starts, (A,).
        units: resources at which there are values, growing, (U,).
        configurations: as they were drawn, (N,); the same one may be there twice.
        value: (A, N, U); NaN where it diverged, and beyond the end of a curve.
        seconds: what each unit took, (A, N, U); None: not known, and a unit of resource takes 1.
        length: how many of the units each curve has, (A, N).
        ended: how each ended, an index of ``ENDED``, (A, N).
        why: words on those that failed or were rejected: (arm, row) -> words.
        refined: what the warm start made of each: (arm, row) -> configuration.
        warm_seconds, warm_batches: what the warm start took, in seconds and mini-batches, (A, N).
        metrics: further metrics by name, each (A, N, U).
        source: how it was made, as JSON can hold it.
    """

    space: SearchSpace
    metric: str
    mode: str
    unit: str
    arms: tuple[str, ...]
    units: tuple[int, ...]
    configurations: tuple[Configuration, ...]
    value: Floats
    seconds: Floats | None
    length: NDArray[np.int32]
    ended: NDArray[np.uint8]
    why: Mapping[tuple[int, int], str]
    refined: Mapping[tuple[int, int], Configuration]
    warm_seconds: Floats
    warm_batches: Floats
    metrics: Mapping[str, Floats]
    source: Mapping[str, Any]
    _curves: dict[tuple[int, int], Curve] = field(default_factory=dict, repr=False, init=False)

    @classmethod
    def from_arrays(
        cls,
        space: SearchSpace | Mapping[str, Any],
        configurations: Sequence[Mapping[str, Any]],
        value: ArrayLike,
        *,
        seconds: ArrayLike | None = None,
        units: Sequence[int] | None = None,
        arms: Sequence[str] = ("baseline",),
        mode: str = "max",
        metric: str = "value",
        unit: str = "epoch",
        metrics: Mapping[str, ArrayLike] | None = None,
        refined: Mapping[tuple[int, int], Mapping[str, Any]] | None = None,
        warm_seconds: ArrayLike | None = None,
        warm_batches: ArrayLike | None = None,
        length: ArrayLike | None = None,
        ended: ArrayLike | None = None,
        why: Mapping[tuple[int, int], str] | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> Curves:
        """A table from plain arrays.

        Args:
            space: the search space, or a dictionary that makes one.
            configurations: N of them, each a mapping from names to values.
            value: the metric after each unit, (N, U), or (A, N, U) for several arms. NaN before a curve's
                last number: it diverged there. NaN from there on: these units are missing.
            seconds: what each unit took, of the same shape; not cumulative. None: not known.
            units: the resources of the U columns, growing; by default 1 to U.
            arms: names of the A arms, as ``--variation`` has them.
            mode: "max" or "min".
            metrics: further metrics by name, each like ``value``.
            refined: (arm, row) -> what the arm's warm start made of that row's configuration.
            warm_seconds, warm_batches: what the warm start took, (A, N); 0 by default.
            length: how many units each curve has, (N,) or (A, N); by default up to its last number.
            ended: how each ended, as an index of ``ENDED`` or its name, (N,) or (A, N): by default "complete"
                with all units, and else "unknown", whose last value stands in where a search goes further.
            why: (arm, row) -> why that one failed or was rejected.
            source: how it was made, as JSON can hold it.
        Raises:
            CurvesError: an array is of another shape, there is no configuration, or seconds are missing or
                negative; says where.
            ConfigurationError: a configuration does not belong to the space; says which.
        """
        return cls(**table_parts(
            space, configurations, value, seconds=seconds, units=units, arms=arms, mode=mode, metric=metric,
            unit=unit, metrics=metrics, refined=refined, warm_seconds=warm_seconds, warm_batches=warm_batches,
            length=length, ended=ended, why=why, source=source,
        ))  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Curves:
        """Read what ``save`` wrote.

        Raises:
            CurvesError: there is no such file, or it is none of these, or damaged.
        """
        return cls(**read_parts(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write an .npz file, whole or not at all; docs/reference/curves-file.md has its form.

        Raises:
            CurvesError: it cannot be written.
        """
        parts = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        write_parts(Path(path), parts)

    def __len__(self) -> int:
        """How many configurations there are."""
        return len(self.configurations)

    def __repr__(self) -> str:
        return (
            f"<Curves: {len(self)} configurations of {', '.join(self.space.names)}; {self.metric} at "
            f"{self.unit} {self.units[0]} to {self.units[-1]}; {', '.join(self.arms)}>"
        )

    @property
    def timed(self) -> bool:
        """Whether there are seconds; without them a unit of resource takes 1."""
        return self.seconds is not None

    def curve(self, arm: str, row: int) -> Curve:
        """The curve of one row under one arm; made once."""
        key = (self.arms.index(one_of("arm", arm, self.arms)), row)
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = self._made(*key)
        return curve

    def _made(self, arm: int, row: int) -> Curve:
        count = int(self.length[arm, row])
        units = self.units[:count]
        known = self.seconds
        seconds = self._untimed[:count] if known is None else known[arm, row, :count].tolist()
        warm_seconds = float(self.warm_seconds[arm, row])
        # a warm start that took time was there, even if what it made was not recorded, or is the same
        unchanged = self.configurations[row] if warm_seconds else None
        return Curve(
            units,
            self.value[arm, row, :count].tolist(),
            seconds,
            metrics={name: values[arm, row, :count].tolist() for name, values in self.metrics.items()},
            ended=ENDED[self.ended[arm, row]],
            why=self.why.get((arm, row), ""),
            refined=self.refined.get((arm, row), unchanged),
            warm_seconds=warm_seconds,
            warm_batches=float(self.warm_batches[arm, row]),
        )

    def searcher(
        self, seed: int, *, resample: bool = False, among: Sequence[int] | None = None
    ) -> TableSearcher:
        """A random search over the rows; see ``TableSearcher``."""
        return TableSearcher(self.space, self.configurations, seed, resample=resample, among=among)

    def finder(self, arm: str, searcher: Searcher) -> TableFinder:
        """What finds the curves of one search's trials under an arm."""
        return TableFinder(self, arm, searcher)

    def row_of(self, configuration: Configuration, arm: str | None = None) -> int | None:
        """The first row with exactly this configuration, as drawn; None: there is none.

        Args:
            arm: look among what this arm's warm start made of them, too.
        """
        row = self._as_drawn.get(configuration)
        if row is None and arm is not None:
            row = self._as_refined.get((self.arms.index(arm), configuration))
        return row

    def nearest(self, configuration: Configuration, among: Sequence[int] | None = None) -> int:
        """The row with the nearest configuration, by Euclid's distance in the unit cube; first of equals.

        Args:
            among: rows to look at; None: all.
        """
        here = np.array(self.space.to_unit(configuration))
        points = self._points if among is None else self._points[among]
        place = int(np.argmin(((points - here) ** 2).sum(axis=1)))
        return place if among is None else int(among[place])

    @cached_property
    def _untimed(self) -> list[float]:
        return np.diff(self.units, prepend=0).astype(np.float64).tolist()

    @cached_property
    def _as_drawn(self) -> dict[Configuration, int]:
        rows: dict[Configuration, int] = {}
        for row, configuration in enumerate(self.configurations):
            rows.setdefault(configuration, row)
        return rows

    @cached_property
    def _as_refined(self) -> dict[tuple[int, Configuration], int]:
        rows: dict[tuple[int, Configuration], int] = {}
        for (arm, row), configuration in sorted(self.refined.items(), key=lambda item: item[0]):
            rows.setdefault((arm, configuration), row)
        return rows

    @cached_property
    def _points(self) -> Floats:
        return np.array([self.space.to_unit(each) for each in self.configurations])
