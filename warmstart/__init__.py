"""Warm starts: what may be done to a fresh configuration before its first evaluation.

Usable alone, inside any tuner: nothing here knows of workers, journals or schedulers.

    problem = ModelProblem(space, model=net, optimizer=make_optimizer, data=batch, loss=loss)
    outcome = refine("ohgw-trust", problem, configuration, seed=0)
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asha_core.own_packages import claim

claim("warmstart")

from asha_core.space import Choice, Configuration, Float, Int, SearchSpace
from warmstart.base import BlackBox, Outcome, Problem, WarmStart, accepted, refined_by
from warmstart.diagnosis import Diagnosis
from warmstart.doctor import check
from warmstart.hints import new_hints, subject
from warmstart.registry import build, variation

if TYPE_CHECKING:
    from warmstart.problem.model_problem import ModelProblem as ModelProblem

__all__ = [
    "BlackBox",
    "Choice",
    "Configuration",
    "Diagnosis",
    "Float",
    "Int",
    "ModelProblem",
    "Outcome",
    "Problem",
    "SearchSpace",
    "WarmStart",
    "build",
    "check",
    "refine",
    "variation",
]


_hints_given: set[Hashable] = set()  # by this process


def refine(
    name: str,
    problem: Problem,
    configuration: Mapping[str, Any],
    *,
    seed: int = 0,
    earlier: Sequence[Any] = (),
    **settings: Any,
) -> Outcome:
    """Warm-start one configuration: the whole of the package in one call.

    Args:
        name: a variation ("ohgw-trust") or a strategy ("trust", "screen+trust").
        problem: what may be looked at: a ``ModelProblem``, or a ``BlackBox``.
        configuration: name -> value, inside the problem's space.
        seed: of all randomness in it.
        earlier: what earlier trials have under "learned" in their diagnostics; for strategies that learn.
        settings: in the place of the variation's own, such as delta=0.05.
    Returns:
        The refined configuration, and what was measured on the way. What the space's constraints refuse is
        undone. What a user should know of a model is warned of once.
    Raises:
        SettingError: an unknown name or setting.
        ConfigurationError: a value outside the space.
    """
    chosen = variation(name, settings)
    warm_start = build(chosen.strategy, chosen.settings)
    whole = problem.space.configuration(dict(configuration))
    outcome = refined_by(warm_start, problem, whole, seed, earlier)
    outcome = accepted(warm_start.name, problem.space, whole, outcome)
    caller = sys._getframe(1)
    where = caller.f_code.co_filename, caller.f_lineno, caller.f_globals.get("__name__")
    for hint in new_hints(outcome.diagnostics, _hints_given, subject(problem), problem):
        # with a registry of its own, or a loop's second model would be thought to have been warned of
        warnings.warn_explicit(hint, UserWarning, *where, registry={})
    return outcome


def __getattr__(name: str) -> Any:
    if name == "ModelProblem":  # it loads torch
        return importlib.import_module("warmstart.problem.model_problem").ModelProblem
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
