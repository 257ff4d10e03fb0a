"""A rollout, and its advantages, are what stable-baselines3's PPO collects and computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra rl")

from stable_baselines3 import PPO

from tests.trials.rl import plain_ppo, small_ppo
from trials.rl.rollout import Rollout, advantages, beside, collected


def own_rollout(steps: int = 40) -> Rollout:
    policy, environments = small_ppo.policy(), small_ppo.environments(11)
    torch.manual_seed(7)
    return collected(policy, environments, steps)


def their_buffer(gamma: float, gae_lambda: float, steps: int = 40):
    env = small_ppo.environments(11)
    model = PPO(
        "MlpPolicy", env, n_steps=steps, batch_size=8, gamma=gamma, gae_lambda=gae_lambda, device="cpu"
    )
    model.policy = small_ppo.policy()
    _, callback = model._setup_learn(steps)
    env.seed(11)
    model._last_obs = env.reset()
    torch.manual_seed(7)
    model.collect_rollouts(env, callback, model.rollout_buffer, steps)
    return model.rollout_buffer


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(0.99, 0.95), (0.9, 0.5), (1.0, 1.0), (0.5, 0.0)])
def test_the_rollout_and_its_advantages_are_those_of_stable_baselines3(gamma, gae_lambda):
    own, theirs = own_rollout(), their_buffer(gamma, gae_lambda)
    assert own.cut_values.any()  # some episode was cut by its time limit
    assert (own.ends & (own.cut_values == 0)).any()  # and some ended by itself
    np.testing.assert_array_equal(own.observations, theirs.observations)
    np.testing.assert_array_equal(own.actions, theirs.actions[..., 0])
    np.testing.assert_array_equal(own.log_probs, theirs.log_probs)
    np.testing.assert_allclose(own.rewards + gamma * own.cut_values, theirs.rewards, rtol=1e-6)
    found, returns = advantages(own, gamma, gae_lambda)
    np.testing.assert_allclose(found, theirs.advantages, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(returns, theirs.returns, rtol=1e-4, atol=1e-5)


def test_advantages_are_sums_of_errors():
    rollout = own_rollout(20)
    for one, other in zip(
        advantages(rollout, 0.97, 0.8), plain_ppo.advantages(rollout, 0.97, 0.8), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_each_environment_has_advantages_of_its_own():
    whole = own_rollout(20)
    parts = [whole.some(slice(1)), whole.some(slice(1, None))]
    found = np.concatenate([advantages(part, 0.9, 0.9)[0] for part in parts], axis=1)
    np.testing.assert_array_equal(found, advantages(whole, 0.9, 0.9)[0])
    again = beside(parts)
    for name in Rollout.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert whole.environment_steps == 80


def test_actions_that_leave_their_bounds_are_clipped_as_stable_baselines3_clips_them():
    gymnasium = pytest.importorskip("gymnasium")
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.vec_env import DummyVecEnv

    given = []

    class Watching(gymnasium.Wrapper):
        def step(self, action):
            given.append(np.array(action))
            return super().step(action)

    env = DummyVecEnv([lambda: Watching(gymnasium.make("MountainCarContinuous-v0"))])
    torch.manual_seed(0)
    policy = ActorCriticPolicy(env.observation_space, env.action_space, lambda _: 1e-3, log_std_init=1.0)
    rollout = collected(policy, env, 30)
    assert np.abs(rollout.actions).max() > 1  # the policy's own, of which it knows the probability
    np.testing.assert_array_equal(np.clip(rollout.actions[:, 0], -1, 1), np.stack(given))
