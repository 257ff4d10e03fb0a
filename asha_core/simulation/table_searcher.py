"""Random search over the configurations of a table."""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.arguments import integer
from asha_core.errors import SettingError
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import uniforms


class TableSearcher(Searcher):
    """Configuration i is that of row ``order[i]``, the order drawn from the stream (seed, "row order").

    Args:
        space: of the table.
        configurations: its rows.
        seed: the run's seed.
        resample: go on after the last with another order of all rows, and so on; else it ends there.
        among: rows to draw from, by number; one that is in it twice is drawn twice. None: all, each once.
    Raises:
        SettingError: there is no row to draw.
    """

    name = "table"

    def __init__(
        self,
        space: SearchSpace,
        configurations: Sequence[Configuration],
        seed: int,
        *,
        resample: bool = False,
        among: Sequence[int] | None = None,
    ) -> None:
        self.space, self.seed = space, integer("seed", seed)
        self._configurations = configurations
        self._rows = range(len(configurations)) if among is None else [int(row) for row in among]
        if not self._rows:
            raise SettingError("there is no row to draw from: give at least one in among")
        if not 0 <= min(self._rows) <= max(self._rows) < len(configurations):
            raise SettingError(
                f"among has rows {min(self._rows)} to {max(self._rows)}, and the table has rows 0 to "
                f"{len(configurations) - 1}"
            )
        self.size = None if resample else len(self._rows)
        self._orders: list[list[int]] = []

    def row(self, index: int) -> int:
        """The table's row that trial ``index`` trains with."""
        round_, place = divmod(index, len(self._rows))
        while round_ >= len(self._orders):
            self._orders.append(self._shuffled(len(self._orders)))
        return self._orders[round_][place]

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        return self._configurations[self.row(index)]

    def _shuffled(self, round_: int) -> list[int]:
        """The rows by Fisher and Yates's shuffle."""
        rows = list(self._rows)
        draws = uniforms(self.seed, "row order", round_, len(rows))
        for last in range(len(rows) - 1, 0, -1):
            other = int(draws[last] * (last + 1))
            rows[last], rows[other] = rows[other], rows[last]
        return rows
