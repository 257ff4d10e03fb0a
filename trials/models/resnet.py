"""The CIFAR residual networks: He, Zhang, Ren, Sun 2016, arXiv:1512.03385, section 4.2.

6n+2 layers: a 3x3 convolution, three stages of n basic blocks with 16, 32 and 64 channels, global
average pooling, a linear layer. He-normal weights. Where a stage begins, the shortcut around a block has to
halve the image and double the channels: "identity" does it without parameters (option A, as in the paper:
every second pixel, zeros for new channels), "projection" with a 1x1 convolution and batch norm (option B).
ResNet-20 (n = 3) has 269,722 parameters and 8.75% test error on CIFAR-10 in the paper (table 6).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from asha_core.arguments import one_of
from trials.models import SHORTCUTS, check_size

_LEAST = 8  # pixels of a side: 2x2 are left in the last stage


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str = "identity") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.new_channels = outputs - inputs
        self.projection = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if shortcut == "projection" and self.new_channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H/stride, W/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.projection is not None:
            x = self.projection(x)
        elif self.new_channels:
            shortcut = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(shortcut, (0, 0, 0, 0, self.new_channels // 2, self.new_channels // 2))
        return functional.relu(x + y)


class CifarResNet(nn.Module):
    """ResNet-(6n+2) for 32x32 images, or others of at least 8x8.

    Args:
        n: blocks in each of the three stages; 3 for ResNet-20.
        classes: outputs.
        channels: of the images.
        shortcut: "identity" or "projection".

    Raises:
        SettingError: another shortcut.
    """

    def __init__(self, n: int = 3, classes: int = 10, channels: int = 3, shortcut: str = "identity") -> None:
        super().__init__()
        one_of("shortcut", shortcut, SHORTCUTS)
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        inputs = 16
        for outputs in (16, 32, 64):
            for block in range(n):
                stride = 2 if block == 0 and outputs > 16 else 1
                blocks.append(BasicBlock(inputs, outputs, stride, shortcut))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, classes)."""
        x = functional.relu(self.bn(self.conv(images)))
        x = self.blocks(x)
        outputs: Tensor = self.linear(x.mean((2, 3)))
        return outputs


def _resnet(
    layers: int, classes: int = 10, channels: int = 3, size: int = 32, shortcut: str = "identity"
) -> CifarResNet:
    check_size(f"resnet{layers}", size, _LEAST)
    return CifarResNet((layers - 2) // 6, classes, channels, shortcut)


resnet20 = partial(_resnet, 20)
resnet32 = partial(_resnet, 32)
resnet44 = partial(_resnet, 44)
resnet56 = partial(_resnet, 56)
resnet110 = partial(_resnet, 110)
