"""Measuring a network on held-out data: in eval mode and full precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trials.costs.flops import FlopCounter
from trials.data.batches import Batches
from trials.torch_task.acceleration import heldout_batch
from trials.torch_task.learner import heldout_inputs
from trials.torch_task.trainable import TrainableTask


def evaluate(
    task: TrainableTask, model: nn.Module, batches: Batches, seen: FlopCounter | None = None
) -> tuple[float, float]:
    """(score, loss) over the whole validation set, in eval mode and full precision.

    Args:
        seen: is told of each batch, as the network takes it.
    """
    every, truth = outputs_of(task, model, batches, seen)
    with torch.inference_mode():
        return task.score(every, truth), task.heldout_loss(every, truth).item()


@torch.inference_mode()
def outputs_of(
    task: TrainableTask, model: nn.Module, batches: Batches, seen: FlopCounter | None = None
) -> tuple[Tensor, Tensor]:
    """(outputs, targets) of everything in order, in eval mode and full precision."""
    model.eval()
    outputs, targets = [], []
    for x, y in batches.ordered(heldout_batch(task.eval_batch_size, batches.device)):
        inputs = heldout_inputs(task, x)
        if seen is not None:
            seen(inputs)
        outputs.append(model(inputs).float())
        targets.append(y)
    return torch.cat(outputs), torch.cat(targets)
