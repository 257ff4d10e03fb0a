"""Networks for images, one family a file, by the names that tasks take for ``model``."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, one_of
from asha_core.errors import SettingError, nearest

if TYPE_CHECKING:
    from torch import nn

MODELS = {
    "small-cnn": "trials.models.small:fashion_cnn",
    "mlp": "trials.models.small:image_mlp",
    "resnet20": "trials.models.resnet:resnet20",
    "resnet32": "trials.models.resnet:resnet32",
    "resnet44": "trials.models.resnet:resnet44",
    "resnet56": "trials.models.resnet:resnet56",
    "resnet110": "trials.models.resnet:resnet110",
    "resnet50": "trials.models.bottleneck:resnet50",
    "vit-tiny": "trials.models.vit:vit_tiny",
    "vit-small": "trials.models.vit:vit_small",
}
SHORTCUTS = ("identity", "projection")  # of the CIFAR residual networks
_SHAPE = ("classes", "channels", "size")


def build(name: str, *, classes: int, channels: int, size: int, **settings: Any) -> nn.Module:
    """A network with fresh weights from torch's global generator: (B, channels, size, size) -> (B, classes).

    Args:
        name: one of ``MODELS``.
        classes: outputs.
        channels: of the input.
        size: pixels of a side of the square images; it decides between the forms of a network for small and
            for large images.
        settings: of this network alone, such as ``shortcut="projection"``.

    Raises:
        SettingError: a name, a size or a setting that is not known or not possible.
    """
    one_of("model", name, MODELS)
    given = {"classes": classes, "channels": channels, "size": size}
    shape = {what: integer(f"{what} of model {name}", value, 1) for what, value in given.items()}
    module, _, function = MODELS[name].partition(":")
    builder = getattr(importlib.import_module(module), function)
    takes = [each for each in inspect.signature(builder).parameters if each not in _SHAPE]
    for setting in settings:
        if setting not in takes:
            raise SettingError(
                f"model {name} has no setting {setting!r}{nearest(setting, takes)}"
                if takes
                else f"model {name} has no setting {setting!r}: it takes none, leave it out"
            )
    model: nn.Module = builder(**shape, **settings)
    return model


def check_size(model: str, size: int, least: int) -> None:
    """Refuse images that are too small for a network.

    Args:
        model: its name, for the message.
        size: pixels of a side.
        least: the smallest allowed.

    Raises:
        SettingError: ``size`` is less than ``least``.
    """
    if size < least:
        raise SettingError(f"{model} takes no images of {size} pixels a side: they must have {least} or more")
