"""A linear classifier on points that are drawn, not read: for smoke tests of a set-up.

An epoch takes milliseconds. Everything else is as with any other network: its checkpoints, warm starts,
test data, and a metric that depends on every hyper-parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asha_core.space import Configuration, Float, SearchSpace
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source

_CLASSES, _FEATURES, _SPREAD = 4, 8, 0.7


class Dummy(TorchTask):
    """Four clouds of normally distributed points in eight dimensions, and a linear layer (36 parameters).

    256 points for training, 256 for validation, 256 for the test. ``magnitude`` is the deviation of noise
    that is added to the training points.
    """

    space = SearchSpace(
        {
            "lr": Float(1e-4, 10.0, log=True),
            "weight_decay": Float(1e-6, 1e-1, log=True),
            "momentum": Float(0.0, 0.99),
            "magnitude": Float(0.0, 1.0),
            "label_smoothing": Float(0.0, 0.3),
        }
    )
    network = "linear"
    batch_size = 32
    max_resource = 9

    def model(self, config: Configuration) -> nn.Module:
        """(B, 8) -> (B, 4)."""
        from torch import nn

        return nn.Linear(_FEATURES, _CLASSES)

    def data(self) -> tuple[Source, Source]:
        """(256, 8) float32 points and their clouds, twice."""
        return _points(0), _points(1)

    def test_data(self) -> Source:
        """256 more points."""
        return _points(2)

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """Normal noise of deviation ``magnitude``."""
        import torch

        noise = torch.randn(inputs.shape, generator=generator, device=inputs.device)
        noisy: Tensor = inputs + config["magnitude"] * noise
        return noisy


def _points(part: int) -> tuple[Tensor, Tensor]:
    """256 points about four centres, which are the same for every part."""
    import torch

    centres = torch.randn(_CLASSES, _FEATURES, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(256) % _CLASSES
    noise = torch.randn(256, _FEATURES, generator=torch.Generator().manual_seed(1 + part))
    return centres[labels] + _SPREAD * noise, labels
