"""A rollout of a policy, and generalised advantage estimation over it.

As stable-baselines3 2.9 does it (``OnPolicyAlgorithm.collect_rollouts``, ``RolloutBuffer``), but that gamma
and lambda are no part of a rollout, so that advantages can be had for several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from asha_core.errors import TaskError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Rollout:
    """T steps in each of N environments; the first two dimensions are (T, N), but for ``last_values``.

    Attributes:
        observations, actions: what the policy saw, and what it then did.
        log_probs: of these actions.
        values: what the value function said of these observations.
        rewards: of the environment.
        ends: whether the episode ended with this step.
        cut_values: the value of the observation at which a time limit ended the episode; 0 elsewhere.
        last_values: (N,), of the observations after the last step.
    """

    observations: Array
    actions: Array
    log_probs: Array
    values: Array
    rewards: Array
    ends: Array
    cut_values: Array
    last_values: Array

    @property
    def environment_steps(self) -> int:
        """T * N."""
        return int(self.rewards.size)

    def some(self, environments: slice) -> Rollout:
        """Of some of the environments."""
        return Rollout(
            **{
                each.name: getattr(self, each.name)[
                    environments if each.name == "last_values" else (slice(None), environments)
                ]
                for each in fields(self)
            }
        )


def beside(rollouts: Sequence[Rollout]) -> Rollout:
    """Rollouts of the same length as one of more environments."""
    return Rollout(
        **{
            each.name: np.concatenate(
                [getattr(rollout, each.name) for rollout in rollouts],
                axis=0 if each.name == "last_values" else 1,
            )
            for each in fields(Rollout)
        }
    )


@torch.no_grad()
def collected(policy: Any, environments: Any, steps: int) -> Rollout:
    """What a policy meets from new episodes on; its actions are drawn from torch's global generator.

    Args:
        policy: stable-baselines3's ``ActorCriticPolicy``, which is put in eval mode, as its rollouts are.
        environments: a ``VecEnv``.
        steps: in each of them.
    """
    policy.train(False)
    seen = environments.reset()
    if isinstance(seen, dict):
        raise TaskError("the environment's observations are a dictionary: a warm start takes arrays alone")
    columns: dict[str, list[Array]] = {
        each.name: [] for each in fields(Rollout) if each.name != "last_values"
    }
    for _ in range(steps):
        actions, values, log_probs = policy(policy.obs_to_tensor(seen)[0])
        chosen = actions.cpu().numpy()
        following, rewards, ends, infos = environments.step(_within(policy, chosen))
        row = {
            "observations": seen,
            "actions": chosen,
            "log_probs": log_probs.cpu().numpy(),
            "values": values.flatten().cpu().numpy(),
            "rewards": rewards,
            "ends": ends,
            "cut_values": _cut_values(policy, ends, infos),
        }
        for name, value in row.items():
            columns[name].append(np.array(value))
        seen = following
    last = policy.predict_values(policy.obs_to_tensor(seen)[0]).flatten().cpu().numpy()
    return Rollout(**{name: np.stack(column) for name, column in columns.items()}, last_values=last)


def _within(policy: Any, actions: Array) -> Array:
    """The actions as the environment takes them: a normal distribution may leave its bounds."""
    space = policy.action_space
    if not hasattr(space, "low"):
        return actions
    if policy.squash_output:
        return np.asarray(policy.unscale_action(actions))
    return np.clip(actions, space.low, space.high)


def _cut_values(policy: Any, ends: Array, infos: Sequence[dict[str, Any]]) -> Array:
    found = np.zeros(len(ends))
    for place, (end, info) in enumerate(zip(ends, infos, strict=True)):
        if end and info.get("TimeLimit.truncated", False) and info.get("terminal_observation") is not None:
            last = policy.obs_to_tensor(info["terminal_observation"])[0]
            found[place] = policy.predict_values(last).item()
    return found


def advantages(rollout: Rollout, gamma: float, gae_lambda: float) -> tuple[Array, Array]:
    """Generalised advantage estimates, and the returns that the value function is to fit.

    Returns:
        Both (T, N), float64.
    Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16; the value at a time limit as in
        Pardo et al. 2018, arXiv:1712.00378.
    """
    values = rollout.values.astype(np.float64)
    alive = 1.0 - rollout.ends.astype(np.float64)
    following = np.concatenate([values[1:], rollout.last_values[None].astype(np.float64)])
    errors = rollout.rewards + gamma * (rollout.cut_values + following * alive) - values
    found = np.empty_like(values)
    advantage: Array = np.zeros(values.shape[1])
    for step in range(len(values) - 1, -1, -1):
        advantage = errors[step] + gamma * gae_lambda * alive[step] * advantage
        found[step] = advantage
    return found, found + values
