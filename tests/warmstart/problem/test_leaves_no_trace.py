"""A warm start that changes nothing leaves the trial as it would have been, to the last bit."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.data import TensorDataset

from asha_core import Configuration, Float, Job, RandomSearch, Refined, SearchSpace
from asha_core.errors import TaskError
from asha_core.runtime.executor import Notice
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.warmstart.smoothing import cross_entropy
from trials import TorchTask
from trials.checkpoints.files import load_checkpoint
from trials.tasks.cifar import Cifar10
from trials.tasks.digits import Digits
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart.estimates.estimate import estimate
from warmstart.problem.model_problem import ModelProblem

NOTHING: dict[str, tuple[str, dict[str, Any]]] = {
    "hypergradient": ("hypergradient", {"eta_h": 0.0}),
    "two steps ahead": ("hypergradient", {"eta_h": 0.0, "lookahead": 2, "steps": 2}),
    "validation": ("hypergradient", {"eta_h": 0.0, "heldout": "validation"}),
    "differences": ("hypergradient", {"eta_h": 0.0, "route": "differences", "mask": ["lr", "momentum"]}),
    "trust": ("trust", {"delta": 0.0, "mask": None}),
}


class Recorded(TorchTask):
    """A task that remembers every batch and loss that it is asked for."""

    seen: list[tuple[list[int], float]]

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        loss = super().loss(outputs, targets, config)
        self.__dict__.setdefault("seen", []).append((targets.tolist(), loss.item()))
        return loss


class Cnn(Recorded, Digits):
    batch_size = 16

    def data(self) -> Any:
        (x, y), (vx, vy) = super().data()  # type: ignore[misc]
        return (x[:400], y[:400]), (vx[:100], vy[:100])


class Mlp(Cnn):
    def __init__(self) -> None:
        super().__init__("mlp")


class Adam(Mlp):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        momentum, decay = config["momentum"], config["weight_decay"]
        return torch.optim.AdamW(parameters, config["lr"], betas=(momentum, 0.99), weight_decay=decay)


class HeavyBall(Mlp):
    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, lr=config["lr"], momentum=config["momentum"], weight_decay=config["weight_decay"]
        )


class Restless(Mlp):
    """Draws from every generator that there is; has buffers, and a layer that is frozen."""

    def model(self, config: Configuration) -> nn.Module:
        frozen = nn.Linear(16, 16).requires_grad_(False)
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(config["magnitude"] / 2)),
            *(frozen, nn.ReLU(), parametrizations.spectral_norm(nn.Linear(16, 10))),
        )

    def augment(self, inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        inputs = super().augment(inputs, config, generator)
        return inputs + 0.01 * np.random.standard_normal() + 0.01 * random.gauss(0.0, 1.0) * torch.rand(())


class Drawing(TensorDataset):
    """Augments where samples are read, with the global generators."""

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return x + 0.1 * torch.rand(()) + 0.1 * random.random() + 0.1 * np.random.rand(), y


class FromDataset(Restless):
    def data(self) -> Any:
        train, valid = super().data()
        return Drawing(*train), TensorDataset(*valid)


class Counting(TensorDataset):
    """Augments with a generator of its own, and by how often it was read."""

    def __init__(self, *tensors: Tensor) -> None:
        super().__init__(*tensors)
        self.reads, self.generator = 0, torch.Generator().manual_seed(2)

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        x, y = super().__getitem__(index)
        return x + 0.1 * torch.rand((), generator=self.generator) + 1e-4 * self.reads, y


class FromCounting(Mlp):
    def data(self) -> Any:
        train, valid = super().data()
        return Counting(*train), Counting(*valid)


class DrawsItsSplit(Mlp):
    """Loads its data late, and splits it with the global generator, as it should not."""

    def setup(self, device: str) -> None:
        pass

    def data(self) -> Any:
        (x, y), valid = super().data()
        chosen = torch.randperm(len(x))
        return (x[chosen], y[chosen]), valid


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """PyTorch loads a package with its first optimiser that draws from Python's generator."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


