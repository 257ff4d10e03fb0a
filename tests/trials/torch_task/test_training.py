"""The training loop: the same curve to the last bit, paused or not, warm start or not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from asha_core import (
    AshaError,
    Configuration,
    Finished,
    Float,
    Job,
    RandomSearch,
    Refined,
    Report,
    SearchSpace,
)
from asha_core.runtime.storage.run_directory import RunDirectory
from trials import FunctionTask, Task, TorchTask
from trials.checkpoints.files import load_checkpoint, save_checkpoint
from trials.data.batches import Batches
from trials.tasks.digits import Digits
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import load_data
from trials.torch_task.options import step_settings
from trials.trial import JobStopped, Trial
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart.problem.randomness import own_randomness

Run = Callable[..., tuple[list[Any], RunDirectory]]


class Noisy(Digits):
    """Digits with dropout: a network that uses the global generator, and has buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.losses_seen: list[float] = []

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(super().model(config), nn.Dropout(0.2))

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        loss = super().loss(outputs, targets, config)
        self.losses_seen.append(loss.item())
        return loss


@pytest.fixture
def run(tmp_path: Path) -> Run:
    count = 0

    def go(
        task: Task, pieces: list[int], warm_start: str = "none", refine: bool = True, **settings: Any
    ) -> tuple[list[Any], RunDirectory]:
        """One trial, in jobs that end at ``pieces``, each on a fresh worker."""
        nonlocal count
        count += 1
        directory = RunDirectory(tmp_path / str(count))
        directory.create()
        configuration, events, start = RandomSearch(task.space, 0).propose(10), [], 0
        for until in pieces:
            worker = WorkerSettings(task, str(directory.path), 9, warm_start, settings)
            job = Job(0, configuration, start, until, 0, seed=123, refine=refine and start == 0)
            sent: list[Any] = []
            JobRunner(worker, "cpu").run(job, sent.append)
            events += sent
            configuration = next((e.configuration for e in sent if isinstance(e, Refined)), configuration)
            start = until
        return events, directory

    return go


def curve(events: list[Any]) -> list[tuple[int, float, dict[str, float]]]:
    return [(e.resource, e.value, dict(e.metrics)) for e in events if isinstance(e, Report)]


def same_state(a: RunDirectory, b: RunDirectory) -> bool:
    left, right = (load_checkpoint(d.trial_checkpoint(0))["state"] for d in (a, b))
    momentum = [state["optimizer"]["state"] for state in (left, right)]
    return all(torch.equal(left["model"][name], right["model"][name]) for name in left["model"]) and all(
        torch.equal(momentum[0][index]["momentum_buffer"], momentum[1][index]["momentum_buffer"])
        for index in momentum[0]
    )


@pytest.mark.long
def test_pausing_and_resuming_gives_bitwise_the_same_curve(run: Run) -> None:
    whole, directory = run(Noisy(), [4])
    paused, other = run(Noisy(), [1, 3, 4])
    assert curve(paused) == curve(whole)
    assert len(curve(whole)) == 4
    assert same_state(directory, other)


@pytest.mark.long
def test_a_warm_start_of_size_zero_leaves_the_trial_bitwise_as_it_was(run: Run) -> None:
    """Weights, buffers, momentum, batch order, dropout masks and the first losses."""
    plain_task, warm_task = Noisy(), Noisy()
    plain, directory = run(plain_task, [1, 2])
    warm, other = run(warm_task, [1, 2], "hypergradient", eta_h=0.0)
    assert isinstance(warm[0], Refined)
    assert curve(warm) == curve(plain)
    assert same_state(directory, other)
    assert warm[0].diagnostics["gradient"]
    # the estimate itself called the loss first, and what the task noted of that is undone
    assert warm_task.losses_seen[:20] == plain_task.losses_seen[:20]


# -- stopped inside a unit -------------------------------------------------------------------------


class Restless(Digits):
    """Draws from every generator there is: dropout, numpy, ``random``, augmentation; and has batch norm."""

    batch_size = 64

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 10)
        )

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        inputs = super().augment(inputs, config, generator)
        # an odd number of gaussians: both generators keep the second of a pair for the next call
        return inputs + 0.01 * np.random.standard_normal() + 0.01 * random.gauss(0.0, 1.0)


class RestlessAdam(Restless):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=0.01)


class DrawingDataset(TensorDataset):
    """Augments where samples are read, with the global generators."""

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return x + 0.1 * torch.rand(()) + 0.1 * random.random(), y


