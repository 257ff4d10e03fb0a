"""One recorded learning curve, and what a source of them must have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

from asha_core.messages import Job
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace

Ended = Literal["complete", "finished", "failed", "rejected", "unknown"]
ENDED: tuple[Ended, ...] = get_args(Ended)  # a table holds their indices


class Curve:
    """What one configuration reports under one arm.

    Attributes:
        units: resources at which it reports, growing, 1-based.
        values: the metric at each of them; NaN: it diverged.
        seconds: what each took, from the unit before (not cumulative).
        metrics: further metrics by name, each as long as ``values``.
        ended: "complete": it goes to the end of the table; "finished": it ended early by itself; "failed";
            "rejected": the warm start screened it out; "unknown": it was not recorded any further.
        why: of a failed or a rejected one, in words.
        refined: what the warm start made of the configuration; None: there was none.
        warm_seconds, warm_batches: what the warm start took, the latter in mini-batches (NaN: not known).
    """

    __slots__ = (
        "ended",
        "metrics",
        "refined",
        "seconds",
        "units",
        "values",
        "warm_batches",
        "warm_seconds",
        "why",
    )

    def __init__(
        self,
        units: Sequence[int],
        values: list[float],
        seconds: list[float],
        *,
        metrics: dict[str, list[float]] | None = None,
        ended: Ended = "complete",
        why: str = "",
        refined: Configuration | None = None,
        warm_seconds: float = 0.0,
        warm_batches: float = 0.0,
    ) -> None:
        self.units = units
        self.values = values
        self.seconds = seconds
        self.metrics = metrics or {}
        self.ended = ended
        self.why = why
        self.refined = refined
        self.warm_seconds = warm_seconds
        self.warm_batches = warm_batches


class CurveSource(Protocol):
    """What a search can be simulated over: a table, or a model of one."""

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        ...

    @property
    def metric(self) -> str:
        """What a task calls its value."""
        ...

    @property
    def mode(self) -> str:
        """Whether larger values are better ("max") or smaller ("min")."""
        ...

    @property
    def unit(self) -> str:
        """What a unit of resource is called."""
        ...

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the warm starts whose curves it has."""
        ...

    @property
    def units(self) -> tuple[int, ...]:
        """Resources at which there are values, growing."""
        ...

    @property
    def timed(self) -> bool:
        """Whether it knows seconds; without them each unit of resource takes one."""
        ...

    def searcher(self, seed: int) -> Searcher:
        """Where the configurations of a random search over it come from."""
        ...

    def finder(self, arm: str, searcher: Searcher) -> Finder:
        """What finds the curve of each job of one search."""
        ...


class Finder(Protocol):
    """Finds the curves of one search's trials.

    Attributes:
        nearest: how many trials were answered by another configuration than their own, the nearest.
    """

    nearest: int

    def __call__(self, job: Job) -> Curve:
        """The curve of the job's trial; the same one each time."""
        ...
