"""Tasks of the warm-start study: narrowed priors, and CIFAR-10 with a network that a CPU can train."""

from __future__ import annotations

from torch import nn

from asha_core import Configuration, Float, SearchSpace
from trials.tasks.cifar import Cifar10
from trials.tasks.digits import Digits


def narrowed(space: SearchSpace, lower: float, upper: float) -> SearchSpace:
    """The same space with another range of the learning rate."""
    return SearchSpace({**space, "lr": Float(lower, upper, log=True)})


class NarrowedDigits(Digits):
    """Digits with log10 lr in the best half of its range, in hindsight."""

    space = narrowed(Digits.space, 10**-1.76, 3.0)


class SmallCifar(Cifar10):
    """Real CIFAR-10 with three convolutions instead of ResNet-20; batches of 64, no Cutout."""

    space = narrowed(Cifar10.space, 1e-4, 3.0)
    batch_size = 64
    default_cutout = 0

    def model(self, config: Configuration) -> nn.Module:
        """(B, 3, 32, 32) -> (B, 10); 24,346 parameters."""
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class NarrowedSmallCifar(SmallCifar):
    """With log10 lr in the half of its range that is best in hindsight."""

    space = narrowed(Cifar10.space, 10**-1.76, 3.0)
