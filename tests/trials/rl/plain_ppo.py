"""PPO's first steps written out plainly: what hyper-gradients through them are compared with.

It shares no code with what it judges, and none with stable-baselines3: advantages by their sums, the network
by its matrices, Adam and the clipping by their formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def advantages(rollout: Any, gamma: float, lam: float) -> tuple[np.ndarray, np.ndarray]:
    """As sums of errors until the episode's end, each weighted by (gamma * lambda)^k."""
    steps, number = rollout.rewards.shape
    found = np.zeros((steps, number))
    for n in range(number):
        for t in range(steps):
            for k in range(steps - t):
                s = t + k
                if rollout.ends[s, n]:
                    after = rollout.cut_values[s, n]
                else:
                    after = rollout.values[s + 1, n] if s + 1 < steps else rollout.last_values[n]
                error = float(rollout.rewards[s, n]) + gamma * float(after) - float(rollout.values[s, n])
                found[t, n] += (gamma * lam) ** k * error
                if rollout.ends[s, n]:
                    break
    return found, found + rollout.values


def pass_through(weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
    """(values, log-probabilities of both actions) of a policy with one hidden layer, of shared weights."""
    seen = observations.double()
    at = "policy.mlp_extractor"
    found = {}
    for kind, head in (("policy_net", "action_net"), ("value_net", "value_net")):
        hidden = torch.tanh(seen @ weights[f"{at}.{kind}.0.weight"].T + weights[f"{at}.{kind}.0.bias"])
        found[kind] = hidden @ weights[f"policy.{head}.weight"].T + weights[f"policy.{head}.bias"]
    scores = found["policy_net"]
    return found["value_net"][:, 0], scores - scores.exp().sum(1, keepdim=True).log()


def _parts(weights: Weights, samples: Any, gamma: float, lam: float) -> tuple[Tensor, ...]:
    observations, actions = samples.inputs
    values, log_probs = pass_through(weights, observations)
    rows = samples.targets["rows"]
    advantage, returns = (
        torch.tensor(each.reshape(-1)[rows]) for each in advantages(samples.targets["rollout"], gamma, lam)
    )
    centred = advantage - advantage.mean()
    normal = centred / ((centred**2).sum() / (len(centred) - 1) + 0.0).sqrt()
    ratio = (log_probs[torch.arange(len(rows)), actions.long()] - samples.targets["log_probs"]).exp()
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    return normal, returns, values, ratio, entropy


def _clipped(advantage: Tensor, ratio: Tensor, reach: float) -> Tensor:
    gain = torch.where(advantage > 0, torch.clamp(ratio, max=1 + reach), torch.clamp(ratio, min=1 - reach))
    return -(advantage * gain).mean()


def training_loss(weights: Weights, samples: Any, config: Mapping[str, float]) -> Tensor:
    gamma, lam = 1 - config["one_minus_gamma"], 1 - config["one_minus_gae_lambda"]
    advantage, returns, values, ratio, entropy = _parts(weights, samples, gamma, lam)
    surrogate = _clipped(advantage, ratio, config["clip_range"])
    return surrogate + 0.5 * ((values - returns) ** 2).mean() - config["ent_coef"] * entropy


def heldout_loss(weights: Weights, samples: Any) -> Tensor:
    advantage, returns, values, ratio, _ = _parts(weights, samples, 0.99, 0.95)
    share = ((values - returns) ** 2).mean() / (returns**2).mean()
    return _clipped(advantage, ratio, 0.2) + 0.5 * (1 + share).log()


def gradient(weights: Weights, samples: Any, config: Mapping[str, float]) -> dict[str, Tensor]:
    """Of the training loss, clipped to the norm 0.5."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    found = torch.autograd.grad(training_loss(leaves, samples, config), list(leaves.values()))
    norm = sum((each**2).sum() for each in found) ** 0.5
    return {name: each * min(1.0, 0.5 / norm) for name, each in zip(leaves, found, strict=True)}


def after(weights: Weights, train: Sequence[Any], heldout: Any, config: Mapping[str, float]) -> float:
    """The held-out loss after a step of Adam on each of the training batches."""
    weights = {name: value.clone() for name, value in weights.items()}
    mean = {name: torch.zeros_like(value) for name, value in weights.items()}
    square = {name: torch.zeros_like(value) for name, value in weights.items()}
    for step, samples in enumerate(train, start=1):
        for name, g in gradient(weights, samples, config).items():
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g**2
            size = (square[name] / (1 - 0.999**step)).sqrt() + 1e-5
            weights[name] = weights[name] - config["lr"] * mean[name] / (1 - 0.9**step) / size
    return heldout_loss(weights, heldout).item()


def slope(
    weights: Weights,
    train: Sequence[Any],
    heldout: Any,
    config: Mapping[str, float],
    name: str,
    step: float,
) -> float:
    """By the name's own coordinate, which is log10 but for the clip range; fourth order."""

    def at(offset: float) -> float:
        value = config[name] + offset if name == "clip_range" else config[name] * 10.0**offset
        return after(weights, train, heldout, {**config, name: value})

    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
