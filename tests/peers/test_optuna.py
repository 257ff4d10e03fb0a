"""Optuna's SuccessiveHalvingPruner and HyperbandPruner against the stopping rule and the brackets."""

from __future__ import annotations

import math
from binascii import crc32
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.schedulers.levels import bracket_levels, bracket_size
from tests.peers.streams import ByRank, Ours, Stream, play, streams

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install -e '.[test]'")


EXAMPLES = 120


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class Optuna:
    """A study in memory, with as many trials asked for at the start as the stream has."""

    def __init__(self, stream: Stream, pruner: Any = None, name: str | None = None) -> None:
        self.R = stream.R
        self.study = optuna.create_study(
            study_name=name,
            direction={"min": "minimize", "max": "maximize"}[stream.mode],
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=pruner
            or optuna.pruners.SuccessiveHalvingPruner(
                min_resource=stream.r, reduction_factor=stream.eta, min_early_stopping_rate=0
            ),
        )
        self.trials = [self.study.ask() for _ in range(stream.trials)]

    def report(self, trial: int, resource: int, value: float) -> bool:
        asked = self.trials[trial]
        asked.report(value, resource)
        if asked.should_prune():
            self.study.tell(asked, state=optuna.trial.TrialState.PRUNED)
            return False
        if resource == self.R:  # the objective returns
            if math.isnan(value):
                self.fail(trial)
            else:
                self.study.tell(asked, value)
            return False
        return True

    def fail(self, trial: int) -> None:
        self.study.tell(self.trials[trial], state=optuna.trial.TrialState.FAIL)


# -- SuccessiveHalvingPruner -----------------------------------------------------------------------


@settings(max_examples=EXAMPLES)
@given(streams())
def test_without_ties_optuna_decides_as_the_stopping_rule_at_every_report(stream: Stream) -> None:
    assert play(Optuna(stream), stream) == play(Ours(stream), stream)


@settings(max_examples=EXAMPLES)
@given(streams([0.0, 1.0, 2.0, 3.0]))
def test_of_equal_values_optuna_lets_all_through_and_the_stopping_rule_the_first(stream: Stream) -> None:
    assert play(Optuna(stream), stream) == play(ByRank(stream, equals_pass=True), stream)
    assert play(Ours(stream), stream) == play(ByRank(stream, equals_pass=False), stream)


def test_three_equal_values_all_go_on_in_optuna_and_the_first_with_the_stopping_rule() -> None:
    stream = Stream("max", 3, 1, 3, 3, order=[0, 1, 2], values=[0.5, 0.5, 0.5])
    assert [goes_on for _, _, goes_on in play(Optuna(stream), stream)] == [True, True, True]
    assert [goes_on for _, _, goes_on in play(Ours(stream), stream)] == [True, False, False]


class SilentAboutNaN(Ours):
    """The stopping rule, but a trial whose value at a rung is NaN stops without reporting it."""

    def report(self, trial: int, resource: int, value: float) -> bool:
        if math.isnan(value) and resource in self.scheduler.levels:
            return False
        return super().report(trial, resource, value)


@settings(max_examples=EXAMPLES)
@given(streams(odd=[math.nan]))
def test_a_nan_at_a_rung_is_pruned_by_optuna_and_not_counted(stream: Stream) -> None:
    assert play(Optuna(stream), stream) == play(SilentAboutNaN(stream), stream)


def test_two_nans_make_room_for_one_more_with_the_stopping_rule_and_not_in_optuna() -> None:
    stream = Stream("max", 2, 1, 2, 4, order=[0, 1, 2, 3], values=[math.nan, math.nan, 0.9, 0.8])
    assert [goes_on for _, _, goes_on in play(Optuna(stream), stream)] == [False, False, True, False]
    assert [goes_on for _, _, goes_on in play(Ours(stream), stream)] == [False, False, True, True]


def test_a_failed_trial_counts_as_the_worst_with_the_stopping_rule_and_not_in_optuna() -> None:
    stream = Stream("max", 2, 1, 2, 4, order=[2, 3], values=[0.9, 0.8])
    answers = []
    for system in (Optuna(stream), Ours(stream)):
        system.fail(0)
        system.fail(1)
        answers.append([goes_on for _, _, goes_on in play(system, stream)])
    assert answers == [[True, False], [True, True]]


class InfinityIsANumber(Ours):
    """The stopping rule, told of a number beyond all others instead of an infinity."""

    def report(self, trial: int, resource: int, value: float) -> bool:
        return super().report(trial, resource, max(-1e308, min(value, 1e308)))


def test_an_infinity_is_a_number_in_optuna_and_ranks_last_with_the_stopping_rule() -> None:
    for mode, best in (("max", math.inf), ("min", -math.inf)):
        stream = Stream(mode, 2, 1, 2, 3, order=[0, 1, 2], values=[0.5, best, -best])
        theirs = play(Optuna(stream), stream)
        assert [goes_on for _, _, goes_on in theirs] == [True, True, False]
        assert theirs == play(InfinityIsANumber(stream), stream)
        assert [goes_on for _, _, goes_on in play(Ours(stream), stream)] == [True, False, False]
    first = Stream("min", 2, 1, 2, 1, order=[0], values=[math.inf])
    assert play(Optuna(first), first) == [(0, 1, True)]  # the best of one
    assert play(Ours(first), first) == [(0, 1, False)]


