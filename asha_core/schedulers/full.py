"""Random search without halving: every configuration is trained to the end. The baseline of all the others.

Source: Bergstra and Bengio 2012, JMLR 13. Peers: Ray Tune's and Syne Tune's FIFO schedulers, Optuna's
``NopPruner``.
"""

from __future__ import annotations

from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import TrialState


class FullTraining(Scheduler):
    """Every trial to ``max_resource``; ``min_resource`` and ``reduction_factor`` have no effect.

    See ``Scheduler`` for the arguments.
    """

    name = "random"
    expectation_is_exact = True

    @staticmethod
    def ladder(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
        """One rung, R, which compares nobody."""
        return (max_resource,)

    def begin(self) -> None:
        """There is nothing to keep."""

    def promotable(self) -> TrialState | None:
        """Nobody ever is."""
        return None

    def promote(self, trial: TrialState) -> None:
        """Nobody ever is promotable."""

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It is done."""

    @property
    def least_trials(self) -> int:
        """With fewer trials than this nobody goes beyond the first rung."""
        return 1
