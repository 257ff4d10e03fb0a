"""A search over tuples, classes and nested dictionaries: in workers, after a resume, as a model again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import ASHA, Choice, Float, Int, Result, SearchSpace, tune
from asha_core.cli.report import main as report
from asha_core.errors import SpaceError, TaskError
from tests.asha_core.space.option_values import Net, Wide
from trials import TorchTask, load_model

SPACE: dict[str, Any] = {
    "sizes": Choice([(4, 4), (2,)]),
    "opt": {"kind": Choice([torch.optim.SGD, torch.optim.Adam]), "lr": Float(1e-4, 1.0, log=True)},
    "dropout": Float(0, 0.5, step=0.25),
    "width": Int(2, 8, step=2),
    "fixed": [Net, Wide][0],
    "depth": 5,
}


def train(trial: Any) -> None:
    config = trial.config
    assert type(config["sizes"]) is tuple
    assert config["fixed"] is Net
    optimizer = config["opt"]["kind"]([torch.zeros(1, requires_grad=True)], lr=config["opt"]["lr"])
    assert isinstance(optimizer, torch.optim.Optimizer)
    for _ in trial.units():
        trial.report(sum(config["sizes"]) + config["dropout"] + config["width"] + config["depth"])


def search(folder: Path, **settings: Any) -> Any:
    trials = settings.pop("trials", 4)
    scheduler = ASHA(SPACE, max_resource=3, max_trials=trials, seed=1)
    options = {"gpus": "inline", "progress": "none", "results_dir": folder / "run", **settings}
    return tune(train, scheduler, **options)


def trained(folder: Path) -> list[Any]:
    lines = (folder / "run" / "journal.jsonl").read_text().splitlines()
    return [job["configuration"] for job in map(json.loads, lines) if "configuration" in job]


@pytest.mark.slow
def test_a_search_goes_on_with_the_same_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, trials=4)
    again = search(tmp_path, trials=8, resume=True)
    whole = search(tmp_path / "whole", trials=8)
    assert again.outcome.failures == 0
    assert again.best_configuration == whole.best_configuration
    assert type(again.best_configuration["sizes"]) is tuple
    assert trained(tmp_path) == trained(tmp_path / "whole")
    assert {(each["opt.kind"], each["fixed"], each["depth"]) for each in trained(tmp_path)} == {
        ("SGD", "Net", 5),
        ("Adam", "Net", 5),
    }
    assert report([str(tmp_path / "run")]) == 0
    assert "[4, 4]" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"sizes": Choice([[4, 4], [2]])}, {"fixed": Wide}])
def test_other_options_are_another_search(tmp_path: Path, change: Any, monkeypatch: Any) -> None:
    search(tmp_path)
    monkeypatch.setitem(SPACE, next(iter(change)), next(iter(change.values())))
    with pytest.raises(Exception, match=next(iter(change))):
        search(tmp_path, resume=True)


@pytest.mark.long
@pytest.mark.processes
def test_a_worker_has_the_options_as_they_were_given(tmp_path: Path) -> None:
    result = search(tmp_path, gpus="cpu", variation="random")
    assert (result.outcome.failures, result.outcome.trials) == (0, 4)
    assert type(result.best_configuration["sizes"]) is tuple


class Small(TorchTask):
    metric = "accuracy"
    space = SearchSpace(
        {"sizes": Choice([(4,), (4, 4)]), "layer": Choice([nn.ReLU, nn.Tanh]), "lr": Float(0.01, 1.0)}
    )

    def data(self) -> Any:
        inputs = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
        return (inputs, (inputs[:, 0] > 0).long()), (inputs, (inputs[:, 0] > 0).long())

    def model(self, config: Any) -> nn.Module:
        assert type(config["sizes"]) is tuple
        sizes = (3, *config["sizes"])
        parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), config["layer"]())]
        return nn.Sequential(*parts, nn.Linear(sizes[-1], 2))

    def optimizer(self, parameters: Any, config: Any) -> Any:
        return torch.optim.SGD(parameters, lr=config["lr"])

    def loss(self, outputs: Tensor, targets: Tensor, config: Any) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)


def test_a_model_is_built_again_of_its_options(tmp_path: Path) -> None:
    result = tune(
        Small(),
        ASHA(Small.space, max_resource=2, max_trials=3, seed=2),
        gpus="inline",
        progress="none",
        results_dir=tmp_path / "run",
        variation="ohgw-1step",
    )
    assert result.outcome.failures == 0
    model, content = load_model(tmp_path / "run", task=Small)
    assert content["configuration"] == result.best_configuration.stored()
    assert isinstance(model[1], result.best_configuration["layer"])
    # what was tuned gives them back; files alone have them as they are kept
    loaded = Result.load(tmp_path / "run", Small)
    assert loaded.best_configuration == result.best_configuration
    assert isinstance(loaded.load_model()[0], nn.Sequential)
    kept = Result.load(tmp_path / "run").best_configuration
    assert kept is not None
    assert dict(kept) == result.best_configuration.stored()
    with pytest.raises(TaskError, match=r"it must be a trials\.Task"):
        Result.load(tmp_path / "run", search)  # type: ignore[arg-type]


class Plain(Small):
    """Its space is written as a dictionary, in its class."""

    space = {"net": {"sizes": Choice([(4,)])}, "lr": Float(0.01, 1.0)}  # type: ignore[assignment]  # noqa: RUF012

    def model(self, config: Any) -> nn.Module:
        return nn.Linear(3, len(config["net"]["sizes"]) + 1)


class Made(Plain):
    """Likewise, made with the task."""

    def __init__(self, top: float = 1.0) -> None:
        self.space = {"net": {"sizes": Choice([(4,)])}, "lr": Float(0.01, top)}  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [Plain, Made])
def test_a_task_s_space_may_be_a_dictionary(kind: Any, tmp_path: Path) -> None:
    assert isinstance(Plain.space, SearchSpace)
    where: Any = {"gpus": "inline", "progress": "none", "results_dir": tmp_path / "run"}
    options = {"max_trials": 2, "max_resource": 1}
    result = tune(kind(), "asha", scheduler_options=options, variation="ohgw-1step", **where)
    assert result.outcome.failures == 0
    assert type(result.best_configuration["net"]["sizes"]) is tuple
    assert load_model(tmp_path / "run", task=kind)[1]["resource"] == 1


def test_a_dictionary_that_is_no_space_is_told_by_name() -> None:
    with pytest.raises(SpaceError, match="dimension 'lr' is"):
        type("Wrong", (Small,), {"space": {"lr": (0.1, 0.2)}})
