"""A metric that by its name should go the other way is warned of once, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.cli.run import main
from asha_core.launch.metric_names import mode_warning
from trials.task import Task

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


@pytest.mark.parametrize(
    "metric",
    [
        "loss",
        "valid_loss",
        "val-loss",
        "ValLoss",
        "test.RMSE",
        "perplexity",
        "word error rate",
        "rmse",
        "MSE",
    ],
)
def test_what_should_be_low_and_is_maximised_is_warned_of(metric: str) -> None:
    assert metric in mode_warning(metric, "max")
    assert 'mode="min"' in mode_warning(metric, "max")
    assert not mode_warning(metric, "min")


@pytest.mark.parametrize("metric", ["accuracy", "val_acc", "macro F1", "episode_return", "AUC", "ROUGE"])
def test_what_should_be_high_and_is_minimised_is_warned_of(metric: str) -> None:
    assert 'mode="max"' in mode_warning(metric, "min")
    assert not mode_warning(metric, "max")


@pytest.mark.parametrize(
    "metric",
    [
        "value",
        "score",
        "neg_mean_squared_error",
        "negative loss",
        "-loss",
        "accuracy_loss",
        "glossary",
        "terror",
    ],
)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_names_that_say_neither_are_left_alone(metric: str, mode: str) -> None:
    assert not mode_warning(metric, mode)


def work(trial):
    for unit in trial.units():
        trial.report(trial.config["x"] / unit)


def test_tune_warns_once_and_not_again_when_it_is_taken_up(tmp_path: Path, capsys) -> None:
    for times, mode in ((1, "max"), (0, "max"), (0, "min")):
        scheduler = ASHA(SPACE, max_trials=3, max_resource=3, mode=mode)
        folder = tmp_path / mode
        tune(
            work,
            scheduler,
            gpus="inline",
            metric="valid_loss",
            results_dir=folder,
            resume=True,
            progress="plain",
        )
        assert capsys.readouterr().err.count("its name says the opposite") == times


def test_a_plan_warns_too(capsys) -> None:
    assert (
        main(["--task", "tests.asha_core.launch.test_metric_names:Upside", "--max-trials", "9", "--plan"])
        == 0
    )
    assert "its name says the opposite" in capsys.readouterr().out


class Upside(Task):
    space = SPACE
    metric = "test_error"

    def run(self, trial):
        work(trial)
