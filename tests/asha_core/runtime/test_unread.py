"""Who tunes what nothing reads hears of it once, and who reads it in one branch alone hears nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.journals.runs import load_run
from analysis.report.run_report import summary_of
from analysis.report.run_tables import in_words
from asha_core import ASHA, Choice, Float, SearchSpace, tune
from asha_core.runtime.storage.journal import read_journal
from asha_core.runtime.unread import Unread
from trials import Task, TorchTask

UNIT = Float(0.0, 1.0)


def search(
    train: Callable[[Any], None] | Task, space: SearchSpace, folder: Path, trials: int = 9, **options: Any
) -> list[str]:
    """What a search says of what nothing reads, by its journal."""
    scheduler = ASHA(space, max_resource=3, max_trials=trials)
    tune(train, scheduler, gpus="inline", results_dir=folder, progress="plain", **options)
    return told(folder)


def told(folder: Path) -> list[str]:
    records = read_journal(folder / "journal.jsonl").records
    return [record["text"] for record in records if "nothing reads" in record.get("text", "")]


def reading(*names: str) -> Callable[[Any], None]:
    def train(trial: Any) -> None:
        for _ in trial.units():
            trial.report(sum(trial.config[name] for name in names))

    return train


def test_what_nothing_reads_is_said_once_by_name_everywhere(tmp_path: Path, capsys: Any) -> None:
    space = SearchSpace({"lr": UNIT, "epochs_typo": UNIT, "size": Choice([8, 64])})
    said = search(reading("lr"), space, tmp_path / "r")
    assert len(said) == 1
    assert "'epochs_typo', 'size'" in said[0]
    assert capsys.readouterr().err.count(said[0]) == 1
    # and as soon as three trials have trained, not when it is over
    kinds = [r["type"] for r in read_journal(tmp_path / "r" / "journal.jsonl").records]
    assert kinds[: kinds.index("notice")].count("job") < kinds.count("job")
    run = load_run(tmp_path / "r")
    summary = summary_of(run, [])
    assert summary["unread"] == ["epochs_typo", "size"]
    assert "Nothing reads 'epochs_typo', 'size': they change nothing" in in_words(run, summary)


def test_a_search_that_is_taken_up_again_does_not_say_it_again(tmp_path: Path) -> None:
    space = SearchSpace({"lr": UNIT, "typo": UNIT})
    search(reading("lr"), space, tmp_path / "r")
    assert len(search(reading("lr"), space, tmp_path / "r", 12, resume=True)) == 1


def _whole(config: Any) -> float:
    return sum(dict(**config).values())


def _late(trial: Any) -> None:
    """Reads its patience when a value is reported already."""
    for _ in trial.units():
        trial.report(trial.config["a"])
        if trial.config["b"] < 0:
            trial.stop_early()


def _branch(trial: Any) -> None:
    """Reads ``momentum`` with one of the optimisers alone."""
    config = trial.config
    for _ in trial.units():
        trial.report(config["momentum"] if config["optimizer"] == "sgd" else 0.5)


def test_what_is_read_in_whatever_way_is_no_matter(tmp_path: Path) -> None:
    def whole(trial: Any) -> None:
        for _ in trial.units():
            trial.report(_whole(trial.config))

    space = SearchSpace({"a": UNIT, "b": UNIT})
    assert search(whole, space, tmp_path / "whole") == []
    assert search(_late, space, tmp_path / "late") == []
    branches = SearchSpace({"optimizer": Choice(["adam", "adamw", "lion", "sgd"]), "momentum": UNIT})
    for seed in range(3):  # whichever comes first
        folder = tmp_path / f"branch-{seed}"
        scheduler = ASHA(branches, max_resource=3, max_trials=30, seed=seed)
        tune(_branch, scheduler, gpus="inline", results_dir=folder, progress="none")
        assert told(folder) == []


def test_what_decides_whether_others_exist_acts_through_them(tmp_path: Path) -> None:
    def train(trial: Any) -> None:
        for _ in trial.units():
            trial.report(trial.config.get("limit", 1.0))

    space = SearchSpace({"clip": Choice([True, False]), "limit": UNIT}, conditions={"limit": {"clip": True}})
    assert search(train, space, tmp_path / "r", 12) == []


class _Scaled(torch.utils.data.Dataset[torch.Tensor]):
    """It has the configuration, and reads it where the samples are made."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.ones(1) * self.config["scale"]


@pytest.mark.long
@pytest.mark.processes
def test_what_loader_processes_read_is_not_called_unread(tmp_path: Path) -> None:
    def train(trial: Any) -> None:
        for _ in trial.units():
            loader = torch.utils.data.DataLoader(
                _Scaled(trial.config), num_workers=1, multiprocessing_context="fork"
            )
            trial.report(sum(batch.sum().item() for batch in loader))

    assert search(train, SearchSpace({"scale": UNIT}), tmp_path / "r", 3) == []


class _Keeper(torch.nn.Linear):
    """It has its configuration, and reads it later."""

    def __init__(self, config: Any) -> None:
        super().__init__(2, 2)
        self.config = config

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.config["scale"]


class _Kept(TorchTask):
    space = SearchSpace({"lr": UNIT, "scale": Float(0.5, 1.0), "typo": UNIT})

    def data(self) -> Any:
        samples = torch.randn(8, 2), torch.zeros(8).long()
        return samples, samples

    def model(self, config: Any) -> torch.nn.Module:
        return _Keeper(config)


def test_a_network_that_holds_its_configuration_has_not_read_it_for_that(tmp_path: Path) -> None:
    said = search(_Kept(), _Kept.space, tmp_path / "r", 3)  # and its operations are counted on a copy
    assert len(said) == 1
    assert "nothing reads 'typo': it" in said[0]


def test_a_dimension_that_is_absent_in_a_trial_is_not_unread_there() -> None:
    unread = Unread()
    unread.add(0, {"optimizer": "adam"}, [])
    assert unread.names() == ()
    unread.add(1, {"optimizer": "sgd", "momentum": 0.9}, ["momentum"])
    assert unread.names() == ("momentum",)
    unread.add(2, {"optimizer": "sgd", "momentum": 0.8}, [])
    assert unread.names() == ()


def test_nothing_is_sure_before_every_branch_was_taken() -> None:
    space = SearchSpace({"kind": Choice(["a", "b"]), "x": UNIT})
    unread = Unread()
    for trial in range(19):
        unread.add(trial, {"kind": "a", "x": 0.1}, ["x"])
        assert unread.surely(space) == ()
    unread.add(19, {"kind": "b", "x": 0.1}, ["x"])
    assert unread.surely(space) == ("x",)


def test_what_was_read_once_is_read(tmp_path: Path) -> None:
    unread = Unread()
    unread.add(0, {"x": 1, "y": 2}, ["y"])
    unread.add(0, {"x": 1, "y": 2}, ["x"])
    assert unread.names() == ()


@pytest.mark.filterwarnings("error")
def test_a_value_that_still_requires_a_gradient_is_its_number(tmp_path: Path) -> None:
    def train(trial: Any) -> None:
        weight = torch.tensor(trial.config["a"], requires_grad=True)
        for _ in trial.units():
            trial.report(weight * 2, train_loss=weight)

    result = tune(train, ASHA(SearchSpace({"a": UNIT}), max_trials=1), gpus="inline", results_dir=tmp_path)
    assert result.best_value == pytest.approx(2 * result.best_configuration["a"])
