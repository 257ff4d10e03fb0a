"""What the synchronous schedulers share: brackets whose rungs close before anybody goes on.

A bracket fills its first rung with configurations. A rung *closes* when all of its trials have reported
or failed; then the best floor(n/eta) of its n trials (failed ones included) go on, and the others are
stopped for good. A bracket is over when nobody goes on.

A trial that fails, or is lost too often, is an entry with the worst value: it never stalls a rung. One
that was screened out (``Rejected``) is replaced by another configuration. A slot that would be idle
because a rung waits for its stragglers begins the next bracket (as in Falkner et al. 2018, BOHB, section
4.3). Where no further configuration may begin (``max_trials``, an exhausted grid), rungs close with
those that there are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

from asha_core.rung import Rung
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status, TrialState


class _Bracket:
    """One bracket: the rung that is open now, and who is due to go on from the one below.

    first: the rung it begins at. size: how many begin. begun: how many did (those rejected not counted).
    expected: how many will have arrived at ``rung`` when it closes. rung: the index of the open rung.
    """

    __slots__ = ("begun", "due", "expected", "first", "members", "open", "rung", "size")

    def __init__(self, first: int, size: int, level: int, reduction_factor: int) -> None:
        self.first = first
        self.size = size
        self.begun = 0
        self.expected = 0
        self.rung = first
        self.open = Rung(level, reduction_factor)
        self.members: list[TrialState] = []
        self.due: deque[TrialState] = deque()


class SynchronousScheduler(Scheduler):
    """Base of ``SuccessiveHalving`` and ``SynchronousHyperband``, which say what brackets there are."""

    stops = True

    @abstractmethod
    def _shape(self, index: int) -> tuple[int, int]:
        """(first rung, size) of the bracket that is opened as number ``index``."""

    def _begin(self) -> None:
        self._opened = 0
        self._brackets: list[_Bracket] = []  # those that are not over, oldest first
        self._bracket_of: list[_Bracket] = []  # by trial

    def _first_rung(self, number: int) -> int:
        bracket = next((b for b in self._brackets if b.rung == b.first and b.begun < b.size), None)
        if bracket is None:
            first, size = self._shape(self._opened)
            bracket = _Bracket(first, size, self.levels[first], self.reduction_factor)
            self._opened += 1
            self._brackets.append(bracket)
        bracket.begun += 1
        bracket.expected += 1
        self._bracket_of.append(bracket)
        return bracket.first

    def _fresh(self, number: int) -> TrialState:
        trial = super()._fresh(number)
        if not self._may_begin():  # it was the last: brackets that wait for more need not
            self._close_complete_rungs()
        return trial

    def _promotion(self) -> TrialState | None:
        for bracket in self._brackets:
            if bracket.due:
                return bracket.due.popleft()
        return None

    def _arrived(self, trial: TrialState, loss: float) -> None:
        bracket = self._bracket_of[trial.id]
        bracket.open.add(trial.id, loss)
        bracket.members.append(trial)
        self._close_complete_rungs()

    def _rejected(self, trial: TrialState) -> None:
        bracket = self._bracket_of[trial.id]
        bracket.begun -= 1
        bracket.expected -= 1
        self._close_complete_rungs()

    def _close_complete_rungs(self) -> None:
        more = self._may_begin()
        going: list[_Bracket] = []
        for bracket in self._brackets:
            filling = more and bracket.rung == bracket.first and bracket.begun < bracket.size
            if bracket.open.n == bracket.expected and not filling:
                self._close(bracket)
            if bracket.expected or filling:  # one whose only trial was screened out is not over
                going.append(bracket)
        self._brackets = going

    def _close(self, bracket: _Bracket) -> None:
        """The open rung is complete: its best are due at the next, which opens; the others are stopped."""
        if bracket.rung < len(self.levels) - 1:
            while (number := bracket.open.promote()) is not None:
                bracket.due.append(self.trials[number])
            due = {trial.id for trial in bracket.due}
            for trial in bracket.members:
                if trial.status == Status.PAUSED and trial.id not in due:
                    self._stop(trial)
            bracket.rung += 1
            bracket.open = Rung(self.levels[bracket.rung], self.reduction_factor)
        bracket.expected = len(bracket.due)
        bracket.members = []
