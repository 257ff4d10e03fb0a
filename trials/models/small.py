"""Small networks for 8x8 digits."""

from __future__ import annotations

from torch import nn


def small_cnn(classes: int = 10) -> nn.Module:
    """(B, 1, 8, 8) -> (B, classes): two 3x3 convolutions with batch norm, a pooling, a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 2 * 2, classes),
    )


def mlp(classes: int = 10) -> nn.Module:
    """(B, 1, 8, 8) -> (B, classes): two hidden layers of 64."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )
