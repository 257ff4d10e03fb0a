"""The judge: a user's own loop with real optimisers, and fourth-order differences of what it ends at.

It shares no code with what it judges, but for the samples, which are the ones that ``warmstart`` drew, and
the seeds that ``warmstart`` gives to a model's random layers on them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Configuration, Float
from tests.warmstart.gallery.case import Case, Loop, quiet, sow

STEP = 1e-3  # in search coordinates


def slopes(case: Case, trains: Sequence[Any], heldout: Any) -> dict[str, float]:
    """d(held-out loss)/d(search coordinate) of the user's loop, each time from scratch."""
    real = [name for name, dimension in case.space.items() if isinstance(dimension, Float)]
    return {name: _slope(case, name, trains, heldout) for name in real}


def _slope(case: Case, name: str, trains: Sequence[Any], heldout: Any) -> float:
    dimension = case.space[name]
    assert isinstance(dimension, Float)
    centre, step = dimension.to_search(case.psi[name]), case.coarse or STEP

    def at(offset: int) -> float:
        coordinate = centre + offset * step
        values = {**case.psi, name: 10.0**coordinate if dimension.log else coordinate}
        config = Configuration(tuple(values), tuple(values.values()))
        return trained(case.make(), config, case.psi, trains, heldout)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def trained(
    loop: Loop, config: Configuration, centre: Configuration, trains: Sequence[Any], heldout: Any
) -> float:
    """The held-out loss after a step on each of the training samples; the loop's objects are used up.

    Args:
        centre: the configuration whose values a loss has that is held fixed.
    """
    with quiet():
        model = loop.model if isinstance(loop.model, nn.Module) else loop.model(config)
        if not model.training:
            model.train()
        optimizer = _at_the_peak(loop.optimizer(model, config))
        for samples in trains:
            _step(optimizer, _closure(loop, model, optimizer, samples, config))
        if model is not loop.model:  # held-out samples are seen as the configuration in the middle has it
            weights = copy.deepcopy(model.state_dict())
            model = loop.model(centre).train()
            model.load_state_dict(weights)
        inputs, targets = copy.deepcopy((heldout.inputs, heldout.targets))
        sow(heldout.seed)
        outputs = called(model, inputs if loop.prepare is None else loop.prepare(inputs))
        if loop.heldout_loss is not None:
            return loop.heldout_loss(outputs, targets).item()
        return loop.loss(outputs, targets, centre).item()


def _step(optimizer: Any, closure: Callable[[], Tensor]) -> None:
    """The loop that most people write: gradients, then a step; for L-BFGS as documented."""
    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()


def _closure(
    loop: Loop, model: nn.Module, optimizer: Any, samples: Any, config: Configuration
) -> Callable[[], Tensor]:
    """Gradients of the training loss on these samples."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        inputs, targets = copy.deepcopy((samples.inputs, samples.targets))
        sow(samples.seed)
        if loop.augment is not None:
            inputs = loop.augment(inputs, config, torch.Generator().manual_seed(samples.seed))
        elif loop.prepare is not None:
            inputs = loop.prepare(inputs)
        outputs = called(model, inputs)
        sow(samples.seed + 1)
        loss = loop.loss(outputs, targets, config)
        loss.backward()
        _clip(loop, list(model.parameters()), config)
        return loss

    return closure


def _at_the_peak(made: Any) -> Any:
    """The optimiser of what a user's function gave, its rates as they are at the peak of its schedule."""
    optimizer = made[0] if isinstance(made, tuple) else made
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])
    return optimizer


def _clip(loop: Loop, weights: list[nn.Parameter], config: Configuration) -> None:
    norm = loop.max_grad_norm(config) if callable(loop.max_grad_norm) else loop.max_grad_norm
    if norm is not None:
        nn.utils.clip_grad_norm_(weights, norm, loop.norm_type)
    value = loop.max_grad_value(config) if callable(loop.max_grad_value) else loop.max_grad_value
    if value is not None:
        nn.utils.clip_grad_value_(weights, value)


def called(model: Callable[..., Any], inputs: Any) -> Any:
    """A dictionary's entries by name, a tuple's or list's by position."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def misdrawn(data: Any, train: Any, heldout: Any) -> str | None:
    """What is wrong with two parts of a mini-batch: each sample must be one of the data, and in one part.

    Only where the data is a mini-batch that every leaf of which holds a value a sample.
    """
    if not (isinstance(data, tuple) and len(data) == 2):
        return None
    whole = _samples(data)
    if whole is None:
        return None
    halves = [_samples((part.inputs, part.targets)) for part in (train, heldout)]
    if None in halves:
        return "inputs and targets of a half differ in length"
    drawn = [row for half in halves for row in half or []]
    if any(row not in whole for row in drawn):
        return "a sample was drawn that the data does not have"
    if len(set(drawn)) < len(drawn):
        return "a sample was drawn twice"
    return None


def _samples(values: Any) -> list[str] | None:
    """Each sample in words; None: leaves of several lengths."""
    columns = list(_columns(values))
    if len({len(column) for column in columns}) != 1:
        return None
    return [repr(row) for row in zip(*columns, strict=True)]


def _columns(values: Any) -> Any:
    if isinstance(values, Tensor):
        yield values.tolist()
    elif isinstance(values, Mapping):
        for name in sorted(values):
            yield from _columns(values[name])
    elif isinstance(values, tuple):
        for each in values:
            yield from _columns(each)
    elif isinstance(values, list):
        if values and all(isinstance(each, Tensor | tuple | list | Mapping) for each in values):
            for each in values:
                yield from _columns(each)
        else:
            yield values
