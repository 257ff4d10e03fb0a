"""Label smoothing that can be differentiated by its own strength, as the reverse mode needs it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_IGNORED = -100  # PyTorch's default


def cross_entropy(outputs: Tensor, targets: Tensor, label_smoothing: float | Tensor = 0.0) -> Tensor:
    """Mean cross-entropy with smoothed labels, as ``torch.nn.functional.cross_entropy``.

    Args:
        outputs: (B, K) or (B, K, ...) logits. targets: (B,) or (B, ...) class numbers, of which
            those of -100 do not count; or shares of the classes, (B, K) or (B, K, ...).
        label_smoothing: a number in [0, 1]; or a 0-d tensor, by which the result can be differentiated, which
            PyTorch's own cannot.
    Returns:
        Scalar, in nats; for a number, PyTorch's own to the last bit.
    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    if not isinstance(label_smoothing, Tensor):
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)
    plain = functional.cross_entropy(outputs, targets)
    uniform = -functional.log_softmax(outputs, dim=1).mean(dim=1)
    if targets.is_floating_point():
        spread = uniform.mean()
    else:
        counted = targets != _IGNORED
        spread = torch.where(counted, uniform, 0.0).sum() / counted.sum()
    return (1 - label_smoothing) * plain + label_smoothing * spread
