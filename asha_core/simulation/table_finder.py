"""Which row of a table a trial trains by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from asha_core.messages import Job
from asha_core.searchers.base import Searcher
from asha_core.simulation.curve import Curve
from asha_core.space import Configuration


class Rows(Protocol):
    """A table's rows, by number and by configuration."""

    @property
    def configurations(self) -> Sequence[Configuration]:
        """Of the rows, as drawn."""
        ...

    def curve(self, arm: str, row: int) -> Curve:
        """The curve of a row under an arm."""
        ...

    def row_of(self, configuration: Configuration, arm: str | None = None) -> int | None:
        """The row with this very configuration."""
        ...

    def nearest(self, configuration: Configuration) -> int:
        """The row with the nearest one."""
        ...


class TableFinder:
    """Finds the curves of one search's trials: by the row that its searcher drew, else by configuration.

    Attributes:
        arm: whose curves.
        found: by trial, the row that it trains by.
        nearest: how many trials were answered by the nearest row, since the table lacks their configuration.
    """

    def __init__(self, curves: Rows, arm: str, searcher: Searcher) -> None:
        self._curves = curves
        self.arm = arm
        self._row = getattr(searcher, "row", None)  # a table's own searcher, or one that draws from it
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
            drawn = int(self._row(job.trial))
            # a scheduler that chooses may have taken another one of the searcher's
            if job.configuration in (
                self._curves.configurations[drawn],
                self._curves.curve(self.arm, drawn).refined,
            ):
                return drawn
        row = self._curves.row_of(job.configuration, self.arm)
        if row is None:
            self.nearest += 1
            row = self._curves.nearest(job.configuration)
        return row
