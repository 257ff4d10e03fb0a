"""A search's first hyper-gradient, beside a difference through the real optimiser.

Once a process and kind of problem: the same model, functions, optimiser, route and coordinates. Where the two
disagree, and do so beside it too, differences are taken from then on, and flagged. Where
nothing can be told (a loss that explodes, or whose change drowns in rounding), the next trials are looked at.

What is compared has to be a derivative. With the route "first-order" and H > 1 that is its first step alone;
of the others, the loss that they end at is compared. Adam's first steps have the sign of a gradient, whose
derivative jumps, so with Adam only what moves the optimiser's own settings is compared.

It draws no samples and no random numbers of its own: where all agrees, a configuration is refined as without.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from asha_core.space import Configuration, SearchSpace
from warmstart.base import Batch, Losses
from warmstart.estimates.comparison import Comparison, Verdict, compare
from warmstart.estimates.estimate import estimate
from warmstart.estimates.types import Estimate, Route
from warmstart.moves import move

if TYPE_CHECKING:
    from warmstart.estimates.dependence import OptimizerSettings

TRIALS = 3  # that are looked at before it is left untold
_BESIDE = (0.0, 0.04, 0.08)  # of each dimension's range: where it is looked again, for a kink is no mistake
_SAME_LOSS = 0.01  # of the loss: how far the one after virtual steps may be from that after real ones


@dataclass(slots=True)
class Judgement:
    """What this process knows of one kind of problem.

    Attributes:
        trials: how many have been looked at.
        over: it is known.
        reason: why its derivatives are not to be trusted; None: they are.
    """

    trials: int = 0
    over: bool = False
    reason: str | None = None


_judgements: dict[Hashable, Judgement] = {}


@dataclass(frozen=True, slots=True)
class Look:
    """One estimate beside the real optimiser.

    Attributes:
        comparison: of its slope.
        steps: after which the slopes are compared.
        final: the held-out loss after the virtual steps, and after the real ones, where they were compared.
    """

    comparison: Comparison
    steps: int
    final: tuple[float, float] | None = None

    @property
    def verdict(self) -> Verdict:
        """Of both."""
        if self.final is not None and self.comparison.verdict != "disagrees":
            virtual, real = self.final
            if abs(virtual - real) > _SAME_LOSS * max(abs(virtual), abs(real)):
                return "disagrees"
        return self.comparison.verdict

    def record(self) -> dict[str, Any]:
        """For the journal."""
        found = self.comparison
        record = {
            "verdict": self.verdict,
            "slope": found.slope,
            "difference": found.difference,
            "along": list(found.names),
            "lookahead": self.steps,
        }
        return record if self.final is None else {**record, "losses": list(self.final)}

    def reason(self) -> str:
        """Why the estimate is not to be trusted."""
        if self.comparison.verdict != "disagrees" and self.final is not None:
            virtual, real = self.final
            return (
                f"its virtual steps end at another held-out loss than the real optimiser's ({virtual:.4g} "
                f"against {real:.4g})"
            )
        return f"its derivative disagrees with differences through the real optimiser ({self.comparison})"


class Beside:
    """Estimates of one kind, and what they are compared with.

    Args:
        losses: of the configuration.
        names: the wanted coordinates.
        settings: of the optimiser.
        route: of the estimates.
    """

    def __init__(
        self,
        losses: Losses,
        space: SearchSpace,
        names: Sequence[str],
        settings: OptimizerSettings | None,
        route: Route,
    ) -> None:
        self._losses, self._space, self._names, self._route = losses, space, names, route
        self._settings = settings

    def compared(self) -> list[str]:
        """The coordinates that can be compared."""
        from warmstart.optimizers import SGD

        settings = self._settings
        if settings is None or all(isinstance(group, SGD) for group in settings.found):
            return list(self._names)
        return [name for name in self._names if name in settings.slopes]

    def judged(
        self,
        configuration: Configuration,
        train: Sequence[Batch],
        heldout: Batch,
        found: Estimate,
        names: Sequence[str] | None = None,
    ) -> tuple[Verdict, Look | None]:
        """Compare an estimate; where it disagrees, two others beside it.

        Args:
            names: the coordinates to go along. None: all that can be compared.
        Returns:
            The verdict, and what was seen of the estimate itself; None: it cannot be compared.
        """
        looks: list[Look | None] = []
        for share in _BESIDE:
            there = self._nearby(configuration, share)
            looks.append(self._look(there, train, heldout, None if share else found, names))
            verdicts: list[Verdict] = ["cannot tell" if look is None else look.verdict for look in looks]
            if verdicts[0] != "disagrees":
                return verdicts[0], looks[0]
            if "agrees" in verdicts:
                break
            if verdicts.count("disagrees") > 1:
                return "disagrees", looks[0]
        return "cannot tell", looks[0]

    def _look(
        self,
        configuration: Configuration,
        train: Sequence[Batch],
        heldout: Batch,
        found: Estimate | None,
        names: Sequence[str] | None,
    ) -> Look | None:
        found = found or self._estimate(configuration, train, heldout)
        final = None
        if self._route == "first-order" and len(train) > 1:
            final = found.final, self._losses.after(configuration, train, heldout)
            train = train[:1]
            found = self._estimate(configuration, train, heldout)
        if found.fallback is not None or not found.finite:
            return None
        names = self.compared() if names is None else names
        comparison = compare(
            lambda there: self._losses.after(there, train, heldout),
            self._space,
            configuration,
            {name: found.gradient[name] for name in names},
            loss=found.final,
            eps=rounding(self._losses),
        )
        return Look(comparison, len(train), final)

    def _estimate(self, configuration: Configuration, train: Sequence[Batch], heldout: Batch) -> Estimate:
        steps = self._losses, self._space, configuration, train, heldout
        return estimate(*steps, route=self._route, only=self._names)

    def _nearby(self, configuration: Configuration, share: float) -> Configuration:
        """Each coordinate that far from where it is, towards the middle of its range."""
        if not share:
            return configuration
        step = {
            name: share if self._space[name].to_unit(configuration[name]) < 0.5 else -share
            for name in self._names
        }
        return move(self._space, configuration, step, coordinates="unit")


class FirstCheck:
    """What one refinement looks at, and what it knows of those before it.

    Attributes:
        record: what was found, for the journal; None: nothing was looked at.
    """

    def __init__(self, beside: Beside, key: Hashable) -> None:
        self._beside = beside
        self._judgement = _judgements.setdefault(key, Judgement())
        self.record: dict[str, Any] | None = None

    @property
    def reason(self) -> str | None:
        """Why differences are to be taken; None: they are not."""
        return self._judgement.reason

    def look(
        self, found: Estimate, configuration: Configuration, train: Sequence[Batch], heldout: Batch
    ) -> None:
        """Compare the estimate, unless that has been done."""
        judgement = self._judgement
        usable = found.finite and found.fallback is None and found.route != "differences"
        seen = judgement.over or judgement.trials >= TRIALS
        if seen or self.record is not None or not usable:
            return
        judgement.trials += 1
        try:
            verdict, first = self._beside.judged(configuration, train, heldout, found)
        except Exception as error:  # no memory for the real optimiser, say: a check must not end a search
            verdict, first = "cannot tell", None
            self.record = {"verdict": verdict, "error": f"{type(error).__name__}: {error}"[:200]}
        if first is not None:
            self.record = {**first.record(), "verdict": verdict}
            if verdict == "disagrees":
                judgement.reason = first.reason()
        elif self.record is None:
            self.record = {"verdict": verdict}
        judgement.over = verdict != "cannot tell"


def kind_of(
    losses: Losses, settings: OptimizerSettings | None, route: Route, lookahead: int, names: Sequence[str]
) -> Hashable:
    """What decides whether estimates are right: equal for those of which one speaks for all."""
    network = losses.network
    assert network is not None
    weights = tuple((name, tuple(each.shape), each.dtype) for name, each in network.parameters.items())
    # one function may choose between optimisers
    optimizer = None if settings is None else frozenset(type(group).__qualname__ for group in settings.found)
    return weights, losses.structure(), optimizer, route, lookahead, tuple(names)


def rounding(losses: Losses) -> float:
    """The relative rounding of a network's losses."""
    if losses.rounding is not None:
        return losses.rounding
    import torch

    assert losses.network is not None
    return max(torch.finfo(each.dtype).eps for each in losses.network.parameters.values())


def by_differences(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    only: Sequence[str],
    reason: str,
) -> Estimate:
    """An estimate by differences, in the place of one that is not to be trusted."""
    found = estimate(losses, space, configuration, train, heldout, route="differences", only=only)
    return replace(found, fallback=reason)