class RestlessDataset(Restless):
    def data(self) -> Any:
        train, valid = super().data()
        return DrawingDataset(*train), TensorDataset(*valid)


def in_sittings(task: Task, folder: Path, until: int, stops: list[int]) -> tuple[RunDirectory, list[Report]]:
    """One trial, in one sitting after another: each ends when it has asked so many times whether to stop."""
    directory = RunDirectory(folder)
    directory.make_rooms()
    sent: list[Report] = []
    configuration = RandomSearch(task.space, 0).propose(10)
    for attempt, left in enumerate([*stops, 10**9]):
        asked = iter(range(left))
        start = sent[-1].resource if sent else 0
        trial = Trial(
            Job(0, configuration, start, until, attempt, seed=123),
            mode="max",
            max_resource=9,
            device="cpu",
            checkpoint=lambda kind: directory.trial_checkpoint(0, kind),
            task={},
            send=sent.append,
            stopping=lambda asked=asked: next(asked, None) is None,  # type: ignore[misc]
        )
        with contextlib.suppress(JobStopped):
            task.run(trial)
    return directory, sent


class RestlessPart(Restless):
    """A unit is 5 batches of the 16 that an epoch has, the next of which it takes."""

    samples_per_unit = 5 * 64 + 10


@pytest.mark.long
@pytest.mark.parametrize("kind", [Restless, RestlessAdam, RestlessDataset, RestlessPart])
def test_a_unit_that_was_left_in_the_middle_is_bitwise_the_same(
    kind: type[TorchTask], tmp_path: Path
) -> None:
    task = kind()
    steps = step_settings(task, {}).steps(load_data(task, "cpu")[0])
    whole, expected = in_sittings(task, tmp_path / "whole", 2, [])
    draw = random.Random(kind.__name__)
    # before each unit it is asked once, then after each step but the last
    middle = draw.randrange(1, steps)
    for number, stops in enumerate(
        (
            [1 + middle],
            [steps + 1 + draw.randrange(1, steps)],  # in the second unit
            [1, 1, 2, 3],  # at the very beginning, before any step, and again and again
            [steps - 1, 0],
        )
    ):
        torch.manual_seed(number)  # another process has other global generators
        np.random.seed(number)
        random.seed(number)
        directory, sent = in_sittings(task, tmp_path / str(number), 2, stops)
        assert curve(sent) == curve(expected)
        left, right = (load_checkpoint(d.trial_checkpoint(0))["state"] for d in (whole, directory))
        assert identical(left, right)
        assert not directory.trial_checkpoint(0, "unfinished").exists()


def identical(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(identical, a, b))
    return bool(a == b)


class Listening(Digits):
    """Hears which samples it is trained on, of 1,077."""

    batch_size = 100

    def __init__(self, samples_per_unit: int | None) -> None:
        super().__init__("mlp")
        self.samples_per_unit = samples_per_unit
        self.heard: list[list[int]] = []

    def data(self) -> Any:
        (x, y), valid = super().data()
        return (x, y, torch.arange(len(x))), valid

    def unpack_batch(self, batch: Any) -> tuple[Any, Any]:
        if len(batch) == 3:
            self.heard.append(batch[2].tolist())
        return batch[0], batch[1]


@pytest.mark.parametrize(("samples", "steps"), [(None, 10), (100, 1), (399, 3), (1077, 10), (2300, 23)])
def test_a_unit_is_an_epoch_or_so_many_samples(run: Run, samples: int | None, steps: int) -> None:
    task = Listening(samples)
    events, _ = run(task, [2])
    assert [event.costs["train_batches"] for event in events if isinstance(event, Report)] == [steps, steps]
    assert [len(rows) for rows in task.heard] == [100] * (2 * steps)
    heard = [row for rows in task.heard for row in rows]
    if samples is not None:  # nothing again before everything has come
        assert len(set(heard[:1077])) == min(len(heard), 1077)


def test_a_unit_has_at_least_a_batch(run: Run) -> None:
    with pytest.raises(AshaError, match="samples_per_unit is 99, and batch_size 100: a unit must have at"):
        step_settings(Listening(99), {})
    assert step_settings(Listening(99), {"batch_size": 33}).steps(Batches((torch.zeros(9),) * 2, "cpu")) == 3


class Counting(Restless):
    """Counts its steps."""

    steps = 0

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        self.steps += 1
        return super().loss(outputs, targets, config)


