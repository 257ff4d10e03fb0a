"""Augmentation on the device, vectorised: every image of a batch gets its own random draw.

Every function takes a ``torch.Generator`` on the inputs' device and draws the same numbers whatever
its strength, so that two strengths can be compared under the same randomness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
            return _affine_in_pixels(images, *affine_arguments(draws.to(images.dtype) * strength))
        return affine(images, *affine_arguments((draws * strength).to(images.dtype)))

    return from_zero(images, magnitude, warped)


def affine_arguments(draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 4) draws, times the magnitude -> the angle, scale and shift that ``affine`` takes."""
    return draws[:, 0] * math.radians(_DEGREES), 1 + draws[:, 1] * _SCALE, draws[:, 2:] * _SHIFT


def affine(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Sample each image on a grid that is rotated, scaled and shifted about its centre.

    Args:
        images: (B, C, H, W) float.
        angle: (B,) radians.
        scale: (B,) of the grid; above 1 the image shrinks.
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
        images: (B, C, H, W), any dtype.
        padding: pixels on each side.
    Returns:
        (B, C, H, W) of the same dtype.
    """
    return crop_flip(images, padding, *crop_flip_draws(len(images), padding, generator))


def crop_flip_draws(count: int, padding: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """What ``random_crop_flip`` draws for ``count`` images: the ``top``, ``left`` and ``flip`` of each."""
    device = generator.device
    top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator, device=device)
    return top, left, torch.rand(count, 1, generator=generator, device=device) < 0.5


def crop_flip(images: Tensor, padding: int, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Crop each image at a place of its zero-padded self, and flip some of them left to right.

    Args:
        images: (B, C, H, W), any dtype.
        padding: pixels on each side.
        top, left: (B, 1) int64, the first row and column, 0 to twice the padding.
        flip: (B, 1) bool.
    Returns:
        (B, C, H, W) of the same dtype.
    """
    count, _, height, width = images.shape
    rows = top + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = left + torch.where(flip, columns.flip(0), columns)
    padded = functional.pad(images, (padding,) * 4)
    # one gather of whole planes: several times faster on a CPU than to index rows and columns
    places = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    places = places.reshape(count, 1, -1).expand(-1, images.shape[1], -1)
    return padded.flatten(2).gather(2, places).view(images.shape)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of each image to 0, its centre anywhere in the image, so that it may reach over the edge.

    For normalised images, so that 0 is the mean. Source: DeVries and Taylor 2017, arXiv:1708.04552, section
    3.2, which has side 16 for CIFAR-10 and 8 for CIFAR-100.

    Args:
        images: (B, C, H, W).
        side: pixels; an even one reaches side / 2 up and left of the centre, and one pixel less down and
            right.
    Returns:
        (B, C, H, W); the very input for a side of 0, which draws nothing.
    """
    if side == 0:
        return images
    count, _, height, width = images.shape
    device = images.device
    draws = torch.rand(2, count, 1, generator=generator, device=device)

    def inside(draw: Tensor, size: int) -> Tensor:
        """(B, size): whether a row, or a column, is one of the square's."""
        first = (draw * size).floor() - side // 2
        places = torch.arange(size, device=device)
        return (places >= first) & (places < first + side)

    hole = inside(draws[0], height)[:, None, :, None] & inside(draws[1], width)[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def standardized(images: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """By channel, in deviations about the mean.

    Args:
        images: (B, C, H, W) float.
        mean, deviation: C of each, in the images' units.
    """

    def channels(values: Sequence[float]) -> Tensor:
        # filled on the device: to copy them there, every step would wait for it
        return torch.stack([images.new_full((1, 1), value) for value in values])

    return (images - channels(mean)) / channels(deviation)
