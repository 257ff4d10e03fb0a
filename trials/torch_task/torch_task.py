"""``TorchTask``: the base class of PyTorch problems.

Importing this module does not load torch, so that the command line can plan and refuse quickly.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from asha_core.space import Configuration
from trials.task import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.trial import Trial
    from warmstart.base import Problem


class TorchTask(Task):
    """A PyTorch problem. Subclass it, and get the loop, checkpoints, AMP and warm starts.

    Required: ``space``, ``model``, ``data``. Everything else has a default that fits classification
    with SGD; override what differs. All randomness (initial weights, order of batches, augmentation,
    dropout) comes from streams of the trial's seed, by unit, so a trial that was paused goes on to the
    same curve, on any worker, to the last bit on a CPU (with the same number of threads: a sum that is
    shared out otherwise is rounded otherwise).

    Class attributes that a task may set:
        batch_size, eval_batch_size: samples a step, and at once in a validation.
        channels_last: images lie in memory pixel by pixel, channels together: what convolutions are fastest
            with, on a CPU and in mixed precision on a GPU.
        precision: of training steps: "auto" (on a GPU bfloat16 where it has it, else float16 with a gradient
            scaler; float32 on a CPU), "float32", "bfloat16" or "float16". Weights and validations: float32.
        deterministic: train with ``torch.use_deterministic_algorithms``: the same numbers every time on one
            kind of GPU, and slower. On a CPU they are so anyway, with the same number of threads.
        compile: a mode of ``torch.compile`` for the training step ("default", "reduce-overhead", which takes
            CUDA graphs, or "max-autotune"); "" does not compile. Another mode rounds differently.
        loader_workers: processes that read a ``Dataset``; 0 reads it in the worker itself.
    """

    batch_size: int = 128
    eval_batch_size: int = 1024
    channels_last: bool = False
    precision: str = "auto"
    deterministic: bool = False
    compile: str = ""
    loader_workers: int = 0

    @abstractmethod
    def model(self, config: Configuration) -> nn.Module:
        """A freshly initialised network. Called under the trial's own random state."""

    @abstractmethod
    def data(self) -> tuple[Source, Source]:
        """(training, validation) data, loaded once a worker.

        Each is a pair of tensors (inputs, targets), which is moved to the device as it is, or a
        map-style ``torch.utils.data.Dataset`` of such pairs.
        """

    def test_data(self) -> Source | None:
        """Samples that no trial sees, for the chosen configuration in the end; None: the task has none."""
        return None

    def has_test_data(self) -> bool:
        """Whether ``test_data`` is the task's own."""
        return type(self).test_data is not TorchTask.test_data

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        """Training loss: cross-entropy with ``config["label_smoothing"]``, if there is one."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets, label_smoothing=config.get("label_smoothing", 0.0))

    def heldout_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Validation loss: plain cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets)

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """The metric over the whole validation set: the share of right classes."""
        return (outputs.argmax(1) == targets).double().mean().item()

    def optimizer(self, parameters: Iterable[nn.Parameter], config: Configuration) -> torch.optim.Optimizer:
        """SGD with Nesterov momentum, from ``lr``, ``momentum`` and ``weight_decay``."""
        from torch.optim import SGD

        momentum = config.get("momentum", 0.9)
        return SGD(
            parameters,
            lr=config["lr"],
            momentum=momentum,
            weight_decay=config.get("weight_decay", 0.0),
            nesterov=momentum > 0,
        )

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """Training inputs as the network sees them; draw randomness from ``generator`` alone."""
        return inputs

    def normalize(self, inputs: Tensor) -> Tensor:
        """Applied to every input, after augmentation: for example uint8 images to floats."""
        return inputs

    def training_inputs(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        """What the network is trained on: ``normalize(augment(inputs))``, unless something comes after."""
        return self.normalize(self.augment(inputs, config, generator))

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate at ``progress`` in [0, 1) of max_resource: cosine to 0."""
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    def converged(self, scores: Sequence[float], config: Configuration) -> bool:
        """Whether a trial ends here, by itself: ``Trial.stop_early``. By default never.

        Args:
            scores: of its validations up to now, one a unit, the latest last, which then counts at every
                rung above.
            config: its configuration.
        """
        return False

    def setup(self, device: str) -> None:
        """Load torch and the data, and whatever PyTorch loads when an optimiser is first made."""
        import torch

        from trials.costs.flops import prepare
        from trials.torch_task.learner import load_data

        load_data(self, device)
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        prepare()

    def run(self, trial: Trial) -> None:
        """The training loop; see ``trials.torch_task.training``."""
        from trials.torch_task.training import train

        train(self, trial)

    def checkpoint_bytes(self) -> int | None:
        """What ``run`` keeps under the space's first configuration; other ones may be larger or smaller."""
        from trials.torch_task.learner import checkpoint_size

        try:
            return checkpoint_size(self)
        except Exception:  # a plan is made without it: an optimiser may need more than a gradient
            return None

    def problem(self, seed: int, device: str) -> Problem:
        """The network that the trial would start from, for a warm start."""
        from trials.torch_task.warm_start_problem import TrainingProblem

        return TrainingProblem(self, seed, device)

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without what a worker has loaded and counted."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_batches", "_flops")}
