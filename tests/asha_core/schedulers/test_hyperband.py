"""Asynchronous Hyperband, worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from asha_core.messages import Failed, Rejected
from asha_core.schedulers import hyperband
from asha_core.schedulers.state import RungCounts
from asha_core.streams import uniforms
from tests.asha_core.schedulers.helpers import by_value, make, step, tell

# r = 1, R = 9, eta = 3: three brackets. (s_max + 1)/(s + 1) * eta^s = 3/3 * 9, 3/2 * 3, 3/1 * 1
# for s = 2, 1, 0, which is 9 : 4.5 : 3 = 18 : 9 : 6 of 33
BRACKET = {0: 0.1, 1: 0.6, 2: 0.9}  # a number that draws the bracket which begins at rung 0, 1, 2


def drawn(monkeypatch, brackets):
    """Let the trials be drawn into these brackets, named by the rung at which they begin."""
    monkeypatch.setattr(hyperband, "uniforms", lambda seed, name, index, count: [BRACKET[brackets[index]]])


@pytest.mark.parametrize(
    ("number", "first"),
    [
        (0.0, 0),
        (18 / 33 - 1e-9, 0),
        (18 / 33 + 1e-9, 1),
        (27 / 33 - 1e-9, 1),
        (27 / 33 + 1e-9, 2),
        (1 - 2**-53, 2),
    ],
)
def test_each_bracket_has_its_part_of_the_unit_interval(monkeypatch, number, first):
    monkeypatch.setattr(hyperband, "uniforms", lambda *_: [number])
    scheduler = make("hyperband", max_resource=9)
    assert scheduler.ask().until == (1, 3, 9)[first]
    assert scheduler.trials[0].first == first


def test_the_number_is_that_of_the_trial_in_the_stream_of_the_run():
    scheduler = make("hyperband", max_resource=9, seed=4)
    expected = []
    for trial in range(60):
        number = uniforms(4, "bracket", trial, 1)[0] * 33
        expected.append(1 if number < 18 else 3 if number < 27 else 9)
    assert [scheduler.ask().until for _ in range(60)] == expected


def test_over_many_trials_each_bracket_has_its_share():
    # five brackets of R = 81: 81, 33.75, 15, 7.5, 5 of 142.25
    scheduler = make("hyperband", max_resource=81)
    n = 6000
    begun = [scheduler.ask().until for _ in range(n)]
    for level, weight in zip((1, 3, 9, 27, 81), (81, 33.75, 15, 7.5, 5), strict=True):
        share = weight / 142.25
        assert abs(begun.count(level) / n - share) < 4 * (share * (1 - share) / n) ** 0.5  # 4 deviations


def test_brackets_of_another_ladder_have_the_shares_of_theirs():
    # R = 200, eta = 3: floor(200 / 3^s) = 200, 66, 22, 7, 2
    scheduler = make("hyperband", max_resource=200)
    assert scheduler.levels == (2, 7, 22, 66, 200)
    assert list(scheduler.first_rungs) == [0, 1, 2, 3, 4]
    weights = [Fraction(5, s + 1) * 3**s for s in (4, 3, 2, 1, 0)]
    expected = [int(14225 * weight / sum(weights)) for weight in weights]
    assert expected == [8100, 3375, 1500, 750, 500]
    assert [bracket.trials for bracket in scheduler.brackets(14225)] == expected


def test_trials_are_compared_within_their_bracket(monkeypatch):
    drawn(monkeypatch, [0, 1, 0, 1, 0, 1, 2])
    scheduler = make("hyperband", max_resource=9, max_trials=7)
    assert by_value(scheduler, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) == [
        (0, 0, 1),  # bracket 0 at 1: 1
        (1, 0, 3),  # bracket 1 at 3: 2
        (2, 0, 1),  # bracket 0 at 1: 1 3
        (3, 0, 3),  # bracket 1 at 3: 2 4
        (4, 0, 1),  # bracket 0 at 1: 1 3 5, k = 1
        (4, 1, 3),  # bracket 0 at 3: 5. With the others' it would be 2 4 5, k = 1
        (5, 0, 3),  # bracket 1 at 3: 2 4 6, k = 1
        (5, 3, 9),
        (6, 0, 9),  # bracket 2 trains to the end
    ]
    assert scheduler.counts() == [
        RungCounts(1, paused=2, promoted=1),
        RungCounts(3, paused=3, promoted=1),
        RungCounts(9, done=2),
    ]


def test_the_upper_rung_goes_first_and_there_the_bracket_that_began_lowest(monkeypatch):
    # r = 1, R = 4, eta = 2: shares 3/3 * 4, 3/2 * 2, 3 = 4 : 3 : 3, so 0.1, 0.6, 0.9 draw 0, 1, 2 too
    drawn(monkeypatch, [0, 0, 0, 0, 1, 1, 0, 0])
    scheduler = make("hyperband", max_resource=4, reduction_factor=2, max_trials=8)
    jobs = [scheduler.ask() for _ in range(8)]
    for job in jobs[:4]:
        tell(scheduler, job, float(job.trial))
    climbers = [scheduler.ask(), scheduler.ask()]
    assert [step(job) for job in climbers] == [(3, 1, 2), (2, 1, 2)]  # n = 4, k = 2
    for job in jobs[4:]:
        tell(scheduler, job, float(job.trial))
    for job in climbers:
        tell(scheduler, job, float(job.trial))
    # bracket 0 at 2: 3 2, k = 1: 3. bracket 1 at 2: 4 5, k = 1: 5. bracket 0 at 1: 0 1 2 3 6 7, k = 3: 7, 6
    assert [step(scheduler.ask()) for _ in range(5)] == [(3, 2, 4), (5, 2, 4), (7, 1, 2), (6, 1, 2), None]


def test_a_trial_is_screened_out_on_its_way_to_its_own_first_rung(monkeypatch):
    drawn(monkeypatch, [2, 1, 1, 0])
    scheduler = make("hyperband", max_resource=9, max_trials=1)
    for trial in range(3):
        assert scheduler.ask().trial == trial
        scheduler.tell(Rejected(trial, "diverges"))
    assert scheduler.rejected == 3
    assert scheduler.failures == 0
    assert scheduler.ask().trial == 3


def test_a_failure_counts_in_its_own_bracket(monkeypatch):
    # bracket 1 at 3: failed, 1, 2: k = 1. In bracket 0 at 1: 5, 6: k = 0
    drawn(monkeypatch, [1, 0, 1, 0, 1])
    scheduler = make("hyperband", max_resource=9, max_trials=5)
    jobs = [scheduler.ask() for _ in range(5)]
    scheduler.tell(Failed(0, 0, "raised"))
    for trial, value in ((1, 5.0), (2, 1.0), (3, 6.0), (4, 2.0)):
        tell(scheduler, jobs[trial], value)
    assert [step(scheduler.ask()) for _ in range(2)] == [(4, 3, 9), None]


def test_a_single_rung_compares_nobody():
    scheduler = make("hyperband", min_resource=4, max_resource=11, max_trials=5)
    assert by_value(scheduler, [1.0] * 5) == [(trial, 0, 11) for trial in range(5)]


def test_a_whole_bracket_is_one_of_which_somebody_goes_through_every_rung():
    # of 33 parts 18 begin at the bottom, where 9 are needed: 9 * 33 / 18 = 16.5
    assert make("hyperband", max_resource=9).whole_bracket == 17


def test_trials_are_shared_out_by_the_weights_and_the_rest_begins_at_the_bottom():
    # 100 * 18/33 = 54.5, 100 * 9/33 = 27.3, 100 * 6/33 = 18.2: 54 + 1 left over, 27, 18
    shares = make("hyperband", max_resource=9).brackets(100)
    assert [(tuple(bracket.levels), bracket.trials) for bracket in shares] == [
        ((1, 3, 9), 55),
        ((3, 9), 27),
        ((9,), 18),
    ]
    assert [bracket.trials for bracket in make("hyperband", max_resource=9).brackets(1)] == [1]
