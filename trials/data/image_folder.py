"""Images in a folder for each class, read when they are needed.

Training reads a crop of random area and shape, resized to a square; measuring reads the middle of the whole
image. Both give uint8, so that whatever else is done to an image is done on the device, a batch at a time.
Source: Szegedy et al. 2015, arXiv:1409.4842, section 6 (8% to 100% of the area, sides 3:4 to 4:3), in
torchvision's form of it (``RandomResizedCrop``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional

from asha_core.errors import TaskError
from asha_core.runtime.units import counted
from asha_core.streams import stream_seed
from trials.data.class_folders import images_held, images_used
from trials.data.splits import symmetric_noise

_AREA = (0.08, 1.0)  # of the image
_SHAPE = (3 / 4, 4 / 3)  # width over height
_TRIES = 10
_MEASURED = 256 / 224  # the shorter side before its middle is cropped, in sides of the crop


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """The images below a folder which has one folder a class.

    Attributes:
        root: the folder.
        classes: the names of its folders, sorted.
        names: (N,) of each file below ``root``, as bytes: 1.3 million of them are one block of memory, which
            the processes of a loader share. As Python objects they would be copied, page by page, as they are
            looked at.
        labels: (N,) places in ``classes``, ascending unless they were made wrong.
    """

    root: Path
    classes: tuple[str, ...]
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, root: Path) -> ImageFiles:
        """All images below ``root`` that torchvision's ``ImageFolder`` finds, sorted.

        Raises:
            TaskError: there is no such folder, it has none within, or one of these is empty.
        """
        try:
            found = ImageFolder(str(root))
        except OSError as error:
            raise TaskError(f"the images in {root} cannot be listed: {error}") from error
        start = len(os.path.join(str(root), ""))
        names = np.array([os.fsencode(path[start:]) for path, _ in found.samples])
        return cls(root, tuple(found.classes), names, np.array(found.targets, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        """Of one image."""
        return os.path.join(self.root, os.fsdecode(bytes(self.names[index])))

    def rows(self, rows: NDArray[np.int64]) -> ImageFiles:
        """Some of the images."""
        return ImageFiles(self.root, self.classes, self.names[rows], self.labels[rows])

    def subset(self, share: float, seed: int = 0) -> ImageFiles:
        """``share`` of the images of each class, at least two; a smaller share is a part of a larger one.

        Args:
            share: in (0, 1].
            seed: which images of a class these are depends on it and that class alone.
        """
        used = np.zeros(len(self), dtype=bool)
        for name, first, end in self._bounds():
            used[_drawn(seed, f"used of {name}", first, end)[: images_used(end - first, share)]] = True
        return self.rows(np.flatnonzero(used))

    def split(self, share: float, seed: int = 0) -> tuple[ImageFiles, ImageFiles]:
        """(the rest, ``share`` of the images of each class, at least one), always the same ones.

        Args:
            seed: which images of a class are held out depends on it and that class alone.
        Raises:
            TaskError: a class has no two images.
        """
        held = np.zeros(len(self), dtype=bool)
        for name, first, end in self._bounds():
            count = end - first
            if count < 2:
                raise TaskError(
                    f"{self.root / name} has {counted(count, 'image')}, and needs 2: one of them is "
                    "held out for validation"
                )
            held[_drawn(seed, f"held out of {name}", first, end)[: images_held(count, share)]] = True
        return self.rows(np.flatnonzero(~held)), self.rows(np.flatnonzero(held))

    def mislabelled(self, share: float, seed: int = 0) -> ImageFiles:
        """With a share of the labels replaced by other classes: see ``splits.symmetric_noise``."""
        if share == 0:
            return self
        return replace(self, labels=symmetric_noise(self.labels, share, len(self.classes), seed))

    def _bounds(self) -> Iterator[tuple[str, int, int]]:
        """(class, its first row, the row after its last)."""
        bounds = np.searchsorted(self.labels, np.arange(len(self.classes) + 1)).tolist()
        return zip(self.classes, bounds, bounds[1:], strict=False)


def _drawn(seed: int, name: str, first: int, end: int) -> NDArray[np.int64]:
    """The rows from ``first`` to before ``end``, in an order of their own."""
    return np.random.default_rng(stream_seed(seed, name)).permutation(np.arange(first, end))


class ImageFolderData(Dataset[tuple[Tensor, int]]):
    """Images as they are measured: the shorter side resized to 256/224 of ``size``, and the middle of that.

    Args:
        files: the images.
        size: height and width of the result, pixels.

    A sample is ((3, size, size) uint8, class).
    """

    def __init__(self, files: ImageFiles, size: int) -> None:
        self.files = files
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image; nothing about it is random."""
        image = functional.resize(decoded(self.files.path(index)), round(self.size * _MEASURED))
        return self._sample(functional.center_crop(image, self.size), index)

    def _sample(self, image: Image.Image, index: int) -> tuple[Tensor, int]:
        pixels: Tensor = functional.pil_to_tensor(image)
        return pixels, int(self.files.labels[index])


class RandomCrops(ImageFolderData):
    """Images as a network is trained on them: ``sample`` gives a random crop, resized to ``size``."""

    def sample(self, index: int, seed: int) -> tuple[Tensor, int]:
        """A crop of one image, which depends on (index, seed) alone."""
        image = decoded(self.files.path(index))
        generator = torch.Generator().manual_seed(seed)
        left, top, width, height = random_box(*image.size, generator)
        side = [self.size, self.size]
        return self._sample(functional.resized_crop(image, top, left, height, width, side), index)


def random_box(width: int, height: int, generator: torch.Generator) -> tuple[int, int, int, int]:
    """A part of an image of random area and shape, uniform in the area and in the logarithm of the shape.

    The numbers and their order are those of torchvision's ``RandomResizedCrop``.

    Returns:
        (left, top, width, height), pixels. Where ten boxes in a row do not fit: the largest one in the middle
        whose shape is allowed.
    """

    def uniform(low: float, high: float) -> float:
        return torch.empty(1).uniform_(low, high, generator=generator).item()

    def below(count: int) -> int:
        return int(torch.randint(0, count, (1,), generator=generator).item())

    narrowest, widest = torch.log(torch.tensor(_SHAPE)).tolist()  # in float32, as there
    for _ in range(_TRIES):
        area = width * height * uniform(*_AREA)
        shape = torch.tensor(uniform(narrowest, widest)).exp().item()
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            top = below(height - h + 1)
            return below(width - w + 1), top, w, h
    w = min(width, round(height * _SHAPE[1]))
    h = min(height, round(width / _SHAPE[0]))
    return (width - w) // 2, (height - h) // 2, w, h


def decoded(path: str) -> Image.Image:
    """The image in a file, in RGB, whatever it is stored in.

    Raises:
        TaskError: it is damaged, or no image of 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise ValueError(f"its pixels are of mode {image.mode}, not 8 bits: convert it")
            if "transparency" in image.info:  # of a palette, say: Pillow wants it made plain first
                return image.convert("RGBA").convert("RGB")
            return image.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow has an exception for every way in which a file can be damaged
        raise TaskError(
            f"the image {path} cannot be read ({type(error).__name__}: {error}): put it there again, or "
            "remove it"
        ) from error
