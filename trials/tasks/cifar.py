"""CIFAR-10 with ResNet-20, from torchvision's own files.

The training set is split by class, with a fixed seed, into 45,000 images for training and 5,000 for
validation; the 10,000 test images are not touched here. Images stay uint8 on the device; augmentation
and normalisation happen there. Source: Krizhevsky 2009, "Learning Multiple Layers of Features from
Tiny Images".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asha_core.errors import SettingError, TaskError
from asha_core.space import Configuration, Float, SearchSpace
from trials.task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-5, 1e-2, log=True),
        "momentum": Float(0.5, 0.99),
        "magnitude": Float(0.0, 1.0),
        "label_smoothing": Float(0.0, 0.2),
    }
)
_VALIDATION = 0.1


class Cifar10(TorchTask):
    """CIFAR-10 classification with ResNet-20.

    Args:
        data_dir: where ``cifar-10-batches-py/`` lies, or is downloaded to.
        subset: share of the images to use, in (0, 1]; the split stays stratified.
        download: fetch the data if it is not there.

    ``magnitude`` is the strength of RandAugment, on top of random crops and flips: see
    ``trials.data.rand_augment``.
    """

    space = SPACE
    max_resource = 200

    def __init__(self, data_dir: str = "data", subset: float = 1.0, download: bool = True) -> None:
        if not 0.001 <= subset <= 1:
            raise SettingError(f"cifar10 subset is {subset!r}: it must be a share between 0.001 and 1")
        self.data_dir = Path(data_dir)
        self.subset = subset
        self.download = download

    def prepare(self) -> None:
        """Check the files, downloading them first if that is allowed."""
        if (self.data_dir / "cifar-10-batches-py" / "data_batch_1").exists():
            return
        where = (
            f"put the folder cifar-10-batches-py (from cifar-10-python.tar.gz, "
            f"https://www.cs.toronto.edu/~kriz/cifar.html) into {self.data_dir}, or name its parent with "
            "--data-dir"
        )
        if not self.download:
            raise TaskError(f"CIFAR-10 is not in {self.data_dir} and download=false: {where}")
        from torchvision.datasets import CIFAR10

        there = self.data_dir.exists()
        try:
            CIFAR10(str(self.data_dir), download=True)
        except Exception as error:  # no network, no room, no permission, a bad checksum
            if not there and self.data_dir.exists() and not any(self.data_dir.iterdir()):
                self.data_dir.rmdir()
            raise TaskError(
                f"CIFAR-10 is not in {self.data_dir} and cannot be downloaded ({error}): {where}"
            ) from error

    def model(self, config: Configuration) -> nn.Module:
        """ResNet-20, freshly initialised."""
        from trials.models.resnet import resnet20

        return resnet20()

    def data(self) -> tuple[Source, Source]:
        """(N, 3, 32, 32) uint8 images and their classes: 90% for training, 10% for validation."""
        import torch
        from sklearn.model_selection import train_test_split
        from torchvision.datasets import CIFAR10

        try:
            files = CIFAR10(str(self.data_dir), train=True, download=False)
        except (RuntimeError, OSError, EOFError):
            folder = self.data_dir / "cifar-10-batches-py"
            raise TaskError(
                f"CIFAR-10 in {folder} is damaged (a file is missing, or has another checksum than the "
                "published one): remove the folder and put it there again"
            ) from None
        labels = torch.tensor(files.targets)
        images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
        rows = list(range(len(labels)))
        if self.subset < 1:
            rows, _ = train_test_split(rows, train_size=self.subset, stratify=files.targets, random_state=0)
        train, valid = train_test_split(
            rows, test_size=_VALIDATION, stratify=labels[rows].tolist(), random_state=0
        )
        return (images[train], labels[train]), (images[valid], labels[valid])

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """Random crop with padding 4, random flip, and RandAugment of strength ``magnitude``, continuous.

        Args:
            inputs: (B, 3, 32, 32) uint8.
        Returns:
            (B, 3, 32, 32) float32 in 0 to 255; differentiable in a ``magnitude`` that is a 0-d tensor.
        """
        from trials.data.augmentation import random_crop_flip
        from trials.data.rand_augment import rand_augment

        images = random_crop_flip(inputs, 4, generator)
        return rand_augment(images.float(), config["magnitude"], generator)

    def normalize(self, inputs: Tensor) -> Tensor:
        """Per-image z-score: every image has mean 0 and standard deviation 1."""
        images = inputs.float()
        mean = images.mean((1, 2, 3), keepdim=True)
        deviation = images.std((1, 2, 3), keepdim=True).clamp_min(1.0)
        return (images - mean) / deviation
