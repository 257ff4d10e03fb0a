"""What the synchronous schedulers share: brackets whose rungs close before anybody goes on.

A bracket fills its first rung with n configurations. The places above it are fixed by that: floor(n/eta^k)
in its k-th rung (algorithm 1 of Li et al. 2018). A rung *closes* when all of its trials have reported or
failed; then the best of them take the places of the next, and the others are stopped for good. A NaN takes
no place: where fewer are good than there are places, all of these go on, and the places above stay as many.
A bracket is over when nobody goes on.

A trial that fails, or is lost too often, is an entry with the worst value: it never stalls a rung. One
that was screened out (``Rejected``) is replaced by another configuration, and counts nowhere. A slot that
would be idle because a rung waits for its stragglers begins the next bracket (as in Falkner et al. 2018,
BOHB, section 4.3). Where no further configuration may begin (``max_trials``, an exhausted grid), n is how
many did.

Searches that were begun by rules 1 (their run.json names none) go on by them: there floor(m/eta) of the m
that arrived in a rung go on, so that a rung that was not filled makes all above it smaller.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import insort
from heapq import heappop, heappush

from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.rung import Rung
from asha_core.schedulers.state import Status, TrialState


class _Bracket:
    """One bracket, and the rung of it that is open now.

    Attributes:
        index: how many were opened before it.
        first: the rung it begins at.
        size: how many begin.
        begun: how many did (those rejected not counted).
        rung: the index of the open rung.
        expected: how many will have arrived there when it closes.
        awaited: how many of those that have arrived, as failed, are tried again.
    """

    __slots__ = ("awaited", "begun", "expected", "first", "index", "members", "open", "rung", "size")

    def __init__(self, index: int, first: int, size: int, level: int, reduction_factor: int) -> None:
        self.index = index
        self.first = first
        self.size = size
        self.begun = 0
        self.expected = 0
        self.awaited = 0
        self.rung = first
        self.open = Rung(level, reduction_factor)
        self.members: list[TrialState] = []


class SynchronousScheduler(Scheduler):
    """Base of ``SuccessiveHalving`` and ``SynchronousHyperband``, which say what brackets there are."""

    rules = 2
    stops = True
    extends = False  # brackets are made for the number of trials
    expectation_is_exact = True

    @abstractmethod
    def _shape(self, index: int) -> tuple[int, int]:
        """(first rung, size) of the bracket that is opened as number ``index``."""

    @property
    def _round(self) -> int:
        """How many brackets there are of different shapes; they are opened one after the other, in rounds."""
        return 1

    @property
    def units_to_first_promotion(self) -> int:
        """Units of resource before anybody goes on, if nothing fails."""
        size = self._shape(0)[1]
        return min(size, self.trial_limit or size) * self.levels[0]

    @property
    def cycle(self) -> int:
        """Configurations after which brackets of the same sizes come again."""
        return sum(self._shape(index)[1] for index in range(self._round))

    def brackets(self, trials: int) -> list[Bracket]:
        """How ``trials`` configurations are expected to be spread over brackets."""
        shapes = [self._shape(index) for index in range(self._round)]
        rounds, rest = divmod(trials, self.cycle)
        found = []
        for first, size in shapes:
            found.append(Bracket(self.levels[first:], size, rounds))
            found.append(Bracket(self.levels[first:], min(size, rest)))
            rest -= min(size, rest)
        return [bracket for bracket in found if bracket.trials and bracket.times]

    def begin(self) -> None:
        """No bracket is open."""
        self._opened = 0
        self._filling: list[_Bracket] = []  # those that want more configurations, oldest first
        self._due: list[tuple[int, int, int]] = []  # a heap of (bracket, place, trial): who goes on
        self._bracket_of: list[_Bracket] = []  # by trial

    def bracket_of(self, trial: TrialState) -> int:
        """Brackets that begin at one rung are several."""
        return self._bracket_of[trial.id].index

    def is_due(self, trial: TrialState) -> bool:
        """Who is paused in a rung that is closed goes on; the others of it were stopped."""
        return trial.status == Status.PAUSED and trial.rung < self._bracket_of[trial.id].rung

    def first_rung(self, number: int) -> int:
        """That of the oldest bracket that wants more."""
        if not self._filling:
            first, size = self._shape(self._opened)
            level = self.levels[first]
            self._filling.append(_Bracket(self._opened, first, size, level, self.reduction_factor))
            self._opened += 1
        bracket = self._filling[0]
        bracket.begun += 1
        bracket.expected += 1
        if bracket.begun == bracket.size:
            self._filling.pop(0)
        self._bracket_of.append(bracket)
        return bracket.first

    def _fresh(self, number: int) -> TrialState:
        trial = super()._fresh(number)
        if not self.may_begin():  # it was the last: brackets that wait for more need not
            for bracket in list(self._filling):
                self._close_if_complete(bracket)
        return trial

    def promotable(self) -> TrialState | None:
        """The first that is due."""
        return self.trials[self._due[0][2]] if self._due else None

    def promote(self, trial: TrialState) -> None:
        """It is due no more."""
        heappop(self._due)

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It is an entry of the open rung, which may be complete with it."""
        bracket = self._bracket_of[trial.id]
        if trial.retried:
            if bracket.rung > trial.rung:  # it closed without the trial
                if trial.status == Status.PAUSED:
                    self.stop(trial)
                return
            bracket.awaited -= 1
        else:
            bracket.members.append(trial)
        bracket.open.add(trial.id, loss, again=trial.retried)
        self._close_if_complete(bracket)

    def awaited(self, trial: TrialState) -> None:
        """The rung, if it is still open, waits for it."""
        bracket = self._bracket_of[trial.id]
        bracket.awaited += bracket.rung == trial.rung

    def screened_out(self, trial: TrialState) -> None:
        """Another configuration takes its place."""
        bracket = self._bracket_of[trial.id]
        bracket.expected -= 1
        if bracket.begun == bracket.size:
            insort(self._filling, bracket, key=lambda each: each.index)
        bracket.begun -= 1
        self._close_if_complete(bracket)

    def _close_if_complete(self, bracket: _Bracket) -> None:
        if bracket.open.n < bracket.expected or bracket.awaited:
            return
        if bracket in self._filling:
            if self.may_begin():
                return
            self._filling.remove(bracket)
        self._close(bracket)

    def _close(self, bracket: _Bracket) -> None:
        """The open rung is complete: its best are due at the next, which opens; the others are stopped."""
        due: list[int] = []
        if bracket.rung < len(self.levels) - 1:
            while (number := bracket.open.promote()) is not None:
                heappush(self._due, (bracket.index, len(due), number))
                due.append(number)
            go_on = set(due)
            for trial in bracket.members:
                if trial.status == Status.PAUSED and trial.id not in go_on:
                    self.stop(trial)
            bracket.rung += 1
            level, places = self.levels[bracket.rung], self._places_above(bracket)
            bracket.open = Rung(level, self.reduction_factor, places)
        bracket.expected = len(due)
        bracket.members = []

    def _places_above(self, bracket: _Bracket) -> int:
        """How many go on from the rung that opens, if so many are good."""
        if self.rules == 1:
            return 0  # as many as those that arrive make
        return bracket.begun // int(self.reduction_factor ** (bracket.rung - bracket.first + 1))
