"""ImageNet, or any images in a folder for each class, with ResNet-50 or a small vision transformer.

The data are read from the disk as they are needed, by processes of their own. A share of ``train`` is held
out, class by class, to steer the search; ``val``, on which results are commonly reported, is for the chosen
configuration, once (``asha-test``). Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition
Challenge", arXiv:1409.0575.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from asha_core.errors import SettingError, TaskError
from asha_core.space import Configuration
from trials.devices import cores
from trials.models import build, check
from trials.task import TorchTask, check_speed
from trials.tasks.cifar import SPACE

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.data.image_folder import ImageFiles

MODELS = ("resnet50", "vit-small")
# what torchvision's ImageFolder takes for an image, which cannot be imported without torch
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# of red, green and blue in 0 to 1 over training images, as torchvision's documentation of its models has them
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
_VALIDATION = 0.02
_SMALLEST, _LARGEST, _STEP = 32, 1024, 16
_NEEDED = {"train": 2, "val": 1}  # images of each class: one of "train" is held out


class ImageNet(TorchTask):
    """Classification of images in folders, ImageNet's or others, in crops of ``size`` pixels.

    Args:
        model: "resnet50" or "vit-small".
        data_dir: holds ``train/`` and ``val/``, each with one folder of images a class.
        size: height and width of what the network sees, pixels: a multiple of 16.
        batch_size: training images a step.
        workers: processes that read and decode images, for each trial that runs at a time; 0: the trial's own
            process does it. None: this worker's share of the cores, less the one that it trains with.
        compile, precision: see ``TorchTask``.

    ``magnitude`` is the strength of RandAugment, on top of random crops and flips: see
    ``trials.data.rand_augment``.
    """

    space = SPACE
    max_resource = 90
    batch_size = 256
    eval_batch_size = 256
    channels_last = True

    def __init__(
        self,
        model: str = "resnet50",
        data_dir: str = "data/imagenet",
        size: int = 224,
        batch_size: int = 256,
        workers: int | None = None,
        compile: str = "",
        precision: str = "auto",
    ) -> None:
        check(model, MODELS, "imagenet")
        self.network = model
        self.data_dir = Path(data_dir)
        self.size = _whole("size", size, _SMALLEST, _LARGEST)
        if size % _STEP:
            raise SettingError(f"size is {size}: it must be a multiple of {_STEP} pixels, such as 224")
        self.batch_size = _whole("batch_size", batch_size, 1)
        self._share = workers is None
        self.loader_workers = _fair_share() if workers is None else _whole("workers", workers, 0)
        check_speed(compile, precision)
        self.compile = compile
        self.precision = precision

    def prepare(self) -> None:
        """Check the folders, and that each holds the first images of its class; nothing can be downloaded."""
        train, val = (_classes(self.data_dir, part) for part in _NEEDED)
        _check_same(self.data_dir, train, val)
        for part, needed in _NEEDED.items():
            for name in train:
                _check_filled(self.data_dir / part / name, needed)

    def setup(self, device: str) -> None:
        """Find the images, and this worker's share of the cores: it may not be that of who made the task."""
        if self._share:
            self.loader_workers = _fair_share()
        super().setup(device)

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised, with an output for each folder in ``train``."""
        classes = len(_classes(self.data_dir, "train"))
        return build(self.network, classes=classes, channels=3, size=self.size)

    def data(self) -> tuple[Source, Source]:
        """Random crops for training, and the middles of the held-out images: (3, size, size) uint8."""
        from trials.data.image_folder import ImageFolderData, RandomCrops

        train, held = self._files("train").split(_VALIDATION)
        if len(train) < self.batch_size:
            raise TaskError(
                f"batch_size is {self.batch_size}, and there are {len(train)} training images: use a batch "
                f"of at most {len(train)}"
            )
        return RandomCrops(train, self.size), ImageFolderData(held, self.size)

    def test_data(self) -> Source:
        """The middles of the images in ``val``: (3, size, size) uint8."""
        from trials.data.image_folder import ImageFolderData

        files = self._files("val")
        _check_same(self.data_dir, _classes(self.data_dir, "train"), list(files.classes))
        return ImageFolderData(files, self.size)

    def _files(self, part: str) -> ImageFiles:
        from trials.data.image_folder import ImageFiles

        _classes(self.data_dir, part)  # says better what is missing
        return ImageFiles.of(self.data_dir / part)

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """A random flip, and RandAugment of strength ``magnitude``; the crop was random already.

        Args:
            inputs: (B, 3, size, size) uint8.
        Returns:
            (B, 3, size, size) float32 in 0 to 255; differentiable in a ``magnitude`` that is a 0-d tensor.
        """
        import torch

        from trials.data.rand_augment import rand_augment

        flip = torch.rand((len(inputs), 1, 1, 1), generator=generator, device=inputs.device) < 0.5
        images = torch.where(flip, inputs.flip(3), inputs)
        return rand_augment(images.float(), config["magnitude"], generator)

    def normalize(self, inputs: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 to 255 -> float32: by channel, in ImageNet's deviations about its mean."""
        import torch

        def channels(values: tuple[float, ...]) -> Tensor:
            # filled on the device: to copy them there, every step would wait for it
            return torch.stack([images.new_full((1, 1), 255.0 * value) for value in values])

        images = inputs.float()
        return (images - channels(MEAN)) / channels(DEVIATION)


