"""A warm start inside a Ray Tune trainable.

    config = warm_start(config, PARAM_SPACE, lambda space: ModelProblem(space, model=net, ...))

Call it when the trial begins, and not when it comes back from a checkpoint: Ray gives a restored trial the
configuration as it was proposed, so keep the refined one in the checkpoint, and take it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from asha_core.space import SearchSpace
from asha_core.space.dimensions import Float
from warmstart import refine
from warmstart.integrations import MakeProblem, library, space_of


def search_space(param_space: Mapping[str, Any], config: Mapping[str, Any]) -> SearchSpace:
    """A ``param_space`` as a warm start's space.

    ``tune.uniform`` and ``tune.loguniform`` at the top level are ranges that a warm start may move in. All
    else (integers, choices, quantized ranges, normal distributions, nested dictionaries) is held at the
    trial's value, or, if a space cannot hold that, left out.
    """
    sample = library("ray.tune.search.sample", extra="ray")
    movable = {}
    for name, domain in param_space.items():
        if not isinstance(domain, sample.Float) or not isfinite(domain.lower) or not isfinite(domain.upper):
            continue
        sampler = domain.get_sampler()
        if isinstance(sampler, sample.Uniform | sample.LogUniform) and domain.lower < domain.upper:
            movable[name] = Float(domain.lower, domain.upper, log=isinstance(sampler, sample.LogUniform))
    return space_of(config, movable)


def warm_start(
    config: Mapping[str, Any],
    param_space: Mapping[str, Any],
    problem: MakeProblem,
    name: str = "ohgw-trust",
    *,
    seed: int = 0,
    **settings: Any,
) -> dict[str, Any]:
    """The trial's configuration, refined.

    Args:
        config: as the trainable is given it.
        param_space: as the Tuner was given it.
        problem: space -> a ``ModelProblem`` or ``BlackBox``.
        name, seed, settings: as for ``warmstart.refine``.
    Returns:
        A new dictionary; what cannot be refined is in it as it was.
    """
    space = search_space(param_space, config)
    known = {key: value for key, value in config.items() if key in space}
    return {**config, **refine(name, problem(space), known, seed=seed, **settings).configuration}
