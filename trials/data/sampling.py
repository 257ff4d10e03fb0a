"""Warps that can be differentiated by their strength, forwards and backwards.

``torch.nn.functional.grid_sample`` has no forward-mode derivative before PyTorch 2.15, and its grid, which
runs from -1 to 1, does not give an image back exactly under no warp. So the sampling here is plain tensor
operations on displacements in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# where the derivative at a magnitude of 0 is taken: large enough for float32 to tell 255 and
# 255 * (1 + 0.9 * _NEAR) apart, small enough that the derivative is the one at 0 to five digits
_NEAR = 1e-5


def warp(images: Tensor, change: Tensor) -> Tensor:
    """Sample each image at places which an affine map displaces.

    Args:
        images: (B, C, H, W) float.
        change: (B, 2, 3), of the images' dtype: the pixel whose centre is at (x, y) from the image's centre
            gets the value found at (x, y) + change @ (x, y, 1). In pixels; x to the right, y downwards.
    Returns:
        (B, C, H, W), bilinear, zeros outside; the images bit for bit where ``change`` is 0. Differentiable in
        both arguments, piecewise smooth: the derivative jumps where a sample crosses a pixel's centre.
    """
    height, width = images.shape[2:]
    columns, rows = (torch.arange(size, device=images.device) for size in (width, height))
    x = (columns - (width - 1) / 2).to(images.dtype)
    y = (rows - (height - 1) / 2).to(images.dtype)[:, None]
    # no matrix product: on a GPU that may be done in TF32, three digits of a pixel
    along_x, along_y, constant = change[..., None, None].unbind(2)
    moved = along_x * x + along_y * y + constant
    cell = moved.floor()
    part_x, part_y = (moved - cell)[:, :, None].unbind(1)
    left, top = cell.long().unbind(1)
    # indices into the images with one pixel of zeros around them; whatever lies further out is there too
    left, top = left + columns + 1, top + rows[:, None] + 1
    left, right = left.clamp(0, width + 1), (left + 1).clamp(0, width + 1)
    top, bottom = top.clamp(0, height + 1), (top + 1).clamp(0, height + 1)
    padded = functional.pad(images, (1, 1, 1, 1)).flatten(2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * (width + 2) + column).flatten(1)[:, None].expand(-1, images.shape[1], -1)
        return padded.gather(2, index).view(images.shape)

    above = torch.lerp(at(top, left), at(top, right), part_x)
    below = torch.lerp(at(bottom, left), at(bottom, right), part_x)
    return torch.lerp(above, below, part_y)


def from_zero(
    images: Tensor, magnitude: float | Tensor, transform: Callable[[float | Tensor], Tensor]
) -> Tensor:
    """``transform(magnitude)``, which is to be ``images`` at 0, and their derivative from above there.

    At a magnitude of exactly 0 every sample sits on a pixel's centre and every white pixel on its bound.
    These are kinks, where automatic differentiation would take either side. So a tensor of 0 gives the
    images bit for bit, and the derivative of ``transform`` a little above.

    Args:
        images: (B, C, H, W) float.
        magnitude: a number, or a 0-d tensor, which may require a gradient or be dual.
        transform: magnitude -> (B, C, H, W).
    """
    if not isinstance(magnitude, Tensor):
        return images if magnitude == 0 else transform(magnitude)
    zero = magnitude == 0
    changed = transform(torch.where(zero, magnitude + _NEAR, magnitude))
    result: Tensor = _ValueAtZero.apply(images, changed, zero.to(images.device))
    return result


class _ValueAtZero(torch.autograd.Function):
    """The value of ``images`` where ``zero`` is true, else of ``changed``; always the latter's derivative."""

    @staticmethod
    def forward(images: Tensor, changed: Tensor, zero: Tensor) -> Tensor:
        return torch.where(zero, images, changed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, gradients[0], None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[1]
