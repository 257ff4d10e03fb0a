"""One warm start of one configuration, looked at from all sides: what ``check`` tells but for its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asha_core.space import Configuration
from asha_core.space.watched import Watched
from warmstart.base import Losses, Problem
from warmstart.diagnosis import Costs, Diagnosis, DimensionDiagnosis
from warmstart.estimates.comparison import Verdict
from warmstart.estimates.estimate import estimate
from warmstart.estimates.stencils import real_dimension
from warmstart.estimates.types import Estimate
from warmstart.moves import movable
from warmstart.operations import OperationCounter
from warmstart.strategies.first_check import Beside, Look
from warmstart.strategies.gradient_strategy import GradientStrategy, Measurements

_ADAM = "not compared: Adam's first steps have a gradient's sign"
_NOT_FINITE = "not compared: a gradient or the held-out loss is not finite"
_Looks = Mapping[str, tuple[Verdict, Look | None]]


@dataclass(slots=True)
class _Reads:
    """What each function read of the configuration."""

    inputs: set[str] = field(default_factory=set)
    loss: set[str] = field(default_factory=set)
    optimizer: set[str] = field(default_factory=set)
    clipping: set[str] = field(default_factory=set)
    training: set[str] = field(default_factory=set)  # the whole of it, where nothing is differentiated

    def watched(self, losses: Losses) -> Losses:
        """The same losses; what they read is noted."""
        after = _noting(losses.after, self.training, 0)
        network = losses.network
        if losses.smooth is not None:
            losses = replace(losses, smooth=_noting(losses.smooth, self.training, 0))
        if network is None:
            return replace(losses, after=after)
        network = replace(
            network,
            forward=_noting(network.forward, self.inputs, 2),
            criterion=_noting(network.criterion, self.loss, 2),
            groups=_noting(network.groups, self.optimizer, 0),
            clipping=_noting(network.clipping, self.clipping, 0),
        )
        return replace(losses, after=after, network=network)


def _noting(function: Callable[..., Any], reads: set[str], place: int) -> Callable[..., Any]:
    def noting(*arguments: Any) -> Any:
        configuration = arguments[place]
        before = set(configuration.reads) if isinstance(configuration, Watched) else set()
        try:
            return function(*arguments)
        finally:
            if isinstance(configuration, Watched):
                reads.update(configuration.reads - before)

    return noting


class Examination:
    """One estimate, looked at from all sides."""

    def __init__(self, strategy: GradientStrategy, problem: Problem, configuration: Configuration) -> None:
        self._strategy, self._configuration = strategy, configuration
        self._space = problem.space
        self._measurements = made = Measurements(strategy, problem, configuration)
        self._reads = _Reads()
        self._losses = self._reads.watched(made.losses)
        self._samples = self._losses.samples(0, made.lookahead, strategy.heldout)
        self._found: Estimate | None = None
        if made.names:
            steps = self._losses, self._space, configuration, *self._samples
            self._found = estimate(*steps, route=strategy.route, only=made.names, settings=None)

    def diagnosis(self, name: str, costs: Costs) -> Diagnosis:
        """All that was found."""
        made, found = self._measurements, self._found
        looks, done = self._looks()
        there = [each for each in self._space if each in self._configuration]
        verdicts = [verdict for verdict, _ in looks.values()]
        order: tuple[Verdict, ...] = ("disagrees", "agrees", "cannot tell")
        verdict = next((each for each in order if each in verdicts), None)
        final = next((look.final for _, look in looks.values() if look and look.final), None)
        return Diagnosis(
            name,
            self._configuration,
            network=self._network(),
            route=None if found is None else found.route,
            lookahead=made.lookahead,
            heldout=self._strategy.heldout,
            fallback=None if found is None else found.fallback,
            dimensions=tuple(self._dimension(each, looks) for each in there),
            verdict=verdict,
            compared_after=next((look.steps for _, look in looks.values() if look), None),
            final=final,
            costs=replace(costs, compared=done / costs.batch_operations) if costs.batch_operations else costs,
        )

    def _looks(self) -> tuple[_Looks, float]:
        """What was seen of each coordinate that can be compared; and the operations that one took."""
        found, made = self._found, self._measurements
        looks: dict[str, tuple[Verdict, Look | None]] = {}
        done = 0.0
        if found is None or found.route == "differences" or not found.finite:
            return looks, done
        beside = Beside(made.losses, self._space, made.names, made.settings, self._strategy.route)
        for name in beside.compared():
            if name not in found.ignored:
                with OperationCounter() as counter:
                    looks[name] = beside.judged(self._configuration, *self._samples, found, [name])
                done = counter.total if looks[name][0] == "agrees" else done
        return looks, done

    def _network(self) -> str | None:
        network, settings = self._measurements.losses.network, self._measurements.settings
        if network is None:
            return None
        weights = sum(each.numel() for each in network.parameters.values())
        kinds = dict.fromkeys(each.kind for each in settings.found) if settings is not None else {}
        return ", ".join([f"{weights:,} weights", *kinds])

    def _dimension(self, name: str, looks: _Looks) -> DimensionDiagnosis:
        found = self._found
        stays = self._stays(name)
        if stays is not None:
            return DimensionDiagnosis(name, note=f"stays as it is: {stays}")
        assert found is not None
        slope = found.gradient[name]
        through = self._through(name)
        if name not in looks:
            note = "" if found.route == "differences" else _ADAM if found.finite else _NOT_FINITE
            return DimensionDiagnosis(name, through, slope, note=note)
        verdict, look = looks[name]
        if look is None or not look.comparison.names:
            note = "not finite" if look is None else "it is on its bound"
            return DimensionDiagnosis(name, through, slope, note=f"cannot be compared: {note}")
        low, high = real_dimension(self._space, name).search_bounds
        scale = look.comparison.signs[0] / (high - low)
        compared = look.comparison.slope * scale, look.comparison.difference * scale
        return DimensionDiagnosis(name, through, *compared, verdict)

    def _stays(self, name: str) -> str | None:
        """Why a dimension is not moved; None: it is."""
        made, found = self._measurements, self._found
        if name not in movable(self._space, self._configuration):
            return "only real dimensions without a step are moved"
        if name not in made.names:
            return f"the mask is {','.join(self._strategy.mask or ())}"
        if found is not None and name in found.ignored:
            return "nothing reads it from the configuration that it is given, so its slope is 0"
        return None

    def _through(self, name: str) -> str:
        reads, settings = self._reads, self._measurements.settings
        ways = []
        if settings is not None and settings.moved_by(name):
            moved = []
            for setting in sorted(settings.moved_by(name)):
                slopes = sorted({row[setting] for row in settings.slopes[name] if row[setting]})
                ends = dict.fromkeys(f"{each:.3g}" for each in (slopes[0], slopes[-1]))
                moved.append(f"{setting} (by {' to '.join(ends)})")
            ways.append(f"the optimiser's {', '.join(moved)}")
        elif name in reads.optimizer:
            ways.append("the optimiser, none of whose settings it moves here")
        ways += ["the clipping of gradients"] if name in reads.clipping else []
        ways += ["the inputs or the network"] if name in reads.inputs else []
        ways += ["the loss"] if name in reads.loss else []
        if not ways and name in reads.training:
            ways.append("what training reads")
        return "through " + " and ".join(ways) if ways else ""


def operations(function: Callable[[], object]) -> float:
    """The floating point operations of a call."""
    with OperationCounter() as counter:
        function()
    return float(counter.total)
