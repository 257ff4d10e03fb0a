"""Ray Tune: the example, what is movable, and trials that come back from a checkpoint.

Ray itself is started by slow tests alone, in processes of their own; elsewhere a session stands in its place.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from asha_core.errors import SettingError
from asha_core.space.dimensions import Constant
from tests.integrations.contract import check_added_lines, check_runs, run_module
from tests.integrations.driver import EXAMPLES, example
from tests.peers.test_ray import leaving_the_process_as_it_was
from warmstart import Float
from warmstart.integrations.ray import search_space

with leaving_the_process_as_it_was():
    try:
        import ray.tune
    except ImportError as missing:
        pytest.skip(f"no Ray Tune: {missing}; pip install -e '.[test]'", allow_module_level=True)

tune: Any = ray.tune


def test_the_example_adds_at_most_twenty_lines() -> None:
    check_added_lines("ray_tune")


@pytest.mark.slow
@pytest.mark.processes
def test_the_example_runs_in_ray_and_only_lr_is_changed(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run_module("-m", "tests.integrations.driver", "ray_tune", str(out), timeout=600)
    check_runs(json.loads(out.read_text()))


def test_only_uniform_ranges_at_the_top_level_may_move() -> None:
    param_space = {
        "lr": tune.loguniform(1e-4, 1.0),
        "momentum": tune.uniform(0.0, 0.9),
        "dropout": tune.quniform(0.0, 0.5, 0.1),
        "noise": tune.randn(0.0, 1.0),
        "width": tune.choice([32, 64]),
        "layers": tune.randint(1, 4),
        "grid": tune.grid_search([1, 2]),
        "drawn": tune.sample_from(lambda spec: 3),
        "nested": {"beta": tune.uniform(0.0, 1.0)},
        "name": "resnet",
    }
    config = {
        **{"lr": 0.1, "momentum": 0.5, "dropout": 0.2, "noise": -1.3, "width": 32, "layers": 2},
        **{"grid": 1, "drawn": 3, "nested": {"beta": 0.5}, "name": "resnet"},
    }
    space = search_space(param_space, config)
    assert space["lr"] == Float(1e-4, 1.0, log=True)
    assert space["momentum"] == Float(0.0, 0.9)
    assert set(config) - set(space) == {"nested"}
    for name in ("dropout", "noise", "width", "layers", "grid", "drawn", "name"):
        assert space[name] == Constant(config[name])


def test_nothing_to_move_is_said() -> None:
    with pytest.raises(SettingError, match="none of width is a continuous range"):
        search_space({"width": tune.choice([1, 2])}, {"width": 1})


def test_without_the_library_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.tune.search.sample", None)
    with pytest.raises(ImportError, match=r"pip install 'asha-core\[ray\]'"):
        search_space({"lr": tune.uniform(0.0, 1.0)}, {"lr": 0.5})


class Session:
    """What a trainable sees of Ray: it keeps what is reported, and restores it."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.reports: list[dict[str, Any]] = []
        self.state: Any = None
        self._breaks_after = breaks_after
        self.Checkpoint = SimpleNamespace(from_directory=Path)

    def report(self, metrics: dict[str, Any], checkpoint: Path) -> None:
        self.reports.append(metrics)
        self.state = (checkpoint / "state.pt").read_bytes()
        if len(self.reports) == self._breaks_after:
            raise RuntimeError("the machine goes away")

    def get_checkpoint(self) -> Any:
        return self if self.state is not None else None

    @contextmanager
    def as_directory(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "state.pt").write_bytes(self.state)
            yield folder


CONFIG = {"lr": 0.02, "momentum": 0.5, "width": 32}


def test_the_trainable_alone_is_changed_by_a_warm_start_in_lr_alone(
    tmp_path: Path,
) -> None:
    """In the place of Ray, its session alone."""
    runs = {}
    for way, variation, settings in (
        ("stripped", None, {}),
        ("without", None, {}),
        ("zero", "hypergradient", {"eta_h": 0.0}),
        ("warm", "ohgw-trust", {}),
    ):
        module = example("ray_tune", tmp_path if way == "stripped" else None)
        module.tune = Session()
        module.trainable(CONFIG, 2, variation, settings)
        assert len(module.tune.reports) == 2
        trained = torch.load(io.BytesIO(module.tune.state), weights_only=True).get("config", CONFIG)
        assert module.tune.reports[-1].get("trained_lr", CONFIG["lr"]) == trained["lr"]
        losses = [report["loss"] for report in module.tune.reports]
        runs[way] = [{"proposed": CONFIG, "config": trained, "loss": losses}]
    check_runs(runs)


def test_a_trial_that_comes_back_has_the_refined_values_and_is_not_refined_again(tmp_path: Path) -> None:
    module = example("ray_tune")
    module.tune = Session(breaks_after=1)
    really, refined = module.warm_start, []

    def warm_start(*arguments: Any, **settings: Any) -> dict[str, Any]:
        refined.append(really(*arguments, **settings))
        return refined[-1]

    module.warm_start = warm_start
    with pytest.raises(RuntimeError, match="goes away"):
        module.trainable(CONFIG, 3, "ohgw-trust", {})
    module.trainable(CONFIG, 3, "ohgw-trust", {})
    (once,) = refined
    assert once["lr"] > CONFIG["lr"]
    assert [report["trained_lr"] for report in module.tune.reports] == [once["lr"]] * 3


@pytest.mark.slow
@pytest.mark.processes
def test_rays_own_retry_goes_on_with_the_refined_values(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run_module("-m", "tests.integrations.ray_retry", str(out), path=EXAMPLES)
    result = json.loads(out.read_text())
    assert result["attempts"] == 2
    assert result["refined"] == 1
    assert len(set(result["trained"])) == 1
    assert result["trained"][0] != result["proposed"]
