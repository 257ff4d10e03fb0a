"""Classification of images that fit on the device whole: what the CIFAR and Fashion-MNIST tasks share.

The images lie on the device as uint8. Each batch is cropped, flipped, augmented, normalised and cut out
there, image by image at random, with the trial's own generator. Validation and test images are only
normalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from asha_core.arguments import integer, number, one_of, true_or_false
from asha_core.errors import SettingError
from asha_core.runtime.storage.paths import user_path
from asha_core.space import Configuration, Float, SearchSpace
from trials.models import SHORTCUTS, build
from trials.torch_task.options import check_speed
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.data.image_files import Part

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-5, 1e-2, log=True),
        "momentum": Float(0.5, 0.99),
        "magnitude": Float(0.0, 1.0),
        "label_smoothing": Float(0.0, 0.2),
    }
)
NORMALIZATIONS = ("per-image", "per-channel")


class ImageTask(TorchTask):
    """A data set of small images, a network, and the pipeline between them.

    Args:
        data_dir: where the data set's files lie, or are downloaded to; or an .npz file.
        subset: share of the training and validation images to use, in (0, 1]; the split stays stratified.
        download: fetch the data if it is not there.
        model: one of ``models``; the first of them by default.
        label_noise: share of the training labels that are replaced by another class, in [0, 1).
        data_seed: of the split, the subset and the label noise: part of the problem, not of a search's seed.
        cutout: side in pixels of the square that is set to 0 in each training image; 0: none.
        normalization: "per-image" (each image to mean 0 and deviation 1) or "per-channel" (by the mean and
            deviation of the data set's training images; keeps what brightness and contrast change).
        shortcut: of CIFAR's residual networks: "identity" (padding with zeros) or "projection".
        batch_size: training images a step.
        compile: a mode of ``torch.compile`` for the training step: "default", or "reduce-overhead", which
            takes CUDA graphs; "" does not compile. See ``TorchTask.compile``.
        precision: "auto", "float32", "bfloat16" or "float16": see ``TorchTask.precision``.
        deterministic: the same numbers every time on a GPU too: see ``TorchTask.deterministic``.

    ``magnitude`` is the strength of RandAugment, on top of random crops and flips: see
    ``trials.data.rand_augment``.

    The attributes are the class's own, and a subclass sets them.
    """

    images: ClassVar[str]  # its name in ``trials.data.image_files``
    models: ClassVar[tuple[str, ...]]  # the networks it takes
    mean: ClassVar[tuple[float, ...]]  # of each channel over the training images, in 0 to 255
    deviation: ClassVar[tuple[float, ...]]  # likewise
    padding: ClassVar[int] = 4  # of the random crop, in pixels
    default_cutout: ClassVar[int] = 0
    space = SPACE
    max_resource = 200
    channels_last = True

    def __init__(
        self,
        data_dir: str = "data",
        subset: float = 1.0,
        download: bool = True,
        model: str | None = None,
        label_noise: float = 0.0,
        data_seed: int = 0,
        cutout: int | None = None,
        normalization: str = "per-image",
        shortcut: str | None = None,
        batch_size: int | None = None,
        compile: str = "",
        precision: str = "auto",
        deterministic: bool = False,
    ) -> None:
        from trials.data.image_files import IMAGE_SETS

        self._set = IMAGE_SETS[self.images]
        self.network = one_of(f"{self.images} model", self.models[0] if model is None else model, self.models)
        self._network_settings = _shortcut(self.network, shortcut)
        self.data_dir = user_path(data_dir, "data_dir")
        self.subset = number("subset", subset, least=0.001, most=1)
        self.download = true_or_false("download", download)
        self.label_noise = number("label_noise", label_noise, least=0, most=0.99)
        self.data_seed = integer("data_seed", data_seed, 0, 2**32 - 1)
        side = self._set.size
        self.cutout = integer("cutout", self.default_cutout if cutout is None else cutout, 0, side)
        self.normalization = one_of("normalization", normalization, NORMALIZATIONS)
        if batch_size is not None:
            self.batch_size = integer("batch_size", batch_size, 1)
        check_speed(compile, precision)
        self.compile = compile
        self.precision = precision
        self.deterministic = true_or_false("deterministic", deterministic)

    def prepare(self) -> None:
        """Check the files, downloading them first if that is allowed; and that there are images enough."""
        from trials.data.image_files import check as check_files

        check_files(self.images, self.data_dir, download=self.download)
        self._rows(self._read("train")[1])

    def setup(self, device: str) -> None:
        """Load the data, and let cuDNN find its fastest algorithms: every batch has the same shape."""
        super().setup(device)
        if device.startswith("cuda") and not self.deterministic:
            import torch

            torch.backends.cudnn.benchmark = True

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised."""
        images = self._set
        return build(
            self.network,
            classes=images.classes,
            channels=images.channels,
            size=images.size,
            **self._network_settings,
        )

    def data(self) -> tuple[Source, Source]:
        """(N, C, H, W) uint8 images and their classes: 90% for training, 10% for validation."""
        from trials.data.splits import symmetric_noise

        images, labels = self._read("train")
        train, valid = self._rows(labels)
        noisy = symmetric_noise(labels[train], self.label_noise, self._set.classes, self.data_seed)
        return _tensors(images[train], noisy), _tensors(images[valid], labels[valid])

    def test_data(self) -> Source:
        """(N, C, H, W) uint8 images and their classes: the data set's own test images."""
        return _tensors(*self._read("test"))

    def _rows(self, labels: Any) -> tuple[Any, Any]:
        """Which images are trained on, and which are held out."""
        from trials.data.splits import check_batch, stratified_split

        train, valid = stratified_split(labels, 0.1, self.subset, self.data_seed)
        check_batch(self.batch_size, len(train), self.subset)
        return train, valid

    def _read(self, part: Part) -> Any:
        from trials.data.image_files import read

        return read(self.images, self.data_dir, part)

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """A random crop of the padded image, a random flip, and RandAugment of strength ``magnitude``.

        Args:
            inputs: (B, C, H, W) uint8.
        Returns:
            (B, C, H, W) float32 in 0 to 255; differentiable in a ``magnitude`` that is a 0-d tensor.
        """
        from trials.data.augmentation import random_crop_flip
        from trials.data.rand_augment import rand_augment

        images = random_crop_flip(inputs, self.padding, generator)
        return rand_augment(images.float(), config["magnitude"], generator)

    def normalize(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) in 0 to 255 -> float32 of mean 0 and deviation 1: see ``normalization``."""
        from trials.data.augmentation import standardized

        images = inputs.float()
        if self.normalization == "per-channel":
            return standardized(images, self.mean, self.deviation)
        mean = images.mean((1, 2, 3), keepdim=True)
        deviation = images.std((1, 2, 3), keepdim=True).clamp_min(1.0)
        return (images - mean) / deviation

    def training_inputs(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """Augmented, normalised, and then cut out: the square is of the mean."""
        from trials.data.augmentation import cutout

        return cutout(super().training_inputs(inputs, config, generator), self.cutout, generator)


def _shortcut(network: str, shortcut: str | None) -> dict[str, Any]:
    """What ``build`` is told about it."""
    if shortcut is None:
        return {}
    one_of("shortcut", shortcut, SHORTCUTS)
    if not network.startswith("resnet") or network == "resnet50":
        raise SettingError(f"shortcut is {shortcut!r}, and {network} has none to choose: leave it out")
    return {"shortcut": shortcut}


def _tensors(images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """(N, H, W, C) and (N,) arrays -> (N, C, H, W) and (N,) tensors."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)
