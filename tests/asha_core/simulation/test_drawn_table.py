"""A search that sees some rows of a table: in their order, and no others, however it proposes."""

from __future__ import annotations

import numpy as np
import pytest

from asha_core import ASHA, Curves, Float, SearchSpace, simulate
from asha_core.searchers import make_searcher
from asha_core.simulation.drawn_table import DrawnTable
from asha_core.space import Configuration

SPACE = SearchSpace({"x": Float(0, 1)})
CURVES = Curves.from_arrays(SPACE, [{"x": row / 10} for row in range(10)], [[row] * 9 for row in range(10)])


@pytest.mark.parametrize("rows", [[3], [7, 7, 2], [9, 0, 4, 4, 1]])
def test_rows_are_met_in_their_order(rows: list[int]) -> None:
    drawn = DrawnTable(CURVES, rows)
    found = simulate(ASHA(SPACE, max_resource=9), drawn)
    assert [trial.configuration["x"] for trial in found.scheduler.trials] == [row / 10 for row in rows]
    assert drawn.made is not None
    assert drawn.made.found == dict(enumerate(rows))
    assert found.best is not None
    assert found.best.value == max(rows)


def test_they_come_again_where_they_are_resampled() -> None:
    drawn = DrawnTable(CURVES, [5, 2], resample=True)
    simulate(ASHA(SPACE, max_resource=9, max_trials=5), drawn)
    assert drawn.made is not None
    assert drawn.made.found == dict(enumerate([5, 2, 5, 2, 5]))


def test_another_searcher_is_answered_by_the_nearest_of_these_rows() -> None:
    rows = [8, 1, 8]
    drawn = DrawnTable(CURVES, rows)
    searcher = make_searcher("sobol", SPACE, 0)
    found = simulate(ASHA(SPACE, max_resource=9, max_trials=20, searcher=searcher), drawn)
    assert drawn.made is not None
    xs = np.array([trial.configuration["x"] for trial in found.scheduler.trials])
    expected = np.where(abs(xs - 0.1) <= abs(xs - 0.8), 1, 8)
    assert list(drawn.made.found.values()) == expected.tolist()
    assert found.nearest == 20


def test_a_row_with_this_very_configuration_is_not_the_nearest_but_itself() -> None:
    from asha_core.searchers.listed import Listed

    drawn = DrawnTable(CURVES, [8, 1])
    searcher = Listed([{"x": 0.8}, {"x": 0.5}], make_searcher("random", SPACE, 0))
    found = simulate(ASHA(SPACE, max_resource=9, max_trials=2, searcher=searcher), drawn)
    assert found.nearest == 1


def test_a_scheduler_that_chooses_among_the_proposals_trains_what_it_chose() -> None:
    class LastFirst(ASHA):
        def configure(self, number: int) -> Configuration:
            return self.searcher.propose(3 - number)

    drawn = DrawnTable(CURVES, [8, 1, 6, 3])
    found = simulate(LastFirst(SPACE, max_resource=9), drawn)
    assert drawn.made is not None
    assert list(drawn.made.found.values()) == [3, 6, 1, 8]
    assert found.best is not None
    assert (found.best.trial, found.best.value) == (3, 8)
    assert found.nearest == 0
