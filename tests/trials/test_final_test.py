"""The one look at the test data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asha_core import ASHA, AshaError, Configuration, Float, SearchSpace, tune
from asha_core.cli.final_test import main
from asha_core.errors import ResultsError
from asha_core.runtime.storage.lock import RunLock
from trials import Task, TestScore, Trial, load_model, measure_on_test_data
from trials.tasks.digits import Digits
from trials.tasks.dummy import Dummy
from trials.torch_task.final import Confusion


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("final") / "run"
    scheduler = ASHA(Dummy.space, max_trials=4, max_resource=3)
    tune(Dummy(), scheduler, gpus="inline", results_dir=directory, progress="none")
    return directory


@pytest.fixture
def run(search: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run"
    (copy / "checkpoints").mkdir(parents=True)
    best = "checkpoints/best.pt"
    (copy / best).write_bytes((search / best).read_bytes())
    return copy


def test_it_is_the_best_checkpoint_on_the_test_data(run: Path) -> None:
    told = measure_on_test_data(run)
    model, content = load_model(run)
    inputs, targets = Dummy().test_data()  # type: ignore[misc]
    with torch.inference_mode():
        right = model(inputs).argmax(1) == targets
    assert told.value == right.double().mean().item()
    assert told.count == 256
    assert told.configuration == content["configuration"]
    assert told.confusion is not None
    assert [sum(row) for row in told.confusion] == [64] * 4
    assert sum(told.confusion[i][i] for i in range(4)) == int(right.sum())
    kept = json.loads((run / "test.json").read_text())
    assert kept["value"] == told.value
    assert kept["confusion"] == told.confusion


def test_asked_again_the_data_is_not_read_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measure_on_test_data(run)
    monkeypatch.setattr(Dummy, "test_data", lambda self: pytest.fail("read again"))
    second = measure_on_test_data(run)
    assert second.again
    assert not first.again
    assert (second.value, second.confusion, second.measured) == (first.value, first.confusion, first.measured)


def test_another_checkpoint_of_the_search_needs_a_word(run: Path) -> None:
    measure_on_test_data(run)
    path = run / "checkpoints" / "best.pt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "resource": content["resource"] + 1}, path)
    with pytest.raises(AshaError, match="a second look at the test data"):
        measure_on_test_data(run)
    told = measure_on_test_data(run, replace=True)
    assert not told.again
    assert measure_on_test_data(run).again


class Counted(Task):
    """No network: it saves a number, which is its model."""

    space = SearchSpace({"rate": Float(0.0, 1.0)})
    metric, unit = "hits", "block"

    def run(self, trial: Trial) -> None:
        for unit in trial.units():
            trial.save({"hits": unit * trial.config["rate"]})
            trial.report(unit * trial.config["rate"])

    def trained_model(self, config: Configuration, state: Any) -> float:
        if "hits" not in state:
            raise ResultsError("it has no hits")
        return float(state["hits"])

    def measure_test(self, model: float, config: Configuration, device: str) -> TestScore:
        return TestScore(model / 2, 10, what="episode")


def test_a_task_that_is_not_torchs_has_models_and_test_data_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = ASHA(Counted.space, max_trials=3, max_resource=3)
    result = tune(Counted(), scheduler, gpus="inline", results_dir=tmp_path / "r", progress="none")
    model, content = result.load_model()
    assert model == load_model(tmp_path / "r", task=Counted)[0] == result.best_value
    target = f"{__name__}:Counted"
    assert main([str(tmp_path / "r"), "--task", target]) == 0
    told = capsys.readouterr().out
    assert f"test hits {model / 2:.4f} (validation {model:.4f}), 10 episodes\n" in told
    final = measure_on_test_data(tmp_path / "r", task=Counted)
    assert (final.value, final.loss, final.what, final.again) == (model / 2, None, "episode", True)
    assert "on the test data of 10 episodes, measured once" in result.report().read_text()
    torch.save({**content, "state": {}}, tmp_path / "r" / "checkpoints" / "best.pt")
    with pytest.raises(AshaError, match=r"the model of .*Counted is not the one of .*: it has no hits"):
        load_model(tmp_path / "r", task=Counted)


def test_a_task_without_a_model_says_how_to_read_what_was_saved(tmp_path: Path) -> None:
    class Bare(Counted):
        trained_model = Task.trained_model

    scheduler = ASHA(Counted.space, max_trials=2)
    tune(Counted(), scheduler, gpus="inline", results_dir=tmp_path / "r", progress="none")
    with pytest.raises(AshaError, match=r"is no TorchTask and has no trained_model: read .*load_state\(\)"):
        load_model(tmp_path / "r", task=Bare)


def test_a_task_without_test_data_says_how_to_give_some(run: Path) -> None:
    class Without(Dummy):
        def test_data(self) -> None:  # type: ignore[override]
            return None

    with pytest.raises(AshaError, match=r"has no test data: give it a method test_data\(\)"):
        measure_on_test_data(run, task=Without())


def test_a_damaged_note_is_not_taken_for_none(run: Path) -> None:
    (run / "test.json").write_text("{}")
    with pytest.raises(AshaError, match="is damaged"):
        measure_on_test_data(run)


def test_digits_keeps_360_images_that_no_trial_sees() -> None:
    task = Digits()
    inputs, _ = task.test_data()  # type: ignore[misc]
    assert len(inputs) == 360
    seen = {tuple(image.flatten().tolist()) for part in task.data() for image in part[0]}  # type: ignore[index]
    assert not any(tuple(image.flatten().tolist()) in seen for image in inputs)


def test_the_command_tells_it_and_then_tells_it_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--device", "cpu"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("test accuracy 0.")
    assert "256 samples" in first
    assert main([str(run), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("measured before, on 20")
    assert main([str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 256


class TensorScore(Dummy):
    def score(self, outputs: Tensor, targets: Tensor) -> Any:
        return (outputs.argmax(1) == targets).float().mean()

    def heldout_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum() * float("nan")


def test_a_score_that_is_a_tensor_and_a_loss_that_is_not_finite_are_kept(run: Path) -> None:
    first = measure_on_test_data(run, task=TensorScore())
    again = measure_on_test_data(run, task=TensorScore())
    assert again.again
    assert again.value == pytest.approx(first.value)
    assert math.isnan(again.loss)


def test_what_cannot_be_kept_is_told(run: Path) -> None:
    (run / "test.json.tmp").mkdir()
    with pytest.raises(AshaError, match=r"the test data gave accuracy 0\.\d+, .* cannot be kept"):
        measure_on_test_data(run)


def test_a_search_that_is_running_is_waited_for(run: Path) -> None:
    lock = RunLock(run / "engine.lock", "token")
    with pytest.raises(AshaError, match="is in use"):
        measure_on_test_data(run)
    lock.release()
    content = (run / "engine.lock").read_text()
    measure_on_test_data(run)
    assert (run / "engine.lock").read_text() == content  # the next engine ends what that one left behind


@pytest.mark.parametrize("change", [{"value": None}, {"measured": 5}, {"configuration": 3}, {"schema": 9}])
def test_a_note_with_something_else_in_it_is_damaged(run: Path, change: dict[str, Any]) -> None:
    measure_on_test_data(run)
    content = json.loads((run / "test.json").read_text())
    (run / "test.json").write_text(json.dumps(content | change))
    with pytest.raises(AshaError, match="is damaged"):
        measure_on_test_data(run)


def test_classes_beyond_a_bytes_half_are_counted_right() -> None:
    outputs = torch.eye(40)
    confusion = Confusion()
    for rows in (slice(0, 15), slice(15, 40)):
        confusion.add(outputs[rows], torch.arange(40, dtype=torch.uint8)[rows])
    assert confusion.rows() == torch.eye(40, dtype=torch.int64).tolist()


def test_a_folder_of_searches_is_told_apart(run: Path) -> None:
    (run / "run.json").write_text("{}")
    with pytest.raises(AshaError, match="holds several searches"):
        measure_on_test_data(run.parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no results directory"),
        (["nowhere", "--device", "meta"], "--device meta cannot be used"),
        ([], "RESULTS_DIR"),
        (["nowhere", "--device", "gpu7"], "--device gpu7 cannot be used"),
        (["nowhere", "--task", "digit"], 'did you mean "digits"'),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("asha-test: error: ")
    assert told.count("\n") == 1
    assert message in told
