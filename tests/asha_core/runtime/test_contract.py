"""The public contract over our own observers."""

from __future__ import annotations

import io
from functools import partial

import pytest
from rich.console import Console

from asha_core.runtime.observers import Leaderboard
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.checkpoint_budget import CheckpointPruner
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.console import JsonLines, PlainLines
from asha_core.runtime.terminal.live import LiveView
from asha_core.testing import ObserverContract

SAID = ("a search", "accuracy", "epoch")
OURS = {
    "leaderboard": lambda folder: Leaderboard("max"),
    "plain": lambda folder: PlainLines(*SAID, io.StringIO()),
    "json": lambda folder: JsonLines(io.StringIO()),
    "live": lambda folder: LiveView(*SAID, Console(file=io.StringIO(), width=100, force_terminal=True)),
    "small budget": lambda folder: SmallBudget(),
    "checkpoints": lambda folder: CheckpointPruner(RunDirectory(folder), 10),
}


class TestOurObservers(ObserverContract):
    @pytest.fixture(autouse=True, params=OURS.values(), ids=OURS.keys())
    def _of_that_kind(self, request):
        self.observer = partial(request.param)
