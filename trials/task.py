"""What is tuned: the Task protocol, plain functions, and ``TorchTask`` for PyTorch users.

Importing this module does not load torch, so that the command line can plan and refuse quickly.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asha_core.errors import SettingError, TaskError, nearest
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source
    from trials.trial import Trial
    from warmstart.base import Problem


COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Task(ABC):
    """A problem to tune: a search space, a metric, and how to train one trial.

    Class attributes that a task may set:
        space: the search space (required).
        metric: name of what ``trial.report`` reports. mode: "max" or "min".
        unit: name of one unit of resource.
        min_resource, max_resource, reduction_factor: defaults for the scheduler.

    One instance lives in each worker process; it may keep what is slow to load (the data).
    """

    space: SearchSpace
    metric: str = "accuracy"
    mode: str = "max"
    unit: str = "epoch"
    min_resource: int = 1
    max_resource: int = 81
    reduction_factor: int = 3
    _arguments: dict[str, Any]

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """Remember the arguments, so that ``describe`` can tell how to build the task again."""
        task = super().__new__(cls)
        task._arguments = {}
        if cls.__init__ is not object.__init__:
            signature = inspect.signature(cls.__init__)
            bound = signature.bind_partial(task, *positional, **named).arguments
            for name, parameter in list(signature.parameters.items())[1:]:
                if parameter.kind is parameter.VAR_KEYWORD:
                    task._arguments |= bound.get(name, {})
                elif name in bound:
                    task._arguments[name] = bound[name]
        elif positional or named:  # Python leaves this to whichever of __new__ and __init__ is not its own
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return task

    def prepare(self) -> None:  # noqa: B027 - a hook that may stay as it is
        """Called once before any worker starts: check for data, download it.

        Raises:
            TaskError: something is missing; the message says where to put it.
        """

    def setup(self, device: str) -> None:  # noqa: B027 - likewise
        """Called once in each worker before its first job: load what is slow to load."""

    @abstractmethod
    def run(self, trial: Trial) -> None:
        """Train from ``trial.resume_from()`` to ``trial.until``, reporting every unit."""

    def warm_start_loss(self, config: Configuration, seed: int) -> float:
        """The loss after a little training, lower is better: what a warm start measures where there is no
        network to differentiate (a tree model, an environment). Optional.

        Args:
            seed: of all randomness in it: the same seed, the same samples and the same noise.
        """
        raise NotImplementedError

    def problem(self, seed: int, device: str) -> Problem:
        """What a warm start may look at, for the trial with this seed."""
        if type(self).warm_start_loss is Task.warm_start_loss:
            return PlainProblem(self.space)
        from warmstart.base import BlackBox

        def evaluate(config: Configuration, draw: int) -> float:
            return self.warm_start_loss(config, stream_seed(seed, "warm-start", draw))

        return BlackBox(self.space, evaluate)

    def has_losses(self) -> bool:
        """Whether ``problem`` has a loss to measure."""
        kind = type(self)
        return kind.problem is not Task.problem or kind.warm_start_loss is not Task.warm_start_loss

    def has_test_data(self) -> bool:
        """Whether there is data that no trial sees, for ``asha-test``."""
        return False

    def checkpoint_bytes(self) -> int | None:
        """About how large one checkpoint of a trial is, for plans; None: not known."""
        return None

    def describe(self) -> dict[str, Any]:
        """How to build this task again: {"target": "module:Name", "options": {...}}.

        The options are the constructor's arguments; None if JSON cannot hold them, and then a
        checkpoint cannot be turned back into a model by itself.
        """
        kind = type(self)
        options: dict[str, Any] | None = dict(self._arguments)
        try:
            json.dumps(options)
        except (TypeError, ValueError):
            options = None
        return {"target": f"{_module(kind)}:{kind.__qualname__}", "options": options}

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without what a worker has loaded and counted."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_batches", "_flops")}


def check_speed(compile: str, precision: str) -> None:
    """Raise ``SettingError`` for what is no value of ``TorchTask.compile`` or ``.precision``."""
    for name, value, known in (
        ("compile", compile, COMPILE_MODES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known and (name, value) != ("compile", ""):
            raise SettingError(f"{name} is {value!r}, which is none{nearest(str(value), known)}")


def _module(thing: Any) -> str:
    """Where a class or function is defined; for a script, the name that others can import it under."""
    module: str = thing.__module__
    if module in ("__main__", "__mp_main__"):
        script = getattr(sys.modules[module], "__file__", None)
        return Path(script).stem if script else "__main__"
    return module


class PlainProblem:
    """The problem of a task without a network to differentiate: a search space alone."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def losses(self, configuration: Configuration) -> Any:
        """There are none."""
        raise TaskError(
            "this warm start needs a loss to measure, and the task has none: subclass trials.TorchTask, give "
            "the task a warm_start_loss(config, seed), or use --variation baseline or random-warm"
        )


class FunctionTask(Task):
    """A plain function ``train(trial)`` as a task.

    Args:
        function: defined at the top level of a module, so that worker processes can import it.
        space: its search space. metric, mode: what it reports.
    """

    def __init__(
        self,
        function: Callable[[Trial], None],
        space: SearchSpace,
        *,
        metric: str = "value",
        mode: str = "max",
    ) -> None:
        self.function = function
        self.space = space
        self.metric = metric
        self.mode = mode
        self.unit = "unit"

    def run(self, trial: Trial) -> None:
        """Call the function."""
        self.function(trial)

    def describe(self) -> dict[str, Any]:
        """The function's module and name."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return {"target": f"{_module(self.function)}:{name}", "options": {}}


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
        from warmstart.problem.smoothing import cross_entropy

        return cross_entropy(outputs, targets, config.get("label_smoothing", 0.0))

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

    def setup(self, device: str) -> None:
        """Load torch and the data, and whatever PyTorch loads when an optimiser is first made."""
        import torch

        from trials.costs.flops import prepare
        from trials.torch_task.training import load_data

        load_data(self, device)
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        prepare()

    def run(self, trial: Trial) -> None:
        """The training loop; see ``trials.torch_task.training``."""
        from trials.torch_task.training import train

        train(self, trial)

    def checkpoint_bytes(self) -> int | None:
        """What ``run`` keeps under the space's first configuration; other ones may be larger or smaller."""
        from trials.torch_task.training import checkpoint_size

        try:
            return checkpoint_size(self)
        except Exception:  # a plan is made without it: an optimiser may need more than a gradient
            return None

    def problem(self, seed: int, device: str) -> Problem:
        """The network that the trial would start from, for a warm start."""
        from trials.torch_task.training import TrainingProblem

        return TrainingProblem(self, seed, device)
