"""The affine warp of the digits, with a magnitude that is a tensor."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trials.data.augmentation import affine, random_affine
from trials.data.sampling import warp

# PyTorch 2.15 warns of its own code when a process first uses forward mode
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")


def pictures(height: int = 8, width: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(16, 1, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def at(images: Tensor, magnitude: float | Tensor) -> Tensor:
    return random_affine(images, magnitude, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("magnitude", [0.001, 0.3, 1.0])
def test_a_number_gives_what_it_always_gave(magnitude: float) -> None:
    images = pictures(dtype=torch.float32)
    draws = (torch.rand(16, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1) * magnitude
    expected = affine(images, draws[:, 0] * math.radians(20), 1 + draws[:, 1] * 0.2, draws[:, 2:] * 0.25)
    assert torch.equal(at(images, magnitude), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 11)])
@pytest.mark.parametrize("magnitude", [0.0, 0.3, 1.0])
def test_a_tensor_gives_what_the_number_gives(magnitude: float, height: int, width: int) -> None:
    images = pictures(height, width, torch.float32)
    point = torch.tensor(magnitude)
    assert torch.allclose(at(images, point), at(images, magnitude), atol=1e-5)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    for given, generator in zip((magnitude, point), generators, strict=True):
        random_affine(images, given, generator)
    assert torch.equal(*(generator.get_state() for generator in generators))


@pytest.mark.long
@pytest.mark.parametrize("magnitude", [0.12, 0.5, 0.93])
def test_three_derivatives_agree(magnitude: float) -> None:
    images = pictures(7, 9)
    point, step = torch.tensor(magnitude, dtype=torch.float64), 1e-7
    _, forward = torch.func.jvp(lambda m: at(images, m), (point,), (torch.ones_like(point),))
    numeric = (at(images, point + step) - at(images, point - step)) / (2 * step)
    assert (forward - numeric).abs().max() <= 1e-6 * numeric.abs().max()
    leaf = point.clone().requires_grad_()
    weights = pictures(9, 7).view(images.shape)
    (at(images, leaf) * weights).sum().backward()
    assert leaf.grad is not None
    assert torch.isclose(leaf.grad, (forward * weights).sum(), rtol=1e-9)


def test_at_zero_the_images_and_the_derivative_from_above() -> None:
    images = pictures()
    zero, step = torch.tensor(0.0, dtype=torch.float64), 1e-5
    value, tangent = torch.func.jvp(lambda m: at(images, m), (zero,), (torch.ones_like(zero),))
    assert torch.equal(value, images)
    slope = (at(images, zero + step) - images) / step
    assert torch.allclose(tangent, slope, rtol=0, atol=1e-4)
    assert slope.abs().mean() > 0.1
    leaf = zero.clone().requires_grad_()
    out = at(images, leaf)
    assert torch.equal(out, images)
    out.square().sum().backward()
    assert leaf.grad is not None
    assert torch.isclose(leaf.grad, (2 * images * tangent).sum(), rtol=1e-9)


def test_whole_pixels_are_moved_exactly_and_what_leaves_is_gone() -> None:
    images = pictures(5, 6).expand(-1, 3, -1, -1)
    change = torch.zeros(16, 2, 3, dtype=torch.float64)
    assert torch.equal(warp(images, change), images)
    change[:, 0, 2], change[:, 1, 2] = 2, -1  # each pixel gets the one two to its right and one above
    moved = warp(images, change)
    assert torch.equal(moved[:, :, 1:, :-2], images[:, :, :-1, 2:])
    assert not moved[:, :, 0].any()
    assert not moved[..., -2:].any()
    for far in (1e3, -1e3, 1e30, math.inf):
        change[:, 0, 2] = far
        assert not warp(images, change).nan_to_num().any()


def test_a_warp_has_a_derivative_by_its_images() -> None:
    images = pictures(4, 5)[:2].requires_grad_()
    change = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.2
    torch.autograd.gradcheck(warp, (images, change.requires_grad_()), check_forward_ad=True)
