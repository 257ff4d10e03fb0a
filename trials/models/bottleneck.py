"""ResNet-50, as torchvision builds it: He et al. 2016, arXiv:1512.03385, table 1.

torchvision's has the stride of a bottleneck in its 3x3 convolution (v1.5); the paper's is in the first 1x1.
Convolutions are He-normal by fan-out, as torchvision draws them; nothing is pretrained.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet50 as torchvision_resnet50

from trials.models import check_size

_LEAST = 8  # pixels of a side: 1x1 is left in the last stage
_SMALL = 64  # up to this side the stem keeps the resolution


def resnet50(classes: int = 1000, channels: int = 3, size: int = 224) -> nn.Module:
    """ResNet-50.

    For images of more than 64 pixels a side torchvision's own: a 7x7 stem with stride 2, and max-pooling. For
    smaller ones the usual change for CIFAR: a 3x3 stem with stride 1, and no max-pooling, as those two would
    leave a 32x32 image 8x8 pixels for the first stage, and 1x1 for the last.

    Args:
        classes: outputs.
        channels: of the images.
        size: pixels of a side, at least 8.

    Raises:
        SettingError: smaller images.
    """
    check_size("resnet50", size, _LEAST)
    model: nn.Module = torchvision_resnet50(weights=None, num_classes=classes)
    if size <= _SMALL:
        stem = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
        head = nn.Linear(2048, classes)
        nn.init.kaiming_normal_(head.weight, nonlinearity="relu")  # as in CIFAR's other networks
        nn.init.zeros_(head.bias)
        model.fc = head
    elif channels != 3:
        stem = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    else:
        return model
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    model.conv1 = stem
    return model
