"""Tables, by boosted trees and by a network: what holds for both, and what each promises."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asha_core.cli.run import main
from asha_core.errors import ResultsError, SettingError, TaskError
from asha_core.messages import Job, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.searchers.random_search import RandomSearch
from asha_core.streams import stream_seed
from asha_core.testing import TaskContract
from trials.checkpoints.files import load_checkpoint
from trials.data.tables import preparing
from trials.executors.inline import InlineExecutor
from trials.loading import load_model
from trials.task import Task
from trials.tasks.tabular import Tabular
from trials.tasks.tabular_network import TabularNetwork
from trials.tasks.tabular_scores import mean_loss, measured
from trials.worker.job_runner import WorkerSettings
from warmstart.estimates.estimate import estimate
from warmstart.estimates.stencils import stencil_over
from warmstart.registry import build, variation

xgboost = pytest.importorskip("xgboost")

SMALL: dict[str, Any] = {"layers": 1, "width": 8, "batch_size": 32}


class TestNetwork(TaskContract):
    def task(self) -> Task:
        return Tabular(data="wine", **SMALL)


class TestTrees(TaskContract):
    units = 3

    def task(self) -> Task:
        return Tabular("xgboost", data="wine", rounds_per_unit=3, warm_start_rounds=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """80 rows: two numbers with gaps, a category, a class of its own making."""
    random = np.random.default_rng(0)
    lines = ["size,weight,colour,kind"]
    for row in range(80):
        size, colour = random.normal(), random.choice(["red", "green", ""])
        weight = "" if row % 9 == 0 else f"{random.normal():.3f}"
        lines.append(f"{size:.3f},{weight},{colour},{'big' if size + (colour == 'red') > 0.3 else 'small'}")
    path = tmp_path / "things.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _train(task: Task, folder: Path, *jobs: tuple[int, int], config: Any = None) -> tuple[list[float], Any]:
    """Values of one trial, each job in a worker of its own, and what it saved."""
    directory = RunDirectory(folder)
    directory.create()
    configuration = config or RandomSearch(task.space, 3).propose(0)
    values = []
    for start, until in jobs:
        executor = InlineExecutor(WorkerSettings(task, str(folder), max_resource=task.max_resource))
        executor.submit(Job(0, configuration, start, until, 0, stream_seed(0, "trial", 0)), 0)
        events = executor.wait(0.0)
        executor.close()
        values += [event.value for event in events if isinstance(event, Report)]
        task = pickle.loads(pickle.dumps(task))
    return values, load_checkpoint(directory.trial_checkpoint(0))["state"]


@pytest.mark.parametrize("data", ["breast-cancer", "wine", "diabetes"])
def test_a_paused_trial_has_the_very_trees_of_one_that_was_not(data: str, tmp_path: Path) -> None:
    """With rows and columns drawn at random, whose streams no booster's file holds."""
    task = Tabular("xgboost", data=data, rounds_per_unit=4)
    drawn = {**RandomSearch(task.space, 0).propose(0), "subsample": 0.6, "colsample_bytree": 0.5}
    config = task.space.configuration(drawn)
    whole = _train(task, tmp_path / "whole", (0, 5), config=config)
    for pauses in ([(0, 1), (1, 5)], [(0, 2), (2, 3), (3, 5)]):
        paused = _train(task, tmp_path / str(len(pauses)), *pauses, config=config)
        assert paused == whole
    assert len(whole[0]) == 5


