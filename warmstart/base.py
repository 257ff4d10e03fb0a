"""The warm-start protocol: what a strategy sees, and what it answers.

A strategy sees a *problem* (the search space and, if it asks, a freshly initialised network with its
losses) and a configuration, and answers with the configuration that the trial should have. It leaves
no trace: weights, iterators and global random states are as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from asha_core.arguments import detached
from asha_core.errors import ConfigurationError, TaskError
from asha_core.searchers.base import space_and_seed
from asha_core.space import Configuration, SearchSpace
from warmstart.clipping import Clipping

if TYPE_CHECKING:
    from torch import Tensor

    from warmstart.optimizers import Group, Opaque

Batch = Any  # whatever the problem's own losses take; a strategy only passes it on
Heldout = Literal["half", "validation", "same"]
Coordinates = Literal["search", "unit"]
When = Literal["begin", "promotion", "both"]

HELDOUT: tuple[Heldout, ...] = get_args(Heldout)
COORDINATES: tuple[Coordinates, ...] = get_args(Coordinates)
WHEN: tuple[When, ...] = get_args(When)


class Running:
    """A network while it is measured: where its weights are, and the state that its passes leave.

    This one is of networks that are plain functions of their parameters, and keep no state.

    Attributes:
        weights: name -> tensor, from which the next pass takes its weights; may be written to.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.weights = {name: value.detach().clone() for name, value in parameters.items()}

    def put(self, theta: Mapping[str, Tensor]) -> None:
        """Take other weights. A graph that is kept can be differentiated where it has its own again."""
        for name, value in self.weights.items():
            value.copy_(theta[name])

    def leaves(self, configuration: Configuration | None) -> dict[str, Tensor]:
        """The weights as leaves of the graph of a pass under this configuration; None: held-out."""
        # not detach: their memory is written to, and no graph is to mind
        return {name: value.data.requires_grad_() for name, value in self.weights.items()}

    def mark(self) -> Any:
        """The state as it is, weights aside."""
        return None

    def rewind(self, mark: Any) -> None:
        """The state of a mark again."""

    def check(self, loss: Tensor, leaves: Mapping[str, Tensor], *, order: int) -> None:
        """Raise ``CannotLookThrough`` where what autograd makes of a loss is not known to be what is wanted.

        Args:
            leaves: that were given last.
            order: 0 for the gradient as the optimiser is given it, 1 for the loss's true derivative, 2 for
                the true derivative of the gradient.
        """


def _plain(network: Network) -> AbstractContextManager[Running]:
    return nullcontext(Running(network.parameters))


@dataclass(frozen=True, slots=True)
class Network:
    """A freshly initialised network as a function of its parameters, to be differentiated.

    Attributes:
        parameters: name -> tensor; an estimate leaves them as they were.
        forward: (leaves, batch, configuration) -> outputs of the network for the training inputs, as the
            configuration augments them; with the same randomness for the same batch.
        criterion: (outputs, batch, configuration) -> training loss, a scalar (label smoothing acts here).
        heldout_loss: (leaves, batch) -> scalar: plain, no smoothing, no augmentation.
        groups: configuration -> the optimiser's parameter groups, at the peak of any schedule.
        clipping: configuration -> how the gradient of these groups' parameters is clipped before a step.
        running: network -> a context in which it is measured, and which leaves no trace of that. The leaves
            of passes are those that ``Running.leaves`` gave last.
        undisturbed: a context that puts back what ``groups`` changes besides.

    What a function reads of the configuration is what it is taken to depend on, so each has to read it from
    the one that it is given.
    """

    parameters: Mapping[str, Tensor]
    forward: Callable[[Mapping[str, Tensor], Batch, Configuration], Any]
    criterion: Callable[[Any, Batch, Configuration], Tensor]
    heldout_loss: Callable[[Mapping[str, Tensor], Batch], Tensor]
    groups: Callable[[Configuration], Sequence[Group | Opaque]]
    clipping: Callable[[Configuration], Clipping] = lambda configuration: Clipping()
    running: Callable[[Network], AbstractContextManager[Running]] = _plain
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext

    def training_loss(
        self, leaves: Mapping[str, Tensor], batch: Batch, configuration: Configuration
    ) -> Tensor:
        """``criterion`` of what ``forward`` gives."""
        return self.criterion(self.forward(leaves, batch, configuration), batch, configuration)