def test_a_stop_costs_no_step_that_was_done(tmp_path: Path) -> None:
    task = Counting()
    in_sittings(task, tmp_path / "r", 1, [5, 5])
    assert task.steps == load_data(task, "cpu")[0].steps(task.batch_size)


def test_what_another_kind_of_device_left_is_trained_from_its_beginning(tmp_path: Path) -> None:
    task = Counting()
    _, expected = in_sittings(task, tmp_path / "whole", 1, [])
    whole, task.steps = task.steps, 0
    directory = RunDirectory(tmp_path / "other")

    def elsewhere(trial: Trial) -> None:
        path = directory.trial_checkpoint(0, "unfinished")
        if path.exists():
            content = load_checkpoint(path)
            content["state"]["device"] = "cuda"
            save_checkpoint(path, content)
        task.run(trial)

    _, sent = in_sittings(FunctionTask(elsewhere, task.space), directory.path, 1, [4])
    assert curve(sent) == curve(expected)
    assert task.steps == 4 + whole


def test_the_size_of_a_checkpoint_is_known_before_there_is_one(run: Run) -> None:
    for task in (Digits(), RestlessAdam()):
        _, directory = run(task, [2])
        size = task.checkpoint_bytes()
        assert size == pytest.approx(directory.trial_checkpoint(0).stat().st_size, rel=0.02)


def test_a_size_that_cannot_be_told_is_no_error() -> None:
    class NeedsMore(Digits):
        def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
            return torch.optim.LBFGS(parameters)

    assert NeedsMore().checkpoint_bytes() is None
    assert FunctionTask(print, Digits.space).checkpoint_bytes() is None


class NumpyNoise(Digits):
    """Augments with numpy's and Python's global generators, as many libraries do."""

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        noise = np.random.normal(size=tuple(inputs.shape)) * random.random()
        return inputs + 0.1 * torch.as_tensor(noise, dtype=inputs.dtype)


@pytest.mark.long
def test_numpys_and_pythons_generators_are_the_trials_own_too(run: Run) -> None:
    whole, _ = run(NumpyNoise(), [3])
    np.random.seed(99)
    random.seed(99)
    before = np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index,union-attr]
    warm, _ = run(NumpyNoise(), [1, 3], "hypergradient", eta_h=0.0)
    assert curve(warm) == curve(whole)
    assert (np.random.get_state()[1] == before[0]).all()  # type: ignore[index]
    assert random.getstate() == before[1]


def test_training_leaves_global_generators_as_they_were(run: Run) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(Noisy(), [1], "hypergradient")
    assert torch.equal(torch.get_rng_state(), before)


def test_own_randomness_restores_after_an_exception() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()

    def draw_and_fail() -> None:
        with own_randomness(1, "cpu"):
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_trial_trains_what_the_warm_start_made(run: Run) -> None:
    events, directory = run(Digits(), [1], "random", sigma=0.3)
    assert isinstance(events[0], Refined)
    assert load_checkpoint(directory.trial_checkpoint(0))["configuration"] == dict(events[0].configuration)


def test_the_schedule_is_pytorchs_cosine_over_all_units_whatever_the_rung(run: Run) -> None:
    seen: list[float] = []

    class Watch(Digits):
        def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
            optimizer = super().optimizer(parameters, config)
            self.peak = optimizer.param_groups[0]["lr"]
            optimizer.register_step_pre_hook(lambda o, *_: seen.append(o.param_groups[0]["lr"]))
            return optimizer

    task = Watch()
    run(task, [1, 3])
    steps = load_data(task, "cpu")[0].steps(task.batch_size)
    parameter = torch.zeros(1, requires_grad=True)
    reference = torch.optim.SGD([parameter], lr=task.peak)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=9 * steps)
    expected = []
    for _ in range(3 * steps):
        expected.append(reference.param_groups[0]["lr"])
        reference.step()
        schedule.step()
    assert seen == pytest.approx(expected, rel=1e-9, abs=1e-12)


class FromDataset(Digits):
    """The same images, one by one from a Dataset."""

    def data(self) -> Any:
        return tuple(TensorDataset(*pair) for pair in super().data())  # type: ignore[arg-type]


@pytest.mark.long
def test_a_dataset_gives_the_same_curve_as_tensors(run: Run) -> None:
    from_tensors, _ = run(Digits(), [2], "hypergradient")
    from_dataset, _ = run(FromDataset(), [2], "hypergradient")
    assert curve(from_dataset) == curve(from_tensors)


