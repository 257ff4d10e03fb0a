"""CIFAR-10 and CIFAR-100 with residual networks or a small vision transformer.

The 50,000 training images are split by class, with a fixed seed, into 45,000 for training and 5,000 for
validation; the 10,000 test images are for the chosen configuration, once (``asha-test``). Source: Krizhevsky
2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from trials.tasks.images import SPACE as SPACE  # noqa: PLC0414 - exported
from trials.tasks.images import ImageTask


class Cifar10(ImageTask):
    """CIFAR-10: 10 classes, ResNet-20 by default. See ``ImageTask`` for the options."""

    images = "cifar10"
    models = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet50", "vit-tiny")
    mean = (125.31, 122.95, 113.87)
    deviation = (62.99, 62.09, 66.70)
    default_cutout = 16


class Cifar100(ImageTask):
    """CIFAR-100: 100 classes, ResNet-20 by default. See ``ImageTask`` for the options."""

    images = "cifar100"
    models = Cifar10.models
    mean = (129.30, 124.07, 112.43)
    deviation = (68.17, 65.39, 70.42)
    default_cutout = 8
