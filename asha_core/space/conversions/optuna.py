"""A space from Optuna's distributions.

The same values, each as likely as there, but for logarithmic integers: Optuna rounds a real number to the
nearest integer, and ``Int`` rounds it down, so the smallest ones are less likely here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.arguments import shown
from asha_core.errors import SpaceError
from asha_core.space.conversions import library
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Int


def dimensions_of(distributions: Mapping[str, Any]) -> dict[str, Dimension]:
    """Name -> dimension.

    Raises:
        SpaceError: what is no distribution of Optuna's, by name.
        ImportError: Optuna is not installed.
    """
    optuna = library("optuna.distributions", extra="optuna")
    if not isinstance(distributions, Mapping):
        raise SpaceError(
            f"from_optuna is given {shown(distributions)}: it must be a dictionary of optuna.distributions, "
            "such as a trial's trial.distributions"
        )
    return {name: _dimension(name, each, optuna) for name, each in distributions.items()}


def _dimension(name: str, given: Any, optuna: Any) -> Dimension:
    if not isinstance(
        given, (optuna.CategoricalDistribution, optuna.FloatDistribution, optuna.IntDistribution)
    ):
        raise SpaceError(
            f"dimension {name!r} is {shown(given)}: from_optuna reads optuna.distributions, such as "
            "FloatDistribution(1e-4, 1.0, log=True)"
        )
    if isinstance(given, optuna.CategoricalDistribution):
        return Choice(given.choices)
    if given.single():
        return Constant(given.low)
    if isinstance(given, optuna.IntDistribution):
        return Int(given.low, given.high, log=given.log, step=given.step)
    return Float(given.low, given.high, log=given.log, step=given.step)
