"""What a trial of PPO trains: stable-baselines3's PPO, and what of it is kept in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from asha_core.errors import ResultsError, TaskError
from asha_core.space import Configuration
from trials.rl.environments import quiet
from trials.rl.ppo_settings import PpoSettings

WINDOW = 100  # episodes, whose mean return is the metric


@dataclass(frozen=True, slots=True)
class PpoPlan:
    """What of PPO's settings no configuration has.

    Attributes:
        n_steps: of each environment in a rollout.
        batch_size: steps in a mini-batch.
        n_epochs: passes over a rollout.
        net_arch: hidden units, layer by layer; of images, after the convolutions.
        schedule: factor of the learning rate, by the share of the trial's steps that are done, 0 to 1.
    """

    n_steps: int
    batch_size: int
    n_epochs: int
    net_arch: tuple[int, ...]
    schedule: Callable[[float], float]


def new_policy(environments: Any, plan: PpoPlan, lr: float, device: str) -> Any:
    """A policy with weights from torch's global generator, and its optimiser.

    Of images: the convolutions of Mnih et al. 2015, shared by policy and value function.
    """
    from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy

    kind = ActorCriticCnnPolicy if sees_images(environments) else ActorCriticPolicy
    made = kind(
        environments.observation_space,
        environments.action_space,
        lambda _: lr,
        net_arch=list(plan.net_arch),
    )
    return made.to(device)


def sees_images(environments: Any) -> bool:
    """Whether observations are images."""
    from stable_baselines3.common.preprocessing import is_image_space

    return bool(is_image_space(environments.observation_space))


class PpoLearner:
    """A policy in training.

    Args:
        environments: of the first unit.
        plan, config: PPO's settings.
        total: environment steps of a complete trial.
        device: for torch.

    Attributes:
        ppo: stable-baselines3's.
        returns: of the last episodes, at most ``WINDOW``, the latest last.
        lengths: likewise, in steps.
    """

    def __init__(
        self, environments: Any, plan: PpoPlan, config: Configuration, total: int, device: str
    ) -> None:
        from stable_baselines3 import PPO

        settings = PpoSettings(config)
        lr = settings.lr
        self.ppo: Any = None

        def rate(_: float) -> float:
            done = 0 if self.ppo is None else self.ppo.num_timesteps
            return lr * plan.schedule(min(done / total, 1.0))

        with quiet():
            self.ppo = PPO(
                "CnnPolicy" if sees_images(environments) else "MlpPolicy",
                environments,
                learning_rate=rate,
                n_steps=plan.n_steps,
                batch_size=plan.batch_size,
                n_epochs=plan.n_epochs,
                gamma=settings.gamma,
                gae_lambda=settings.gae_lambda,
                clip_range=settings.clip_range,
                ent_coef=settings.ent_coef,
                vf_coef=settings.vf_coef,
                max_grad_norm=settings.max_grad_norm,
                policy_kwargs={"net_arch": list(plan.net_arch)},
                device=device,
            )
        self.returns: list[float] = []
        self.lengths: list[float] = []

    def train(self, environments: Any, steps: int) -> int:
        """One unit, in new episodes; returns how many of them ended in it."""
        before = self.ppo.num_timesteps
        self.ppo.set_env(environments)
        ended = _Ended()
        with quiet():
            self.ppo.learn(steps, callback=ended.heard, log_interval=None, reset_num_timesteps=before == 0)
        self.returns = (self.returns + ended.returns)[-WINDOW:]
        self.lengths = (self.lengths + ended.lengths)[-WINDOW:]
        return len(ended.returns)

    def value(self) -> float:
        """The mean return of the last episodes."""
        if not self.returns:
            raise TaskError(
                "no episode has ended yet, and each unit begins with new ones: give more steps_per_unit, or "
                "fewer n_envs"
            )
        return float(np.mean(self.returns))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "policy": self.ppo.policy.state_dict(),
            "optimizer": self.ppo.policy.optimizer.state_dict(),
            "steps": int(self.ppo.num_timesteps),
            "returns": list(self.returns),
            "lengths": list(self.lengths),
            "normalizer": normalizer_state(self.ppo.get_vec_normalize_env()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        load_policy(self.ppo.policy, state)
        self.ppo.policy.optimizer.load_state_dict(state["optimizer"])
        self.ppo.num_timesteps = state["steps"]
        self.returns, self.lengths = list(state["returns"]), list(state["lengths"])


class _Ended:
    """Hears of each episode that ends, whole games among them, not lives."""

    def __init__(self) -> None:
        self.returns: list[float] = []
        self.lengths: list[float] = []

    def heard(self, local: dict[str, Any], _: dict[str, Any]) -> bool:
        """After each step of the environments, as PPO's callback."""
        for info in local["infos"]:
            if "episode" in info:
                self.returns.append(float(info["episode"]["r"]))
                self.lengths.append(float(info["episode"]["l"]))
        return True


def load_policy(policy: Any, state: Any) -> None:
    """Give a policy the weights of a checkpoint.

    Raises:
        ResultsError: there are none in it, or those of another network.
    """
    try:
        policy.load_state_dict(state["policy"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ResultsError(" ".join(str(error).split())[:300]) from None


def normalized(environments: Any, gamma: float, state: Mapping[str, Any] | None, *, learns: bool) -> Any:
    """Environments whose observations and rewards have mean 0 and deviation 1, as those up to now had.

    Args:
        gamma: of the returns by which rewards are divided.
        state: of ``normalizer_state``; None: nothing is known yet.
        learns: what is seen counts, and rewards are divided; else neither.
    """
    from stable_baselines3.common.vec_env import VecNormalize

    made = VecNormalize(environments, training=learns, norm_reward=learns, gamma=gamma)
    for name in () if state is None else ("obs_rms", "ret_rms"):
        kept, found = state[name], getattr(made, name)  # type: ignore[index]
        found.mean, found.var, found.count = kept["mean"].numpy(), kept["var"].numpy(), kept["count"]
    return made


def normalizer_state(environments: Any) -> dict[str, Any] | None:
    """What a normaliser knows; None: there is none."""
    if environments is None:
        return None
    return {
        name: {
            "mean": torch.from_numpy(np.array(found.mean)),
            "var": torch.from_numpy(np.array(found.var)),
            "count": float(found.count),
        }
        for name, found in (("obs_rms", environments.obs_rms), ("ret_rms", environments.ret_rms))
    }
