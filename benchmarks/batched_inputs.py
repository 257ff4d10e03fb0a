"""Mini-batches of many trials at once: each trial's own order and augmentation, as its worker draws them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_map_only

from asha_core.space import Configuration
from trials.data import rand_augment
from trials.data.augmentation import affine, affine_arguments, crop_flip, crop_flip_draws
from trials.data.batches import Batches
from trials.data.passes import rows_of_unit
from trials.data.rand_augment import operation_draws
from trials.data.trees import joined, rows_of
from trials.tasks.digits import Digits
from trials.tasks.images import ImageTask
from trials.torch_task.options import StepSettings
from trials.torch_task.torch_task import TorchTask
from warmstart.problem.randomness import generator_for


class Inputs:
    """What N trials are trained on.

    Args:
        task: its data are tensors.
        batches: the training data.
        settings: of a step, the same for all trials.
        configurations, seeds: of the trials.
    """

    def __init__(
        self,
        task: TorchTask,
        batches: Batches,
        settings: StepSettings,
        configurations: Sequence[Configuration],
        seeds: Sequence[int],
    ) -> None:
        self.task, self.data, self.settings = task, batches, settings
        self.configurations, self.seeds = configurations, seeds
        self.steps = settings.steps(batches)
        self._rows = torch.empty(0)
        self._noise: list[torch.Generator] = []

    def begin(self, unit: int) -> None:
        """The order and the generators of a unit, counted from 1."""
        self._rows = torch.stack([self._order(seed, unit) for seed in self.seeds])
        self._noise = [generator_for(seed, "augmentation", unit) for seed in self.seeds]

    def _order(self, seed: int, unit: int) -> Tensor:
        count = self.steps * self.settings.batch_size
        if self.settings.samples_per_unit is not None:
            return rows_of_unit(self.data.size, count, unit, partial(generator_for, seed, "pass"))
        return torch.randperm(self.data.size, generator=generator_for(seed, "order", unit))[:count]

    def batch(self, step: int) -> tuple[Any, Any]:
        """(inputs, targets), each tensor (N, B, ...), as the networks are trained on them."""
        size = self.settings.batch_size
        rows = self._rows[:, step * size : (step + 1) * size]
        inputs, targets = self.task.unpack_batch(rows_of(self.data._tensors, rows.flatten()))
        shape = (len(self.seeds), -1)
        changed = _trained_on(self.task, inputs, self.configurations, self._noise)
        return _map(lambda t: t.unflatten(0, shape), changed), _map(lambda t: t.unflatten(0, shape), targets)


def _map(function: Any, tree: Any) -> Any:
    return tree_map_only(Tensor, function, tree)


def _trained_on(
    task: TorchTask, inputs: Any, configurations: Sequence[Configuration], noise: Sequence[torch.Generator]
) -> Any:
    """``task.training_inputs`` of each trial's own, (N * B, ...) -> (N * B, ...)."""
    kind = type(task)
    plain = kind.training_inputs is TorchTask.training_inputs
    if plain and kind.augment is TorchTask.augment:
        return task.normalize(inputs)
    if plain and kind.augment is Digits.augment:
        return task.normalize(_affine(inputs, configurations, noise))
    cropped = kind.training_inputs is ImageTask.training_inputs and kind.augment is ImageTask.augment
    if cropped and isinstance(task, ImageTask) and not task.cutout:
        return _standardized(task, _rand_augment(task, inputs, configurations, noise))
    return _each(task, inputs, configurations, noise)


def _each(
    task: TorchTask, inputs: Any, configurations: Sequence[Configuration], noise: Sequence[torch.Generator]
) -> Any:
    """Trial by trial, for any task."""
    parts = [_map(lambda t: t.chunk(len(noise))[i], inputs) for i in range(len(noise))]  # noqa: B023
    return joined([
        task.training_inputs(*each) for each in zip(parts, configurations, noise, strict=True)
    ])  # fmt: skip


def _magnitudes(configurations: Sequence[Configuration], size: int) -> Tensor:
    """(N * size,) float32."""
    return torch.tensor([c["magnitude"] for c in configurations]).repeat_interleave(size)


def _affine(
    images: Tensor, configurations: Sequence[Configuration], noise: Sequence[torch.Generator]
) -> Tensor:
    """As ``random_affine``."""
    size = len(images) // len(noise)
    strength = _magnitudes(configurations, size)
    draws = torch.cat([torch.rand(size, 4, generator=generator) for generator in noise]) * 2 - 1
    changed = affine(images, *affine_arguments(draws * strength[:, None]))
    return torch.where((strength == 0)[:, None, None, None], images, changed)


def _rand_augment(
    task: ImageTask,
    images: Tensor,
    configurations: Sequence[Configuration],
    noise: Sequence[torch.Generator],
) -> Tensor:
    """As ``ImageTask.augment``."""
    size = len(images) // len(noise)
    strength = _magnitudes(configurations, size)
    drawn = [
        (*crop_flip_draws(size, task.padding, generator), *operation_draws(size, generator))
        for generator in noise
    ]
    top, left, flip, kinds, signs = zip(*drawn, strict=True)
    before = crop_flip(images, task.padding, torch.cat(top), torch.cat(left), torch.cat(flip)).float()
    changed = before
    with patch.object(rand_augment, "warp", _sampled):
        for kind, sign in zip(torch.cat(kinds, 1), torch.cat(signs, 1), strict=True):
            changed = _applied(changed, kind, sign * strength)
    return torch.where((strength == 0)[:, None, None, None], before, changed)


def _applied(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """As ``apply_operations``, each group of operations in its place."""
    changed = images.clone()
    bounds = (*rand_augment._FIRST, len(rand_augment.OPERATIONS))
    transforms = rand_augment._transforms()[1:]
    for first, end, transform in zip(bounds[:-1], bounds[1:], transforms, strict=True):
        rows = ((kinds >= first) & (kinds < end)).nonzero()[:, 0]
        changed.index_copy_(0, rows, transform(images[rows], kinds[rows], strengths[rows]))
    return changed


def _sampled(images: Tensor, change: Tensor) -> Tensor:
    """``warp`` to rounding, several times faster; without derivatives."""
    height, width = images.shape[2:]
    scale = images.new_tensor([2 / width, 2 / height])[:, None]
    columns, rows = (torch.arange(size) - (size - 1) / 2 for size in (width, height))
    along_x, along_y, constant = (change * scale)[..., None].unbind(2)  # (B, 2, 1)
    across = (along_x + scale * torch.tensor([[1.0], [0.0]])) * columns
    down = (along_y + scale * torch.tensor([[0.0], [1.0]])) * rows + constant
    grid = across[:, :, None] + down[..., None]  # (B, 2, H, W): the loop inside is along a row
    return functional.grid_sample(images, grid.permute(0, 2, 3, 1), align_corners=False)


def _standardized(task: ImageTask, images: Tensor) -> Tensor:
    """``task.normalize`` to rounding, several times faster."""
    if task.normalization != "per-image":
        return task.normalize(images)
    centred = images - images.mean((1, 2, 3), keepdim=True)
    count = centred[0].numel()
    deviation = (centred.square().sum((1, 2, 3), keepdim=True) / (count - 1)).sqrt()
    return centred / deviation.clamp_min(1.0)
