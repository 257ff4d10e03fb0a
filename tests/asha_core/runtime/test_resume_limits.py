"""A lower limit of trials is refused in its own words, wherever the journal cannot be replayed with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asha_core.errors import JournalError, ResultsError
from asha_core.runtime.replay import check_max_trials
from tests.asha_core.runtime.test_resume_laws import five_begun


def test_a_limit_that_was_passed_before_somebody_was_rejected_is_too_low():
    story = five_begun()
    with pytest.raises(JournalError, match="none to give"):
        story.replayed(max_trials=4)
    with pytest.raises(ResultsError, match="not lowered to 4"):
        check_max_trials(story.records, 4, Path("run"))


def test_what_proved_invalid_after_a_unit_was_begun_and_counts():
    story = five_begun(late=True)
    with pytest.raises(JournalError, match="none to give"):
        story.replayed(max_trials=3)
    with pytest.raises(ResultsError, match="not lowered to 3"):
        check_max_trials(story.records, 3, Path("run"))


@pytest.mark.parametrize("kind", ["report", "rejected", "failed"])
def test_a_record_that_lacks_something_is_left_to_the_replay_which_names_its_line(kind: str) -> None:
    check_max_trials([{"t": 1.0, "type": kind, "trial": 0}], 4, Path("run"))
