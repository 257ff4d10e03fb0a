"""How many trials are where, rung by rung: counted as they move, so that looking costs O(rungs)."""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.schedulers.state import RungCounts


class RungTally:
    """Counters of the rungs of a search, by the rung's index, bottom first.

    Attributes:
        running: on their way there, in a worker or waiting for one after theirs was lost.
        reached: arrived there, whatever became of them.
        promoted: went on from there.
        stopped: reached it, and never go on.
        failed: on the way there.
        carried: of those that arrived, how many had finished before, and did not train up to it.
    """

    __slots__ = ("carried", "failed", "promoted", "reached", "running", "stopped")

    def __init__(self, rungs: int) -> None:
        self.running = [0] * rungs
        self.reached = [0] * rungs
        self.promoted = [0] * rungs
        self.stopped = [0] * rungs
        self.failed = [0] * rungs
        self.carried = [0] * rungs

    def counts(self, levels: Sequence[int]) -> list[RungCounts]:
        """One ``RungCounts`` a rung; ``levels`` are theirs."""
        last = len(levels) - 1
        return [
            RungCounts(
                level,
                running=self.running[rung],
                paused=0 if rung == last else reached - self.promoted[rung] - self.stopped[rung],
                promoted=self.promoted[rung],
                stopped=self.stopped[rung],
                done=reached if rung == last else 0,
                failed=self.failed[rung],
                carried=self.carried[rung],
            )
            for rung, (level, reached) in enumerate(zip(levels, self.reached, strict=True))
        ]
