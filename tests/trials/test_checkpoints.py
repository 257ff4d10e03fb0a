"""From a finished search back to a model, for tasks made in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from asha_core import ASHA, AshaError, Configuration, Float, SearchSpace, tune
from tests.trials.jobs import work
from trials import TorchTask, load_model


class Sized(TorchTask):
    """A task with an argument, without which its model cannot be rebuilt."""

    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})
    batch_size = 8

    def __init__(self, hidden: int = 4, extra: Any = None, **more: int) -> None:
        self.hidden = hidden + more.get("and_more", 0)

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(nn.Linear(2, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 2))

    def data(self) -> Any:
        x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return (x[:32], y[:32]), (x[32:], y[32:])


def search(task: Any, folder: Path) -> Path:
    scheduler = ASHA(Sized.space, max_resource=3, max_trials=3)
    return tune(task, scheduler, gpus="inline", results_dir=folder / "run", progress="none").directory


@pytest.mark.parametrize("task", [Sized(7), Sized(hidden=7), Sized(4, and_more=3)])
def test_a_model_is_rebuilt_with_its_tasks_arguments(task: Sized, tmp_path: Path) -> None:
    model, described = load_model(search(task, tmp_path))
    assert model[0].out_features == 7  # type: ignore[index,union-attr]
    assert described["task"]["options"] in ({"hidden": 7}, {"hidden": 4, "and_more": 3})


def test_arguments_that_json_cannot_hold_are_told_when_it_matters(tmp_path: Path) -> None:
    directory = search(Sized(7, extra=torch.zeros(2)), tmp_path)
    with pytest.raises(AshaError, match="with which arguments"):
        load_model(directory)


class Plain:
    space = SearchSpace({"x": Float(0.0, 1.0)})


def test_a_function_has_no_model_to_rebuild(tmp_path: Path) -> None:
    scheduler = ASHA(Plain.space, max_resource=3, max_trials=3)
    result = tune(work, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    assert result.best is not None
    with pytest.raises(AshaError, match=r"no TorchTask: read what it saved with .*load_checkpoint"):
        load_model(result.directory)


class Adam(Sized):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=config["lr"])


def test_a_mistake_that_every_trial_would_meet_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    scheduler = ASHA(Sized.space, max_resource=3, max_trials=3)
    with pytest.raises(AshaError, match=r"differentiate torch\.optim\.SGD"):
        tune(
            Adam(),
            scheduler,
            gpus="inline",
            variation="ohgw-1step",
            results_dir=tmp_path / "run",
            progress="none",
        )
    assert not (tmp_path / "run").exists()
