"""A warm start inside an Optuna objective.

    config = warm_start(trial, lambda space: ModelProblem(space, model=net, ...))

Optuna has no way to change a parameter that it has suggested. So its sampler goes on modelling the values
that it proposed, and ``study.best_params`` are such values; the values that a trial was really trained with
are in its user attribute "warm_start".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.space import SearchSpace
from asha_core.space.dimensions import Float
from warmstart import refine
from warmstart.integrations import MakeProblem, library, space_of

ATTRIBUTE = "warm_start"


def search_space(distributions: Mapping[str, Any], params: Mapping[str, Any]) -> SearchSpace:
    """What a trial has been asked so far, as a warm start's space.

    A FloatDistribution without a step is a range that a warm start may move in. All else (integers,
    categories, floats with a step, ranges of one value) is held at the trial's value.
    """
    optuna = library("optuna.distributions", extra="optuna")
    movable = {
        name: Float(d.low, d.high, log=d.log)
        for name, d in distributions.items()
        if isinstance(d, optuna.FloatDistribution) and d.step is None and not d.single()
    }
    return space_of(params, movable)


def warm_start(
    trial: Any, problem: MakeProblem, name: str = "ohgw-trust", *, seed: int = 0, **settings: Any
) -> dict[str, Any]:
    """The trial's parameters, refined; call it once all of them have been suggested.

    They are recorded in the trial's user attribute "warm_start". A trial that has the attribute already (one
    that Optuna tries again after a crash) is given what is recorded.

    Args:
        trial: optuna.trial.Trial, or a FixedTrial.
        problem: space -> a ``ModelProblem`` or ``BlackBox``.
        name, seed, settings: as for ``warmstart.refine``.
    Returns:
        name -> value, of every suggested parameter.
    """
    recorded = trial.user_attrs.get(ATTRIBUTE)
    if recorded is None:
        space = search_space(trial.distributions, trial.params)
        known = {key: value for key, value in trial.params.items() if key in space}
        recorded = dict(refine(name, problem(space), known, seed=seed, **settings).configuration)
        trial.set_user_attr(ATTRIBUTE, recorded)
    return {**trial.params, **recorded}
