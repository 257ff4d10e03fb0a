"""UCI digits: 1,797 images of 8x8, which come with scikit-learn. No download, no GPU, seconds a trial.

Split by class, with a fixed seed: 1,077 for training, 360 for validation, 360 for the chosen configuration,
once (``asha-test``). Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asha_core.arguments import one_of
from asha_core.space import Configuration, Float, SearchSpace
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 3.0, log=True),
        "weight_decay": Float(1e-6, 1e-2, log=True),
        "momentum": Float(0.0, 0.99),
        "magnitude": Float(0.0, 1.0),
        "label_smoothing": Float(0.0, 0.3),
    }
)


class Digits(TorchTask):
    """Digit classification with a small network.

    Args:
        model: "cnn" (two 3x3 convolutions and a linear layer, 4,650 parameters) or "mlp" (64-64-64-10,
            8,970 parameters).

    ``magnitude`` scales a random affine warp of the training images: up to 20 degrees, 1 pixel of
    translation and 20% of scale at 1.
    """

    space = SPACE
    batch_size = 32
    max_resource = 27
    preload = (*TorchTask.preload, "sklearn.datasets", "sklearn.model_selection")

    def __init__(self, model: str = "cnn") -> None:
        self.network = one_of("digits model", model, ("cnn", "mlp"))

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised."""
        from trials.models.small import mlp, small_cnn

        return small_cnn() if self.network == "cnn" else mlp()

    def data(self) -> tuple[Source, Source]:
        """1,077 training and 360 validation images, (N, 1, 8, 8) float32 in [0, 1]."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        kept, _, kept_labels, _ = _held_back(images, labels)
        train, valid, train_labels, valid_labels = train_test_split(
            kept, kept_labels, test_size=360, stratify=kept_labels, random_state=0
        )
        return _tensors(train, train_labels), _tensors(valid, valid_labels)

    def test_data(self) -> Source:
        """The other 360 images."""
        from sklearn.datasets import load_digits

        _, test, _, labels = _held_back(*load_digits(return_X_y=True))
        return _tensors(test, labels)

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """A random affine warp, its strength proportional to ``magnitude``."""
        from trials.data.augmentation import random_affine

        return random_affine(inputs, config["magnitude"], generator)


def _held_back(images: Any, labels: Any) -> Any:
    """(kept, test, labels kept, test labels): 360 are for the test."""
    from sklearn.model_selection import train_test_split

    return train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)


def _tensors(rows: object, classes: object) -> tuple[Tensor, Tensor]:
    import torch

    inputs = torch.as_tensor(rows, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16.0
    return inputs, torch.as_tensor(classes, dtype=torch.int64)
