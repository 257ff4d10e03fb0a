"""From a checkpoint back to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import ResultsError
from asha_core.space import Configuration
from trials.checkpoints import load_checkpoint
from trials.spec import TaskSpec
from trials.task import TorchTask

if TYPE_CHECKING:
    from torch import nn


def load_model(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild the trained model of a ``TorchTask`` from a checkpoint such as ``checkpoints/best.pt``.

    Args:
        path: a checkpoint, or a results directory, whose ``checkpoints/best.pt`` is taken.
    Returns:
        The model in eval mode on the CPU, and the checkpoint without its state (resource,
        configuration, task).
    Raises:
        ResultsError: no such checkpoint, a damaged one, or one that no ``TorchTask`` wrote.

    The task named in the checkpoint is imported: load only results whose task you trust.
    """
    path = Path(path)
    content = load_checkpoint(path / "checkpoints" / "best.pt" if path.is_dir() else path)
    state = content.pop("state")
    target, options = content["task"]["target"], content["task"]["options"]
    kind = TaskSpec(target).load()
    if not (isinstance(kind, type) and issubclass(kind, TorchTask)):
        raise ResultsError(
            f"{path} was written by {target}, which is no TorchTask: read what it saved with "
            "trials.checkpoints.load_checkpoint(path)['state']"
        )
    if options is None:
        raise ResultsError(
            f"{path} does not say with which arguments {target} was made: build the model yourself, and "
            "load_state_dict(trials.checkpoints.load_checkpoint(path)['state']['model'])"
        )
    task = TaskSpec(target, options).build()
    assert isinstance(task, TorchTask)
    values = content["configuration"]
    model = task.model(Configuration(tuple(values), tuple(values.values())))
    model.load_state_dict(state["model"])
    return model.eval(), content
