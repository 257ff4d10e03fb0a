"""Optuna: the example, what is movable, and trials that are tried again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import SettingError
from asha_core.space.dimensions import Constant
from tests.integrations.contract import check_added_lines, check_runs
from tests.integrations.driver import results
from warmstart import BlackBox, Float, SearchSpace
from warmstart.integrations.optuna import search_space, warm_start

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install -e '.[test]'")


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def test_the_example_adds_at_most_twenty_lines() -> None:
    check_added_lines("optuna_objective")


def test_the_example_runs_and_only_lr_is_changed(tmp_path: Path) -> None:
    check_runs(results("optuna_objective", tmp_path))


def suggest(trial: Any) -> None:
    trial.suggest_float("lr", 1e-4, 1.0, log=True)
    trial.suggest_float("momentum", 0.0, 0.9)
    trial.suggest_float("step", 0.0, 1.0, step=0.25)
    trial.suggest_float("fixed", 0.5, 0.5)
    trial.suggest_int("layers", 1, 4)
    trial.suggest_categorical("act", ["relu", "gelu", None])


def valley(calls: list[SearchSpace] | None = None) -> Any:
    """A black box whose best momentum is 0.2; asked for with the space."""

    def problem(space: SearchSpace) -> BlackBox:
        if calls is not None:
            calls.append(space)
        return BlackBox(space, lambda config, draw: (config["momentum"] - 0.2) ** 2)

    return problem


def test_only_floats_without_a_step_may_move() -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    suggest(trial)
    space = search_space(trial.distributions, trial.params)
    assert list(space) == list(trial.params)
    assert space["lr"] == Float(1e-4, 1.0, log=True)
    assert space["momentum"] == Float(0.0, 0.9)
    for name in ("step", "fixed", "layers", "act"):
        assert space[name] == Constant(trial.params[name])


@pytest.mark.filterwarnings("ignore:warm start. finite differences:UserWarning")
def test_the_refined_values_are_recorded_and_taken_up_by_a_trial_that_is_tried_again() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial, calls = study.ask(), []
    suggest(trial)
    config = warm_start(trial, valley(calls), mask=["momentum"])
    assert config["momentum"] != trial.params["momentum"]
    assert {**config, "momentum": 0} == {**trial.params, "momentum": 0}
    assert trial.user_attrs["warm_start"] == config
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    crashed = study.trials[0]
    study.add_trial(  # as Optuna's callbacks do that retry trials
        optuna.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=crashed.params,
            distributions=crashed.distributions,
            user_attrs=crashed.user_attrs,
        )
    )
    again = study.ask()
    suggest(again)
    assert warm_start(again, valley(calls), mask=["momentum"]) == config
    assert len(calls) == 1


@pytest.mark.filterwarnings("ignore:warm start. finite differences:UserWarning")
def test_a_fixed_trial_will_do() -> None:
    trial = optuna.trial.FixedTrial({"momentum": 0.8})
    trial.suggest_float("momentum", 0.0, 0.9)
    assert warm_start(trial, valley(), mask=["momentum"])["momentum"] < 0.8


def test_nothing_to_move_is_said() -> None:
    trial = optuna.trial.FixedTrial({"layers": 2})
    trial.suggest_int("layers", 1, 4)
    with pytest.raises(SettingError, match="none of layers is a continuous range"):
        warm_start(trial, valley())


def test_without_the_library_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = optuna.trial.FixedTrial({"momentum": 0.8})
    trial.suggest_float("momentum", 0.0, 0.9)
    monkeypatch.setitem(sys.modules, "optuna.distributions", None)
    with pytest.raises(ImportError, match=r"pip install 'asha-core\[optuna\]'"):
        warm_start(trial, valley())
