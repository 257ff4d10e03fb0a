"""What a ``TorchTask`` does with a finished trial: its network again, measured on test data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from asha_core.errors import ResultsError, TaskError
from asha_core.space import Configuration
from trials.data.batches import Batches
from trials.task import TestScore
from trials.torch_task.evaluation import evaluate
from trials.torch_task.trainable import TrainableTask

_MOST_CLASSES = 2000  # of a confusion matrix, whose size is their square


def trained_network(task: TrainableTask, config: Configuration, state: Any) -> nn.Module:
    """See ``TorchTask.trained_model``.

    Raises:
        ResultsError: it is the state of another network.
    """
    model = task.model(config)
    try:
        # what the score was measured with: the moving average of the weights, where there is one
        model.load_state_dict(state.get("ema", state)["model"])
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, KeyError | AttributeError):
            reason = "there are no weights in it, which TorchTask.run saves as model"
        raise ResultsError(reason if len(reason) < 300 else reason[:297] + "...") from None
    return model.eval()


def measure(task: TrainableTask, model: nn.Module, device: str) -> TestScore:
    """See ``TorchTask.measure_test``."""
    source = task.test_data()
    if source is None:
        raise TaskError(
            f"task {type(task).__name__} has no test data: give it a method test_data() that returns "
            "(inputs, targets) which data() does not"
        )
    batches = Batches(source, device, task.loader_workers, task.collate_fn)
    confusion = Confusion()
    value, loss = evaluate(task, model.to(device), batches, watch=confusion.add)
    return TestScore(float(value), batches.size, loss, confusion.rows())


class Confusion:
    """Counts by true and by predicted class, if outputs are (N, classes) scores and targets (N,) classes."""

    def __init__(self) -> None:
        self._counts: Any = None
        self._fits = True

    def add(self, outputs: Any, targets: Any) -> None:
        """One batch."""
        self._fits = self._fits and _of_classes(outputs, targets)
        if self._fits:
            classes = outputs.shape[1]
            pairs = torch.bincount(targets.long() * classes + outputs.argmax(1), minlength=classes**2)
            self._counts = pairs if self._counts is None else self._counts + pairs

    def rows(self) -> list[list[int]] | None:
        """A row for each true class; None if they are no classes."""
        if not self._fits or self._counts is None:
            return None
        classes = round(len(self._counts) ** 0.5)
        counts: list[list[int]] = self._counts.reshape(classes, classes).tolist()
        return counts


def _of_classes(outputs: Any, targets: Any) -> bool:
    if not (isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor)):
        return False
    if outputs.ndim != 2 or targets.ndim != 1 or targets.is_floating_point():
        return False
    classes = outputs.shape[1]
    return 2 <= classes <= _MOST_CLASSES and int(targets.min()) >= 0 and int(targets.max()) < classes
