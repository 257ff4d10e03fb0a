"""ImageNet, or any images in a folder for each class, with ResNet-50 or a small vision transformer.

The data are read from the disk as they are needed, by processes of their own. A share of ``train`` is held
out, class by class, to steer the search; ``val``, on which results are commonly reported, is for the chosen
configuration, once (``asha-test``). Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition
Challenge", arXiv:1409.0575.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, number, one_of, true_or_false
from asha_core.errors import SettingError, TaskError
from asha_core.runtime.machine import cores
from asha_core.runtime.storage.paths import user_path
from asha_core.space import Configuration
from trials.data.class_folders import (
    VALIDATION,
    check_count,
    check_images,
    check_same,
    class_names,
)
from trials.data.splits import check_batch
from trials.models import build
from trials.spec import option_names
from trials.tasks.images import SPACE
from trials.torch_task.options import check_speed
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.data.image_folder import ImageFiles

MODELS = ("resnet50", "vit-small")
# of red, green and blue in 0 to 1 over training images, as torchvision's documentation of its models has them
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
_SMALLEST, _LARGEST, _STEP = 32, 1024, 16


class ImageNet(TorchTask):
    """Classification of images in folders, ImageNet's or others, in crops of ``size`` pixels.

    Args:
        model: "resnet50" or "vit-small".
        data_dir: holds ``train/`` and ``val/``, each with one folder of images a class.
        size: height and width of what the network sees, pixels: a multiple of 16.
        batch_size: training images a step.
        workers: processes that read and decode images, for each trial that runs at a time; 0: the trial's own
            process does it. None: this worker's share of the cores, less the one that it trains with.
        compile, precision, deterministic: see ``TorchTask``.
        classes: how many folders there are; None: they are counted. ``describe`` tells the number, so that a
            network is made again where the training images are not.
        subset: share of the images in ``train`` to use, in (0, 1], of each class at least two.
        label_noise: share of the training labels that are replaced by another class, in [0, 1).
        data_seed: of the split, the subset and the label noise: part of the problem, not of a search's seed.

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
        classes: int | None = None,
        subset: float = 1.0,
        label_noise: float = 0.0,
        data_seed: int = 0,
        deterministic: bool = False,
    ) -> None:
        self.network = one_of("imagenet model", model, MODELS)
        self.data_dir = user_path(data_dir, "data_dir")
        self.size = integer("size", size, _SMALLEST, _LARGEST)
        if size % _STEP:
            raise SettingError(f"size is {size}: it must be a multiple of {_STEP} pixels, such as 224")
        self.batch_size = integer("batch_size", batch_size, 1)
        self._share = workers is None
        self.loader_workers = _fair_share() if workers is None else integer("workers", workers, 0)
        check_speed(compile, precision)
        self.compile = compile
        self.precision = precision
        self.classes = None if classes is None else integer("classes", classes, 1)
        self._counted: int | None = None
        self.subset = number("subset", subset, least=0.001, most=1)
        self.label_noise = number("label_noise", label_noise, least=0, most=0.99)
        self.data_seed = integer("data_seed", data_seed, 0, 2**32 - 1)
        self.deterministic = true_or_false("deterministic", deterministic)

    def prepare(self) -> None:
        """Check the folders, and that they hold images enough; nothing can be downloaded."""
        train, val = (class_names(self.data_dir, part) for part in ("train", "val"))
        check_same(self.data_dir, train, val)
        check_count(self.data_dir, "train", len(train), self.classes)
        if self.label_noise and len(train) < 2:
            raise SettingError(
                f"label_noise is {self.label_noise:g}, and there is one class: it must be 0, as no image can "
                "be given another label"
            )
        check_images(self.data_dir, train, self.batch_size, self.subset)

    def describe(self) -> dict[str, Any]:
        """As of any task, with the number of classes: as given, or of the folders if they are there."""
        told = super().describe()
        if told["options"] is not None and "classes" in option_names(type(self)):
            with suppress(TaskError):
                told["options"]["classes"] = self._outputs()
        return told

    def setup(self, device: str) -> None:
        """Find the images, and this worker's share of the cores: it may not be that of who made the task."""
        if self._share:
            self.loader_workers = _fair_share()
        super().setup(device)

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised, with an output for each class."""
        return build(self.network, classes=self._outputs(), channels=3, size=self.size)

    def data(self) -> tuple[Source, Source]:
        """Random crops for training, and the middles of the held-out images: (3, size, size) uint8."""
        from trials.data.image_folder import ImageFolderData, RandomCrops

        files = self._files("train")
        if self.subset < 1:
            files = files.subset(self.subset, self.data_seed)
        train, held = files.split(VALIDATION, self.data_seed)
        check_batch(self.batch_size, len(train), self.subset)
        noisy = train.mislabelled(self.label_noise, self.data_seed)
        return RandomCrops(noisy, self.size), ImageFolderData(held, self.size)

    def test_data(self) -> Source:
        """The middles of the images in ``val``: (3, size, size) uint8.

        ``train`` may be missing, if the number of classes was given; else both must have the same classes.
        """
        from trials.data.image_folder import ImageFolderData

        files = self._files("val")
        if self.classes is None or (self.data_dir / "train").is_dir():
            check_same(self.data_dir, class_names(self.data_dir, "train"), files.classes)
        return ImageFolderData(files, self.size)

    def _outputs(self) -> int:
        """How many classes there are: as the constructor was told, or counted once."""
        if self.classes is not None:
            return self.classes
        if self._counted is None:
            self._counted = len(class_names(self.data_dir, "train"))
        return self._counted

    def _files(self, part: str) -> ImageFiles:
        from trials.data.image_folder import ImageFiles

        check_count(self.data_dir, part, len(class_names(self.data_dir, part)), self.classes)
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
        from trials.data.augmentation import standardized

        return standardized(inputs.float() / 255, MEAN, DEVIATION)


def _fair_share() -> int:
    """Loader processes for one worker: as many as its share of the cores, which the pool leaves in its
    environment as OMP_NUM_THREADS, less one; at least 1.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    return max((int(share) if share.isdecimal() else cores()) - 1, 1)