def _fair_share() -> int:
    """Loader processes for one worker: as many as its share of the cores, which the pool leaves in its
    environment as OMP_NUM_THREADS, less one; at least 1.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    return max((int(share) if share.isdecimal() else cores()) - 1, 1)


def _whole(name: str, value: int, lowest: int, highest: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest or value > (highest or value):
        most = "" if highest is None else f", at most {highest}"
        raise SettingError(f"{name} is {value!r}: it must be a whole number of at least {lowest}{most}")
    return value


def _classes(data_dir: Path, part: str) -> list[str]:
    """The names of the folders in ``train`` or ``val``, sorted.

    Raises:
        TaskError: there are none; it says what belongs where.
    """
    folder = data_dir / part
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        there = folder if data_dir.is_dir() else data_dir
        what = f"{there} is not there" if isinstance(error, FileNotFoundError) else str(error)
        raise TaskError(f"no images for task imagenet: {what}; {_where(data_dir)}") from None
    if not names:
        raise TaskError(
            f"{folder} has no folders, one a class: {_where(data_dir)} (the archive of val has none: "
            "torchvision.datasets.ImageNet makes them)"
        )
    return names


def _where(data_dir: Path) -> str:
    return (
        f"put the images of each class into {data_dir / 'train' / 'CLASS'} and {data_dir / 'val' / 'CLASS'}, "
        "or name another folder with --data-dir. ImageNet is to be had from "
        "https://image-net.org/download.php, after a registration; no program can download it"
    )


def _check_same(data_dir: Path, train: list[str], val: list[str]) -> None:
    """Raise ``TaskError`` unless both have the same classes: they would be numbered differently."""
    for here, there, names in (
        ("train", "val", set(train) - set(val)),
        ("val", "train", set(val) - set(train)),
    ):
        if names:
            first = min(names)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise TaskError(
                f"{data_dir / here} has class {first}{more}, and {data_dir / there} has not: both need the "
                "same folders"
            )


def _check_filled(folder: Path, needed: int) -> None:
    """Raise ``TaskError`` unless there are so many images; a folder is read no further than to there."""
    try:
        found = sum(1 for _ in zip(range(needed), _images(folder), strict=False))
    except OSError as error:
        raise TaskError(f"the images in {folder} cannot be listed: {error}") from None
    if found < needed:
        kinds = ", ".join(EXTENSIONS)
        why = ": one of them is held out for validation" if found else f" ({kinds})"
        raise TaskError(f"{folder} has {found or 'no'} image{'s' * (not found)}, and needs {needed}{why}")


def _images(folder: str | Path) -> Iterator[str]:
    """The names of image files anywhere below."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _images(entry.path)
            elif entry.name.lower().endswith(EXTENSIONS):
                yield entry.path
