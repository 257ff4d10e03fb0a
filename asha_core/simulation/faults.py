"""What goes wrong in a simulated search on purpose: slow units, trials that fail, workers that are lost."""

from __future__ import annotations

import math

from asha_core.arguments import integer, number
from asha_core.messages import Job
from asha_core.runtime.units import parse_duration
from asha_core.simulation.curve import Curve
from asha_core.streams import uniforms

FAILED = "an injected failure"
LOST = "an injected loss of its worker"


class Faults:
    """Draws what goes wrong from named streams of a seed, so that it is the same in every search.

    Args:
        seed: the run's.
        slow_share: share of the units that are slow, each drawn by itself.
        slow_factor: how many times as long a slow unit takes.
        fail_share: share of the trials that fail, each at a unit of its curve, all of them equally likely.
        lost_every: a worker is lost once in so much time at work, on average: seconds, or a text such as
            "2h". Its job is asked for again, from the last unit that it reported. None: never.
    Raises:
        SettingError: one of them is out of its range.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        slow_share: float = 0.0,
        slow_factor: float = 10.0,
        fail_share: float = 0.0,
        lost_every: float | str | None = None,
    ) -> None:
        self.seed = integer("seed", seed)
        self.slow_share = number("slow_share", slow_share, least=0.0, most=1.0)
        self.slow_factor = number("slow_factor", slow_factor, above=0.0)
        self.fail_share = number("fail_share", fail_share, least=0.0, most=1.0)
        self.lost_every = None if lost_every is None else parse_duration(lost_every, "lost_every")

    def applied(self, job: Job, curve: Curve) -> Curve:
        """The curve by which an attempt of a trial trains."""
        count, seconds = len(curve.units), curve.seconds
        if self.slow_share:
            draws = uniforms(self.seed, f"slow units, attempt {job.attempt}", job.trial, count)
            seconds = [
                taken * self.slow_factor if draw < self.slow_share else taken
                for taken, draw in zip(seconds, draws, strict=True)
            ]
        fails = False
        if self.fail_share:
            whether, where = uniforms(self.seed, "failing trials", job.trial, 2)
            fails = whether < self.fail_share and curve.ended != "rejected"
            count = int(where * count) if fails else count
        return Curve(
            curve.units[:count],
            curve.values[:count],
            seconds[:count],
            metrics={name: values[:count] for name, values in curve.metrics.items()},
            ended="failed" if fails else curve.ended,
            why=FAILED if fails else curve.why,
            refined=curve.refined,
            warm_seconds=curve.warm_seconds,
            warm_batches=curve.warm_batches,
        )

    def lost_after(self, job: Job) -> float:
        """Seconds after which a job's worker is lost, if it has not ended by then."""
        if self.lost_every is None:
            return math.inf
        [draw] = uniforms(self.seed, f"lost workers, from {job.start}, attempt {job.attempt}", job.trial, 1)
        return -self.lost_every * math.log1p(-draw)
