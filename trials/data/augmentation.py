"""Augmentation on the device, vectorised: every image of a batch gets its own random draw.

Every function takes a ``torch.Generator`` on the inputs' device and draws the same numbers whatever
its strength, so that two strengths can be compared under the same randomness.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from trials.data.sampling import from_zero, warp

_DEGREES = 20.0
_SHIFT = 0.25  # of half the image: 1 pixel of 8
_SCALE = 0.2


def random_affine(images: Tensor, magnitude: float | Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, shift and scale each image at random, in proportion to ``magnitude``.

    Args:
        images: (B, C, H, W) float.
        magnitude: at least 0; at 1: up to 20 degrees, a quarter of half the image's width, 20% of scale. A
            number, or a 0-d tensor, which may require a gradient or be dual (``torch.func.jvp``).
    Returns:
        (B, C, H, W), bilinear, zeros outside; continuous in ``magnitude``, and the very input at 0. With a
        tensor it is that of the number up to rounding; the derivative of a tensor of 0 is the one from above.
    """
    draws = torch.rand(len(images), 4, generator=generator, device=images.device) * 2 - 1

    def warped(strength: float | Tensor) -> Tensor:
        if isinstance(strength, Tensor):
            return _affine_in_pixels(images, *_arguments(draws.to(images.dtype) * strength))
        return affine(images, *_arguments((draws * strength).to(images.dtype)))

    return from_zero(images, magnitude, warped)


def _arguments(draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 4) draws, times the magnitude -> the angle, scale and shift that ``affine`` takes."""
    return draws[:, 0] * math.radians(_DEGREES), 1 + draws[:, 1] * _SCALE, draws[:, 2:] * _SHIFT


def affine(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Sample each image on a grid that is rotated, scaled and shifted about its centre.

    Args:
        images: (B, C, H, W) float.
        angle: (B,) radians. scale: (B,) of the grid; above 1 the image shrinks.
        shift: (B, 2) of the grid, x and y, in half widths of the image.
    Returns:
        (B, C, H, W), bilinear, zeros outside; differentiable in all arguments.
    """
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    x = torch.stack([cosine, -sine, shift[:, 0]], dim=1)
    y = torch.stack([sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([x, y], dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _affine_in_pixels(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """What ``affine`` does, up to rounding, with derivatives in forward mode too."""
    height, width = images.shape[2:]
    stretch, turn = torch.cos(angle) * scale - 1, torch.sin(angle) * scale
    # half widths and half heights to pixels
    x = torch.stack([stretch, -turn * (width / height), shift[:, 0] * (width / 2)], dim=1)
    y = torch.stack([turn * (height / width), stretch, shift[:, 1] * (height / 2)], dim=1)
    return warp(images, torch.stack([x, y], dim=1))


def random_crop_flip(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Crop each image at a random place of its zero-padded self, and flip half of them left to right.

    Args:
        images: (B, C, H, W), any dtype. padding: pixels on each side.
    Returns:
        (B, C, H, W) of the same dtype.
    """
    count, _, height, width = images.shape
    device = images.device
    top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator, device=device)
    flip = torch.rand(count, 1, generator=generator, device=device) < 0.5
    padded = functional.pad(images, (padding,) * 4)
    rows = top + torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    columns = left + torch.where(flip, columns.flip(0), columns)
    batch = torch.arange(count, device=device)[:, None, None]
    # indexing (B, C, H, W) by [b, :, h, w] puts the channels last
    return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
