"""A PPO trial as a warm start sees it: an optimiser's step on PPO's own loss, with halves of one rollout.

The rollout is collected once, under the trial's initial policy, in environments of its own; half of the
environments are trained on, the others are held out, so the two are independent. A draw is a mini-batch of
each half, in an order that a stream of the seed decides.

    training:  PPO's loss, as stable-baselines3 2.9 has it: clipped surrogate of advantages that are
               normalised by mini-batch, + vf_coef * value loss - ent_coef * entropy
    held out:  surrogate and value loss with gamma, lambda and clip range fixed; see ``heldout_loss``

The learning rate acts through Adam's step. The entropy coefficient, gamma and lambda act through the training
loss: each is differentiated along the recorded rollout. The clip range acts on no step at which the policy is
still the one that collected: with ``lookahead`` 1 nothing reads it, and the journal says ``ignored``.

Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7 and 9.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asha_core.arguments import integer
from asha_core.errors import TaskError
from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from asha_core.streams import stream_seed
from trials.rl.ppo_settings import PpoSettings
from trials.rl.rollout import Array, Rollout, advantages, beside, collected
from warmstart.base import Batch, Losses
from warmstart.problem.data.splitting import Pair
from warmstart.problem.model_losses import Ingredients
from warmstart.problem.model_problem import ModelProblem
from warmstart.problem.randomness import generator_for, own_randomness

# what a held-out loss is measured with, whatever the configuration has: stable-baselines3's defaults
REFERENCE = PpoSettings({})
_MOVED = 1e-3  # of a probability ratio, which rounding does not move so far
_TINY = 1e-8


class PpoProblem(ModelProblem):
    """A PPO trial's policy as a warm start sees it.

    Args:
        space: the search space of the configurations.
        make_environments: seed -> a new ``VecEnv`` whose episodes depend on the seed alone, wrapped as the
            policy takes them; it is closed after the rollout. Of one that has a single environment, two are
            made.
        make_policy: configuration -> a new ``ActorCriticPolicy`` with the trial's own initial weights, on the
            device, with its optimiser's class and arguments.
        n_steps: of the rollout, in each environment.
        batch_size: of a mini-batch; at least 2.
        settings: configuration -> PPO's settings; it has to read no value before it is asked for.
        device: of the policy.
        seed: the trial's; the same seed, the same rollout and mini-batches.
    """

    why_ignored: ClassVar[Mapping[str, str]] = {
        "clip_range": "PPO clips only what a step has moved: --warm-start-option lookahead=2"
    }

    def __init__(
        self,
        space: SearchSpace,
        make_environments: Callable[[int], Any],
        make_policy: Callable[[Configuration], Any],
        *,
        n_steps: int,
        batch_size: int,
        settings: Callable[[Configuration], PpoSettings] = PpoSettings,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        self._make_environments, self._make_policy = make_environments, make_policy
        self._n_steps = integer("n_steps", n_steps, 2)
        self._batch_size = integer("batch_size", batch_size, 2)
        self._seed, self._device = seed, device
        self._shaping: tuple[str, ...] = ()  # what makes the policy another one
        self._rollouts: dict[tuple[Any, ...], tuple[Rollout, Rollout]] = {}
        self._spent = {"environment_steps": 0.0, "mini_batches": 0.0}
        super().__init__(
            space,
            # functions of what they are given: whatever is in reach of them is recorded, and put back
            model=lambda config: Evaluated(make_policy(config)),
            optimizer=lambda model, config: _optimizer(model, settings(config).lr),
            data=lambda draw: draw,
            split=lambda draw: draw,
            loss=lambda outputs, targets, config: training_loss(outputs, targets, settings(config)),
            heldout_loss=heldout_loss,
            max_grad_norm=lambda config: settings(config).max_grad_norm,
            device=device,
            seed=seed,
        )

    def losses(self, configuration: Configuration) -> Losses:
        """The policy under this configuration: what a strategy measures."""
        losses = super().losses(configuration)
        network = losses.network
        assert network is not None
        spent = self._spent

        def forward(*arguments: Any) -> Any:
            spent["mini_batches"] += 1
            return network.forward(*arguments)

        def heldout(*arguments: Any) -> Tensor:
            spent["mini_batches"] += 1
            return network.heldout_loss(*arguments)

        def after(config: Configuration, train: Sequence[Batch], held: Batch) -> float:
            spent["mini_batches"] += len(train) + 1
            return losses.after(config, train, held)

        counted = replace(network, forward=forward, heldout_loss=heldout)
        return replace(losses, after=after, network=counted)

    def spent(self) -> Mapping[str, float]:
        """What all that was measured has cost up to now, for the journal."""
        return dict(self._spent)

    def ingredients(self, configuration: Configuration) -> Ingredients:
        """With mini-batches of this policy's rollout."""

        def split(draw: int) -> tuple[Pair, Pair]:
            train, heldout = self._halves(configuration)
            return self._batch(train, "train", draw), self._batch(heldout, "heldout", draw)

        # there is no other data to validate on
        return replace(super().ingredients(configuration), split=split, validation=lambda draw: draw)

    def _halves(self, configuration: Configuration) -> tuple[Rollout, Rollout]:
        """(trained on, held out); configurations with the same initial policy share them."""
        key = tuple(configuration.get(name) for name in self._shaping)
        if key not in self._rollouts:
            watched = Watched(configuration)
            with own_randomness(stream_seed(self._seed, "warm-start-weights"), self._device):
                policy = self._make_policy(watched)
            self._shaping = tuple(sorted(watched.reads))
            key = tuple(configuration.get(name) for name in self._shaping)
            rollout = self._collected(policy)
            middle = rollout.rewards.shape[1] // 2
            self._rollouts[key] = rollout.some(slice(middle)), rollout.some(slice(middle, None))
        return self._rollouts[key]

    def _collected(self, policy: Any) -> Rollout:
        found: list[Rollout] = []
        while sum(each.rewards.shape[1] for each in found) < 2:
            seed = stream_seed(self._seed, "warm-start-rollout", len(found)) % 2**31
            with own_randomness(seed, self._device):
                environments = self._make_environments(seed)
                try:
                    environments.seed(seed)
                    found.append(collected(policy, environments, self._n_steps))
                finally:
                    environments.close()
        rollout = beside(found)
        self._spent["environment_steps"] += rollout.environment_steps
        return rollout

    def _batch(self, half: Rollout, name: str, draw: int) -> Pair:
        """A mini-batch of a half: ((observations, actions), what its loss needs besides).

        The half's samples in a random order, a mini-batch after the other, and then in another order.
        """
        number = half.environment_steps
        size = min(self._batch_size, number)
        if number < 2:
            raise TaskError(
                f"half of the rollout has {number} samples, and advantages of 1 cannot be normalised"
            )
        again, place = divmod(draw, number // size)
        generator = generator_for(self._seed, f"warm-start-{name}-rows", again)
        rows = torch.randperm(number, generator=generator)[place * size : (place + 1) * size].numpy()
        observations, actions, log_probs = (
            torch.as_tensor(_flat(array)[rows]) for array in (half.observations, half.actions, half.log_probs)
        )
        return (observations, actions), {"rollout": half, "rows": rows, "log_probs": log_probs}


class Evaluated(nn.Module):
    """A policy as a function of observations and actions."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observations: Tensor, actions: Tensor) -> Any:
        """(values, log-probabilities of the actions, entropies or None)."""
        own = self.policy.action_dist
        self.policy.action_dist = copy.copy(own)  # it keeps the distribution that it is given, and its graph
        try:
            return self.policy.evaluate_actions(observations, actions)
        finally:
            self.policy.action_dist = own


def training_loss(outputs: Any, targets: Mapping[str, Any], settings: PpoSettings) -> Tensor:
    """PPO's loss of a mini-batch, as ``stable_baselines3.PPO.train`` computes it."""
    advantage, returns = _advantages(outputs, targets, settings)
    values, log_prob, entropy = outputs
    spread: Tensor = -log_prob.mean() if entropy is None else entropy.mean()
    value_loss: Tensor = F.mse_loss(values.flatten(), returns)
    policy_loss = _surrogate(log_prob, targets["log_probs"], advantage, settings)
    return policy_loss + settings.vf_coef * value_loss - settings.ent_coef * spread


def heldout_loss(outputs: Any, targets: Mapping[str, Any]) -> Tensor:
    """What counts: the clipped surrogate and the value loss on samples that no step has seen.

    It must not depend on the configuration itself. With its own gamma, say, a smaller gamma would look
    better by making returns small and easy to fit; and an entropy bonus would reward its own coefficient.

    The value loss is told in nats, as losses of other tasks are: log(1 + r)/2 of r, its share of the returns'
    second moment, about 1 where the value function says about 0. So the scale of rewards decides nothing; and
    one step of Adam, which in a network of convolutions takes values many times past the returns at rates
    that a search tries, has a slope of a few nats and not of thousands. It is positive where a trial begins,
    and ``brake`` and ``screen`` take ratios of that. (The surrogate alone is 0 there, since normalised
    advantages have mean 0.)
    """
    advantage, returns = _advantages(outputs, targets, REFERENCE)
    values, log_prob, _ = outputs
    share: Tensor = F.mse_loss(values.flatten(), returns) / (returns.square().mean() + _TINY)
    return _surrogate(log_prob, targets["log_probs"], advantage, REFERENCE) + torch.log1p(share) / 2


def _advantages(outputs: Any, targets: Mapping[str, Any], settings: PpoSettings) -> tuple[Tensor, Tensor]:
    """(advantages, normalised; returns) of a mini-batch; constants for autograd, as in PPO."""
    values = outputs[0]
    advantage, returns = (
        torch.as_tensor(_flat(array)[targets["rows"]], dtype=values.dtype, device=values.device)
        for array in advantages(targets["rollout"], settings.gamma, settings.gae_lambda)
    )
    return (advantage - advantage.mean()) / (advantage.std() + _TINY), returns


def _surrogate(log_prob: Tensor, before: Tensor, advantage: Tensor, settings: PpoSettings) -> Tensor:
    ratio = torch.exp(log_prob - before)
    plain = advantage * ratio
    if not bool(((ratio - 1.0).abs() > _MOVED).any()):  # no clip range acts, and so it is not read
        return -plain.mean()
    reach = settings.clip_range
    return -torch.min(plain, advantage * torch.clamp(ratio, 1.0 - reach, 1.0 + reach)).mean()


def _optimizer(model: Any, lr: float) -> torch.optim.Optimizer:
    policy = model.policy
    made: torch.optim.Optimizer = policy.optimizer_class(
        policy.parameters(), lr=lr, **policy.optimizer_kwargs
    )
    return made


def _flat(array: Array) -> Array:
    """(T, N, ...) -> (T * N, ...)."""
    return array.reshape(-1, *array.shape[2:])
