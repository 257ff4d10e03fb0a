"""A space from a ``param_space`` of Ray Tune.

The same values, each as likely as there, but for the ends of ``tune.quniform``: Ray rounds to the nearest
multiple, which makes them half as likely as the others; a step of ours has all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, isfinite
from typing import Any

from asha_core.arguments import shown
from asha_core.errors import SpaceError
from asha_core.space.conversions import library
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Int


def dimensions_of(param_space: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> dimension, or a dictionary of them, nested as it was given.

    Raises:
        SpaceError: what has no counterpart, by name.
        ImportError: Ray Tune is not installed.
    """
    ray = library("ray.tune.search.sample", extra="ray")
    if not isinstance(param_space, Mapping):
        raise SpaceError(
            f"from_ray is given {shown(param_space)}: it must be a dictionary, as param_space is"
        )
    return _read(param_space, "", ray)


def _read(given: Mapping[str, Any], prefix: str, ray: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and set(value) == {"grid_search"}:
            raise _refused(name, "grid_search", "write tune.choice([...]), and use GridSearch")
        if isinstance(value, Mapping):
            found[key] = _read(value, f"{name}.", ray)
        elif isinstance(value, ray.Domain):
            found[key] = _dimension(name, value, ray)
        else:
            found[key] = _constant(name, value)
    return found


def _constant(name: str, value: Any) -> Constant:
    try:
        return Constant(value)
    except SpaceError as error:
        raise SpaceError(f"dimension {name!r}: {error}") from None


def _dimension(name: str, domain: Any, ray: Any) -> Dimension:
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, ray.Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    log = isinstance(sampler, ray.LogUniform)
    if isinstance(domain, ray.Categorical) and isinstance(sampler, ray.Uniform):
        try:
            return Choice(domain.categories)
        except SpaceError as error:
            raise SpaceError(f"dimension {name!r}: {error}") from None
    if not isinstance(domain, ray.Float | ray.Integer) or not (log or isinstance(sampler, ray.Uniform)):
        raise _refused(name, _kind(domain, sampler, ray), "there is no counterpart")
    if not (isfinite(domain.lower) and isfinite(domain.upper)):
        raise _refused(name, f"a range from {domain.lower} to {domain.upper}", "give it two bounds")
    if log and step not in (None, 1):
        raise _refused(
            name, f"logarithmic in steps of {step}", "leave out the step, or choose from its values"
        )
    if isinstance(domain, ray.Float):
        if domain.lower == domain.upper:
            return Constant(float(domain.lower))
        return Float(domain.lower, domain.upper, log=log, step=None if log else step)
    return _integer(domain, log, step)


def _integer(domain: Any, log: bool, step: int | None) -> Dimension:
    lower, upper, step = int(domain.lower), int(domain.upper) - 1, step or 1  # its upper bound is left out
    if step != 1:  # but not with a step; and it has its multiples
        lower, upper = ceil(domain.lower / step) * step, floor(domain.upper / step) * step
    return Constant(lower) if lower >= upper else Int(lower, upper, log=log, step=step)


def _kind(domain: Any, sampler: Any, ray: Any) -> str:
    if isinstance(domain, ray.Function):
        return "sample_from, a function of other values"
    if isinstance(sampler, ray.Normal):
        return "a normal distribution"
    return f"{type(domain).__name__} with the sampler {type(sampler).__name__}"


def _refused(name: str, kind: str, advice: str) -> SpaceError:
    return SpaceError(f"dimension {name!r} of the param_space is {kind}: {advice}")
