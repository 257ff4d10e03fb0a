"""CartPole with a small policy: what the tests of PPO's warm start have in common."""

from __future__ import annotations

from typing import Any

import gymnasium
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv

from asha_core.space import Configuration, Float, SearchSpace
from trials.rl.warm_start_problem import PpoProblem

SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "ent_coef": Float(1e-4, 0.1, log=True),
        "clip_range": Float(0.05, 0.4),
        "one_minus_gae_lambda": Float(0.01, 0.5, log=True),
        "one_minus_gamma": Float(1e-3, 0.1, log=True),
    }
)
HERE = {
    "lr": 3e-3,
    "ent_coef": 0.02,
    "clip_range": 0.2,
    "one_minus_gae_lambda": 0.07,
    "one_minus_gamma": 0.02,
}
OBSERVATIONS = gymnasium.spaces.Box(-10.0, 10.0, (4,))
ACTIONS = gymnasium.spaces.Discrete(2)


def configuration(**values: float) -> Configuration:
    return SPACE.configuration({**HERE, **values})


def environments(seed: int, number: int = 4, limit: int = 12) -> DummyVecEnv:
    """Short episodes, some of which the time limit ends."""

    def make() -> Any:
        return gymnasium.make("CartPole-v1", max_episode_steps=limit)

    made = DummyVecEnv([make] * number)
    made.seed(seed)
    return made


class InDouble(FlattenExtractor):
    """Observations as numbers of double precision."""

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return super().forward(observations).double()


def policy(config: Any = None, *, double: bool = False, **options: Any) -> ActorCriticPolicy:
    torch.manual_seed(3)
    kind = InDouble if double else FlattenExtractor
    made = ActorCriticPolicy(
        OBSERVATIONS,
        ACTIONS,
        lambda _: 1e-3,
        features_extractor_class=kind,
        **{"net_arch": [8], **options},
    )
    return made.double() if double else made


def double_policy(config: Any = None) -> ActorCriticPolicy:
    return policy(config, double=True)


def problem(seed: int = 5, make_policy: Any = policy, **options: Any) -> PpoProblem:
    return PpoProblem(
        SPACE, environments, make_policy, **{"n_steps": 24, "batch_size": 16, "seed": seed, **options}
    )