def test_a_warm_start_of_trees_draws_by_its_seed() -> None:
    task = Tabular("xgboost", rounds_per_unit=2)
    task.setup("cpu")
    config = RandomSearch(task.space, 0).propose(1)
    first, second, other = (task.warm_start_loss(config, seed) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("model", ["mlp", "xgboost"])
@pytest.mark.parametrize("metric", ["accuracy", "roc-auc", "log-loss"])
def test_each_metric_of_classes_is_what_scikit_learn_says(
    model: str, metric: str, tmp_path: Path, file: Path
) -> None:
    """Of a trial's last unit, on validation rows; and its test is on others."""
    from sklearn import metrics

    for data, target in (("wine", None), (str(file), "kind")):
        task = Tabular(model, data=data, target=target, metric=metric, **(SMALL if model == "mlp" else {}))
        folder = tmp_path / Path(data).stem
        values, state = _train(task, folder, (0, 2))
        fitted = task.trained_model(RandomSearch(task.space, 3).propose(0), state)
        shares = _shares(task, fitted, task.table.valid)
        truth = task.table.valid.target
        of_one = shares if shares.shape[1] > 2 else shares[:, 1]
        wanted = {
            "accuracy": metrics.accuracy_score(truth, shares.argmax(1)),
            "log-loss": metrics.log_loss(truth, shares),
            "roc-auc": metrics.roc_auc_score(truth, of_one, multi_class="ovr"),
        }[metric]
        assert values[-1] == pytest.approx(wanted, abs=2e-6)
        assert task.mode == ("min" if metric == "log-loss" else "max")
        score = task.measure_test(fitted, RandomSearch(task.space, 3).propose(0), "cpu")
        assert score.count == len(task.table.test) == np.sum(score.confusion)
        assert score.what == "row"


def _shares(task: Any, model: Any, rows: Any) -> Any:
    import torch

    if task.network == "mlp":
        with torch.no_grad():
            outputs = model(torch.from_numpy(rows.numeric), torch.from_numpy(rows.categories))
        return outputs.double().softmax(1).numpy()
    shares = model.predict(task._made(rows)).astype(np.float64)
    shares = np.stack([1 - shares, shares], 1) if shares.ndim == 1 else shares
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("model", ["mlp", "xgboost"])
def test_an_rmse_is_in_the_units_of_the_target(model: str, tmp_path: Path) -> None:
    task = Tabular(model, data="diabetes", **(SMALL if model == "mlp" else {}))
    assert (task.metric, task.mode, task.kind) == ("rmse", "min", "regression")
    values, _ = _train(task, tmp_path, (0, 1))
    assert 0.5 < values[0] / task.table.target_deviation < 1.5


def test_trees_do_not_depend_on_the_unit_of_the_target(tmp_path: Path) -> None:
    """``alpha`` and ``gamma`` are in its deviations: grams or kilograms, the same errors."""
    random = np.random.default_rng(1)
    numbers = random.normal(size=(120, 2))
    found = []
    for name, factor in (("grams", 1024.0), ("kilos", 1.0)):
        rows = [f"{a},{b},{factor * (a + b * b)}" for a, b in numbers.round(3).tolist()]
        path = tmp_path / f"{name}.csv"
        path.write_text("a,b,y\n" + "\n".join(rows) + "\n")
        task = Tabular("xgboost", data=str(path), target="y")
        config = task.space.configuration(
            {**RandomSearch(task.space, 1).propose(0), "gamma": 1.0, "alpha": 3.0}
        )
        found.append(_train(task, tmp_path / name, (0, 2), config=config)[0][-1] / factor)
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_checkpoint_gives_the_booster_back(tmp_path: Path, file: Path) -> None:
    """Which needs no rows for that: the file may be gone."""
    task = Tabular("xgboost", data=str(file), target="kind", rounds_per_unit=2)
    _train(task, tmp_path / "run", (0, 2))
    valid = task._made(task.table.valid)
    file.unlink()
    model, content = load_model(RunDirectory(tmp_path / "run").trial_checkpoint(0))
    assert isinstance(model, xgboost.Booster)
    assert model.num_boosted_rounds() == 4
    assert 0 < model.predict(valid).min() < model.predict(valid).max() < 1
    assert content["task"]["target"] == "trials.tasks.tabular:Tabular"
    with pytest.raises(ResultsError, match="no trees"):
        task.trained_model(RandomSearch(task.space, 0).propose(0), {"model": {}})


def test_a_warm_start_of_trees_moves_real_numbers_alone_and_says_how() -> None:
    task = Tabular("xgboost", data="breast-cancer")
    task.prepare()
    task.setup("cpu")
    config = task.space.from_unit([0.5] * len(task.space))
    chosen = variation("ohgw-1step", {})
    problem = task.problem(1, "cpu")
    outcome = build(chosen.strategy, chosen.settings).refine(problem, config, 1)
    assert outcome.diagnostics["route"] == "differences"
    assert problem.spent()["evaluations"] >= 2 * len(outcome.diagnostics["gradient"])
    assert outcome.configuration["max_depth"] == config["max_depth"]
    assert "max_depth" not in outcome.diagnostics["gradient"]
    assert outcome.configuration["eta"] != config["eta"]
    assert "ignored" not in outcome.diagnostics


class InDoubles(TabularNetwork):
    """A network's task, in float64."""

    def model(self, config: Any) -> Any:
        return super().model(config).double()

    def data(self) -> Any:
        return tuple(tuple(map(_double, part)) for part in super().data())


def _double(tensor: Any) -> Any:
    return tensor.double() if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd"}, {"data": "diabetes", "target": None}])
def test_the_hyper_gradients_of_the_network_are_exact(options: dict[str, Any], file: Path) -> None:
    """In float64, against central differences through the real optimiser's step; dropout is left alone."""
    task = InDoubles(**{"data": str(file), "target": "kind", **SMALL, **options})
    task.setup("cpu")
    space = task.space
    config = space.from_unit([0.6] * len(space))
    losses = task.problem(0, "cpu").losses(config)
    train, held = losses.batches(0, "half")
    found = estimate(losses, space, config, [train], held)
    assert found.route != "differences"
    assert set(found.gradient) == set(space) - {"dropout"}
    for name in found.gradient:
        _, points = stencil_over(space, config, name, 1e-4, reach=2)
        wanted = sum(weight * losses.after(there, [train], held) for weight, there in points)
        assert found.gradient[name] == pytest.approx(wanted, rel=1e-5, abs=1e-9), name


def test_numbers_and_codes_reach_the_network(file: Path) -> None:
    """Each column has categories of its own, and what is missing is one of them."""
    import torch

    task = Tabular(data=str(file), target="kind", **SMALL)
    model = task.model(RandomSearch(task.space, 0).propose(0)).eval()
    rows = task.table.valid
    numbers, codes = torch.from_numpy(rows.numeric), torch.from_numpy(rows.categories)
    assert model(numbers, codes).shape == (len(rows), 2)
    assert not torch.equal(model(numbers, codes), model(numbers, torch.zeros_like(codes)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "xgbost"}, 'did you mean "xgboost"'),
        ({"model": "xgboost", "width": 9}, "width is 9, and model xgboost has no such option"),
        ({"rounds_per_unit": 9}, "rounds_per_unit is 9, and model mlp has no such option"),
        ({"metric": "rmse"}, "metric is rmse, which is of regression"),
        ({"data": "diabetes", "metric": "acuracy"}, "metric is 'acuracy'"),
        ({"optimizer": "adam"}, "optimizer is 'adam'"),
        ({"data_seed": -1}, "data_seed is -1"),
        ({"kind": "classes"}, "kind is 'classes'"),
        ({"data": "iris"}, "data is iris"),
    ],
)
def test_mistakes_are_told_when_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises((SettingError, TaskError), match=said):
        Tabular(**options)


