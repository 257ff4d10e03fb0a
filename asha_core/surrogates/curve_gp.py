"""A Gaussian process over configurations and units, as good at the last unit as at the next one.

One RBF kernel with a length scale for each number of the configuration and one for the logarithm of the
unit (as in Kandasamy et al. 2017, arXiv:1703.06240), fitted to the marginal likelihood by Adam under weak
log-normal priors. A curve's own losses tell how it goes on because they are near in both. It has a dozen
parameters, where the deep kernel has ten thousand: a hundred observations do not make it certain of
everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asha_core.surrogates.deep_kernel import Points

_LEAST_NOISE = 1e-4  # of standardised losses; keeps variances above 0
_NOISE, _USUAL_NOISE = 1e-2, 1e-3  # at first, and by the prior
_ALONG = 0.7  # length scale along the logarithm of units, of which all together are 1


class _NegativeLikelihood(torch.autograd.Function):
    """Of residuals under a kernel matrix; its gradient takes an inverse, not a Cholesky factor's backward."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, residuals: Tensor) -> Tensor:
        lower = torch.linalg.cholesky(matrix)
        weights = torch.cholesky_solve(residuals[:, None], lower)[:, 0]
        ctx.save_for_backward(lower, weights)
        constant = 0.5 * len(residuals) * math.log(2 * math.pi)
        found: Tensor = 0.5 * (residuals @ weights) + lower.diagonal().log().sum() + constant
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        lower, weights = ctx.saved_tensors
        change = 0.5 * (torch.cholesky_inverse(lower) - weights[:, None] * weights[None])
        return gradients[0] * change, gradients[0] * weights


@dataclass(frozen=True)
class FittedGP:
    """Parameters, fitted; never changed.

    Attributes:
        raw: logarithms of the length scales (D + 1), of the scale and of the noise, and the mean.
    """

    raw: tuple[Tensor, Tensor, Tensor, Tensor]

    @property
    def scale(self) -> float:
        """Variance of the process."""
        return float(self.raw[1].exp())

    @property
    def noise(self) -> float:
        """Variance of an observation."""
        return float(_LEAST_NOISE + self.raw[2].exp())

    @property
    def mean(self) -> float:
        """Of the process, everywhere."""
        return float(self.raw[3])

    def features(self, points: Points) -> Tensor:
        """Shape (n, D + 1), in units of the length scales."""
        return _places(points) * torch.exp(-self.raw[0])


def _places(points: Points) -> Tensor:
    """Configurations, and units by their logarithm: 1 at the last, 0 at a thirtieth of it."""
    return torch.cat((points.x, 1 + torch.log(points.unit) / math.log(30)), 1)


def fit(
    points: Points,
    y: Tensor,
    start: FittedGP | None,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    unwanted: Callable[[], bool],
) -> FittedGP | None:
    """As ``deep_kernel.fit``; ``seed`` has no effect, as nothing is drawn.

    Returns:
        None if it broke down, or is unwanted.
    """
    wide, places = torch.float64, _places(points)
    first = torch.full((places.shape[1],), math.log(0.35 * math.sqrt(points.x.shape[1] or 1)), dtype=wide)
    first[-1] = math.log(_ALONG)
    zero = torch.zeros((), dtype=wide)
    begun = (first, zero, zero + math.log(_NOISE), zero) if start is None else start.raw
    lengths, scale, noise, mean = (tensor.clone().requires_grad_() for tensor in begun)
    adam = torch.optim.Adam([lengths, scale, noise, mean], lr=learning_rate)
    eye = torch.eye(len(y), dtype=wide)
    try:
        with torch.enable_grad():
            for _ in range(epochs):
                if unwanted():
                    return None
                adam.zero_grad()
                z = places * torch.exp(-lengths)
                squares = (z * z).sum(1)
                distances = (squares[:, None] + squares[None] - 2 * z @ z.T).clamp_min(0)
                matrix = scale.exp() * torch.exp(-0.5 * distances) + (_LEAST_NOISE + noise.exp()) * eye
                prior = ((lengths - first) ** 2).sum() + scale**2 + mean**2
                prior = prior + ((noise - math.log(_USUAL_NOISE)) / 1.5) ** 2
                loss = _NegativeLikelihood.apply(matrix, y - mean) + 0.5 * prior
                (loss / len(y)).backward()
                adam.step()
    except RuntimeError:  # the matrix was not positive
        return None
    found = FittedGP((lengths.detach(), scale.detach(), noise.detach(), mean.detach()))
    return found if all(bool(tensor.isfinite().all()) for tensor in found.raw) else None
