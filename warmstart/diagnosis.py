"""What ``warmstart.check`` found, and how people read it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from asha_core.space import Configuration

Verdict = Literal["agrees", "disagrees", "cannot tell"]


@dataclass(frozen=True, slots=True)
class DimensionDiagnosis:
    """What a warm start does with one dimension.

    Attributes:
        name: of the dimension.
        through: what it acts through.
        slope: its hyper-gradient, nats per search coordinate; None: it is not moved.
        difference: likewise, by a difference through the real optimiser; None: not compared.
        verdict: whether the two agree.
        note: why it stays as it is, or is not compared.
    """

    name: str
    through: str = ""
    slope: float | None = None
    difference: float | None = None
    verdict: Verdict | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.slope is None:
            return self.note
        words = [f"slope {_short(self.slope)}"]
        if self.difference is not None:
            words = [f"slope {_short(self.slope)}, difference {_short(self.difference)}: {self.verdict}"]
        if self.through:
            words.append(self.through)
        return "; ".join([*words, self.note] if self.note else words)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a warm start of one configuration takes.

    Attributes:
        seconds: of wall-clock time.
        batch_seconds: of an ordinary mini-batch of training, measured beside it; of a black box: of one
            evaluation. None: nothing is trained.
        arithmetic: floating point operations of matrix products and convolutions, in mini-batches.
        compared: likewise, of comparing one slope, as a search does with its first.
        batch_operations: those of a mini-batch; None: it is not a network that is trained.
        peak_bytes: of the GPU's memory, besides what was there.
    """

    seconds: float
    batch_seconds: float | None = None
    arithmetic: float | None = None
    compared: float | None = None
    batch_operations: float | None = None
    peak_bytes: int | None = None

    @property
    def minibatches(self) -> float | None:
        """Its time, in ordinary mini-batches."""
        return None if self.batch_seconds is None else self.seconds / self.batch_seconds


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a warm start does with a problem; ``str`` of it is for people.

    Attributes:
        variation: as it was asked for.
        configuration: what was looked at.
        costs: of one refinement.
        network: its size and optimiser; None: there is none.
        route: how hyper-gradients are had; None: there are none.
        lookahead: virtual steps.
        heldout: which samples are held out.
        fallback: why differences are taken that were not asked for.
        dimensions: those of the configuration.
        verdict: whether the slopes agree with differences through the real optimiser; None: not compared.
        compared_after: steps after which they were compared.
        final: the held-out loss after the virtual steps, and after as many real ones, if they were compared.
        note: where nothing is differentiated.
    """

    variation: str
    configuration: Configuration
    costs: Costs
    network: str | None = None
    route: str | None = None
    lookahead: int | None = None
    heldout: str | None = None
    fallback: str | None = None
    dimensions: tuple[DimensionDiagnosis, ...] = ()
    verdict: Verdict | None = None
    compared_after: int | None = None
    final: tuple[float, float] | None = None
    note: str = ""

    @property
    def right(self) -> bool:
        """Whether nothing was found that is wrong."""
        return self.verdict != "disagrees"

    def __str__(self) -> str:
        values = ", ".join(f"{name}={_short(value)}" for name, value in self.configuration.items())
        lines = [f"{self.variation}{f' on {self.network}' if self.network else ''}, at {values}"]
        if self.note:
            lines.append(f"  {self.note}")
        if self.route is not None:
            ahead = "1 step ahead" if self.lookahead == 1 else f"{self.lookahead} steps ahead"
            lines.append(f"  route {self.route}, {ahead}, held out: {self.heldout}")
        if self.fallback is not None:
            lines.append(f"  finite differences in the place of differentiation: {self.fallback}")
        width = max((len(each.name) for each in self.dimensions), default=0)
        lines += [f"  {each.name:{width}}  {each}" for each in self.dimensions]
        return "\n".join([*lines, f"  cost: {self._cost()}", f"  {self._conclusion()}"])

    def _cost(self) -> str:
        costs = self.costs
        if costs.minibatches is None or costs.batch_seconds is None:
            return f"{_time(costs.seconds)} a configuration"
        unit = "evaluations" if costs.batch_operations is None else "mini-batches"
        words = [f"{costs.minibatches:.1f} {unit} a configuration"]
        words[0] += f" ({_time(costs.seconds)} over {_time(costs.batch_seconds)})"
        if costs.arithmetic is not None:
            words.append(f"{costs.arithmetic:.3g} in arithmetic")
        if costs.peak_bytes is not None:
            words.append(f"{costs.peak_bytes / 2**20:.0f} MiB of GPU memory")
        if costs.compared:
            words.append(f"{costs.compared:.2g} more in the first trial of each worker, to check it")
        return ", ".join(words)

    def _conclusion(self) -> str:
        slopes = [each.slope for each in self.dimensions if each.slope is not None]
        if not all(map(math.isfinite, slopes)):
            return (
                "the gradient or the held-out loss is not finite here, and a search would move nothing: look "
                "for NaN in the samples and the loss, or give another configuration"
            )
        if self.verdict is None:
            return "there is no derivative to compare with the real optimiser"
        if self.verdict == "cannot tell":
            return (
                "whether the slopes are right cannot be told here (the loss explodes, or its changes drown "
                "in rounding): give another configuration"
            )
        what = "a slope disagrees" if self.verdict == "disagrees" else "the slopes agree"
        steps = " after one step" if self.compared_after == 1 else f" after {self.compared_after} steps"
        beside = ""
        if self.lookahead is not None and self.compared_after != self.lookahead:
            beside = f" (where the route is exact), and its loss after {self.lookahead} was compared"
        end = "" if self.verdict == "agrees" else ": a search would take differences, and say so"
        return f"{what} with differences through the real optimiser{steps}{beside}{end}"


def _short(value: object) -> str:
    return f"{value + 0.0:.3g}" if isinstance(value, float) else str(value)  # no -0


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
