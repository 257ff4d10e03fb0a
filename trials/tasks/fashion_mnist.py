"""Fashion-MNIST: 28x28 grey images of clothes in 10 classes, for studies of a CPU's size.

The 60,000 training images are split by class, with a fixed seed, into 54,000 for training and 6,000 for
validation; the 10,000 test images are for the chosen configuration, once (``asha-test``). Source: Xiao,
Rasul, Vollgraf 2017, arXiv:1708.07747.
"""

from __future__ import annotations

from trials.tasks.images import ImageTask


class FashionMnist(ImageTask):
    """Fashion-MNIST with a small convolutional network. See ``ImageTask`` for the options."""

    images = "fashion-mnist"
    models = ("small-cnn", "resnet20", "mlp")
    mean = (72.94,)
    deviation = (90.02,)
    padding = 2
    max_resource = 27
