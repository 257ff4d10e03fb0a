"""The searcher contract.

    propose(index) -> Configuration      of trial ``index``; changes nothing that can be seen
    observe(trial, resource, loss)       what became of a trial; only searchers that learn have it

The scheduler owns both calls, and makes them in the order of its own ``ask`` and ``tell``. So a searcher that
is deterministic meets, when a search is resumed, the same observations before the same proposals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from asha_core.arguments import instance, integer
from asha_core.errors import SettingError
from asha_core.space import Configuration, SearchSpace


class TrialView(Protocol):
    """A trial as a searcher hears of it; only to be read."""

    @property
    def id(self) -> int:
        """Its number. Where start points or another list come first, they are counted, too."""

    @property
    def configuration(self) -> Configuration:
        """What it trains with: what was proposed, or what a warm start has made of that."""


@runtime_checkable
class DrawsFromAnother(Protocol):
    """A searcher that chooses among what another one proposes, which can be replaced before it begins."""

    def draw_from(self, base: Searcher) -> None:
        """Choose among the proposals of ``base`` from now on; before the first proposal."""


class Searcher(ABC):
    """Proposes configuration ``index``; a function of (seed, index) alone, or of that and what it observed.

    Attributes:
        name: for run.json; a search is resumed with a searcher of the same name.
        space: where to search; the scheduler has the same.
        size: how many configurations there are; None: without end. ``propose`` is not asked for more.
        trials_before: trials that begin before the one that it is asked for first: start points.
    """

    name = "searcher"
    space: SearchSpace
    size: int | None = None
    trials_before: int = 0
    _taken = False

    @abstractmethod
    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``, counted from 0.

        Asked again before anything new was observed, the answer is the same. A searcher that learns is asked
        for 0, 1, 2, ... in this order.

        Raises:
            SpaceError: the constraints of the space leave next to nothing to propose.
        """

    def observe(self, trial: TrialView, resource: int, loss: float) -> None:  # noqa: B027 - may stay as it is
        """Learn from what became of a trial; override it in a searcher that does.

        It hears of every report once, in the order in which they arrived: not of one that came late, or again
        after a worker was lost. It must be deterministic: the same proposals and observations, the same
        further proposals.

        Args:
            resource: units that the trial has completed.
            loss: what it reported there; lower is better, whatever the mode (for "max" it is the value with
                its sign reversed). It may be infinite or NaN; and it is NaN, at the unit that it did not
                complete, for a trial that failed for good or was screened out. One that failed may be tried
                again, and report after all.
        """

    def recall(self, index: int, configuration: Configuration) -> None:  # noqa: B027 - may stay as it is
        """Told, when a search is resumed, what it proposed for trial ``index``, which is asked for next.

        One whose proposals take long can give that answer, and be resumed in no time.
        """

    @property
    def learns(self) -> bool:
        """Whether what it proposes depends on what it observed."""
        return type(self).observe is not Searcher.observe

    def take(self) -> None:
        """Called by the scheduler that it is given to: one that learns belongs to one search alone.

        Raises:
            SettingError: another scheduler has it.
        """
        if self.learns and self._taken:
            raise SettingError(
                f"this searcher ({self.name}) learns, and another scheduler has it: make one for each search"
            )
        self._taken = True

    def check(self) -> None:
        """Raise ``SpaceError``, before anything is begun, if a constraint raises or refuses everything."""
        self.propose(0)


def space_and_seed(space: SearchSpace | Mapping[str, Any], seed: int) -> tuple[SearchSpace, int]:
    """Both, checked; a plain dictionary becomes a ``SearchSpace``.

    Raises:
        SettingError: no ``SearchSpace``, or no integer.
        SpaceError: a dictionary that is none of dimensions.
    """
    if isinstance(space, Mapping) and not isinstance(space, SearchSpace):
        space = SearchSpace(space)
    instance("space", space, SearchSpace, 'a SearchSpace, such as SearchSpace({"lr": Float(0, 1)})')
    return space, integer("seed", seed)
