"""RandAugment with a magnitude that is continuous and can be differentiated.

Source: Cubuk et al. 2020, arXiv:1909.13719. The operations, and how strong they are at most, are those of
torchvision 0.29's ``RandAugment`` (``_augmentation_space``, the last of its 31 bins). There the magnitude
is a bin; here it is a number, and 1 is torchvision's last bin.

Left out: posterize and solarize, which act in steps, and autocontrast and equalize, which have no
magnitude. 10 operations of torchvision's 14 are left, each as likely as another.

Everything is done for the whole batch at once, on its device. Each image has its own random draws. They
do not depend on the magnitude, so two magnitudes can be compared under the same randomness.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from trials.data.sampling import from_zero, warp

# in order: nothing; warps; blends with an image that has lost something; a blend with the blurred image
OPERATIONS = (
    "identity",
    *("rotate", "shear-x", "shear-y", "translate-x", "translate-y"),
    *("brightness", "saturation", "contrast"),
    "sharpness",
)
_FIRST = (1, 6, 9)  # of the three groups after "identity"

# at magnitude 1, from torchvision's table: 30 degrees, 0.3 of shear, 150/331 of the width or height,
# and a factor of 1 +- 0.9 for blends
_DEGREES = 30.0
_SHEAR = 0.3
_SHIFT = 150.0 / 331.0
_BLEND = 0.9
_WHITE = 255.0
_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision rounds it


def rand_augment(
    images: Tensor, magnitude: float | Tensor, generator: torch.Generator, operations: int = 2
) -> Tensor:
    """Apply to each image ``operations`` randomly drawn operations, one after the other.

    Args:
        images: (B, C, H, W) float in 0 to 255, C = 1 or 3.
        magnitude: 0 to 1, as a number or a 0-d tensor. A tensor may require a gradient or be dual
            (``torch.func.jvp``, ``torch.autograd.forward_ad``).
        generator: on the images' device; nothing else is random.
        operations: how many are drawn for each image, from OPERATIONS, with replacement. Half of them have
            their sign reversed.
    Returns:
        (B, C, H, W) in 0 to 255. Continuous and piecewise smooth in ``magnitude``: the derivative jumps where
        a sample crosses a pixel's centre and where a pixel meets 0 or 255. At 0 the very input; the
        derivative of a tensor there is the one from above.
    """
    if not images.is_floating_point():
        raise TypeError(f"rand_augment takes floats from 0 to 255, not {images.dtype}: use images.float()")
    kinds, signs = operation_draws(len(images), generator, operations)
    signs = signs.to(images.dtype)

    def augmented(strength: float | Tensor) -> Tensor:
        changed = images
        for kind, sign in zip(kinds, signs, strict=True):
            changed = apply_operations(changed, kind, sign * strength)
        return changed

    return from_zero(images, magnitude, augmented)


def operation_draws(count: int, generator: torch.Generator, operations: int = 2) -> tuple[Tensor, Tensor]:
    """What ``rand_augment`` draws: (operations, count) int64 places in OPERATIONS, and signs, 1 or -1."""
    shape, device = (operations, count), generator.device
    kinds = torch.randint(len(OPERATIONS), shape, generator=generator, device=device)
    return kinds, 1 - 2 * torch.randint(2, shape, generator=generator, device=device)


def apply_operations(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """Apply one operation to each image.

    Args:
        images: (B, C, H, W) float in 0 to 255.
        kinds: (B,) int64, places in OPERATIONS.
        strengths: (B,) of the images' dtype, -1 to 1; a negative one turns, shifts or blends the other way.
    Returns:
        (B, C, H, W) in 0 to 255.
    """
    group = torch.stack([kinds >= first for first in _FIRST]).sum(0)
    return (_masked if images.is_cuda else _sorted)(images, kinds, strengths, group)


def _sorted(images: Tensor, kinds: Tensor, strengths: Tensor, group: Tensor) -> Tensor:
    """Images of one group brought together, so that none pays for what others drew."""
    order = group.argsort(stable=True)
    counts = torch.bincount(group, minlength=len(_FIRST) + 1).tolist()
    parts = zip(*(torch.split(tensor[order], counts) for tensor in (images, kinds, strengths)), strict=True)
    changed = [transform(*part) for transform, part in zip(_transforms(), parts, strict=True)]
    return torch.cat(changed)[order.argsort()]


def _masked(images: Tensor, kinds: Tensor, strengths: Tensor, group: Tensor) -> Tensor:
    """Every group's operation on all images, of which each keeps its own.

    To bring groups together the host would have to learn how many there are of each, and so wait for the GPU.
    Without that it launches about as many kernels.
    """
    changed = images
    for number, transform in enumerate(_transforms()):
        mine = (group == number)[:, None, None, None]
        changed = torch.where(mine, transform(images, kinds, strengths), changed)
    return changed


def _transforms() -> tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...]:
    """One for each group."""
    return _identity, _warped, _toned, _sharpened


def _identity(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """What each of the four does: (B, C, H, W), (B,) places in OPERATIONS, (B,) strengths -> (B, C, H, W)."""
    return images


def _warped(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """Rotate about the centre, shear about the upper left corner, or shift; zeros come in from outside.

    A warp that follows a warp samples its result, as in torchvision: the two are not composed.
    """
    height, width = images.shape[2:]
    angle = _share(kinds, strengths, "rotate") * math.radians(_DEGREES)  # counter-clockwise, on the screen
    shear_x, shear_y = (_share(kinds, strengths, name) * _SHEAR for name in ("shear-x", "shear-y"))
    shift_x = _share(kinds, strengths, "translate-x") * (_SHIFT * width)  # to the right
    shift_y = _share(kinds, strengths, "translate-y") * (_SHIFT * height)  # down
    # one of the five is not 0, so that their maps may be added
    stretch, turn = torch.cos(angle) - 1, torch.sin(angle)
    x = torch.stack([stretch, shear_x - turn, shear_x * (height / 2) - shift_x], dim=1)
    y = torch.stack([shear_y + turn, stretch, shear_y * (width / 2) - shift_y], dim=1)
    return warp(images, torch.stack([x, y], dim=1))


def _toned(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """Blend with black (brightness), the grey image (saturation) or its mean grey (contrast)."""
    grey = _grey(images)
    saturation, contrast = (
        (kinds == OPERATIONS.index(name))[:, None, None, None] for name in ("saturation", "contrast")
    )
    poor = torch.where(contrast, grey.mean((1, 2, 3), keepdim=True), torch.where(saturation, grey, 0.0))
    return _blended(images, images - poor, strengths)


def _sharpened(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """Blend with the blurred image; the outermost pixels stay as they are."""
    if min(images.shape[2:]) < 3:
        return images
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    box = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = images[:, :, 1:-1, 1:-1]
    blurred = (box + 4 * inner) / 13  # the mean of 3x3 pixels, the one in the middle counted five times
    return _blended(images, functional.pad(inner - blurred, (1, 1, 1, 1)), strengths)


def _blended(images: Tensor, lost: Tensor, strengths: Tensor) -> Tensor:
    """Within 0 to 255: factor * images + (1 - factor) * (images - lost), the factor 1 + 0.9 * strength."""
    amount = (strengths * _BLEND)[:, None, None, None]
    return (images + amount * lost).clamp(0.0, _WHITE)


def _grey(images: Tensor) -> Tensor:
    """(B, 1, H, W): the luminance of colour images, and grey ones as they are."""
    if images.shape[1] == 1:
        return images
    if images.shape[1] != 3:
        raise ValueError(
            f"images have {images.shape[1]} channels: they must have 1 (grey) or 3 (red, green, blue)"
        )
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _share(kinds: Tensor, strengths: Tensor, name: str) -> Tensor:
    """(B,): the strength where this operation was drawn, else 0."""
    return torch.where(kinds == OPERATIONS.index(name), strengths, 0.0)
