"""``warmstart.check``: what a warm start does with a problem, what it costs, and if its slopes are right.

Each slope is compared with a difference through the real optimiser, in the same way as a search compares its
first one (``warmstart.strategies.first_check``). Nothing is changed, and no search is begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asha_core.errors import SettingError
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Losses, Problem, WarmStart, accepted, refined_by
from warmstart.diagnosis import Costs, Diagnosis
from warmstart.registry import build
from warmstart.registry import variation as variation_of
from warmstart.strategies.chain import Chain
from warmstart.strategies.control import Control
from warmstart.strategies.gradient_strategy import GradientStrategy

_PARTS = ("loss", "optimizer", "data", "space")
_OF_PROBLEM = (
    *("heldout_loss", "augment", "prepare", "validation", "split"),
    *("max_grad_norm", "max_grad_value", "norm_type", "autocast", "device"),
)
_ROUNDS, _TIMED, _LONG = 3, 0.5, 10.0  # at least so many rounds and seconds; no further round after so many


def check(
    problem: Any,
    *parts: Any,
    variation: str = "ohgw-trust",
    seed: int = 0,
    **settings: Any,
) -> Diagnosis:
    """What a warm start does with a problem: what is differentiated and how, what not and why, and its cost.

        print(warmstart.check(problem))
        print(warmstart.check(model, loss, optimizer, data, space, variation="ohgw-1step"))

    Args:
        problem: a ``ModelProblem`` or ``BlackBox``; or a model, and after it what makes it a problem.
        parts: after a problem, the configuration to look at (None: the middle of its space); after a model
            ``loss``, ``optimizer``, ``data`` and ``space``, which can be named, too.
        variation: a variation or a strategy.
        seed: of all randomness.
        settings: the other arguments of a ``ModelProblem``; ``configuration``; and settings in the place of
            the variation's own.
    Returns:
        What was found: print it.
    Raises:
        SettingError: an argument that cannot be used.
        TaskError: what a warm start refuses, with what would do.
    """
    made, configuration = _problem(problem, parts, settings, seed)
    chosen = variation_of(variation, settings)
    return diagnose(made, configuration, variation, build(chosen.strategy, chosen.settings), seed)


def diagnose(
    problem: Problem,
    configuration: Mapping[str, Any] | None,
    name: str,
    warm_start: WarmStart,
    seed: int,
) -> Diagnosis:
    """``check`` of a problem and a warm start; its name is for people. It does not check itself any more."""
    space = problem.space
    whole = middle(space) if configuration is None else space.configuration(dict(configuration))
    followed = _followed(warm_start)
    for strategy in followed:
        strategy.check = False  # of what is timed
    costs = _costs(warm_start, problem, whole, seed)
    if not followed:
        about = "looks at held-out losses: nothing is differentiated"
        if not warm_start.needs_losses:
            about = "looks at nothing, so there is nothing to check (ohgw-trust and ohgw-1step do)"
        return Diagnosis(name, whole, costs=costs, note=about)
    from warmstart.examination import Examination  # it loads numpy

    return Examination(followed[0], problem, whole).diagnosis(name, costs)


def middle(space: SearchSpace) -> Configuration:
    """The middle of a space, as far as its constraints allow it."""
    return space.first_allowed(lambda attempt: [_halton(attempt, place) for place in range(len(space))])


def _halton(attempt: int, place: int) -> float:
    """0.5 first; then points all over the unit interval, others in each dimension."""
    return (0.5 + attempt * (0.6180339887498949 + 0.1 * place)) % 1.0


def _problem(
    first: Any, parts: Sequence[Any], settings: dict[str, Any], seed: int
) -> tuple[Problem, Mapping[str, Any] | None]:
    """The problem, and the configuration to look at; takes what they are made of out of the settings."""
    if hasattr(first, "losses") and hasattr(first, "space"):
        if len(parts) > 1:
            raise SettingError(f"check of a problem takes a configuration besides, not {len(parts)} things")
        return first, settings.pop("configuration", None) if not parts else parts[0]
    from warmstart.problem.model_problem import ModelProblem

    if len(parts) > len(_PARTS):
        raise SettingError(f"check takes a model and then {', '.join(_PARTS)}: {len(parts)} things are given")
    given = dict(zip(_PARTS, parts, strict=False))
    given |= {key: settings.pop(key) for key in (*_PARTS, *_OF_PROBLEM) if key in settings}
    missing = [key for key in _PARTS if key not in given]
    if missing:
        raise SettingError(
            f"check of a model needs {', '.join(missing)} too, as check(model, {', '.join(_PARTS)}); or give "
            "a ModelProblem"
        )
    return ModelProblem(given.pop("space"), model=first, seed=seed, **given), settings.pop(
        "configuration", None
    )


def _followed(warm_start: WarmStart) -> list[GradientStrategy]:
    """The strategies in it that follow a hyper-gradient."""
    if isinstance(warm_start, GradientStrategy):
        return [warm_start]
    if isinstance(warm_start, Control):
        return [warm_start.inner]
    parts = warm_start.parts if isinstance(warm_start, Chain) else []
    return [each for part in parts for each in _followed(part)]


def _costs(warm_start: WarmStart, problem: Problem, configuration: Configuration, seed: int) -> Costs:
    """What a refinement takes, beside an ordinary mini-batch; measured here."""

    def refine() -> None:
        given = refined_by(warm_start, problem, configuration, seed)
        accepted(warm_start.name, problem.space, configuration, given)

    refine()  # what is slow but once
    if not warm_start.needs_losses:
        return Costs(_seconds(refine)[0])
    from warmstart.examination import operations  # it loads torch

    losses = problem.losses(configuration)
    train, heldout = losses.batches(0, "half")
    if losses.network is None:
        seconds, one = _seconds(refine, lambda: losses.after(configuration, [train], heldout))
        return Costs(seconds, one)

    def none() -> None:
        losses.after(configuration, [], heldout)

    def two() -> None:  # halves of a mini-batch
        losses.after(configuration, [train, train], heldout)

    two()
    seconds, without, with_two = _seconds(refine, none, two)
    batch = operations(two) - operations(none)
    return Costs(
        seconds,
        max(with_two - without, with_two / 10),
        operations(refine) / batch if batch else None,
        batch_operations=batch,
        peak_bytes=_peak_bytes(refine, losses),
    )


def _seconds(*functions: Callable[[], object]) -> list[float]:
    """The least that each took, of some rounds."""
    least = [float("inf")] * len(functions)
    began, rounds = time.perf_counter(), 0
    while rounds < _ROUNDS or time.perf_counter() - began < _TIMED:
        for place, function in enumerate(functions):
            start = time.perf_counter()
            function()
            least[place] = min(least[place], time.perf_counter() - start)
        rounds += 1
        if time.perf_counter() - began > _LONG:
            break
    return least


def _peak_bytes(function: Callable[[], None], losses: Losses) -> int | None:
    """Memory of a GPU that it takes besides what is there; None: not on a GPU."""
    import torch

    assert losses.network is not None
    device = next(iter(losses.network.parameters.values())).device
    if device.type != "cuda":
        return None
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    function()
    return int(torch.cuda.max_memory_allocated(device) - before)
