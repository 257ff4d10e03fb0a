"""What an estimate of a hyper-gradient is, and the routes to one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from asha_core.errors import TaskError

Route = Literal["auto", "closed", "tangents", "first-order", "differences"]

ROUTES: tuple[Route, ...] = get_args(Route)

# of searches that were begun with a route that is no more: the exact one that takes its place when they go on
FORMER_ROUTES: dict[str, Route] = {"reverse": "tangents"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A hyper-gradient.

    Attributes:
        gradient: name -> nats per search coordinate; exactly 0 where nothing depends on one.
        final: held-out loss after the virtual steps.
        route: how it was had.
        ignored: the dimensions that nothing reads.
        fallback: why finite differences were taken, if they were not asked for.
    """

    gradient: dict[str, float]
    final: float
    route: str
    ignored: tuple[str, ...] = ()
    fallback: str | None = None

    @property
    def finite(self) -> bool:
        """Whether every number of it is."""
        return all(map(math.isfinite, (*self.gradient.values(), self.final)))


class CannotLookThrough(TaskError):
    """What hyper-gradients cannot be differentiated through, and finite differences are right about.

    Args:
        why: what that is, in a few words; the fallback's reason where the route is left open.
        instead: what works, where the route was asked for.
    """

    def __init__(self, why: str, instead: str = "") -> None:
        self.why = why
        instead = instead or "use the route of finite differences (route=differences)"
        super().__init__(f"{why}: {instead}")
