"""An optimiser that a user's function made: which it is, what a virtual step takes of it, and a real step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import optimizer as torch_optimizer

from asha_core.errors import TaskError
from warmstart.optimizers import SGD, Adam, Group, Opaque


def the_optimizer(made: Any) -> torch.optim.Optimizer:
    """The optimiser of what a function gave, its rates at the peak of its schedule.

    Args:
        made: the optimiser; or what holds one beside its schedules: (optimizer, scheduler), and the lists and
            dictionaries that Lightning's ``configure_optimizers`` may give.
    Raises:
        TaskError: there is none in it, or several.
    """
    parts = list(_parts(made))
    found = {id(each): each for each in parts if hasattr(each, "param_groups")}
    if len(found) != 1:
        told = f"{len(found)} optimisers" if found else f"{made!r}"[:80]
        raise TaskError(
            f"optimizer(model, configuration) gave {told}, and a warm start looks through one: return the "
            "optimiser, or (optimizer, scheduler)"
        )
    optimizer: torch.optim.Optimizer = next(iter(found.values()))
    for group in optimizer.param_groups:  # a schedule that warms up has lowered lr already
        for peak in ("max_lr", "initial_lr"):
            if peak in group:
                group["lr"] = group[peak]
                break
    for cyclic in parts:  # which keeps its peaks to itself, and calls the bottom initial
        if isinstance(cyclic, torch.optim.lr_scheduler.CyclicLR):
            for group, peak in zip(optimizer.param_groups, cyclic.max_lrs, strict=True):
                group["lr"] = peak
    return optimizer


def _parts(made: Any) -> Iterator[Any]:
    if isinstance(made, Mapping):
        yield from _parts(list(made.values()))
    elif isinstance(made, list | tuple):
        for each in made:
            yield from _parts(each)
    else:
        yield made


def check_weights(optimizer: torch.optim.Optimizer, named: Mapping[str, Tensor]) -> None:
    """Raise ``TaskError`` for an optimiser of other weights than the model's.

    Args:
        named: what an optimiser may hold.
    """
    known = set(map(id, named.values()))
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    strangers = sum(id(p) not in known for p in held)
    build = "build it from the model that it is given, as optimizer(model, configuration)"
    if strangers:
        raise TaskError(f"the optimiser has {strangers} parameters that are not the model's: {build}")
    if not held:
        raise TaskError(f"the optimiser has no weight that is trained (requires_grad): {build}")


def groups_of(optimizer: torch.optim.Optimizer, named: Mapping[str, Tensor]) -> list[Group | Opaque]:
    """The settings of an optimiser's parameter groups, with parameters by name.

    Args:
        named: what the optimiser may hold: name -> parameter.
    Raises:
        TaskError: it holds other parameters, or none.
    """
    check_weights(optimizer, named)
    names = {id(parameter): name for name, parameter in named.items()}
    return [
        _group(optimizer, group, tuple(names[id(p)] for p in group["params"] if p.requires_grad))
        for group in optimizer.param_groups
    ]


def _group(
    optimizer: torch.optim.Optimizer, group: dict[str, Any], parameters: tuple[str, ...]
) -> Group | Opaque:
    kind = type(optimizer)
    settings = {name: _as_float(group.get(name)) for name in Opaque.SETTINGS}
    betas = group.get("betas")
    if isinstance(betas, tuple | list) and len(betas) == 2:
        settings["beta1"], settings["beta2"] = map(_as_float, betas)
    why = _unlike(optimizer, group)
    lr, decay = settings["lr"], settings["weight_decay"]
    if why is None and kind is torch.optim.SGD:
        momentum, dampening = settings["momentum"], settings["dampening"]
        return SGD(parameters, lr, momentum, dampening, decay, nesterov=bool(group["nesterov"]))
    if why is None and kind in (torch.optim.Adam, torch.optim.AdamW):
        decoupled = kind is torch.optim.AdamW or bool(group.get("decoupled_weight_decay", False))
        return Adam(
            parameters, lr, settings["beta1"], settings["beta2"], settings["eps"], decay, decoupled=decoupled
        )
    return Opaque(parameters, why or kind.__name__, **settings)


def _as_float(value: Any) -> float:
    """A setting; 0 for what is no number (a tuple, or nothing)."""
    single = isinstance(value, Tensor) and value.numel() == 1
    return float(value) if single or isinstance(value, int | float) else 0.0


def _unlike(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> str | None:
    """What makes its step another one than its class says."""
    name = type(optimizer).__name__
    for option in ("maximize", "amsgrad"):
        if group.get(option):
            return f"{name}({option}=True)"
    hooks = (
        (
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            torch_optimizer._global_optimizer_pre_hooks,
            torch_optimizer._global_optimizer_post_hooks,
        )
        if isinstance(optimizer, torch.optim.Optimizer)
        else ()
    )
    if any(hooks):
        return f"{name} with a hook on its step"
    own = vars(optimizer).get("step")  # a schedule wraps it, to count its calls
    if own is not None and getattr(own, "__wrapped__", None) is not type(optimizer).step:
        return f"{name} whose step is replaced"
    if getattr(optimizer, "state", None):
        return f"{name} that has taken steps already"
    return None


def take_step(optimizer: torch.optim.Optimizer, backward: Callable[[], Tensor]) -> None:
    """One step, as a plain loop takes it.

    Args:
        backward: computes the loss, its gradients, and clips them; gives the loss.

    ``backward`` is called once, and then ``step()``, which gets a closure only where it asks for one:
    by its signature, or by an error that says so, as SAM does. L-BFGS is given nothing but the closure.
    """

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            return backward()

    step: Callable[..., Any] = optimizer.step
    asked = _required(step)
    if asked and (len(asked) > 1 or "closure" not in asked[0]):
        raise TaskError(
            f"{type(optimizer).__name__}.step asks for {', '.join(asked)}, which nothing here can "
            "give it: use an optimiser whose step takes nothing, or a closure"
        )
    if callable(train := getattr(optimizer, "train", None)):  # schedule-free ones have two kinds of weights
        train()
    if isinstance(optimizer, torch.optim.LBFGS):
        step(closure)
        return
    closure()
    if asked:
        step(closure)
        return
    try:
        step()
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if "closure" not in str(error).lower():
            raise
        step(closure)


def before_evaluation(optimizer: torch.optim.Optimizer) -> None:
    """What a loop does before it measures: schedule-free optimisers have other weights for that."""
    if callable(evaluate := getattr(optimizer, "eval", None)):
        evaluate()


def _required(step: Callable[..., Any]) -> list[str]:
    """The names of what has to be given to it."""
    try:
        parameters = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        each.name
        for each in parameters  # a schedule wraps the step, and shows the function's ``self``
        if each.default is each.empty
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        and each.name != "self"
    ]
