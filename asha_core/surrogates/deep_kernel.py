"""A Gaussian process on features that a network makes of configuration, unit and curve: DyHPO's model.

Source: Wistuba, Kadra and Grabocka 2022, arXiv:2202.09774, section 4 and appendix; sizes, kernel,
optimiser and learning rate as in the authors' code (github.com/machinelearningnuremberg/DyHPO,
surrogate_models/dyhpo.py).

    [x, b / b_max]    -> linear 64 -> batch norm -> leaky ReLU  --+
    curve before b    -> conv1d 1 -> 4, width 3 -> global max   --+-> linear 128 -> leaky ReLU -> RBF kernel

Otherwise than there: losses are scaled (``scaling.py``), numbers have 64 bits, and batch norm goes by the
statistics of what was fitted, not by a moving average of them. No global random state is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, leaky_relu

from asha_core.surrogates.background import load_gpytorch

_HIDDEN, _CHANNELS, _WIDTH, _FEATURES = 64, 4, 3, 128
_EPSILON = 1e-5  # of batch norm


@dataclass(frozen=True)
class Points:
    """What is known of n units before they are trained.

    Attributes:
        x: configurations, shape (n, D).
        unit: shape (n, 1), as shares of the last unit.
        curve: shape (n, units): values before that unit, the best 1 and the worst 0; then zeros.
    """

    x: Tensor
    unit: Tensor
    curve: Tensor


def points(x: list[list[float]], unit: list[list[float]], curve: list[list[float]]) -> Points:
    """From rows of numbers, at least one."""
    wide = torch.float64
    return Points(
        torch.tensor(x, dtype=wide).reshape(len(x), -1 if x[0] else 0),
        torch.tensor(unit, dtype=wide),
        torch.tensor(curve, dtype=wide),
    )


@dataclass(frozen=True)
class Fitted:
    """Parameters, fitted; never changed.

    Attributes:
        weights: of the network, by name.
        raw: of the Gaussian process, as gpytorch keeps them.
        centre, spread: batch norm's statistics of what was fitted, shape (64,).
        lengthscale, scale, noise, mean: of the Gaussian process.
    """

    weights: dict[str, Tensor]
    raw: dict[str, Tensor]
    centre: Tensor
    spread: Tensor
    lengthscale: float
    scale: float
    noise: float
    mean: float

    def features(self, points: Points) -> Tensor:
        """Shape (n, 128), in units of the length scale."""
        hidden = _hidden(self.weights, points)
        found = _features(self.weights, (hidden - self.centre) / self.spread, points)
        return found / self.lengthscale

    @property
    def finite(self) -> bool:
        """Whether nothing has diverged."""
        tensors = (*self.weights.values(), self.centre, self.spread)
        numbers = (self.lengthscale, self.scale, self.noise, self.mean)
        return all(bool(t.isfinite().all()) for t in tensors) and all(map(math.isfinite, numbers))


def _process(y: Tensor) -> Any:
    """A new process with a constant mean and a scaled RBF kernel; its features are set later."""
    gpytorch = load_gpytorch()

    class Process(gpytorch.models.ExactGP):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            likelihood = gpytorch.likelihoods.GaussianLikelihood()
            super().__init__(torch.ones(len(y), _FEATURES, dtype=y.dtype), y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, x: Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    return Process().double()


def fit(
    points: Points,
    y: Tensor,
    start: Fitted | None,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    unwanted: Callable[[], bool],
) -> Fitted | None:
    """Fit network and kernel to the exact marginal likelihood of all points, by Adam.

    Args:
        y: what came of the points, standardised; lower is better; shape (n,), of at least 2.
        start: where to begin; None: with new weights, drawn from ``seed`` alone.
        unwanted: asked once an epoch.
    Returns:
        None if it broke down: the kernel matrix was not positive, or something diverged.
    """
    weights = _drawn(points.x.shape[1] + 1, seed) if start is None else start.weights
    weights = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    process = _process(y)
    if start is not None:
        process.load_state_dict(start.raw)
    process.train()  # its likelihood is a part of it
    objective = load_gpytorch().mlls.ExactMarginalLogLikelihood(process.likelihood, process)
    adam = torch.optim.Adam([*weights.values(), *process.parameters()], lr=learning_rate)
    try:
        with torch.enable_grad():
            for _ in range(epochs):
                if unwanted():
                    return None
                adam.zero_grad()
                z = _features(weights, _normal(_hidden(weights, points)), points)
                process.set_train_data(z, y, strict=False)
                loss = -objective(process(z), y)
                loss.backward()
                adam.step()
    except (RuntimeError, ValueError):  # linear_operator's NotPSDError and NanError are such
        return None
    return _frozen(weights, process, points)


def _frozen(weights: dict[str, Tensor], process: Any, points: Points) -> Fitted | None:
    weights = {name: tensor.detach() for name, tensor in weights.items()}
    hidden = _hidden(weights, points)
    found = Fitted(
        weights,
        {name: tensor.detach().clone() for name, tensor in process.state_dict().items()},
        hidden.mean(0),
        torch.sqrt(hidden.var(0, unbiased=False) + _EPSILON),
        float(process.covar_module.base_kernel.lengthscale.detach()),
        float(process.covar_module.outputscale.detach()),
        float(process.likelihood.noise.detach()),
        float(process.mean_module.constant.detach()),
    )
    return found if found.finite else None


def _drawn(inputs: int, seed: int) -> dict[str, Tensor]:
    """New weights, as PyTorch draws those of linear layers and convolutions."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(fan_in: int, *shape: int) -> Tensor:
        numbers = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return (2 * numbers - 1) / math.sqrt(fan_in)

    joined = _HIDDEN + _CHANNELS
    return {
        "first": uniform(inputs, inputs, _HIDDEN),
        "first_bias": uniform(inputs, _HIDDEN),
        "gain": torch.ones(_HIDDEN, dtype=torch.float64),
        "shift": torch.zeros(_HIDDEN, dtype=torch.float64),
        "filters": uniform(_WIDTH, _CHANNELS, 1, _WIDTH),
        "filters_bias": uniform(_WIDTH, _CHANNELS),
        "second": uniform(joined, joined, _FEATURES),
        "second_bias": uniform(joined, _FEATURES),
    }


def _hidden(weights: dict[str, Tensor], points: Points) -> Tensor:
    return torch.cat((points.x, points.unit), 1) @ weights["first"] + weights["first_bias"]


def _normal(hidden: Tensor) -> Tensor:
    return (hidden - hidden.mean(0)) / torch.sqrt(hidden.var(0, unbiased=False) + _EPSILON)


def _features(weights: dict[str, Tensor], normal: Tensor, points: Points) -> Tensor:
    hidden = leaky_relu(normal * weights["gain"] + weights["shift"])
    curve = conv1d(points.curve[:, None], weights["filters"], weights["filters_bias"]).amax(2)
    return leaky_relu(torch.cat((hidden, curve), 1) @ weights["second"] + weights["second_bias"])
