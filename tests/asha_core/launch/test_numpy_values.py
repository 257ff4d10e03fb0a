"""A search whose space or task was described with numpy's values is the one with Python's own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asha_core import ASHA, Choice, Configuration, Float, RandomSearch, SearchSpace, tune
from asha_core.cli.final_test import main as asha_test
from asha_core.errors import ReportError, ResultsError
from tests.trials import jobs
from trials import load_model, measure_on_test_data
from trials.checkpoints.files import check_state, load_checkpoint
from trials.tasks.dummy import Dummy

NUMPYS = {"x": Choice(list(np.logspace(-3, -1, 3)))}
PYTHONS = {"x": Choice([float(each) for each in np.logspace(-3, -1, 3)])}


def search(task: Any, space: SearchSpace, folder: Path, **settings: Any) -> Any:
    scheduler = ASHA(space, max_trials=9, max_resource=9, **settings)
    return tune(task, scheduler, gpus="inline", results_dir=folder, progress="none")


def test_as_many_units_are_trained_and_the_best_checkpoint_can_be_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = []

    def counts(trial: Any) -> None:
        state = trial.resume_from() or {"sum": 0.0}
        for unit in trial.units():
            trained.append((trial.id, unit))
            state["sum"] += trial.config["x"]
            trial.save(state)
            trial.report(state["sum"])

    found = {}
    for name, space in (("numpy", NUMPYS), ("python", PYTHONS)):
        trained.clear()
        result = search(counts, SearchSpace(space), tmp_path / name)
        found[name] = len(trained), result.best_value, result.best_configuration
        assert len(trained) == len(set(trained)) == result.summary["units"]
        best = load_checkpoint(result.directory / "checkpoints" / "best.pt")
        assert best["configuration"] == dict(result.best_configuration)
    assert found["numpy"] == found["python"]
    assert "damaged" not in capfd.readouterr().err


class Own(Dummy):
    """Its learning rate is one of numpy's."""

    space = SearchSpace(
        {"lr": Choice(np.array([0.1, 0.2])), "weight_decay": Float(0.0, 0.1), "magnitude": Float(0.0, 0.1)}
    )

    def __init__(self, samples: Any = 64, sizes: Any = (), kind: Any = None) -> None:
        super().__init__()
        self.samples = samples


@pytest.mark.long
def test_a_network_trained_with_them_is_rebuilt_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Own(np.int64(64), sizes=[np.float32(0.5), (np.int64(1),)])
    folder = search(task, task.space.freeze(magnitude=np.float32(0.0)), tmp_path / "run").directory
    model, content = load_model(folder, task=Own)
    assert isinstance(model, torch.nn.Module)
    assert content["task"]["options"] == {"samples": 64, "sizes": [0.5, (1,)]}
    assert content["configuration"]["lr"] in (0.1, 0.2)
    assert measure_on_test_data(folder, task=Own).value >= 0.0
    assert asha_test([str(folder), "--task", f"{Own.__module__}:Own"]) == 0
    assert "damaged" not in capsys.readouterr().err


class Reckoned(Dummy):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        betas = (np.float64(0.9), np.float64(0.99))
        return torch.optim.Adam(parameters, lr=config["lr"] * np.sqrt(0.5), betas=betas)


class Scheduled(Dummy):
    def schedule(self, progress: float) -> float:
        return 0.5 * (1.0 + np.cos(np.pi * progress))


@pytest.mark.parametrize("kind", [Reckoned, Scheduled])
def test_an_optimisers_settings_may_be_reckoned_with_numpy(tmp_path: Path, kind: type[Dummy]) -> None:
    result = search(kind(), kind.space, tmp_path / "run")
    assert load_model(result.directory, task=kind)[1]["resource"] == result.best.resource


class Colour(StrEnum):
    RED = "red"


def test_an_option_that_json_would_change_is_said_to_be_unknown(tmp_path: Path) -> None:
    task = Own(kind=Colour.RED)
    assert task.describe()["options"] is None
    folder = search(task, task.space, tmp_path / "run").directory
    with pytest.raises(ResultsError, match="does not say with which arguments"):
        load_model(folder, task=Own)
    assert load_model(folder, task=task)[1]["resource"] >= 1


class FromNumpy(RandomSearch):
    """A searcher as users write them."""

    def propose(self, index: int) -> Configuration:
        return Configuration(("x",), (np.random.default_rng(index).uniform(),))


def test_a_searcher_may_draw_with_numpy(tmp_path: Path) -> None:
    space = SearchSpace({"x": Float(0.0, 1.0)})
    result = search(jobs.work, space, tmp_path / "run", searcher=FromNumpy(space, 0))
    assert load_checkpoint(result.directory / "checkpoints" / "best.pt")["resource"] == 9


class Odd(RandomSearch):
    def propose(self, index: int) -> Configuration:
        return Configuration(("x",), (Colour.RED,))  # type: ignore[arg-type]


def test_what_no_checkpoint_gives_back_is_told_where_it_is_saved(tmp_path: Path) -> None:
    space = SearchSpace({"x": Float(0.0, 1.0)})
    said = r"configuration\['x'\] is a Colour: a checkpoint holds"
    with pytest.raises(Exception, match=said):
        search(jobs.saves_late, space, tmp_path / "run", searcher=Odd(space, 0))


def _odd_states() -> dict[str, Any]:
    tensor = torch.ones(1)
    tensor.scale = np.float64(2.0)  # type: ignore[attr-defined]
    inside: list[Any] = []
    inside.append(inside)
    return {
        r"state\.scale is a float64": tensor,
        r"state\['w'\]\[1\]\.scale is a float64": {"w": [0, tensor]},
        r"state\['n'\] is an integer of 2,401 bits: save it as text": {"n": 2**2400},
        "state is nested too deeply, or holds itself": inside,
    }


@pytest.mark.parametrize(("said", "state"), _odd_states().items())
def test_states_that_torch_would_not_read_back_are_refused_with_the_place(said: str, state: Any) -> None:
    with pytest.raises(ReportError, match=said):
        check_state(state)
