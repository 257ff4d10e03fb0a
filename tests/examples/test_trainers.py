"""Others' trainers as searches: they run, a pause or a kill changes nothing, and they are as shown."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.journals.runs import load_run
from asha_core import ASHA, AshaError, tune
from asha_core.testing import TaskContract
from scripts import trainers_page
from trials.task import FunctionTask, Task

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "trainers"
NEEDS = {
    **{"loop": (), "scikit_learn": ()},
    **{"lightning": ("lightning",), "hugging_face": ("transformers", "accelerate")},
}
LIGHT = pytest.mark.filterwarnings("ignore")  # of what the libraries think of small examples


def search(name: str) -> Any:
    for needed in NEEDS[name]:
        pytest.importorskip(needed, reason=f"needs {needed}")
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(f"{name}_search")
    finally:
        sys.path.remove(str(EXAMPLES))


class _Example(TaskContract):
    name: str

    def task(self) -> Task:
        module = search(self.name)
        return FunctionTask(module.train, module.SPACE)


class TestLoop(_Example):
    name = "loop"


class TestScikitLearn(_Example):
    name = "scikit_learn"


@LIGHT
@pytest.mark.slow
class TestLightning(_Example):
    name = "lightning"


@LIGHT
@pytest.mark.slow
class TestHuggingFace(_Example):
    name = "hugging_face"


def test_the_differences_on_the_page_are_those_of_the_scripts() -> None:
    assert trainers_page.page() == trainers_page.PAGE.read_text(), "run: python -m scripts.trainers_page"
    assert len(list(EXAMPLES.glob("*.py"))) == 2 * len(NEEDS)
    for name in NEEDS:
        assert trainers_page.difference(name) in trainers_page.PAGE.read_text()


@LIGHT
@pytest.mark.long
@pytest.mark.processes
@pytest.mark.parametrize("name", ["lightning", "hugging_face"])
def test_a_trainer_of_a_library_is_searched_and_goes_on_from_its_own_checkpoint(
    name: str, tmp_path: Path
) -> None:
    """One that was paused, and went on in another worker, has the values of one that trained on."""
    contract: Any = {"lightning": TestLightning, "hugging_face": TestHuggingFace}[name]()
    whole = contract._train(tmp_path / "whole", contract._job(1, 0, 2))
    paused = contract._train(tmp_path / "paused", contract._job(1, 0, 1), contract._job(1, 1, 2))
    assert paused == whole


@LIGHT
@pytest.mark.long
@pytest.mark.processes
@pytest.mark.parametrize("name", ["lightning", "hugging_face"])
def test_each_trial_has_an_order_and_random_numbers_of_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its seed: else all trials of a search share what is to be independent in them."""
    contract: Any = {"lightning": TestLightning, "hugging_face": TestHuggingFace}[name]()
    seen: list[tuple[int, int]] = []
    module = search(name)
    kind: Any = getattr(module, {"lightning": "TensorDataset", "hugging_face": "Lines"}[name])
    read = kind.__getitem__

    def noted(self: Any, row: int) -> Any:
        seen.append((row, torch.initial_seed()))
        return read(self, row)

    monkeypatch.setattr(kind, "__getitem__", noted)
    found = []
    for number in (1, 2):
        seen.clear()
        job = contract._job(number, 0, 1)._replace(configuration=contract._job(0, 0, 1).configuration)
        contract._train(tmp_path / str(number), job)
        found.append(tuple(zip(*seen[:32], strict=True)))
    (order, noise), (other_order, other_noise) = found
    assert order != other_order
    assert noise != other_noise


@LIGHT
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_a_search_that_was_killed_goes_on_to_the_same_values(name: str, tmp_path: Path) -> None:
    search(name)
    program = f"""
import sys; sys.path.insert(0, {str(EXAMPLES)!r})
from pathlib import Path
from asha_core import ASHA, tune
from {name}_search import SPACE, train
if __name__ == "__main__":
    place = Path(sys.argv[1])
    scheduler = ASHA(SPACE, max_resource=9, max_trials=3)
    again = place.exists()
    tune(train, scheduler, gpus="cpu", workers_per_gpu=1, results_dir=place, resume=again, progress="none")
"""
    (tmp_path / "run.py").write_text(program)
    found = []
    for kills in (0, 1):
        place = tmp_path / f"r{kills}"
        command = [sys.executable, str(tmp_path / "run.py"), str(place)]
        for _ in range(kills):
            process = subprocess.Popen(command, start_new_session=True)
            journal = place / "journal.jsonl"
            while not journal.exists() or journal.read_text().count('"report"') < 3:
                assert process.poll() is None
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(command, check=True)
        run = load_run(place)
        assert run.end is not None
        found.append({n: dict(zip(t.resources, t.values, strict=True)) for n, t in run.trials.items()})
    whole, killed = found
    both = [(n, unit) for n in whole for unit in whole[n] if unit in killed.get(n, {})]
    assert len(both) >= 5
    assert all(whole[n][unit] == killed[n][unit] for n, unit in both)