After = Callable[[Configuration, Sequence[Batch], Batch], float]


@dataclass(frozen=True, slots=True)
class Losses:
    """What a strategy may measure of one configuration.

    Attributes:
        batches: (draw number, kind) -> (training samples, held-out samples). "half": two halves of one
            mini-batch, different samples; "validation": a mini-batch, and one of validation data; "same": the
            training half twice, which is biased, to show by how much.
        after: (configuration, training batches, held-out samples) -> held-out loss after a real optimiser's
            step on each of the training batches, from the initial weights. It works for whatever can be
            trained.
        network: what can be differentiated; None: nothing can, and only ``after`` can be used.
        structure: what of model and functions decides how they are differentiated: equal for those that are
            alike.
        rounding: relative, of the losses, where it is not that of the weights (mixed precision).
        smooth: ``after`` in full precision, where training is in less: a difference of a per cent drowns in
            the rounding of that. None: ``after`` is.
    """

    batches: Callable[[int, Heldout], tuple[Batch, Batch]]
    after: After
    network: Network | None = None
    structure: Callable[[], Hashable] = lambda: None
    rounding: float | None = None
    smooth: After | None = None

    def samples(self, first: int, ahead: int, kind: Heldout) -> tuple[list[Batch], Batch]:
        """(a training batch for each of ``ahead`` steps, held-out samples), from the draw ``first`` on."""
        train, heldout = self.batches(first, kind)
        return [train, *(self.batches(first + step, kind)[0] for step in range(1, ahead))], heldout


class Problem(Protocol):
    """What a warm start may look at."""

    space: SearchSpace

    def losses(self, configuration: Configuration) -> Losses:
        """What the trial with this configuration would start from.

        Raises:
            TaskError: this task has none.
        """
        ...