def test_optuna_compares_at_the_maximum_as_well_which_it_does_not_know() -> None:
    stream = Stream("max", 2, 1, 2, 2, order=[0, 0, 1, 1], values=[0.1, 0.9, 0.2, 0.8])
    theirs, ours = Optuna(stream), Ours(stream)
    answers = [(0, 1, True), (0, 2, False), (1, 1, True), (1, 2, False)]
    assert play(theirs, stream) == answers
    assert play(ours, stream) == answers
    states = [trial.state.name for trial in theirs.study.trials]
    assert states == ["COMPLETE", "PRUNED"]
    assert [trial.status.name for trial in ours.scheduler.trials] == ["DONE", "DONE"]


# -- HyperbandPruner -------------------------------------------------------------------------------


def hyperband(r: int, R: int, eta: int) -> Any:
    pruner = optuna.pruners.HyperbandPruner(min_resource=r, max_resource=R, reduction_factor=eta)
    pruner._try_initialization(None)  # it is done at the first decision; the study matters for "auto" alone
    return pruner


# R at which Optuna's floor(log(R / r, eta)) is one too few; whatever r, if R / r is the same
LOST = {(243, 3), (1000, 10)}


def test_optuna_counts_hyperbands_brackets_right_but_for_243_by_3_and_1000_by_10() -> None:
    lost = set()
    for eta in range(2, 11):
        for r in range(1, 6):
            for R in range(r, 1251):
                theirs, count = hyperband(r, R, eta)._n_brackets, len(bracket_levels(r, R, eta))
                if theirs != count:
                    assert theirs == count - 1
                    assert R % r == 0
                    lost.add((R // r, eta))
    assert lost == LOST


@pytest.mark.parametrize(("R", "eta"), sorted(LOST))
def test_where_optuna_loses_a_bracket_all_brackets_have_other_sizes(R: int, eta: int) -> None:
    count = len(bracket_levels(1, R, eta))
    budgets = hyperband(1, R, eta)._trial_allocation_budgets
    assert budgets == [bracket_size(s, count - 1, eta) for s in reversed(range(count - 1))]
    assert eta ** (count - 1) == R == bracket_size(count - 1, count, eta)  # how many begin at one unit
    assert budgets[0] == R // eta  # in Optuna a whole factor fewer


@pytest.mark.parametrize("eta", [2, 3, 4, 5, 7, 10])
def test_optunas_shares_of_the_brackets_are_hyperbands_sizes(eta: int) -> None:
    for R in range(1, 400):
        if (R, eta) not in LOST:
            count = len(bracket_levels(1, R, eta))
            sizes = [bracket_size(s, count, eta) for s in reversed(range(count))]
            assert hyperband(1, R, eta)._trial_allocation_budgets == sizes


def share(name: str, trial: int, sizes: list[int]) -> int:
    """The bracket that Optuna draws for a trial: a hash of the study's name and the trial's number."""
    place = crc32(f"{name}_{trial}".encode()) % sum(sizes)
    bracket = 0
    while place >= sizes[bracket]:
        place -= sizes[bracket]
        bracket += 1
    return bracket


class Brackets:
    """One stopping rule a bracket of Optuna's, which begins at r*eta^bracket, among its own trials alone."""

    def __init__(self, stream: Stream, name: str) -> None:
        # not bracket_levels(r, R, eta): Optuna's levels are built from the bottom
        count = len(bracket_levels(stream.r, stream.R, stream.eta))
        sizes = [bracket_size(s, count, stream.eta) for s in reversed(range(count))]
        self.bracket = [share(name, trial, sizes) for trial in range(stream.trials)]
        self.rules = [Ours(stream, r=stream.r * stream.eta**bracket) for bracket in range(count)]

    def report(self, trial: int, resource: int, value: float) -> bool:
        return self.rules[self.bracket[trial]].report(trial, resource, value)


@settings(max_examples=EXAMPLES)
@given(streams(rungs=(2, 3)), st.integers(0, 999).map("study {}".format))
def test_inside_a_bracket_of_hyperband_optuna_decides_as_the_stopping_rule(stream: Stream, name: str) -> None:
    theirs = Optuna(stream, hyperband(stream.r, stream.R, stream.eta), name)
    assert play(theirs, stream) == play(Brackets(stream, name), stream)


def test_optunas_hyperband_compares_at_r_eta_k_and_ours_at_the_maximum_divided() -> None:
    # 10 units, eta 3: Optuna's first brackets begin at 1, 3 and 9 units, ours at 1, 3 and 10
    assert bracket_levels(1, 10, 3) == (1, 3, 10)
    assert [p._min_early_stopping_rate for p in hyperband(1, 10, 3)._pruners] == [0, 1, 2]
    # 200 units: at 1, 3, 9, 27 and 81; ours at 2, 7, 22, 66 and 200
    assert hyperband(1, 200, 3)._n_brackets == len(bracket_levels(1, 200, 3))
    assert bracket_levels(1, 200, 3)[0] == 2