@LIGHT
@pytest.mark.long
def test_what_a_trainer_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = search("hugging_face")

    def fails(message: str, metric: str = "eval_accuracy", **changes: Any) -> None:
        def train(trial: Any) -> None:
            real = module.train_trial

            def with_changes(trainer: Any, trial: Any, **_: Any) -> None:
                for name, value in changes.items():
                    setattr(trainer if name == "eval_dataset" else trainer.args, name, value)
                real(trainer, trial, metric=metric)

            with monkeypatch.context() as patch:
                patch.setattr(module, "train_trial", with_changes)
                module.train(trial)

        with pytest.raises(AshaError, match=message):
            tune(
                train,
                ASHA(module.SPACE, max_trials=3),
                gpus="inline",
                results_dir=tmp_path / message[:9].strip(),
                progress="none",
            )

    fails("metric is 'eval_acuracy', .*eval_accuracy", metric="eval_acuracy")
    fails("max_steps is 9: a unit is an epoch", max_steps=9)
    fails("the trainer has no eval_dataset", eval_dataset=None)


@LIGHT
@pytest.mark.long
def test_what_lightnings_trainer_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = search("lightning")
    real = module.fit_trial

    def fails(message: str, change: Any) -> None:
        def changed(trainer: Any, *arguments: Any, **named: Any) -> None:
            change(trainer, named)
            real(trainer, *arguments, **named)

        monkeypatch.setattr(module, "fit_trial", changed)
        with pytest.raises(AshaError, match=message):
            scheduler = ASHA(module.SPACE, max_trials=3)
            tune(module.train, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
        assert not (tmp_path / "run").exists()

    fails(r"end of epoch 1; .*\(none\); .* give validation data", lambda _, data: data.pop("val_dataloaders"))
    fails("leave out check_val", lambda trainer, _: setattr(trainer, "check_val_every_n_epoch", 2))
    fails(
        "max_steps is 60: a unit is an",
        lambda trainer, _: setattr(trainer.fit_loop.epoch_loop, "max_steps", 60),
    )
    monkeypatch.setattr(module, "Trainer", partial(module.Trainer, devices=2))
    fails(r"the trainer has 2 devices, and a trial one, .*: give Trainer\(devices=1\)", lambda *_: None)


@LIGHT
@pytest.mark.long
@pytest.mark.parametrize("kind", ["several sets", "delay", "midway"])
def test_how_a_trainer_evaluates_is_its_users(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Sets by name, a delay, an evaluation and a save within an epoch: each epoch's end is reported."""
    module = search("hugging_face")
    from transformers import TrainerCallback

    class Midway(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_evaluate = control.should_save = state.global_step % 20 == 7

    real = module.train_trial

    def train_trial(trainer: Any, trial: Any, metric: str) -> None:
        if kind == "several sets":
            trainer.eval_dataset = {"same": trainer.eval_dataset, "short": module.Lines(8, 3)}
            metric = "eval_same_accuracy"
        elif kind == "delay":
            trainer.args.eval_delay = 2
        else:
            trainer.add_callback(Midway())
        real(trainer, trial, metric=metric)
        history = [entry for entry in trainer.state.log_history if metric in entry]
        said.append(capfd.readouterr().err)
        ends.update({entry["epoch"]: entry[metric] for entry in history if entry["epoch"] % 1 == 0})

    ends: dict[int, float] = {}
    said: list[str] = []
    monkeypatch.setattr(module, "train_trial", train_trial)
    scheduler = ASHA(module.SPACE, min_resource=2, max_resource=2, max_trials=1)
    tune(module.train, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    (trial,) = load_run(tmp_path / "run").trials.values()
    assert dict(zip(trial.resources, trial.values, strict=True)) == ends
    assert sorted(ends) == [1, 2]
    assert not any("shards" in text for text in said), "a bar for every file that is saved"


class _Ends:
    """What another callback does that ends a training in its second epoch."""

    def hugging_face(self, trainer: Any) -> None:
        from transformers import TrainerCallback

        class Ends(TrainerCallback):
            def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                control.should_training_stop |= state.epoch >= 2

        trainer.add_callback(Ends())

    def lightning(self, trainer: Any) -> None:
        from lightning.pytorch import Callback

        class Ends(Callback):
            def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
                trainer.should_stop |= trainer.current_epoch == 1

        trainer.callbacks.append(Ends())


@LIGHT
@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightning", "hugging_face"])
def test_a_trainer_that_ends_by_itself_has_stopped_early(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = search(name)
    function = {"lightning": "fit_trial", "hugging_face": "train_trial"}[name]
    real = getattr(module, function)

    def ended(trainer: Any, *arguments: Any, **named: Any) -> None:
        getattr(_Ends(), name)(trainer)
        real(trainer, *arguments, **named)

    monkeypatch.setattr(module, function, ended)
    scheduler = ASHA(module.SPACE, min_resource=4, max_resource=4, max_trials=1)
    result = tune(module.train, scheduler, gpus="inline", results_dir=tmp_path / "run", progress="none")
    assert result.outcome.failures == 0
    assert result.summary["stopped_early"] == 1
    assert [trial.resource for trial in scheduler.trials] == [2]
