"""The rows of a table that one search of a study meets: its own bootstrap sample of the configurations."""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.searchers.base import Searcher
from asha_core.simulation.curve import Curve
from asha_core.simulation.curves import Curves
from asha_core.simulation.table_finder import TableFinder
from asha_core.simulation.table_searcher import TableSearcher
from asha_core.space import Configuration


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
        self.made: TableFinder | None = None
        self._among = sorted(set(self.rows))

    @property
    def configurations(self) -> Sequence[Configuration]:
        """Of the whole table."""
        return self.curves.configurations

    def curve(self, arm: str, row: int) -> Curve:
        """The curve of a row of the whole table under an arm."""
        return self.curves.curve(arm, row)

    def row_of(self, configuration: Configuration, arm: str | None = None) -> int | None:
        """The row with this very configuration, if it is one of those that the search sees."""
        row = self.curves.row_of(configuration, arm)
        return row if row in self._among else None

    def nearest(self, configuration: Configuration) -> int:
        """The nearest of the rows that the search sees."""
        return self.curves.nearest(configuration, among=self._among)

    def searcher(self, seed: int) -> Searcher:
        """Which proposes the rows in their order."""
        return _InOrder(
            self.space, self.curves.configurations, seed, resample=self._resample, among=self.rows
        )

    def finder(self, arm: str, searcher: Searcher) -> TableFinder:
        """What finds the curves of one search's trials under an arm."""
        self.made = TableFinder(self, arm, searcher)
        return self.made


class _InOrder(TableSearcher):
    """Rows in the order in which they are given; they are drawn at random already."""

    def _shuffled(self, round_: int) -> list[int]:
        return list(self._rows)
