"""A small table, and searches over it by the engine, with a journal in a file or in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asha_core import Curves, Float, SearchSpace
from asha_core.runtime.budget import Budget
from asha_core.runtime.clock import VirtualClock
from asha_core.runtime.loop import Search
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.schedulers import MODEL_FREE
from asha_core.simulation.executor import SimulatedExecutor
from asha_core.simulation.simulate import draw_from

SPACE = SearchSpace({"x": Float(0, 1), "y": Float(1e-3, 1, log=True)})
CORE = list(MODEL_FREE)


def table(rows=40, units=9, *, seconds=True, odd=False, arms=("baseline",)) -> Curves:
    """Noisy curves that rise; with ``odd`` some of them end early, in each way."""
    draws = np.random.default_rng(7)
    configurations = [
        {"x": x, "y": y} for x, y in zip(draws.random(rows), 10 ** -draws.random(rows), strict=True)
    ]
    value = draws.random((len(arms), rows, 1)) * (1 - 0.7 ** np.arange(1, units + 1))
    value += draws.normal(0, 0.02, value.shape)
    length = np.full((len(arms), rows), units)
    ended = np.zeros((len(arms), rows), dtype=int)
    if odd:
        length[:, ::5], ended[:, ::5] = 4, 1  # finished
        length[:, 1::7], ended[:, 1::7] = 2, 2  # failed
        value[:, 3::11, 5] = np.nan
    times = draws.choice([0.5, 1.0, 1.5, 2.0], (len(arms), rows, 1)) * np.ones(units)  # many ties
    warm = len(arms) > 1
    return Curves.from_arrays(
        SPACE,
        configurations,
        value,
        seconds=times if seconds else None,
        arms=arms,
        length=length,
        ended=ended,
        refined={(1, row): {"x": each["x"], "y": 0.5} for row, each in enumerate(configurations)}
        if warm
        else None,
        warm_seconds=np.array([[0.0] * rows, [0.25] * rows]) if warm else None,
    )


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.records = []

    def append(self, t, records):
        self.records += [{"t": t, **record} for record in records]

    def close(self):
        pass


def engine(
    curves,
    scheduler,
    *,
    workers=1,
    arm="baseline",
    faults=None,
    path=None,
    past=None,
    budget=None,
    **settings,
):
    """A search by the engine; of a path, into a journal there, or on from what it has.

    Returns:
        The outcome and the journal.
    """
    earlier, spent = None, 0.0
    draw_from(scheduler, curves.searcher)
    if past is not None:
        earlier = replay(path, past.records, scheduler, workers)
        spent = earlier.t
    journal = Kept() if path is None else JournalWriter(path, past, virtual=True)
    clock = VirtualClock(spent)
    executor = SimulatedExecutor(workers, curves.finder(arm, scheduler.searcher), clock, faults)
    limit = Budget(budget, None, workers, spent)
    outcome = Search(scheduler, executor, journal, clock, limit, earlier=earlier, **settings).run()
    return outcome, journal


def lines(path: Path) -> list[dict]:
    """What a journal has, but for the records with which searches were resumed."""
    return [record for record in read_journal(path).records if record["type"] != "resume"]
