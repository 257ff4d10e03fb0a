"""What the tests of RandAugment share: photographs, and ways to call it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_sample_images
from torch import Tensor

from trials.data.rand_augment import OPERATIONS, apply_operations, rand_augment
from trials.tasks.cifar import Cifar10


@cache
def tiles(height: int, width: int) -> Tensor:
    photographs = torch.stack([torch.from_numpy(image.copy()) for image in load_sample_images().images])
    cut = photographs.permute(0, 3, 1, 2).unfold(2, height, height).unfold(3, width, width)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def patches(count: int, height: int = 32, width: int = 32, dtype: torch.dtype = torch.float64) -> Tensor:
    """(count, 3, height, width) of the photographs that come with scikit-learn, whole numbers in 0 to 255.

    The last one has a black and a white corner.
    """
    every = tiles(height, width)
    images = every[:: len(every) // count][:count].clone()
    images[-1, :, : height // 2, : width // 2] = 255
    images[-1, :, height // 2 :, width // 2 :] = 0
    return images.to(dtype)


def one_operation(name: str, images: Tensor, strength: float | Tensor) -> Tensor:
    kinds = torch.full((len(images),), OPERATIONS.index(name))
    return apply_operations(images, kinds, torch.ones(len(images), dtype=images.dtype) * strength)


def seeded(images: Tensor, magnitude: float | Tensor, seed: int = 0) -> Tensor:
    return rand_augment(images, magnitude, torch.Generator().manual_seed(seed))


def cifar_augment(images: Tensor, magnitude: float | Tensor) -> Tensor:
    configuration: Any = {"magnitude": magnitude}
    return Cifar10().augment(images, configuration, torch.Generator().manual_seed(1))
