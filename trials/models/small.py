"""Small networks: two for 8x8 digits, and one for 28x28 clothes that a CPU trains in seconds an epoch."""

from __future__ import annotations

from torch import nn

from trials.models import check_size


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
    return _perceptron(64, 64, classes)


def image_mlp(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Module:
    """(B, channels, size, size) -> (B, classes): two hidden layers of 32.

    Args:
        classes: outputs.
        channels: of the images.
        size: pixels of a side.
    """
    return _perceptron(channels * size * size, 32, classes)


def _perceptron(inputs: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def fashion_cnn(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Module:
    """(B, channels, size, size) -> (B, classes): three 3x3 convolutions with batch norm, a linear layer.

    16, 32 and 64 channels. The first convolution has stride 2, as most of the time of one with stride 1 would
    go into what follows it at full resolution; the others are followed by 2x2 max-pooling. He-normal weights.

    Args:
        classes: outputs.
        channels: of the images.
        size: pixels of a side, at least 16.

    Raises:
        SettingError: smaller images.
    """
    check_size("small-cnn", size, 16)
    layers: list[nn.Module] = []
    inputs = channels
    for outputs in (16, 32, 64):
        stem = outputs == 16
        layers += [
            nn.Conv2d(inputs, outputs, 3, 2 if stem else 1, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
        if not stem:
            layers.append(nn.MaxPool2d(2))
        inputs = outputs
    side = (size + 1) // 2 // 2 // 2
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * side * side, classes))
    for module in model:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
