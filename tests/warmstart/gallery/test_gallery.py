"""The contract of ``warmstart``: on every kind of loop it is right, flagged and right, or refused in a line,
and it leaves no trace.
"""

from __future__ import annotations

from typing import Any

import pytest

from scripts.warm_start_gallery import PAGE, cell, cells_of
from tests.warmstart.gallery import kinds
from tests.warmstart.gallery.case import GALLERY, Case
from tests.warmstart.gallery.verdicts import judged

assert kinds  # puts them on show

CELLS = cells_of(PAGE.read_text())


def shown() -> list[Any]:
    """Every kind, one step ahead and two."""
    return [
        pytest.param(case, steps, id=f"{case.name}, {steps}", marks=_marks(case, steps))
        for case in GALLERY
        for steps in (1, 2)
    ]


def _marks(case: Case, steps: int) -> list[Any]:
    marks = [getattr(pytest.mark, name) for name in case.marks]
    one, two = CELLS.get(case.name, ("", "another"))
    if steps == 1 and one == two:  # where it is alike on two steps, one of them adds little
        marks.append(pytest.mark.slow)
    return marks


@pytest.mark.parametrize(("case", "steps"), shown())
def test_it_is_right_or_says_so_and_leaves_no_trace(case: Case, steps: int) -> None:
    verdict = judged(case, steps)
    assert verdict.right, (verdict, verdict.why)
    assert not verdict.changed, verdict.changed
    assert CELLS[case.name][steps - 1] == cell(verdict), "run python -m scripts.warm_start_gallery"


def test_the_page_has_every_kind_and_no_other() -> None:
    assert list(CELLS) == [case.name for case in GALLERY]


def test_there_are_kinds_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in GALLERY}) == len(GALLERY) >= 40