def states() -> tuple[Any, ...]:
    """Those of the global generators."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return torch.get_rng_state().tolist(), random.getstate(), (name, keys.tolist(), *rest)


def trained(
    task: Any, folder: Path, warm_start: tuple[str, dict[str, Any]], until: int, **values: float
) -> tuple[list[Any], dict[str, Any], list[Any], Any]:
    """(events, checkpoint, batches and losses, generators afterwards) of one trial."""
    directory = RunDirectory(folder)
    directory.create()
    configuration = task.space.configuration({**RandomSearch(task.space, 0).propose(10), **values})
    runner = JobRunner(WorkerSettings(task, str(directory.path), 9, *warm_start), "cpu")
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(17)
    events: list[Any] = []
    task.__dict__["seen"] = []
    runner.run(Job(0, configuration, 0, until, 0, seed=123, refine=True), events.append)
    return events, load_checkpoint(directory.trial_checkpoint(0))["state"], task.seen, states()


def assert_the_same(task: Any, tmp_path: Path, strategies: Any, until: int, **values: float) -> None:
    plain, checkpoint, seen, generators = trained(task, tmp_path / "none", ("none", {}), until, **values)
    assert len(seen) >= 20
    for name in strategies:
        task.__dict__.pop("_batches", None) if isinstance(task, DrawsItsSplit | FromCounting) else None
        events, found, others, after = trained(task, tmp_path / name, NOTHING[name], until, **values)
        refined, *reports = [event for event in events if not isinstance(event, Notice)]
        assert isinstance(refined, Refined), events
        assert refined.diagnostics.get("note") is None
        assert [(r.resource, r.value, r.metrics) for r in reports] == [
            (r.resource, r.value, r.metrics) for r in plain
        ]
        assert refined.diagnostics["gradient"]  # it did measure
        assert (
            others == seen
        )  # batch for batch, and loss for loss; what the warm start's calls noted is undone
        assert identical(found, checkpoint)
        assert after == generators


def identical(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    return bool(a == b)


@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    [
        *(Cnn, FromDataset, DrawsItsSplit),
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (Mlp, HeavyBall, Restless, Adam, FromCounting)
        ),
    ],
)
def test_a_trial_is_bitwise_the_one_without_a_warm_start(kind: type[TorchTask], tmp_path: Path) -> None:
    assert_the_same(kind(), tmp_path, NOTHING, 1, lr=0.02, momentum=0.8)


class SmallCifar(Recorded, Cifar10):
    batch_size = 8


@pytest.mark.slow
def test_a_cifar_trial_is_bitwise_the_one_without_a_warm_start(cifar_dir: Path, tmp_path: Path) -> None:
    task = SmallCifar(data_dir=str(cifar_dir), subset=0.004)
    assert_the_same(task, tmp_path, ["hypergradient"], 1, lr=0.02)


# -- a model of the user's own ---------------------------------------------------------------------

SPACE = SearchSpace(
    {"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.95), "label_smoothing": Float(0.0, 0.5)}
)
PSI = SPACE.configuration({"lr": 0.05, "momentum": 0.8, "label_smoothing": 0.1})


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            *(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3)),
            *(nn.Linear(8, 8), parametrizations.spectral_norm(nn.Linear(8, 4))),
        ).double()
        net[4].requires_grad_(False)
        net(torch.randn(5, 6, dtype=torch.float64)).sum().backward()
    net.eval()
    net[0].train()
    return net


def picture(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """All that could have changed."""
    clone: Callable[[Tensor | None], Any] = lambda t: None if t is None else t.detach().clone()  # noqa: E731
    return [
        [
            (n, id(p), p.requires_grad, clone(p), clone(p.grad), p._version)
            for n, p in model.named_parameters()
        ],
        [(n, id(b), clone(b), b._version) for n, b in model.named_buffers()],
        [(n, id(m), m.training, type(m)) for n, m in model.named_modules()],
        [[len(getattr(m, name)) for name in vars(m) if name.endswith("_hooks")] for m in model.modules()],
        [len(p._post_accumulate_grad_hooks or {}) for p in model.parameters()],
        optimizer.state_dict(),
        states(),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()),
    ]


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("route", ["auto", "closed", "tangents", "differences"])
def test_nothing_about_the_users_model_changes(route: Any, steps: int, model: nn.Sequential) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 4, (16,), generator=generator)
    own = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = torch.utils.data.DataLoader(TensorDataset(x, y), 8, shuffle=True, generator=generator)
    copies = x.clone(), y.clone()
    problem = ModelProblem(
        SPACE,
        model=model,
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"], momentum=c["momentum"]),
        data=loader,
        validation=(x, y),
        loss=lambda outputs, targets, c: cross_entropy(outputs, targets, c["label_smoothing"]),
        heldout_loss=nn.functional.cross_entropy,
        augment=lambda inputs, c, noise: (
            inputs + 0.1 * torch.randn(inputs.shape, generator=noise, dtype=inputs.dtype) * random.random()
        ),
    )
    before, order = picture(model, own), generator.get_state()
    for kind in ("half", "validation"):
        losses = problem.losses(PSI)
        train, heldout = losses.batches(0, kind)  # type: ignore[arg-type]
        trains = [train, *(losses.batches(draw, "half")[0] for draw in range(1, steps))]
        if route == "closed" and steps > 1:
            continue
        if route in ("closed", "tangents"):  # spectral norm writes what it reads
            with pytest.raises(TaskError, match=r"writes to .*_u"):
                estimate(losses, SPACE, PSI, trains, heldout, route=route)
        else:
            assert estimate(losses, SPACE, PSI, trains, heldout, route=route).finite
    assert identical(picture(model, own), before)
    assert torch.equal(generator.get_state(), order)
    assert identical((x, y), copies)


@pytest.mark.parametrize("steps", [1, 2])
def test_nothing_changes_when_a_measurement_fails(steps: int, model: nn.Sequential) -> None:
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    calls = itertools.count(1)  # a variable would be as before, after each pass

    def fails(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        torch.rand(3)
        if next(calls) > 2 * steps:
            raise ZeroDivisionError
        return cross_entropy(outputs, targets, config["label_smoothing"])

    problem = ModelProblem(
        SPACE,
        model=model,
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"], momentum=c["momentum"]),
        data=(torch.ones(8, 6, dtype=torch.float64).cumsum(0), torch.arange(8) % 4),
        loss=fails,
    )
    before = picture(model, own)
    losses = problem.losses(PSI)
    trains = [losses.batches(draw, "half")[0] for draw in range(steps)]
    with pytest.raises(ZeroDivisionError):
        estimate(losses, SPACE, PSI, trains, losses.batches(0, "half")[1])
    assert identical(picture(model, own), before)
