"""Measuring a network on held-out data: in eval mode and full precision, a batch at a time.

What is measured adds up, so nothing of a batch is kept when the next one comes. A task with a ``score`` or
``heldout_loss`` of its own is the exception: those are given everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map, tree_map_only

from trials.costs.flops import FlopCounter
from trials.data.batches import Batches
from trials.data.trees import joined
from trials.torch_task.learner import heldout_inputs
from trials.torch_task.trainable import TrainableTask
from warmstart.problem.data.samples import call

Watch = Callable[[Any, Any], None]


@torch.inference_mode()
def evaluate(
    task: TrainableTask,
    model: nn.Module,
    batches: Batches,
    seen: FlopCounter | None = None,
    watch: Watch | None = None,
) -> tuple[float, float]:
    """(score, loss) over the whole validation set, in eval mode and full precision.

    Args:
        seen: is told of each batch, as the network takes it.
        watch: is given each batch's (outputs, targets).
    """
    pairs = _measured(task, model, batches, seen, watch)
    if not task.adds_up():
        outputs, targets = map(joined, zip(*pairs, strict=True))
        return task.score(outputs, targets), float(task.heldout_loss(outputs, targets))
    return _added_up(task, pairs, batches.device)


def _added_up(
    task: TrainableTask, pairs: Iterator[tuple[Any, Any]], device: torch.device
) -> tuple[float, float]:
    loss = total = torch.zeros((), dtype=torch.float64, device=device)
    sums: Any = None
    for outputs, targets in pairs:
        weight = torch.as_tensor(task.batch_weight(targets), dtype=torch.float64, device=device)
        # a batch that counts for nothing, all of it masked, may have a loss that is not a number
        loss = loss + torch.where(weight > 0, task.heldout_loss(outputs, targets).double() * weight, 0.0)
        total = total + weight
        found = tree_map(_summable, task.score_sums(outputs, targets))
        sums = found if sums is None else tree_map(torch.add, sums, found)
        del outputs, targets  # before the next ones are made
    mean = (loss / total).item()
    return float(task.score_from(sums, mean)), mean


def _summable(value: Any) -> Tensor:
    """A tensor whose sums over many batches stay exact."""
    tensor = torch.as_tensor(value)
    return tensor.double() if tensor.is_floating_point() else tensor.to(torch.int64)


def _measured(
    task: TrainableTask,
    model: nn.Module,
    batches: Batches,
    seen: FlopCounter | None,
    watch: Watch | None,
) -> Iterator[tuple[Any, Any]]:
    """(outputs, targets) of everything in order; none of them is kept here."""
    model.eval()
    size = task.eval_batch_size
    if batches.device.type != "cuda":
        size = min(size, task.eval_batch_size_on_cpu)
    for batch in batches.ordered(size):
        inputs, targets = task.unpack_batch(batch)
        inputs = heldout_inputs(task, inputs)
        if seen is not None:
            seen(inputs)
        pair = tree_map_only(Tensor, _in_full, call(model, inputs)), targets
        if watch is not None:
            watch(*pair)
        yield pair
        del pair


def _in_full(output: Tensor) -> Tensor:
    return output.float() if output.is_floating_point() else output
