"""The CIFAR residual networks: He, Zhang, Ren, Sun 2016, arXiv:1512.03385, section 4.2.

6n+2 layers: a 3x3 convolution, three stages of n basic blocks with 16, 32 and 64 channels, global
average pooling, a linear layer. Shortcuts without parameters (option A: every second pixel, zeros for
new channels). He-normal weights. ResNet-20 (n = 3) has 269,722 parameters and 8.75% test error on
CIFAR-10 in the paper (table 6).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H/stride, W/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.new_channels:
            shortcut = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(shortcut, (0, 0, 0, 0, self.new_channels // 2, self.new_channels // 2))
        return functional.relu(x + y)


class CifarResNet(nn.Module):
    """ResNet-(6n+2) for 32x32 images.

    Args:
        n: blocks in each of the three stages; 3 for ResNet-20. classes: outputs.
    """

    def __init__(self, n: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        inputs = 16
        for outputs in (16, 32, 64):
            for block in range(n):
                stride = 2 if block == 0 and outputs > 16 else 1
                blocks.append(BasicBlock(inputs, outputs, stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 32, 32) -> (B, classes)."""
        x = functional.relu(self.bn(self.conv(images)))
        x = self.blocks(x)
        outputs: Tensor = self.linear(x.mean((2, 3)))
        return outputs


def resnet20(classes: int = 10) -> CifarResNet:
    """ResNet-20."""
    return CifarResNet(3, classes)
