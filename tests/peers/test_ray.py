"""Ray Tune's AsyncHyperBandScheduler and HyperBandScheduler against the stopping rule and the brackets.

Ray is imported, and nothing of it is started: its schedulers are plain objects that take stub trials.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.schedulers.levels import bracket_levels, bracket_size, rung_levels
from tests.peers.process_state import leaving_the_process_as_it_was
from tests.peers.streams import Ours, Stream, play, streams

with leaving_the_process_as_it_was():
    try:
        from ray.tune.experiment import Trial
        from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, TrialScheduler
    except ImportError as missing:  # Ray, or what its "tune" extra brings
        pytest.skip(f"no Ray Tune: {missing}; pip install -e '.[test]'", allow_module_level=True)

# Ray takes the percentile of the NaN alone, if only NaN have arrived, and numpy warns
pytestmark = pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning")

EXAMPLES = 120


class Ray:
    """AsyncHyperBandScheduler with one bracket, driven as Tune's controller drives it."""

    def __init__(self, stream: Stream) -> None:
        self.scheduler = AsyncHyperBandScheduler(
            metric="value",
            mode=stream.mode,
            grace_period=stream.r,
            max_t=stream.R,
            reduction_factor=stream.eta,
        )
        self.trials: list[Any] = [SimpleNamespace(trial_id=f"{n:04}") for n in range(stream.trials)]
        for trial in self.trials:
            self.scheduler.on_trial_add(None, trial)

    def report(self, trial: int, resource: int, value: float) -> bool:
        result = {"training_iteration": resource, "value": value}
        goes_on = self.scheduler.on_trial_result(None, self.trials[trial], result) == TrialScheduler.CONTINUE
        if not goes_on:
            self.scheduler.on_trial_complete(None, self.trials[trial], result)
        return goes_on

    def fail(self, trial: int) -> None:
        self.scheduler.on_trial_error(None, self.trials[trial])


