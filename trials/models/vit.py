"""Vision transformers of torchvision's class: Dosovitskiy et al. 2021, arXiv:2010.11929.

The widths are those of DeiT, Touvron et al. 2021, arXiv:2012.12877, table 1: tiny and small. Weights as
torchvision draws them. Its last layer begins at zero, so at the first step no other layer has a gradient, and
the loss is log(classes) for every image.
"""

from __future__ import annotations

import math

from torch import nn
from torchvision.models import VisionTransformer

from asha_core.errors import SettingError

_SMALL = 64  # up to this side patches are of 4x4 pixels, beyond it of 16x16
_LAYERS = 12
_HEAD = 64  # width of one head of attention


def vit_tiny(classes: int = 10, channels: int = 3, size: int = 32) -> nn.Module:
    """12 layers of width 192, with 3 heads and an MLP of 768. See ``_vit`` for sizes and patches."""
    return _vit("vit-tiny", 192, classes, channels, size)


def vit_small(classes: int = 1000, channels: int = 3, size: int = 224) -> nn.Module:
    """12 layers of width 384, with 6 heads and an MLP of 1,536. See ``_vit`` for sizes and patches."""
    return _vit("vit-small", 384, classes, channels, size)


def _vit(name: str, width: int, classes: int, channels: int, size: int) -> nn.Module:
    """A vision transformer without dropout.

    Args:
        width: of a token.
        classes: outputs.
        channels: of the images.
        size: pixels of a side; up to 64 a multiple of 4 (patches of 4x4), beyond it of 16 (patches of 16x16).

    Raises:
        SettingError: another size.
    """
    patch = 4 if size <= _SMALL else 16
    if size % patch:
        raise SettingError(
            f"{name} takes no images of {size} pixels a side: it must be a multiple of 4 up to {_SMALL} "
            "(patches of 4x4), or a larger one of 16 (patches of 16x16)"
        )
    model: nn.Module = VisionTransformer(
        image_size=size,
        patch_size=patch,
        num_layers=_LAYERS,
        num_heads=width // _HEAD,
        hidden_dim=width,
        mlp_dim=4 * width,
        num_classes=classes,
    )
    if channels != 3:
        stem = nn.Conv2d(channels, width, patch, stride=patch)
        nn.init.trunc_normal_(stem.weight, std=math.sqrt(1 / (channels * patch * patch)))
        nn.init.zeros_(stem.bias)  # type: ignore[arg-type]
        model.conv_proj = stem
    return model
