"""Passes through the network that watch what they read: what every route to a hyper-gradient is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from warmstart.base import Batch, Network, Running
from warmstart.estimates.dependence import OptimizerSettings
from warmstart.estimates.modes import twice_differentiable
from warmstart.estimates.stencils import stencil_over
from warmstart.estimates.stops import Stops
from warmstart.estimates.streaming import as_real
from warmstart.estimates.types import CannotLookThrough, Estimate

Tensors = dict[str, Tensor]


class MarksNeeded(Exception):
    """A coordinate acts through the network or its loss, too, and the state was not remembered."""


def measured(
    network: Network,
    settings: OptimizerSettings,
    wanted: Sequence[str],
    work: Callable[[Running, bool], Estimate],
) -> Estimate:
    """What ``work`` makes of the network while it is in use.

    Args:
        work: (the network in use, whether to remember its state) -> an estimate. That takes time; it is
            done at once where a coordinate moves no setting of the optimiser, and so must act elsewhere.
    """
    if set(wanted) <= set(settings.slopes):
        try:
            with network.running(network) as running:
                return work(running, False)
        except MarksNeeded:
            pass
    with network.running(network) as running:
        return work(running, True)


@dataclass(slots=True)
class Pass:
    """One training gradient, and through what the wanted coordinates act on it.

    Attributes:
        leaves: the weights, as leaves of the graph.
        outputs: of the network, with their graph if something acts through the loss.
        gradient: of the training loss, by the weights that it depends on; a step skips the others.
        through_inputs: names of the coordinates that act through the inputs or the network.
        through_loss: names of those that act through the loss alone.
        before, middle: marks of the state before the pass, and between the network and the loss.
        twice: the gradient can be differentiated again.
    """

    leaves: Tensors
    outputs: Any
    gradient: Tensors
    through_inputs: list[str]
    through_loss: list[str]
    before: Any
    middle: Any
    twice: bool


def gradients(
    loss: Tensor, parameters: Mapping[str, Tensor], *, retain_graph: bool = False, create_graph: bool = False
) -> Tensors:
    """By name, without those that the loss does not depend on: a backward pass leaves their ``.grad`` None.

    Raises:
        CannotLookThrough: ``create_graph``, and a layer whose backward pass cannot be differentiated.
    """
    found = torch.autograd.grad(
        loss,
        list(parameters.values()),
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
    )
    there = {name: each for name, each in zip(parameters, found, strict=True) if each is not None}
    if create_graph:
        _refuse_dead_ends(list(there.values()))
    return {name: as_real(each) for name, each in there.items()}


def _refuse_dead_ends(found: Sequence[Tensor]) -> None:
    """Look for the node that stands for a backward pass which cannot be differentiated.

    It raises an error when it is run; but autograd runs what leads to the weights alone, that node does not,
    and so its part of the second derivative would be missing without a word.
    """
    waiting = [each.grad_fn for each in found]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if node.name() == "torch::autograd::Error":
            raise CannotLookThrough(
                "a layer's backward pass cannot be differentiated (it is marked with @once_differentiable)"
            )
        following = {each for each, _ in node.next_functions} - seen
        seen |= following
        waiting += following


def training_pass(
    network: Network,
    running: Running,
    batch: Batch,
    configuration: Configuration,
    wanted: Sequence[str],
    *,
    marks: bool,
    twice: bool = False,
) -> Pass:
    """The training gradient at the weights that the network has, watching what is read on the way.

    Args:
        marks: remember the state, as is needed where a coordinate acts through the network or its loss.
        twice: the gradient will be differentiated again.
    Raises:
        MarksNeeded: one does, and the state is not remembered.
    """
    mark = running.mark() if marks else None
    leaves = running.leaves(configuration)
    in_forward, in_criterion = Watched(configuration), Watched(configuration)
    stops = Stops()
    with attention(twice), stops if twice else nullcontext():
        outputs = network.forward(leaves, batch, in_forward)
    versions = _versions(outputs)
    middle = running.mark() if marks else None
    with attention(twice), stops if twice else nullcontext():
        loss = network.criterion(outputs, batch, in_criterion)
    through_inputs = [name for name in wanted if name in in_forward.reads]
    through_loss = [n for n in wanted if n in in_criterion.reads and n not in in_forward.reads]
    if (through_inputs or through_loss) and not marks:
        raise MarksNeeded
    if through_loss and _versions(outputs) != versions:
        raise CannotLookThrough("the loss writes to the model's outputs")
    running.check(loss, leaves, order=2 if twice else 1 if through_loss else 0)
    stops.refuse()
    with attention(twice):  # what is checkpointed is passed through again
        found = gradients(loss, leaves, retain_graph=bool(through_loss) or twice, create_graph=twice)
    outputs = outputs if through_loss else None
    return Pass(leaves, outputs, found, through_inputs, through_loss, mark, middle, twice)


def attention(twice: bool) -> AbstractContextManager[Any]:
    """Around what passes through the network, and no more: each call of PyTorch inside takes its time."""
    return twice_differentiable() if twice else nullcontext()


def _versions(outputs: Any) -> list[int]:
    return [each._version for each in pytree.tree_leaves(outputs) if isinstance(each, Tensor)]


def heldout_pass(network: Network, running: Running, batch: Batch) -> Any:
    """(held-out loss, leaves) at the weights that the network has, as its own configuration has it."""
    leaves = running.leaves(None)
    with Stops() as stops:
        loss = network.heldout_loss(leaves, batch)
    running.check(loss, leaves, order=1)
    stops.refuse()
    return loss, leaves


def loss_slope(
    network: Network,
    running: Running,
    space: SearchSpace,
    configuration: Configuration,
    name: str,
    first: Pass,
    batch: Batch,
    step: float,
) -> Tensor:
    """d(training loss)/dpsi as a function of the kept outputs, to be differentiated by the weights.

    A fourth-order difference, which costs nothing beside a pass through the network, and is exact for what
    enters as a polynomial, such as label smoothing. The network has the weights of that pass.
    """
    own, points = stencil_over(space, configuration, name, step, reach=2)
    total = []
    for weight, there in [*([(own, configuration)] if own else []), *points]:
        running.rewind(first.middle)
        with attention(first.twice):
            total.append(weight * network.criterion(first.outputs, batch, there))
    return torch.stack(total).sum()


def gradients_along(
    network: Network,
    running: Running,
    space: SearchSpace,
    configuration: Configuration,
    name: str,
    batch: Batch,
    first: Pass,
    here: Tensors,
    step: float,
) -> Any:
    """(weight, gradient) pairs whose weighted sum is dg/dpsi; one gradient at a time is alive.

    A central difference of gradients rather than of forward-mode derivatives: every layer has a backward
    pass, and PyTorch decomposes batch norm and others in forward mode, which costs more than it saves.
    """
    own, points = stencil_over(space, configuration, name, step)
    for weight, there in points:
        running.rewind(first.before)
        leaves = running.leaves(there)
        with attention(first.twice):
            loss = network.training_loss(leaves, batch, there)
        yield weight, gradients(loss, leaves)
        del loss
    if own:
        yield own, here