class ByPercentile:
    """Ray's rule, written down anew: stopped if below the percentile of those that came before.

    The percentile is the (1 - 1/eta) quantile, interpolated, of the earlier entries that are not NaN; the
    newcomer is not among them. A NaN is below nothing.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.sign = 1.0 if stream.mode == "max" else -1.0
        self.entries: dict[int, list[float]] = defaultdict(list)

    def report(self, trial: int, resource: int, value: float) -> bool:
        if resource == self.stream.R:
            return False
        if resource not in self.stream.levels:
            return True
        before = [v for v in self.entries[resource] if not math.isnan(v)]
        self.entries[resource].append(self.sign * value)
        return not (before and self.sign * value < np.quantile(before, 1 - 1 / self.stream.eta))


# -- the rule of AsyncHyperBandScheduler -----------------------------------------------------------

FEW = [0.0, 1.0, 2.0, 3.5, 7.25, math.nan]


@settings(max_examples=EXAMPLES)
@given(st.one_of(streams(etas=(2, 3, 4, 5)), streams(FEW, etas=(2, 3, 4, 5))))
def test_ray_compares_with_the_interpolated_percentile_of_the_earlier_entries(stream: Stream) -> None:
    assert play(Ray(stream), stream) == play(ByPercentile(stream), stream)


def sure(n: int, eta: int) -> tuple[int, int]:
    """The n-th arrival goes on in Ray if its rank is at most the first, and not if beyond the second.

    With m = n - 1 earlier entries the cutoff lies (m - 1)/eta places below the best of them. If that is a
    whole number, the cutoff is one of their values and the rank decides; otherwise it lies between two, and
    for a newcomer between the same two the values decide.
    """
    if n == 1:
        return 1, 1
    place = Fraction(n - 2, eta)
    return math.floor(place) + 1, math.ceil(place) + 1


@settings(max_examples=EXAMPLES)
@given(st.sampled_from([2, 3, 4, 5]), st.sampled_from(["min", "max"]), st.permutations(range(30)))
def test_by_rank_ray_and_the_stopping_rule_agree_but_next_to_the_border(
    eta: int, mode: str, values: list[int]
) -> None:
    # one rung: whoever is stopped, both have seen the same entries
    count = len(values)
    stream = Stream(mode, eta, 1, eta, count, range(count), [float(v) for v in values])
    answers = zip(play(Ray(stream), stream), play(Ours(stream), stream), strict=True)
    for n, ((_, _, theirs), (_, _, ours)) in enumerate(answers, start=1):
        now = sorted(values[:n], reverse=mode == "max")
        rank = now.index(values[n - 1]) + 1
        last, beyond = sure(n, eta)
        assert ours == (rank <= max(n // eta, 1))
        if rank <= last:
            assert theirs
        elif rank > beyond:
            assert not theirs
        assert theirs or not ours  # whatever goes on with the stopping rule goes on in Ray
        if rank == 1:
            assert theirs  # a new best
            assert ours
        if rank == n > 1:
            assert not theirs  # the worst of two or more
            assert not ours
        if eta == 2 and n % 2 == 0:
            assert theirs == ours
        # last = floor(n / eta), or one more; the values decide over one rank at the most
        assert last - max(n // eta, 1) == (1 if n > eta and n % eta >= 2 else 0)
        assert beyond - last == (0 if n == 1 or (n - 2) % eta == 0 else 1)


@settings(max_examples=EXAMPLES)
@given(streams())
def test_if_every_newcomer_is_the_best_or_the_worst_so_far_all_decisions_are_equal(stream: Stream) -> None:
    extremes = [place if value % 2 else -place for place, value in enumerate(stream.values, start=1)]
    stream = replace(stream, values=extremes)
    assert play(Ray(stream), stream) == play(Ours(stream), stream)


@settings(max_examples=EXAMPLES)
@given(streams(etas=(2, 3, 4, 5)))
def test_without_ties_the_first_difference_is_a_trial_that_only_ray_lets_on(stream: Stream) -> None:
    theirs, ours = play(Ray(stream), stream), play(Ours(stream), stream)
    for ray, own in zip(theirs, ours, strict=False):
        if ray != own:
            assert ray[:2] == own[:2]
            assert ray[2]
            assert not own[2]
            return
    assert theirs == ours


@pytest.mark.parametrize(("mode", "sign"), [("max", 1.0), ("min", -1.0)])
def test_with_eta_3_the_second_best_of_five_goes_on_in_ray_and_not_with_the_stopping_rule(
    mode: str, sign: float
) -> None:
    # four before: 10, 5, 4, 3. Two thirds of the way up from 3 is 5, the second of them
    values = [sign * value for value in (10.0, 5.0, 4.0, 3.0, 9.0)]
    stream = Stream(mode, 3, 1, 3, 5, range(5), values)
    assert play(Ray(stream), stream)[-1] == (4, 1, True)
    assert play(Ours(stream), stream)[-1] == (4, 1, False)


def test_with_eta_2_the_median_of_three_goes_on_in_ray_if_it_is_nearer_to_the_best() -> None:
    for median, goes_on in ((0.6, True), (0.5, True), (0.4, False)):
        stream = Stream("max", 2, 1, 2, 3, range(3), [0.0, 1.0, median])
        assert play(Ray(stream), stream)[-1] == (2, 1, goes_on)
        assert play(Ours(stream), stream)[-1] == (2, 1, False)


def test_equals_go_on_in_ray_and_the_first_of_them_with_the_stopping_rule() -> None:
    stream = Stream("max", 3, 1, 3, 3, range(3), [0.5, 0.5, 0.5])
    assert [goes_on for _, _, goes_on in play(Ray(stream), stream)] == [True, True, True]
    assert [goes_on for _, _, goes_on in play(Ours(stream), stream)] == [True, False, False]


def test_a_nan_runs_on_in_ray_uncounted_and_is_stopped_and_counted_by_the_stopping_rule() -> None:
    values = [math.nan, math.nan, 0.9, 0.8]
    stream = Stream("max", 2, 1, 2, 4, range(4), values)
    assert [goes_on for _, _, goes_on in play(Ray(stream), stream)] == [True, True, True, False]
    assert [goes_on for _, _, goes_on in play(Ours(stream), stream)] == [False, False, True, True]


def test_a_failed_trial_counts_as_the_worst_with_the_stopping_rule_and_not_in_ray() -> None:
    stream = Stream("max", 2, 1, 2, 4, order=[2, 3], values=[0.9, 0.8])
    answers = []
    for system in (Ray(stream), Ours(stream)):
        system.fail(0)
        system.fail(1)
        answers.append([goes_on for _, _, goes_on in play(system, stream)])
    assert answers == [[True, False], [True, True]]


# -- its rungs and brackets ------------------------------------------------------------------------


def entries(ray: Ray) -> dict[int, dict[str, float]]:
    (bracket,) = ray.scheduler._brackets
    return dict(bracket._rungs)


def test_reports_every_five_units_enter_a_higher_rung_first_and_then_a_lower_one_in_ray() -> None:
    stream = Stream("max", 4, 1, 65, 1, [], [])
    ray = Ray(stream)
    for resource in (5, 10, 15, 20, 25):
        ray.report(0, resource, float(resource))
    # the report at 5 is entered at 4; the one at 10, for want of better, at 1; 20 at 16
    assert entries(ray) == {64: {}, 16: {"0000": 20.0}, 4: {"0000": 5.0}, 1: {"0000": 10.0}}


def test_such_a_late_entry_decides_over_the_trial_in_ray() -> None:
    stream = Stream("max", 4, 1, 65, 2, [], [])
    ray = Ray(stream)
    assert ray.report(0, 1, 1.0)
    assert ray.report(1, 5, 0.5)  # the first at rung 4
    assert not ray.report(1, 10, 0.6)  # worse at 10 units than the other at 1, and stopped for it


def test_ours_takes_no_trial_past_its_rung_and_each_rung_once() -> None:
    stream = Stream("max", 4, 1, 65, 1, [], [])
    ours = Ours(stream)
    assert [ours.report(0, level, 1.0) for level in (1, 4, 16, 64, 65)] == [True] * 4 + [False]
    assert [rung.n for rung in ours.scheduler._rungs] == [1, 1, 1, 1]


GRID = [(r, R, eta) for eta in (2, 3, 4, 10) for r in (1, 2, 3, 5) for R in range(r, 260)] + [
    (1, 243, 3),
    (2, 486, 3),
    (1, 729, 3),
    (1, 1000, 10),
    (1, 10_000, 10),
    (1, 1024, 2),
]


def test_below_the_maximum_rays_rungs_are_ours_and_at_the_maximum_its_logarithm_decides() -> None:
    for r, R, eta in GRID:
        theirs = tuple(sorted(entries(Ray(Stream("max", eta, r, R, 0, [], [])))))
        below = rung_levels(r, R, eta)[:-1]
        assert tuple(level for level in theirs if level < R) == below  # where trials are compared
        if r * eta ** len(below) != R:  # R is no power: no rung there in Ray, and one in ours
            assert theirs == below
        else:  # a floating-point logarithm; what the last bit is depends on the processor
            there = int(np.log(R / r) / np.log(eta) + 1) == len(below) + 1
            assert theirs == ((*below, R) if there else below)


@pytest.mark.parametrize(("R", "eta"), [(243, 3), (1000, 10)])
def test_rays_logarithm_loses_the_rung_at_the_maximum_where_nobody_is_compared(R: int, eta: int) -> None:
    if np.log(R) / np.log(eta) >= round(np.log(R) / np.log(eta)):
        pytest.skip("on this processor numpy's logarithm is not too small")
    stream = Stream("max", eta, 1, R, 0, [], [])
    assert tuple(sorted(entries(Ray(stream)))) == rung_levels(1, R, eta)[:-1]


def test_ray_draws_the_bracket_from_numpys_global_generator_by_a_softmax_of_the_rungs() -> None:
    scheduler = AsyncHyperBandScheduler(
        metric="value", mode="max", grace_period=1, max_t=9, reduction_factor=3, brackets=3
    )
    assert [sorted(level for level, _ in b._rungs) for b in scheduler._brackets] == [[1, 3, 9], [3, 9], [9]]
    odds = np.exp([3.0, 2.0, 1.0])
    before = np.random.get_state()
    try:
        np.random.seed(7)
        wanted = [np.random.choice(3, p=odds / odds.sum()) for _ in range(50)]
        np.random.seed(7)
        for number in range(50):
            scheduler.on_trial_add(None, SimpleNamespace(trial_id=str(number)))
    finally:
        np.random.set_state(before)
    drawn = [scheduler._brackets.index(scheduler._trial_info[str(number)]) for number in range(50)]
    assert drawn == wanted


# -- HyperBandScheduler ----------------------------------------------------------------------------


def synchronous(R: int, eta: int) -> Any:
    return HyperBandScheduler(time_attr="t", metric="value", mode="max", max_t=R, reduction_factor=eta)


@pytest.mark.parametrize("eta", [2, 3, 4, 5])
def test_rays_hyperband_has_our_brackets_where_rounding_the_logarithm_does_not_add_one(eta: int) -> None:
    added = set()
    for R in range(1, 300):
        ray, levels = synchronous(R, eta), bracket_levels(1, R, eta)
        count = ray._s_max_1
        between = eta ** (2 * len(levels) - 1)  # R^2, if log(R, eta) is half-way to the next integer
        if between == R**2:
            continue  # numpy rounds to the even one, if the logarithm is exact
        assert count == (len(levels) if between > R**2 else len(levels) + 1)
        assert [ray._get_n0(s) for s in range(count)] == [bracket_size(s, count, eta) for s in range(count)]
        for s, level in enumerate(reversed(levels)):
            assert ray._get_r0(s) == level
        if count > len(levels):
            added.add(R)
            assert ray._get_r0(count - 1) == 0  # and it is left out for having no units
    assert added
    assert 47 in added or eta != 3


def test_rays_hyperband_leaves_out_the_largest_bracket_of_729_by_3_for_less_than_one_unit() -> None:
    ray = synchronous(729, 3)
    assert ray._s_max_1 == len(bracket_levels(1, 729, 3)) == 7
    assert ray._get_r0(6) == 0  # int(729 * 3**-6), and 3**-6 is a little too small
    assert bracket_levels(1, 729, 3)[0] == 1


class Controller:
    """As much of Tune's controller as HyperBandScheduler looks at."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def stop_trial(self, trial: Any) -> None:
        self.scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def report(self, trial: Any, t: int, value: float) -> None:
        action = self.scheduler.on_trial_result(self, trial, {"t": t, "value": value})
        status = {TrialScheduler.PAUSE: Trial.PAUSED, TrialScheduler.STOP: Trial.TERMINATED}
        trial.status = status.get(action, trial.status)

    def die(self, trial: Any) -> None:
        trial.status = Trial.ERROR
        self.scheduler.on_trial_error(self, trial)

    def resumed(self, trials: list[Any]) -> list[Any]:
        """Those of the trials that the scheduler would run next, one after the other."""
        found = []
        while (trial := self.scheduler.choose_trial_to_run(self)) in trials:
            trial.status = Trial.RUNNING
            found.append(trial)
        return found


