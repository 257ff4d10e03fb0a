"""A warm start where a trial is promoted: from its checkpoint, and the same wherever it was killed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from analysis import load_run
from analysis.journals.trial_table import trials_as_trained
from analysis.report.run_trials import trials_csv
from asha_core import ASHA, Configuration, DyHPO, Float, FullTraining, Job, Refined, Report, SearchSpace, tune
from asha_core.errors import SettingError
from asha_core.recording.from_runs import curves_of
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.schedulers.base import Scheduler
from trials import Task, TorchTask, load_model
from trials.checkpoints.files import load_checkpoint
from trials.executors.inline import InlineExecutor
from trials.trial import Trial
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart import Outcome, build
from warmstart.base import acts
from warmstart.registry import WARM_START

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "momentum": Float(0.0, 0.99),
        "weight_decay": Float(1e-6, 1e-2, log=True),
    }
)


class Tiny(TorchTask):
    """A linear regression; remembers what its optimiser was made with."""

    space, metric, mode, max_resource, batch_size = SPACE, "loss", "min", 9, 16

    def model(self, config: Configuration) -> nn.Module:
        return nn.Linear(3, 1)

    def data(self) -> tuple[TensorDataset, TensorDataset]:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(96, 3, generator=generator)
        targets = inputs.sum(1, keepdim=True) + 0.3 * torch.randn(96, 1, generator=generator)
        return TensorDataset(inputs[:64], targets[:64]), TensorDataset(inputs[64:], targets[64:])

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def heldout_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        return float(self.heldout_loss(outputs, targets))


class Watches:
    """Says what there is to look at; halves lr, momentum and decay."""

    name, needs_losses, when = "watches", True, "promotion"

    def refine(self, problem: Any, configuration: Configuration, seed: int) -> Outcome:
        network = problem.losses(configuration).network
        [group] = network.groups(configuration)
        told = {
            "weights": [value.flatten().tolist() for value in network.parameters.values()],
            "rate": float(group.lr),
            "seed": seed,
        }
        halved = {name: max(value / 2, SPACE[name].lower) for name, value in configuration.items()}
        return Outcome(problem.space.configuration(halved), {"strategy": self.name, "step": {}, **told})


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WARM_START.own, "watches", f"{__name__}:Watches")  # type: ignore[arg-type]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    made = RunDirectory(tmp_path / "run")
    made.create()
    return made


FIRST = SPACE.configuration({"lr": 0.1, "momentum": 0.8, "weight_decay": 1e-3})


class Killed(BaseException):
    """As by kill -9."""


def train(
    directory: RunDirectory, configuration: Configuration, *pieces: tuple[int, int, bool], kill: bool = False
) -> list[Any]:
    """Jobs of one trial; with ``kill`` the last one ends as soon as its warm start has told."""
    events: list[Any] = []
    settings = WorkerSettings(Tiny(), str(directory.path), 9, "watches")

    def send(event: Any) -> None:
        events.append(event)
        if kill and isinstance(event, Refined):
            raise Killed

    for start, until, refine in pieces:
        runner = JobRunner(settings, "cpu", inline=True)
        with suppress(Killed):
            runner.run(Job(0, configuration, start, until, 0, 5, refine), send)
        configuration = next((e.configuration for e in events if isinstance(e, Refined)), configuration)
    return events


def curve(events: list[Any]) -> list[tuple[int, float]]:
    return [(event.resource, event.value) for event in events if isinstance(event, Report)]


def test_it_sees_the_trials_own_network_at_the_rate_that_its_schedule_has_come_to(
    directory: RunDirectory,
) -> None:
    train(directory, FIRST, (0, 3, True))
    kept = load_checkpoint(directory.trial_checkpoint(0))["state"]
    _, refined, *_ = [None, *train(directory, FIRST, (3, 9, True))]
    assert (refined.trial, refined.resource) == (0, 3)
    assert refined.configuration == SPACE.configuration({n: v / 2 for n, v in FIRST.items()})
    told = refined.diagnostics
    assert told["weights"] == [value.flatten().tolist() for value in kept["model"].values()]
    assert told["rate"] == pytest.approx(0.1 * Tiny().schedule(3 / 9))
    assert told["seed"] != 5  # the samples are others than before the first unit


def test_killed_between_refinement_and_report_it_goes_on_to_the_last_bit_as_if_it_had_not_been(
    directory: RunDirectory, tmp_path: Path
) -> None:
    whole = train(directory, FIRST, (0, 3, True), (3, 9, True))
    other = RunDirectory(tmp_path / "other")
    other.create()
    events = train(other, FIRST, (0, 3, True), (3, 9, True), kill=True)
    assert [event.resource for event in events] == [1, 2, 3, 3]
    events += train(other, events[-1].configuration, (3, 5, False), (5, 9, False))
    assert curve(events) == curve(whole)
    assert len(curve(whole)) == 9


def test_from_there_on_its_optimiser_has_the_new_settings_and_remembers_what_it_did(
    directory: RunDirectory,
) -> None:
    train(directory, FIRST, (0, 3, True))
    before = load_checkpoint(directory.trial_checkpoint(0))["state"]["optimizer"]
    assert before["param_groups"][0]["momentum"] == 0.8
    unrefined = curve(train(directory, FIRST, (3, 4, False)))
    refined = curve(train(directory, FIRST, (3, 4, True)))
    content = load_checkpoint(directory.trial_checkpoint(0))
    [group] = content["state"]["optimizer"]["param_groups"]
    assert (group["momentum"], group["weight_decay"]) == (0.4, 5e-4)
    assert content["configuration"] == {"lr": 0.05, "momentum": 0.4, "weight_decay": 5e-4}
    assert refined != unrefined
    assert before["state"]


def test_a_trial_whose_checkpoint_is_gone_is_left_as_it_is(directory: RunDirectory) -> None:
    train(directory, FIRST, (0, 3, True))
    for path in directory.checkpoints.glob("trial-*"):
        path.unlink()
    refined, *reports = train(directory, FIRST, (3, 4, True))
    assert refined.configuration == FIRST
    assert refined.diagnostics["note"] == "the checkpoint of unit 3 is gone: no nudge"
    assert curve(reports)[-1][0] == 4


class Here(InlineExecutor):
    """In this process."""

    def __init__(self, settings: WorkerSettings, slots: Any) -> None:
        super().__init__(settings, "cpu")


def search(path: Path, max_trials: int = 9, **settings: Any) -> Any:
    scheduler = ASHA(SPACE, mode="min", max_resource=9, seed=1, max_trials=max_trials)
    given: Any = {"gpus": "cpu", "workers_per_gpu": 1, "executor": Here, "progress": "none", **settings}
    return tune(Tiny(), scheduler, variation="watches", results_dir=path, **given)


def test_a_search_and_what_is_told_of_it(tmp_path: Path) -> None:
    """The best configuration is the one that its value was reached with; so are a report's, and a model's."""
    result = search(tmp_path / "run")
    run = load_run(tmp_path / "run")
    changed = [trial for trial in run.trials.values() if trial.before]
    assert changed
    for trial in changed:
        for (unit, before), after in zip(
            trial.before, [*(each for _, each in trial.before[1:]), trial.configuration], strict=True
        ):
            assert unit in (1, 3)
            assert after["lr"] == pytest.approx(max(before["lr"] / 2, 1e-3))
        assert trial.trained_with(1) == trial.proposed
        assert trial.diagnostics["strategy"] == "watches"
    best = run.trials[result.best.trial].trained_with(result.best.resource)
    assert dict(result.best_configuration) == best
    kept = json.loads((tmp_path / "run" / "results.json").read_text())
    assert kept["best"]["configuration"] == best
    table = trials_as_trained(run)
    assert table["config.lr"][result.best.trial] == best["lr"]
    assert trials_csv(run).count("\n") == 10
    _, about = load_model(tmp_path / "run", Tiny)
    assert about["configuration"] == best
    with pytest.raises(SettingError, match="a curve of a table is of one configuration"):
        curves_of([run])


class Plain(Task):
    space, max_resource = SPACE, 9

    def run(self, trial: Trial) -> None:
        raise AssertionError

    def warm_start_loss(self, config: Configuration, seed: int) -> float:
        raise AssertionError


@pytest.mark.parametrize(
    ("task", "kind", "words"),
    [
        (Plain(), ASHA, "task plain cannot be looked at there: subclass trials.TorchTask"),
        (Tiny(), DyHPO, "scheduler dyhpo takes a trial's configuration to stay what it is"),
        (Tiny(), FullTraining, "with scheduler random none is: take asha"),
    ],
)
def test_what_cannot_be_is_refused_before_the_search(
    task: Task, kind: type[Scheduler], words: str, tmp_path: Path
) -> None:
    for variation in ("watches", "none+watches"):
        with pytest.raises(SettingError, match=words):
            tune(
                task,
                kind(SPACE, max_resource=9, max_trials=3, mode=task.mode),
                variation=variation,
                results_dir=tmp_path / "run",
            )
        assert not (tmp_path / "run").exists()


def test_a_part_of_a_chain_acts_when_it_says() -> None:
    for strategy, settings, fresh, promoted in (
        ("trust", {}, True, False),
        ("trust", {"when": "promotion"}, False, True),
        ("flipped", {"of": "trust", "when": "both"}, True, True),
        ("hypergradient+trust", {"trust": {"when": "promotion"}}, True, True),
        ("hypergradient+trust", {n: {"when": "promotion"} for n in ("hypergradient", "trust")}, False, True),
        ("screen+trust", {}, True, False),
    ):
        built = build(strategy, settings)
        assert (acts(built, promoted=False), acts(built, promoted=True)) == (fresh, promoted)
    with pytest.raises(SettingError, match="when is 'later'"):
        build("trust", {"when": "later"})
    chain = build("none+watches")
    fresh_problem = Tiny().problem(0, "cpu")
    parts = chain.refine(fresh_problem, FIRST, 0).diagnostics["parts"]
    assert parts[1] == {"strategy": "watches", "step": {}}


def test_asha_hands_such_trials_on(tmp_path: Path) -> None:
    """A resumed search asks for the same, for its manifest names the variation."""
    search(tmp_path / "run", max_trials=4)
    result = search(tmp_path / "run", max_trials=9, resume=True)
    other = search(tmp_path / "other")
    assert result.best == other.best
    assert isinstance(ASHA(SPACE).refines_promoted, bool)
