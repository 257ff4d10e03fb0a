"""A policy that has been trained, to be played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Player:
    """A trained policy.

        player, checkpoint = load_model(directory)
        actions = player.predict(observations)

    Attributes:
        policy: stable-baselines3's ``ActorCriticPolicy``.
        normalizer: what it knows of observations, which the policy takes normalised; None: as they are.
    """

    def __init__(self, policy: Any, normalizer: Mapping[str, Any] | None) -> None:
        self.policy, self.normalizer = policy, normalizer

    def predict(self, observations: Array, *, deterministic: bool = True) -> Array:
        """Actions for observations as the environment gives them, one or several; of Atari's games as
        ``trials.rl.environments.environments`` does.

        Args:
            deterministic: the likeliest action, and none that is drawn.
        """
        if self.normalizer is not None:
            known = self.normalizer["obs_rms"]
            spread = np.sqrt(known["var"].numpy() + 1e-8)
            observations = np.clip((observations - known["mean"].numpy()) / spread, -10.0, 10.0)
        return np.asarray(self.policy.predict(observations, deterministic=deterministic)[0])

    def mean_return(self, environments: Any, episodes: int, device: str) -> float:
        """Of so many episodes, with actions drawn by the policy.

        Args:
            environments: a ``VecEnv``, normalised if the policy needs that.
        """
        from stable_baselines3.common.evaluation import evaluate_policy

        self.policy.to(device)
        mean, _ = evaluate_policy(self.policy, environments, episodes, deterministic=False, warn=False)
        return float(mean)