class StubTrial:
    """What HyperBandScheduler looks at; hashable, as Ray's are."""

    def __init__(self) -> None:
        self.status = Trial.RUNNING
        self.is_saving = False


def bracket_of(ray: Any, s: int) -> list[Any]:
    """The trials of bracket s, after all brackets up to it were filled."""
    for index in range(s + 1):
        trials = [StubTrial() for _ in range(ray._get_n0(index))]
        for trial in trials:
            ray.on_trial_add(None, trial)
    return trials


def test_of_seven_trials_ceil_of_a_half_go_on_in_rays_hyperband_and_floor_in_ours() -> None:
    ray = synchronous(8, 2)
    controller, trials = Controller(ray), bracket_of(ray, 2)
    count = len(trials)
    assert count == bracket_size(2, 4, 2) == 6
    for _ in range(2):  # 6 -> 3 -> 2, where ours go 6 -> 3 -> 1
        level = 2 if count == 6 else 4
        for value, trial in enumerate(trials):
            controller.report(trial, level, value)
        trials = [trial for trial in trials if trial.status in (Trial.RUNNING, Trial.PAUSED)]
        controller.resumed(trials)
        assert len(trials) == -(-count // 2)
        count = len(trials)
    assert count == 2 > bracket_size(2, 4, 2) // 4


def test_a_trial_that_dies_in_rays_first_rung_lets_the_others_on() -> None:
    ray = synchronous(4, 2)
    controller, trials = Controller(ray), bracket_of(ray, 2)
    for value, trial in enumerate(trials[:-1]):
        controller.report(trial, 1, value)
    controller.die(trials[-1])
    assert controller.resumed(trials) == trials[1:-1]  # the best two of four; it is not counted among them


def test_a_trial_that_dies_later_stalls_rays_bracket_if_the_others_waited_for_it() -> None:
    ray = synchronous(4, 2)
    controller, trials = Controller(ray), bracket_of(ray, 2)
    for value, trial in enumerate(trials):
        controller.report(trial, 1, value)
    third, fourth = trials[2:]
    assert controller.resumed(trials) == [third]
    assert fourth.status == Trial.RUNNING  # it closed the rung, and went on without a pause
    controller.report(third, 2, 1.0)
    controller.die(fourth)
    assert third.status == Trial.PAUSED
    assert controller.resumed(trials) == []  # and nothing will ever wake it
