"""Lightning: the example, resuming, precisions, and what is refused."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import warmstart.integrations
from asha_core import ASHA, AshaError, Float, SearchSpace, tune
from tests.asha_core.cli.searches import Command, records
from tests.integrations.contract import check_added_lines, check_runs
from tests.integrations.driver import results

if importlib.util.find_spec("lightning") is None:
    pytest.skip("Lightning is not installed: pip install -e '.[test]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning itself


@pytest.fixture(scope="module")
def cases() -> Iterator[Any]:
    """``lightning_modules``: imported when a test wants it, for Lightning takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = importlib.import_module("tests.integrations.lightning_modules")
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield modules
    logger.setLevel(level)


def test_the_example_adds_at_most_twenty_lines() -> None:
    check_added_lines("lightning_callback")


@pytest.mark.usefixtures("cases")
def test_the_example_runs_and_only_lr_is_changed(tmp_path: Path) -> None:
    check_runs(results("lightning_callback", tmp_path))


def test_a_resumed_fit_and_a_second_one_keep_the_refined_values(cases: Any, tmp_path: Path) -> None:
    first = cases.callback()
    checkpoints = cases.ModelCheckpoint(dirpath=tmp_path, save_top_k=-1, filename="{epoch}")
    module, _ = cases.fit(tmp_path, first, checkpoints)
    refined = dict(first.outcome.configuration)
    assert refined["lr"] > cases.LR
    path = tmp_path / "epoch=0.ckpt"
    assert dict(cases.EXAMPLE.Digits.load_from_checkpoint(path).hparams) == refined
    again = cases.callback()
    resumed, trainer = cases.fit(tmp_path, again, ckpt=path)
    assert dict(resumed.hparams) == refined
    assert trainer.optimizers[0].param_groups[0]["max_lr"] == pytest.approx(refined["lr"])
    assert again.outcome is None  # it was not refined again
    cases.fit(tmp_path, first, module=module)
    assert dict(module.hparams) == refined
    accumulated, _ = cases.fit(tmp_path, cases.callback(), accumulate_grad_batches=4)
    assert accumulated.hparams.lr == refined["lr"]


def test_the_derivative_is_the_same_in_every_precision(cases: Any, tmp_path: Path) -> None:
    found = {}
    for precision in ("32-true", "64-true", "bf16-mixed"):
        one = cases.callback(name="ohgw-1step")
        cases.fit(tmp_path, one, precision=precision)
        found[precision] = one.outcome.diagnostics["gradient"]["lr"]
    exact = found["64-true"]
    assert exact != 0
    assert found["32-true"] == pytest.approx(exact, rel=1e-3)
    assert found["bf16-mixed"] == pytest.approx(exact, rel=0.1)


@pytest.mark.filterwarnings("error:.*clip.*:UserWarning")
def test_the_trainers_clipping_is_looked_through_and_a_modules_own_is_asked_for(
    cases: Any, tmp_path: Path
) -> None:
    def slope(module: Any = cases.EXAMPLE.Digits, told: Any = None, **options: Any) -> float:
        one = cases.callback(name="ohgw-1step", **(told or {}))
        cases.L.seed_everything(0, verbose=False)
        cases.fit(tmp_path, one, module=cases.made(module), **options)
        return float(one.outcome.diagnostics["gradient"]["lr"])

    free, by_norm = slope(), slope(gradient_clip_val=1e-3)
    by_value = slope(gradient_clip_val=1e-5, gradient_clip_algorithm="value")
    assert 0 < abs(by_norm) < 0.1 * abs(free)
    assert 0 < abs(by_value) < 0.1 * abs(free)
    assert slope(gradient_clip_val=1e3, gradient_clip_algorithm="value") == free
    with pytest.warns(UserWarning, match=r"configure_gradient_clipping of its own.*max_grad_norm="):
        assert slope(cases.Clips) == free
    assert slope(cases.Clips, {"max_grad_norm": 1e-3}) == by_norm
    with pytest.raises(AshaError, match="max_grad_value is 0"):
        cases.callback(max_grad_value=0)


