"""What a user's functions may be and give; what else they are is told in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from asha_core.errors import SettingError, TaskError
from warmstart.clipping import Clipping
from warmstart.estimates.types import CannotLookThrough

_CALLED_WITH = {
    "model": ("configuration",),
    "optimizer": ("model", "configuration"),
    "loss": ("outputs", "targets", "configuration"),
    "heldout_loss": ("outputs", "targets"),
    "augment": ("inputs", "configuration", "generator"),
    "prepare": ("inputs",),
}


def check_functions(model: Any, functions: dict[str, Callable[..., Any] | None]) -> None:
    """Raise ``SettingError`` for arguments of a problem that cannot be called as they will be.

    Args:
        functions: by the argument's name; None: it was not given.
    """
    if not callable(model):
        raise SettingError(
            f"model is {_shown(model)}: give a torch.nn.Module, or a function of the configuration that "
            "makes one"
        )
    if not isinstance(model, nn.Module):
        functions = {"model": model, **functions}
    for name, function in functions.items():
        if function is None and name not in ("optimizer", "loss"):
            continue
        given = ", ".join(_CALLED_WITH[name])
        made = isinstance(function, type) and issubclass(function, torch.optim.Optimizer)
        if not callable(function) or made:
            raise SettingError(f"{name} is {_shown(function)}: give a function of ({given})")
        try:
            called = function.forward if isinstance(function, nn.Module) else function
            signature = inspect.signature(called)
        except (TypeError, ValueError):  # one that is written in C has none
            continue
        try:
            signature.bind(*_CALLED_WITH[name])
        except TypeError:
            raise SettingError(
                f"{name} takes {signature}, and is called with ({given}): write it so that it takes these"
            ) from None


def check_model(made: Any) -> None:
    """Raise ``TaskError`` for what a function gave as a model and is none."""
    if not isinstance(made, nn.Module):
        raise TaskError(
            f"the function given as model gave {_shown(made)}: it has to return a torch.nn.Module"
        )


def check_shapes(name: str, one: Tensor, other: Tensor) -> None:
    """Raise ``TaskError`` for a model whose weights have other shapes a little beside a configuration."""
    if one.shape != other.shape:
        shapes = " and ".join(sorted(str(tuple(each.shape)) for each in (one, other)))
        raise TaskError(
            f"{name} has the shapes {shapes} under configurations that are close to each other: make the "
            "dimension that decides this an Int or a Choice, which a warm start leaves as it is, or leave it "
            "out of the strategy's mask"
        )


def training_loss(value: Any) -> Tensor:
    """A training loss as one number that has a graph."""
    loss = _one_number("the training loss", value)
    if not loss.requires_grad:
        raise TaskError(
            "the loss has no gradient: it depends on no weight that is trained, or was computed from "
            ".item(), .detach(), numpy, argmax or under no_grad: return the tensor that training calls "
            "backward() of"
        )
    return loss


def differentiable_heldout_loss(value: Any) -> Tensor:
    """A held-out loss as one number that has a graph.

    Raises:
        CannotLookThrough: it has none, which differences do not need.
    """
    loss = heldout_number(value)
    if not loss.requires_grad:
        raise CannotLookThrough("the held-out loss has no gradient, as with .item(), .detach() or argmax")
    return loss


def heldout_number(value: Any) -> Tensor:
    """A held-out loss as one number; a float will do."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        torch.tensor(float(value), dtype=torch.float64) if plain else _one_number("the held-out loss", value)
    )


def _one_number(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        instead = "return the tensor itself, with its graph"
        if value is None:
            instead = "does the function return something?"
        raise TaskError(f"{name} is {_shown(value)}, and has to be a tensor of one number: {instead}")
    if value.numel() != 1:
        raise TaskError(
            f"{name} is a tensor of shape {tuple(value.shape)}, and has to be one number: take its mean() or "
            'sum() (reduction="mean")'
        )
    if value.is_complex():
        raise TaskError(f"{name} is a complex number, and has to be a real one: take its abs() or .real")
    return value.reshape(())


@contextmanager
def about_wrappers() -> Iterator[None]:
    """Say of a function that looks for ``.module``, inside, what model it is given."""
    try:
        yield
    except AttributeError as error:
        if "attribute 'module'" in str(error):
            raise TaskError(
                "optimizer(model, configuration) is given the model inside of DataParallel or "
                "DistributedDataParallel: write model in the place of model.module"
            ) from error
        raise


@contextmanager
def about_inputs(inputs: Any) -> Iterator[None]:
    """Say of a model's error inside what it is about the inputs that makes it."""
    try:
        yield
    except TypeError as error:
        if not isinstance(inputs, list) or "positional arguments but" not in str(error):
            raise
        raise TaskError(
            f"the inputs are a list of {len(inputs)}, given to the model one by one ({error}): for a model "
            "that takes the list itself, put it in a tuple, data=((inputs,), targets)"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TaskError(
            f"half of the mini-batch is too small for batch norm ({error}): give at least 4 samples"
        ) from None


@contextmanager
def about_outputs(outputs: Any, model: nn.Module) -> Iterator[None]:
    """Say of a loss's error inside that the model gave None, where it did."""
    try:
        yield
    except (TypeError, AttributeError) as error:
        if outputs is None:
            raise TaskError(
                f"{type(model).__name__}.forward gave None, of which the loss can make nothing ({error}): "
                "does it return something?"
            ) from error
        raise


def check_clipping(clipping: Clipping, weights: Iterable[Tensor]) -> None:
    """Raise ``TaskError`` for a clipping of complex gradients that depends on what their parts are."""
    other = clipping.value is not None or (clipping.norm is not None and clipping.norm_type != 2.0)
    if other and any(weight.is_complex() for weight in weights):
        raise TaskError(
            "gradients of complex weights are clipped by their 2-norm alone: give max_grad_norm, with "
            "norm_type=2, or None"
        )


def _shown(value: Any) -> str:
    if isinstance(value, int | float | str | type | None):
        return repr(value)
    return f"a {type(value).__name__}"