def test_what_a_block_of_trees_is_is_said() -> None:
    assert Tabular("xgboost").plan_notes() == ["tabular: a block is 30 rounds of boosting (rounds_per_unit)"]
    one = Tabular("xgboost", rounds_per_unit=1)
    assert (one.unit, one.plan_notes()) == ("round", [])


def test_an_area_under_a_curve_of_one_class_is_refused_before_the_search(file: Path) -> None:
    with file.open() as stream:
        lines = stream.read().splitlines()
    place = lines[0].split(",").index("kind")
    kinds = {line.split(",")[place] for line in lines[1:]}
    one = [line for line in lines[1:] if line.split(",")[place] == min(kinds)]
    test = file.with_name("test.csv")
    test.write_text("\n".join([lines[0], *one]))
    Tabular(data=str(file), target="kind", test=str(test)).prepare()
    task = Tabular(data=str(file), target="kind", test=str(test), metric="roc-auc")
    with pytest.raises(TaskError, match=r"metric is roc-auc, and the test rows of .*test.csv are all of one"):
        task.prepare()


def test_a_search_reads_a_table_once(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("".join(f"{at},{line}\n" for at, line in enumerate(file.read_text().split("\n")[:-1])))
    file.write_text(file.read_text().removeprefix("0"))  # as pandas writes row numbers
    reads: list[Any] = []
    read = preparing.read

    def counted(*given: Any) -> Any:
        reads.append(given)
        return read(*given)

    monkeypatch.setattr(preparing, "read", counted)
    Tabular(data=str(file), target="kind").prepare()
    assert len(reads) == 1
    assert "it is left out" in capsys.readouterr().err


def test_a_missing_library_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"xgboost, which is not installed: .*asha-core\[tabular\]'"):
        Tabular("xgboost")


def test_it_says_where_its_files_are(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a search can be taken up from another folder, and its rows are no part of what travels."""
    monkeypatch.chdir(file.parent)
    task = Tabular("xgboost", data=file.name, target="kind")
    described = task.describe()
    assert described["options"]["data"] == str(file)
    monkeypatch.chdir("/")
    again = Tabular(**json.loads(json.dumps(described["options"])))
    assert (type(again), again.kind) == (type(task), "classification")
    assert len(pickle.dumps(task)) < 4000
    assert copy.copy(task).space is task.space


def test_scores_of_numbers_known_beforehand() -> None:
    logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]]))
    target = np.array([1, 0])
    assert mean_loss(logits, target) == pytest.approx(-np.log([0.75, 0.5]).mean())
    assert measured("roc-auc", logits, target) == 1.0
    assert measured("rmse", np.array([1.0, 5.0]), np.array([0.0, 2.0])) == pytest.approx(5**0.5)
    with pytest.raises(TaskError, match="all of one class"):
        measured("roc-auc", logits, np.array([1, 1]))


@pytest.mark.long
def test_a_search_goes_on_from_another_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file was named from where it began; and from there the same command goes on, too."""
    results = str(tmp_path / "run")
    command = ["--task", "tabular", "--task-option", f"data={file.name}", "--task-option", "target=kind"]
    command += ["--gpus", "inline", "--progress", "none", "--max-resource", "3", "--results-dir", results]
    monkeypatch.chdir(file.parent)
    assert main([*command, "--max-trials", "2"]) == 0
    assert main([*command, "--resume", "--max-trials", "3"]) == 0
    monkeypatch.chdir("/")
    assert main(["--resume", "--results-dir", results, "--max-trials", "4"]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "results.json").read_text())["trials"] == 4