def test_a_late_network_and_a_warm_up_are_refined_at_the_peak_rate(cases: Any, tmp_path: Path) -> None:
    late, trainer = cases.fit(tmp_path, cases.callback(), module=cases.made(cases.Late))
    assert late.hparams.lr == trainer.optimizers[0].param_groups[0]["initial_lr"] > cases.LR


@pytest.mark.processes
def test_the_order_of_a_loader_with_processes_is_not_touched(cases: Any, tmp_path: Path) -> None:
    plain, _ = cases.fit(tmp_path, data=cases.Processes())
    zero = cases.callback(name="hypergradient", eta_h=0.0)
    nudged, _ = cases.fit(tmp_path, zero, data=cases.Processes())
    weights = [[p.tolist() for p in module.parameters()] for module in (plain, nudged)]
    assert weights[0] == weights[1]


def test_a_callback_can_be_pickled(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_callback", cases.EXAMPLE)
    assert type(pickle.loads(pickle.dumps(cases.callback(seed=3)))).__name__ == "WarmStart"


def test_what_cannot_be_refined_is_refused_in_words(cases: Any, tmp_path: Path) -> None:
    for options, message in (
        ({"module": cases.made(cases.Two)}, "configure_optimizers gave 2 optimisers"),
        (
            {"module": cases.made(cases.Silent)},
            r"hparams lack lr, label_smoothing: call self.save_hyperparameters\(\)",
        ),
        ({"data": cases.Dictionary()}, "training data come from a dict: give WarmStart data="),
        ({"module": cases.made(lr=30.0)}, r"lr is 30.0: it must be in \[0.0001, 3.0\]"),
        ({"precision": "16-true"}, "float16"),
    ):
        with pytest.raises(Exception, match=message):
            cases.fit(tmp_path, cases.callback(), **options)


def test_without_the_library_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Lightning cannot be imported, the module itself can."""
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    name = "warmstart.integrations.lightning"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(warmstart.integrations, "lightning", None, raising=False)
    absent = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, absent)  # which is put back, or taken away, after the test
    with pytest.raises(ImportError, match=r"pip install 'asha-core\[lightning\]'"):
        absent.WarmStart(warmstart.SearchSpace({"lr": warmstart.Float(0.1, 1.0)}), loss=max)


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("gpus", ["inline", "cpu"])
def test_a_stop_fails_no_trial_that_a_trainer_trains(gpus: str, tmp_path: Path) -> None:
    """Lightning answers SIGTERM with an exception, and Ctrl-C with ``sys.exit``."""
    task = ["--task", "tests.integrations.lightning_trials:Fits", "--gpus", gpus]
    options = ["--task-option", "seconds=0.2", "--max-trials", "3", "--results-dir", "run"]
    number = signal.SIGINT if gpus == "inline" else signal.SIGTERM
    with Command(tmp_path, *task, "--min-resource", "9", *options) as engine:
        engine.wait_for(tmp_path / "run", "report", 2)
        seconds, errors = engine.signal(number)
        assert engine.process.returncode == 130, errors
        assert seconds < 10
    assert not records(tmp_path / "run", "failed")
    assert {each["kind"] for each in records(tmp_path / "run", "lost")} == {"stopped"}


def test_early_stopping_of_lightnings_finishes_a_trial(cases: Any, tmp_path: Path) -> None:
    fits = importlib.import_module("tests.integrations.lightning_fits")
    space = SearchSpace({"lr": Float(0.05, 0.5, log=True)})
    scheduler = ASHA(space, mode="min", min_resource=3, max_resource=27, max_trials=4)
    result = tune(
        fits.fit_until_it_has_converged,
        scheduler,
        gpus="inline",
        results_dir=tmp_path / "run",
        progress="none",
    )
    assert result.outcome.failures == 0
    early = [trial for trial in scheduler.trials if trial.finished]
    assert early
    assert all(trial.resource < 27 for trial in early)
