"""Which event is the last one of a job."""

from __future__ import annotations

import pytest

from asha_core import Failed, Finished, Job, Lost, Refined, Rejected, Report
from asha_core.messages import closes

JOB = Job(trial=3, configuration={"x": 1.0}, start=1, until=3, attempt=2, seed=0)


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_job_ends_with_its_last_unit_or_with_what_went_wrong_in_its_own_attempt(attempt: int) -> None:
    own = attempt == JOB.attempt
    assert not closes(Report(3, attempt, 2, 0.5, 1.0), JOB)
    assert closes(Report(3, attempt, 3, 0.5, 1.0), JOB) == own
    assert closes(Failed(3, attempt, "no"), JOB) == own
    assert closes(Lost(3, attempt, "gone"), JOB) == own
    assert closes(Finished(3, attempt, 2), JOB) == own
    assert not closes(Finished(3, attempt, 3), JOB)  # the report of that unit follows


def test_a_warm_start_ends_no_job_unless_it_rejects() -> None:
    assert not closes(Refined(3, {"x": 0.5}, 1.0), JOB)
    assert closes(Rejected(3, "screened out"), JOB)
