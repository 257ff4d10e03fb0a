"""``TorchTask``: the base class of PyTorch problems.

Importing this module does not load torch, so that the command line can plan and refuse quickly.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from asha_core.errors import TaskError
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from trials.task import Task, TestScore

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

    Class attributes that a task may set (*: or the space, as a dimension of that name):
        batch_size*, eval_batch_size: samples a mini-batch, and at once in a validation.
        eval_batch_size_on_cpu: at most so many at once there: tensors of more images are so large that the
            system maps each anew. Of small samples more are faster.
        samples_per_unit: training samples in a unit of resource; None: it is an epoch. The next so many of
            shuffled passes over the data, so that none comes again before all have come.
        gradient_accumulation_steps*: mini-batches in one step of the optimiser (Lightning's
            ``accumulate_grad_batches``).
        max_grad_norm*: the norm to which each step's gradient is clipped, all parameters of the optimiser
            together (Lightning's ``gradient_clip_val``); None: it is not. Hyper-gradients go through it.
        max_grad_value*: in its place, the size to which each element of the gradient is clipped.
        ema_decay*: of an exponential moving average of the weights, such as 0.999. Where it is above 0, the
            average is what is validated, tested, and loaded by ``load_model``.
        channels_last: images lie in memory pixel by pixel, channels together: what convolutions are fastest
            with, on a CPU and in mixed precision on a GPU.
        precision: of training steps: "auto" (on a GPU bfloat16 where it has it, else float16 with a gradient
            scaler; float32 on a CPU), "float32", "bfloat16" or "float16". Weights and validations: float32.
        deterministic: train with ``torch.use_deterministic_algorithms``: the same numbers every time on one
            kind of GPU, and slower. On a CPU they are so anyway, with the same number of threads.
        compile: a mode of ``torch.compile`` for the training step ("default", "reduce-overhead", which takes
            CUDA graphs, or "max-autotune"); "" does not compile. Another mode rounds differently.
        loader_workers: processes that read a ``Dataset``; 0 reads it in the worker itself.
        collate_fn: a method: samples of a ``Dataset`` -> a batch, such as one that pads them; None: torch's.

    The learning rate that ``optimizer`` gives falls to 0 on a cosine over ``max_resource``: see ``schedule``.
    """

    batch_size: int = 128
    eval_batch_size: int = 1024
    eval_batch_size_on_cpu: int = 128
    samples_per_unit: int | None = None
    gradient_accumulation_steps: int = 1
    max_grad_norm: float | None = None
    max_grad_value: float | None = None
    ema_decay: float = 0.0
    channels_last: bool = False
    precision: str = "auto"
    deterministic: bool = False
    compile: str = ""
    loader_workers: int = 0
    collate_fn: Callable[[list[Any]], Any] | None = None
    # PyTorch loads the second with the first optimiser that is made
    preload: Sequence[str] = ("torch", "torch._dynamo", "trials.torch_task.training", "trials.costs.flops")

    @abstractmethod
    def model(self, config: Configuration) -> nn.Module:
        """A freshly initialised network. Called under the trial's own random state."""

    @abstractmethod
    def data(self) -> tuple[Source, Source]:
        """(training, validation) data, loaded once a worker.

        Each is a pair of tensors (inputs, targets), a longer tuple or a dictionary of them (numpy's arrays,
        too), which is moved to the device as it is; or a map-style ``torch.utils.data.Dataset`` of such
        samples. ``unpack_batch`` says which part of them are the targets.
        """

    def unpack_batch(self, batch: Any) -> tuple[Any, Any]:
        """(inputs, targets) of a batch: of a tuple, what comes first, and the rest; of a dictionary, all but
        the entry "labels" (or "label", "targets", "target"), and that one.

        A dictionary of inputs goes to the network by name, a tuple by position. Targets may have any
        structure: only the task's own methods see them.

        Raises:
            TaskError: it cannot be told which are the targets.
        """
        from trials.torch_task.unpacking import unpacked

        return unpacked(batch)

    def test_data(self) -> Source | None:
        """Samples that no trial sees, for the chosen configuration in the end; None: the task has none."""
        return None

    def has_test_data(self) -> bool:
        """Whether ``test_data`` is the task's own, or ``measure_test``."""
        kind = type(self)
        return (kind.test_data, kind.measure_test) != (TorchTask.test_data, TorchTask.measure_test)

    def trained_model(self, config: Configuration, state: Any) -> nn.Module:
        """The network in eval mode on the CPU, with the weights that its value was measured with: their
        moving average, if the trial has one.
        """
        from trials.torch_task.final import trained_network

        return trained_network(self, config, state)

    def measure_test(self, model: nn.Module, config: Configuration, device: str) -> TestScore:
        """As in a validation, on ``test_data``."""
        from trials.torch_task.final import measure

        return measure(self, model, device)

    def criterion(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of outputs, a scalar, a mean over what ``batch_weight`` counts; cross-entropy by default.

        The one place for another: training, validation and warm starts take it, and with ``mode = "min"`` it
        is the score, too. A module does as well: ``criterion = nn.MSELoss()``.
        """
        from torch.nn.functional import cross_entropy

        return cross_entropy(self._class_scores(outputs), targets)

    def loss(self, outputs: Any, targets: Any, config: Configuration) -> Tensor:
        """Training loss: the criterion; the default one with ``config["label_smoothing"]``, if there."""
        if self._overrides("criterion"):
            return self.criterion(outputs, targets)
        from torch.nn.functional import cross_entropy

        scores = self._class_scores(outputs)
        return cross_entropy(scores, targets, label_smoothing=config.get("label_smoothing", 0.0))

    def heldout_loss(self, outputs: Any, targets: Any) -> Tensor:
        """Validation loss: the criterion. A task with one of its own is given the whole validation set."""
        return self.criterion(outputs, targets)

    def batch_weight(self, targets: Any) -> Any:
        """How much a batch counts beside others, in a validation and in accumulated gradients: its samples.

        Where the criterion is a mean over something else, its number, as ``(targets != PAD).sum()``.
        """
        from trials.data.trees import lengths

        return lengths(targets)[0]

    def score_sums(self, outputs: Any, targets: Any) -> Any:
        """What of a batch the score needs, to be added up over the validation set.

        Returns:
            Tensors or numbers in a dictionary or tuple. By default how many classes are right, and of how
            many; nothing with ``mode = "min"``, where the score is the loss.
        """
        if self.mode == "min":
            return {}
        scores = self._class_scores(outputs)
        if getattr(targets, "is_floating_point", lambda: True)():
            raise TaskError(
                f"{type(self).__name__} has targets that are no classes, whose share that is right cannot be "
                'its score: set mode = "min" and metric, and the validation loss is; or write '
                "score_sums(outputs, targets) and score_from(sums, loss)"
            )
        return {"right": (scores.argmax(1) == targets).sum(), "count": targets.numel()}

    def score_from(self, sums: Any, loss: float) -> float:
        """The metric over all validation data: the share of right classes; with ``mode = "min"`` the loss.

        Args:
            sums: of ``score_sums``, over all batches; float64 or int64.
            loss: the mean of the criterion. ``loss ** 0.5`` is an RMSE, ``math.exp(loss)`` a perplexity.
        """
        return float(sums["right"]) / float(sums["count"]) if sums else loss

    def score(self, outputs: Any, targets: Any) -> float:
        """The metric, where it does not add up over batches (a rank correlation, say).

        A task with one of its own is given all outputs at once, so it needs the memory for them.
        """
        return self.score_from(self.score_sums(outputs, targets), float(self.heldout_loss(outputs, targets)))

    def adds_up(self) -> bool:
        """Whether a validation adds up batch by batch, and keeps no outputs."""
        return not (self._overrides("score") or self._overrides("heldout_loss"))

    def _overrides(self, name: str) -> bool:
        return getattr(getattr(self, name), "__func__", None) is not getattr(TorchTask, name)

    def _class_scores(self, outputs: Any) -> Tensor:
        if hasattr(outputs, "argmax"):
            return cast("Tensor", outputs)
        raise TaskError(
            f"{type(self).__name__}'s network gives a {type(outputs).__name__}, and the default loss and "
            "score take a tensor of class scores: write criterion(outputs, targets), and "
            'score_sums(outputs, targets) or mode = "min"'
        )

    def param_groups(self, model: nn.Module, config: Configuration) -> Iterable[Any]:
        """What ``optimizer`` is given: the network's parameters, or groups with settings of their own.

        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        """
        return model.parameters()

    def optimizer(self, parameters: Iterable[Any], config: Configuration) -> torch.optim.Optimizer:
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

    def augment(self, inputs: Any, config: Configuration, generator: torch.Generator) -> Any:
        """Training inputs as the network sees them; draw randomness from ``generator`` alone."""
        return inputs

    def normalize(self, inputs: Any) -> Any:
        """Applied to every input, after augmentation: for example uint8 images to floats."""
        return inputs

    def training_inputs(self, inputs: Any, config: Configuration, generator: torch.Generator) -> Any:
        """What the network is trained on: ``normalize(augment(inputs))``, unless something comes after."""
        return self.normalize(self.augment(inputs, config, generator))

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate at ``progress`` in [0, 1) of max_resource: cosine to 0.

        ``return 1.0`` keeps the rate that ``optimizer`` gave.
        """
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    def lr_lambda(self, step: int, progress: float, config: Configuration) -> float:
        """Factor on each parameter group's own learning rate at a step; by default ``schedule(progress)``.

        Args:
            step: the trial's steps before this one; a warm-up is ``min(1.0, (step + 1) / 500)``.
            progress: in [0, 1) of max_resource.
        """
        return self.schedule(progress)

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

    def promoted_problem(self, trial: Trial, state: Any) -> Problem:
        """The network as the trial has trained it, at the rate that its schedule has come to."""
        from trials.torch_task.warm_start_problem import Progress, TrainingProblem

        progress = Progress(state["model"], trial.done, trial.max_resource)
        seed = stream_seed(trial.seed, "promotion", trial.done)  # other samples than before
        return TrainingProblem(self, seed, trial.device, progress)

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without what a worker has loaded and counted."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_batches", "_flops")}
