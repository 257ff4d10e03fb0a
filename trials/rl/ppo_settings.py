"""What PPO trains with under a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PpoSettings:
    """PPO's settings: those that the space searches, and stable-baselines3's defaults for the others.

    Each is read from the configuration when it is asked for, and not before: what a warm start's functions
    read of a configuration is what they are taken to depend on.

    Attributes:
        configuration: may have lr, ent_coef, clip_range, one_minus_gae_lambda, one_minus_gamma.
        vf_coef: weight of the value function's loss.
        max_grad_norm: to which the norm of the gradient is clipped.
    """

    configuration: Mapping[str, Any]
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5

    @property
    def lr(self) -> float:
        """Adam's learning rate."""
        return self._value("lr", 3e-4)

    @property
    def ent_coef(self) -> float:
        """Weight of the entropy bonus."""
        return self._value("ent_coef", 0.0)

    @property
    def clip_range(self) -> float:
        """How far the probability ratio may gain by going from 1."""
        return self._value("clip_range", 0.2)

    @property
    def gae_lambda(self) -> float:
        """Of generalised advantage estimation."""
        return 1.0 - self._value("one_minus_gae_lambda", 0.05)

    @property
    def gamma(self) -> float:
        """The discount factor, for one step."""
        return 1.0 - self._value("one_minus_gamma", 0.01)

    def _value(self, name: str, otherwise: float) -> float:
        return float(self.configuration.get(name, otherwise))
