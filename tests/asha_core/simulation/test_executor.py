"""The executor of simulated searches keeps the contract of all executors, as far as virtual time knows it."""

from __future__ import annotations

import pytest

from asha_core import Curves, RandomSearch
from asha_core.runtime.clock import VirtualClock
from asha_core.simulation.executor import SimulatedExecutor
from asha_core.testing import ExecutorContract
from asha_core.testing.trainings import Behaves

_OPTIONS = Behaves.space["what"].options
_LENGTH = {"converges after two": (2, "finished"), "fails at unit two": (1, "failed")}


class TestSimulatedExecutor(ExecutorContract):
    """Its jobs run by a table with a row for each training of the suite."""

    def executor(self, settings, slots):
        """Value and ``doubled`` grow by x a unit, as in the trainings."""
        rows = [{"what": what, "x": 0.25} for what in _OPTIONS]
        ends = [_LENGTH.get(what, (1000, "complete")) for what in _OPTIONS]
        value = [[0.25 * (unit + 1) for unit in range(1000)] for _ in rows]
        curves = Curves.from_arrays(
            Behaves.space,
            rows,
            value,
            length=[length for length, _ in ends],
            ended=[end for _, end in ends],
            metrics={"doubled": [[2 * each for each in row] for row in value]},
            why={(0, list(_OPTIONS).index("fails at unit two")): "ValueError: no such luck"},
        )
        find = curves.finder("baseline", RandomSearch(Behaves.space, 0))
        return SimulatedExecutor(len(slots), find, VirtualClock())

    @pytest.mark.parametrize(
        ("what", "kind", "words"), [("fails at unit two", "error", "ValueError: no such luck")]
    )
    def test_a_trial_that_goes_wrong_has_failed_and_the_slot_lives_on(self, running, what, kind, words):
        """The one way that a curve knows."""
        super().test_a_trial_that_goes_wrong_has_failed_and_the_slot_lives_on(running, what, kind, words)

    @pytest.mark.skip(reason="a recorded curve fills no disk")
    def test_a_full_disk_is_nobodys_fault(self, running):
        """Nothing is written."""