class BlackBox:
    """A problem that can be evaluated and not differentiated: a tree model, an environment, a simulator.

    Args:
        space: the search space.
        evaluate: (configuration, draw) -> loss after a little training, lower is better; the same
            randomness and data for the same draw number, or differences measure noise.
    """

    def __init__(self, space: SearchSpace, evaluate: Callable[[Configuration, int], float]) -> None:
        self.space, _ = space_and_seed(space, 0)
        self._evaluate = evaluate
        self._evaluations = 0

    def made_of(self) -> list[Any]:
        """What tells it from other problems; see ``hints.subject``."""
        return [self._evaluate]

    def spent(self) -> Mapping[str, float]:
        """What all that was measured has cost up to now, for the journal."""
        return {"evaluations": float(self._evaluations)}

    def losses(self, configuration: Configuration) -> Losses:
        """``evaluate`` as it is; a batch is the number of a draw."""

        def after(config: Configuration, train: Sequence[Batch], heldout: Batch) -> float:
            self._evaluations += 1
            return float(detached(self._evaluate(config, heldout)))

        return Losses(lambda draw, kind: (draw, draw), after)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a warm start made of a configuration.

    Attributes:
        configuration: the refined one.
        diagnostics: JSON-able, for the journal. Always there:

            - "strategy"
            - "step": name -> change in search coordinates

            and where they apply:

            - "gradient": nats per search coordinate, by name; a list of them for several estimates
            - "route", "lookahead", "heldout_loss"
            - "note": why no more was done
            - "non_finite": how many estimates were not finite
            - "fallback": why finite differences were taken
            - "ignored": dimensions that nothing depends on
            - "unmatched": a mask that matches no dimension
            - "inert": true where the strategy can do nothing with such a task; "note" says why
            - "ratio": the held-out loss after the virtual steps over the one before
            - "rejected": how many configurations were screened out
            - "acted": how often the brake slowed it down
            - "place": name -> log10 of the middle of the window that it was put into, as an effective rate
            - "offset": name -> log10 of the rate over the effective rate, where momentum makes it another
            - "looks": at how many rates a place was looked for
            - "parts": the diagnostics of each part of a chain
            - "learned": what later trials of the search are given of this one, small
    """

    configuration: Configuration
    diagnostics: dict[str, Any] = field(default_factory=dict)


class WarmStart(Protocol):
    """One strategy.

    Attributes:
        name: as the registry has it.
        needs_losses: it asks the problem for its losses; a task without them is refused before a search.

    One that acts where a trial is promoted has ``when = "promotion"``, or "both": at promotions, too. It is
    given the trial's network as it was when it was paused.

    One that learns from the trials before it has ``learns = True`` besides, and its ``refine`` takes
    ``earlier``: what it has put under "learned" in the diagnostics of earlier trials of the same search, as
    JSON has it, oldest first, and bounded; empty in the first trials, and wherever there is no search.
    """

    name: str
    needs_losses: bool

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """A better configuration, or the same one.

        Args:
            problem: what may be looked at.
            configuration: what the searcher proposed.
            seed: the trial's seed; all randomness comes from streams of it.
        """
        ...


def acts(warm_start: Any, *, promoted: bool) -> bool:
    """Whether it acts on trials that are promoted, or on fresh ones; most strategies have no say in it."""
    when = getattr(warm_start, "when", "begin")
    return when == "both" or (when == "promotion") == promoted


def is_promoted(problem: Problem) -> bool:
    """Whether it is of a trial that is promoted, whose network is trained in part."""
    return bool(getattr(problem, "promoted", False))


def learns(warm_start: Any) -> bool:
    """Whether its ``refine`` takes ``earlier``; most strategies have no say in it."""
    return bool(getattr(warm_start, "learns", False))


def refined_by(
    warm_start: WarmStart,
    problem: Problem,
    configuration: Configuration,
    seed: int,
    earlier: Sequence[Any] = (),
) -> Outcome:
    """What its ``refine`` gives, which is told what earlier trials learned if it learns; see ``accepted``."""
    more = {"earlier": earlier} if learns(warm_start) else {}
    return warm_start.refine(problem, configuration, seed, **more)


def undone_if_refused(space: SearchSpace, before: Configuration, outcome: Outcome) -> Outcome:
    """The outcome; where the space's constraints refuse it, the configuration as it was, and a note."""
    if space.allows(outcome.configuration):
        return outcome
    step = dict.fromkeys(outcome.diagnostics.get("step", {}), 0.0)
    note = "the constraints refuse the nudge: no nudge"
    return Outcome(before, {**outcome.diagnostics, "step": step, "note": note})


def accepted(name: str, space: SearchSpace, before: Configuration, outcome: Any) -> Outcome:
    """What a strategy gave, which may be anybody's: inside the space, and undone where constraints refuse it.

    Raises:
        TaskError: it is no outcome, or its configuration is none of the space.
    """
    if not isinstance(outcome, Outcome):
        raise TaskError(
            f"warm start {name!r} gave a {type(outcome).__name__}: refine must return an "
            "Outcome(configuration, diagnostics)"
        )
    try:  # apart from the constraints, whose refusal is no mistake
        found = SearchSpace(space, conditions=space.conditions).configuration(outcome.configuration)
    except (ConfigurationError, TypeError, AttributeError) as error:
        raise TaskError(
            f"warm start {name!r} gave a configuration that is none of the space: {error}"
        ) from error
    if (
        not isinstance(outcome.configuration, Configuration)
        or found.stored() != outcome.configuration.stored()
    ):
        outcome = Outcome(found, outcome.diagnostics)
    return undone_if_refused(space, before, outcome)