class Regression(TorchTask):
    """y = 3x + 1 with noise; the loss is the metric, and smaller is better."""

    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.9)})
    metric, mode, batch_size = "rmse", "min", 16

    def model(self, config: Configuration) -> nn.Module:
        return nn.Linear(1, 1)

    def data(self) -> Any:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(200, 1, generator=generator)
        y = 3 * x + 1 + 0.1 * torch.randn(200, 1, generator=generator)
        return (x[:150], y[:150]), (x[150:], y[150:])

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        return self.heldout_loss(outputs, targets)

    def heldout_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        return nn.functional.mse_loss(outputs, targets).sqrt().item()


def test_a_regression_learns_and_keeps_its_smallest_error(run: Run) -> None:
    events, directory = run(Regression(), [9], "hypergradient")
    values = [value for _, value, _ in curve(events)]
    assert values[-1] < 0.15  # the noise alone is 0.1; knowing nothing, 3
    best = load_checkpoint(directory.trial_checkpoint(0, "best"))
    assert best["resource"] == 1 + min(range(9), key=values.__getitem__)


class Patient(Regression):
    """Over as soon as two units were no better than the best before them."""

    def converged(self, scores: Sequence[float], config: Configuration) -> bool:
        assert config["lr"] > 0
        return len(scores) - 1 - scores.index(min(scores)) == 2


def test_a_task_says_when_a_trial_has_converged_from_all_its_scores_whatever_the_rungs(run: Run) -> None:
    every, _ = run(Regression(), [27])
    scores = [value for _, value, _ in curve(every)]
    ends = next(unit for unit in range(3, 28) if Patient().converged(scores[:unit], {"lr": 1.0}))
    whole, _ = run(Patient(), [27])
    paused, _ = run(Patient(), [ends - 2, ends - 1, 27])  # its best lies before the last two jobs
    assert curve(whole) == curve(paused) == curve(every)[:ends]
    assert whole[-1] == paused[-1] == Finished(0, 0, ends)
    late, _ = run(Patient(), [ends])
    assert late[-2] == Finished(0, 0, ends)
    assert isinstance(late[-1], Report)


class Unheard(Patient):
    """Killed when it had reported its last unit, before it could say that it was the last."""

    killed = False

    def converged(self, scores: Sequence[float], config: Configuration) -> bool:
        before, self.killed = self.killed, self.killed or super().converged(scores, config)
        return before and super().converged(scores, config)


def test_a_trial_that_was_killed_before_it_could_say_so_trains_no_unit_more(run: Run) -> None:
    (*_, said), _ = run(Patient(), [27])
    ends = said.resource
    events, _ = run(Unheard(), [ends, 27])
    assert [report.resource for report in events[:-1]] == list(range(1, ends + 1))
    assert events[-1] == said


def test_evaluation_sees_every_sample_once_whatever_the_batch_size() -> None:
    task = Digits()
    _, valid = load_data(task, "cpu")
    model = task.model(RandomSearch(task.space, 0).propose(0))
    task.eval_batch_size = 360
    whole = evaluate(task, model, valid)
    task.eval_batch_size = 7
    assert evaluate(task, model, valid) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("kind", ["tensors", "dataset"])
def test_an_epoch_is_a_permutation_of_full_batches(kind: str) -> None:
    rows = (torch.arange(25.0)[:, None], torch.arange(25))
    batches = Batches(rows if kind == "tensors" else TensorDataset(*rows), "cpu")
    seen = [y for _, y in batches.shuffled(8, torch.Generator().manual_seed(1))]
    assert [len(y) for y in seen] == [8, 8, 8]
    assert len(torch.cat(seen).unique()) == 24
    again = [y for _, y in batches.shuffled(8, torch.Generator().manual_seed(1))]
    assert all(torch.equal(a, b) for a, b in zip(seen, again, strict=True))
    small = list(batches.shuffled(100, torch.Generator().manual_seed(1)))
    assert [len(y) for _, y in small] == [25]
    x, y = batches.draw(10, torch.Generator().manual_seed(2))
    assert len(y.unique()) == 10
    assert torch.equal(x[:, 0].long(), y)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((torch.zeros(3, 1), torch.zeros(2)), "3 inputs and 2 targets"),
        ((torch.zeros(0, 1), torch.zeros(0)), "empty"),
        ([1, 2], "a list"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_words(source: Any, message: str) -> None:
    with pytest.raises(AshaError, match=message):
        Batches(source, "cpu")
