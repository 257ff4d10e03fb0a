"""The rows of a table that one search of a study meets: its own bootstrap sample of the configurations."""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.messages import Job
from asha_core.searchers.base import Searcher
from asha_core.simulation.curve import Curve
from asha_core.simulation.curves import Curves
from asha_core.simulation.table_searcher import TableSearcher


class DrawnTable:
    """A table of which a search sees some rows, in this order; one that is in it twice is met twice.

    Args:
        curves: the whole table.
        rows: of it, as ``asha_core.searchers.drawn_rows`` draws them.
        resample: they come again when the search has met them all; else it ends there.

    Attributes:
        made: the last finder, which knows what the search has met; None: there is none yet.
    """

    def __init__(self, curves: Curves, rows: Sequence[int], *, resample: bool = False) -> None:
        self.curves = curves
        self._resample = resample
        self.rows = list(rows)
        self.space = curves.space
        self.metric, self.mode, self.unit = curves.metric, curves.mode, curves.unit
        self.arms, self.units, self.timed = curves.arms, curves.units, curves.timed
        self.made: RowFinder | None = None

    def searcher(self, seed: int) -> Searcher:
        """Which proposes the rows in their order."""
        return _InOrder(
            self.space, self.curves.configurations, seed, resample=self._resample, among=self.rows
        )

    def finder(self, arm: str, searcher: Searcher) -> RowFinder:
        """What finds the curves of one search's trials under an arm."""
        self.made = RowFinder(self, arm, searcher)
        return self.made


class _InOrder(TableSearcher):
    """Rows in the order in which they are given; they are drawn at random already."""

    def _shuffled(self, round_: int) -> list[int]:
        return list(self._rows)


class RowFinder:
    """Finds the curves of one search's trials, and remembers by which rows.

    Attributes:
        arm: whose curves.
        found: by trial, the row of the whole table.
        nearest: how many trials were answered by the nearest of the rows, since none has their configuration.
    """

    def __init__(self, table: DrawnTable, arm: str, searcher: Searcher) -> None:
        self._curves = table.curves
        self.arm = arm
        self._row = getattr(searcher, "row", None)
        self._among = sorted(set(table.rows))
        self.found: dict[int, int] = {}
        self.nearest = 0

    def __call__(self, job: Job) -> Curve:
        """The curve of the job's trial."""
        row = self.found.get(job.trial)
        if row is None:
            row = self.found[job.trial] = self._row_of(job)
        return self._curves.curve(self.arm, row)

    def _row_of(self, job: Job) -> int:
        if self._row is not None:
            return int(self._row(job.trial))
        row = self._curves.row_of(job.configuration, self.arm)
        if row in self._among:
            return row
        self.nearest += 1
        return self._curves.nearest(job.configuration, among=self._among)
