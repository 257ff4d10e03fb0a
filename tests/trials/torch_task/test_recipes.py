"""Clipping, accumulation, averages, parameter groups: exactly what PyTorch does, and resumed exactly."""

from __future__ import annotations

import gc
import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from asha_core import ASHA, AshaError, Choice, Configuration, Float, SearchSpace, tune
from tests.trials.torch_task.test_training import curve, identical, in_sittings
from trials import TorchTask, load_model, measure_on_test_data
from trials.checkpoints.files import load_checkpoint
from trials.data.batches import Batches
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import Learner, fresh_model, load_data
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart.problem.randomness import generator_for

SPACE = SearchSpace({"lr": Float(0.01, 1.0, log=True), "momentum": Float(0.0, 0.9)})
LR = SPACE.configuration({"lr": 0.1, "momentum": 0.5})


def points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 3, generator=generator)
    return inputs, (inputs.sum(1) > 0).long()


class Small(TorchTask):
    """Two classes, a hidden layer with batch norm and dropout."""

    space = SPACE
    batch_size = 8
    max_resource = 9

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Tanh(), nn.Linear(5, 2))

    def data(self) -> Any:
        return points(44, 0), points(30, 1)

    def test_data(self) -> Any:
        return points(25, 2)


class Clipped(Small):
    max_grad_norm = 0.05


class ClippedByValue(Small):
    max_grad_value = 0.01


class Accumulating(Small):
    gradient_accumulation_steps = 2


class Averaged(Small):
    ema_decay = 0.9


class Everything(Small):
    max_grad_norm = 0.3
    gradient_accumulation_steps = 2
    ema_decay = 0.9

    def param_groups(self, model: nn.Module, config: Configuration) -> Any:
        weights = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        return [{"params": weights}, {"params": others, "weight_decay": 0.0, "lr": 0.1 * config["lr"]}]

    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=config["lr"], weight_decay=0.1)

    def lr_lambda(self, step: int, progress: float, config: Configuration) -> float:
        return min(1.0, (step + 1) / 7) * super().lr_lambda(step, progress, config)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "sittings"),
    [
        (Clipped, [[1, 3]]),
        (Accumulating, [[2, 2]]),
        (Averaged, [[4, 2]]),
        (Everything, [[2], [1, 2, 1], [4, 1]]),
    ],
)
def test_what_was_stopped_anywhere_ends_like_what_was_not(
    kind: type[Small], sittings: list[list[int]], tmp_path: Path
) -> None:
    whole, expected = in_sittings(kind(), tmp_path / "whole", 2, [])
    # it is asked before each unit, then after each step of the optimiser but the last
    for number, stops in enumerate(sittings):
        torch.manual_seed(number)
        directory, sent = in_sittings(kind(), tmp_path / str(number), 2, stops)
        assert curve(sent) == curve(expected)
        left, right = (load_checkpoint(d.trial_checkpoint(0))["state"] for d in (whole, directory))
        assert identical(left, right)


def first_batches(task: TorchTask, seed: int = 7) -> list[tuple[Tensor, Tensor]]:
    order = generator_for(seed, "order", 1)
    return list(load_data(task, "cpu")[0].shuffled(task.batch_size, order))


class Plain(Small):
    """Nothing random in it."""

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    def schedule(self, progress: float) -> float:
        return 1.0


def trained(task: TorchTask, tmp_path: Path, units: int = 1) -> dict[str, Any]:
    directory, _ = in_sittings(task, tmp_path / "run", units, [])
    content: dict[str, Any] = load_checkpoint(directory.trial_checkpoint(0))
    return content


def by_hand(
    task: TorchTask, config: Configuration, window: int, limit: float | None, most: float | None = None
) -> list[nn.Module]:
    """The networks after each step of the first unit, in plain PyTorch."""
    model = fresh_model(task, config, 123, "cpu")
    optimizer = task.optimizer(model.parameters(), config)
    batches, networks = first_batches(task, 123), []
    for start in range(0, len(batches), window):
        optimizer.zero_grad()
        part = batches[start : start + window]
        for x, y in part:
            (cross_entropy(model(x), y) / len(part)).backward()
        if limit is not None:
            nn.utils.clip_grad_norm_(model.parameters(), limit)
        if most is not None:
            nn.utils.clip_grad_value_(model.parameters(), most)
        optimizer.step()
        twin = fresh_model(task, config, 123, "cpu")
        twin.load_state_dict(model.state_dict())
        networks.append(twin)
    return networks


@pytest.mark.parametrize(
    ("window", "limit", "most"),
    [(1, 0.05, None), (2, None, 0.01), (3, None, None), (2, 0.05, None), (100, None, None)],
)
def test_steps_are_those_of_plain_pytorch(
    window: int, limit: float | None, most: float | None, tmp_path: Path
) -> None:
    class Recipe(Plain):
        gradient_accumulation_steps, max_grad_norm, max_grad_value = window, limit, most

    found = trained(Recipe(), tmp_path)
    config = Configuration(tuple(found["configuration"]), tuple(found["configuration"].values()))
    expected = by_hand(Recipe(), config, window, limit, most)
    assert len(expected) == -(-5 // window)  # the last one of what is left
    for name, value in expected[-1].state_dict().items():
        torch.testing.assert_close(found["state"]["model"][name], value)


def test_a_smaller_last_part_counts_its_samples_and_masked_ones_not(tmp_path: Path) -> None:
    """Two batches of 3 and 1 that count are a batch of 4, and no mean of two means."""
    x, y = points(16, 0)
    masked = y.clone()
    masked[8:11] = -100
    masked[12:16] = -100

    class Masked(Plain):
        gradient_accumulation_steps = 2

        def data(self) -> Any:
            return (x, masked), (x, masked)

        def batch_weight(self, targets: Tensor) -> Any:
            return (targets != -100).sum()

    found = trained(Masked(), tmp_path)
    config = Configuration(tuple(found["configuration"]), tuple(found["configuration"].values()))
    task = Masked()
    model = fresh_model(task, config, 123, "cpu")
    optimizer = task.optimizer(model.parameters(), config)
    cross_entropy(model(x), masked).backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found["state"]["model"][name], value)
    task.eval_batch_size = 5
    _, loss = evaluate(task, model, Batches((x, masked), "cpu"))
    with torch.no_grad():
        assert loss == pytest.approx(cross_entropy(model(x), masked).item(), rel=1e-6)


def test_the_average_is_what_is_measured_tested_and_loaded(tmp_path: Path) -> None:
    class Recipe(Plain):
        ema_decay = 0.9

    scheduler = ASHA(SPACE, max_resource=3, max_trials=1, min_resource=3)
    result = tune(Recipe(), scheduler, gpus="inline", results_dir=tmp_path / "r", progress="none")
    content = load_checkpoint(tmp_path / "r" / "checkpoints" / "best.pt")
    model, _ = load_model(tmp_path / "r", Recipe)
    state = content["state"]
    assert not torch.equal(state["model"]["0.weight"], state["ema"]["model"]["0.weight"])
    assert torch.equal(model.state_dict()["0.weight"], state["ema"]["model"]["0.weight"])
    assert evaluate(Recipe(), model, load_data(Recipe(), "cpu")[1])[0] == result.best_value
    final = measure_on_test_data(tmp_path / "r", task=Recipe)
    assert final.value == evaluate(Recipe(), model, Batches(points(25, 2), "cpu"))[0]


def test_the_average_is_the_recursion_that_its_class_says(tmp_path: Path) -> None:
    class Recipe(Plain):
        ema_decay = 0.3

    found = trained(Recipe(), tmp_path)
    config = Configuration(tuple(found["configuration"]), tuple(found["configuration"].values()))
    expected = fresh_model(Recipe(), config, 123, "cpu").state_dict()
    for n, network in enumerate(by_hand(Recipe(), config, 1, None), start=1):
        decay = min(0.3, (1 + n) / (10 + n))
        expected = {
            name: decay * expected[name] + (1 - decay) * value for name, value in network.state_dict().items()
        }
    for name, value in expected.items():
        torch.testing.assert_close(found["state"]["ema"]["model"][name], value)


def test_every_group_follows_the_schedule_from_its_own_rate(tmp_path: Path) -> None:
    seen: list[list[float]] = []

    class Watch(Everything):
        def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
            optimizer = super().optimizer(parameters, config)
            optimizer.register_step_pre_hook(lambda o, *_: seen.append([g["lr"] for g in o.param_groups]))
            return optimizer

    found = trained(Watch(), tmp_path, 2)
    lr = found["configuration"]["lr"]
    steps = [(unit * 5 + window * 2, unit * 3 + window) for unit in range(2) for window in range(3)]
    for rates, (batch, step) in zip(seen, steps, strict=True):
        factor = min(1.0, (step + 1) / 7) * 0.5 * (1 + math.cos(math.pi * batch / 45))
        assert rates == pytest.approx([lr * factor, 0.1 * lr * factor])


# -- settings in the space -------------------------------------------------------------------------


class Searched(Small):
    space = SearchSpace(
        {
            "lr": Float(0.01, 1.0, log=True),
            "batch_size": Choice([4, 16]),
            "max_grad_norm": Float(0.1, 1.0),
            "gradient_accumulation_steps": Choice([1, 2]),
            "ema_decay": Choice([0.0, 0.5]),
        }
    )

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        self.sizes = getattr(self, "sizes", set()) | {len(targets)}
        return super().loss(outputs, targets, config)


@pytest.mark.parametrize("size", [4, 16])
def test_a_batch_size_in_the_space_is_that_of_training_and_of_the_warm_start(size: int) -> None:
    task = Searched()
    values = {"lr": 0.1, "batch_size": size, "max_grad_norm": 0.5}
    config = task.space.configuration({**values, "gradient_accumulation_steps": 2, "ema_decay": 0.5})
    losses = TrainingProblem(task, 0, "cpu").losses(config)
    assert [len(half.targets) for half in losses.batches(0, "half")] == [size // 2, size // 2]
    assert len(losses.batches(0, "validation")[1].targets) == size
    learner = Learner(task, config, 0, "cpu")
    settings = learner.settings
    assert (settings.batch_size, settings.clipping.norm) == (size, 0.5)
    assert learner.average is not None


def test_a_warm_start_takes_the_clipped_steps_of_training() -> None:
    config = Configuration(("lr", "momentum"), (0.5, 0.0))
    for kind in (Clipped, ClippedByValue):
        task = kind()
        network = TrainingProblem(task, 0, "cpu").losses(config).network
        assert network is not None
        assert network.clipping(config) == Learner(task, config, 0, "cpu").settings.clipping
        assert network.clipping(config).limit in (0.05, 0.01)


def test_an_optimiser_with_its_scheduler_is_refused_with_where_a_schedule_is_said() -> None:
    class Pair(Small):
        def optimizer(self, parameters: Any, config: Configuration) -> Any:
            optimizer = super().optimizer(parameters, config)
            return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer)

    with pytest.raises(AshaError, match=r"optimizer gave a tuple: return the optimiser alone.*lr_lambda"):
        Learner(Pair(), LR, 0, "cpu")


@pytest.mark.long
def test_a_search_over_batch_sizes_trains_with_them(tmp_path: Path) -> None:
    task = Searched()
    tune(task, ASHA(task.space, max_resource=1, max_trials=5), gpus="inline", results_dir=tmp_path / "r")
    assert {4, 16} <= task.sizes
    assert "nothing reads" not in (tmp_path / "r" / "journal.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch_size", 0, "batch_size is 0: it must be an integer of at least 1"),
        ("batch_size", 12.5, "batch_size is 12.5"),
        ("gradient_accumulation_steps", 0, "gradient_accumulation_steps is 0"),
        ("max_grad_norm", 0.0, "max_grad_norm is 0.0: it must be a finite number above 0"),
        ("max_grad_value", -1, "max_grad_value is -1: it must be a finite number above 0"),
        ("ema_decay", 1.0, "ema_decay is 1.0: it must be a finite number of at least 0 and below 1"),
    ],
)
def test_a_setting_out_of_range_is_named(name: str, value: Any, message: str) -> None:
    task = Small()
    setattr(task, name, value)
    with pytest.raises(AshaError, match=message):
        Learner(task, LR, 0, "cpu")


# -- losses, outputs and batches of other kinds ----------------------------------------------------


class Regression(TorchTask):
    """The loss is said once."""

    space = SPACE
    metric, mode, batch_size = "rmse", "min", 8
    criterion = nn.MSELoss()

    def model(self, config: Configuration) -> nn.Module:
        return nn.Linear(3, 1)

    def data(self) -> Any:
        (x, _), (vx, _) = points(40, 0), points(30, 1)
        return (x, x.sum(1, keepdim=True)), (vx, vx.sum(1, keepdim=True))

    def score_from(self, sums: Any, loss: float) -> float:
        return loss**0.5


def test_a_regression_says_its_loss_once_and_every_part_takes_it() -> None:
    task = Regression()
    (x, y), model = task.data()[1], nn.Linear(3, 1)
    with torch.no_grad():
        expected = mse_loss(model(x), y)
        assert task.loss(model(x), y, LR) == task.heldout_loss(model(x), y) == expected
    task.eval_batch_size = 7
    rmse, loss = evaluate(task, model, Batches((x, y), "cpu"))
    assert (rmse, loss) == pytest.approx((expected.item() ** 0.5, expected.item()), rel=1e-6)
    losses = TrainingProblem(task, 0, "cpu").losses(LR)
    batch = losses.batches(0, "validation")[1]
    made = fresh_model(task, LR, 0, "cpu")
    assert losses.after(LR, [], batch) == pytest.approx(mse_loss(made(batch.inputs), batch.targets).item())


def test_floats_as_targets_of_an_accuracy_are_refused_with_what_to_write() -> None:
    class Forgot(Regression):
        mode = "max"

    with pytest.raises(AshaError, match=r'set mode = "min" and metric'):
        evaluate(Forgot(), nn.Linear(3, 1), Batches(Forgot().data()[1], "cpu"))


def test_a_tuple_of_outputs_without_a_criterion_is_refused_with_what_to_write() -> None:
    with pytest.raises(AshaError, match=r"gives a tuple.*write criterion"):
        Small().loss((torch.zeros(2, 2), None), torch.zeros(2, dtype=torch.long), LR)


class Recurrent(TorchTask):
    """Dictionaries in, a tuple out, padded places masked."""

    space = SPACE
    metric, mode, batch_size, max_grad_norm = "perplexity", "min", 4, 0.25

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.cell = nn.Embedding(5, 6), nn.LSTM(6, 7, batch_first=True)
            self.head = nn.Linear(7, 5)

        def forward(self, tokens: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            outputs, hidden = self.cell(self.embed(tokens))
            return self.head(outputs), hidden

    def model(self, config: Configuration) -> nn.Module:
        return self.Net()

    def data(self) -> Any:
        generator = np.random.default_rng(0)
        rows = generator.integers(0, 5, (28, 9))
        labels = rows[:, 1:].copy()
        labels[:, 6:][generator.random(28) < 0.5] = -100
        whole = {"tokens": rows[:, :-1], "labels": labels}
        return {k: v[:20] for k, v in whole.items()}, {k: v[20:] for k, v in whole.items()}

    def criterion(self, outputs: Any, targets: Tensor) -> Tensor:
        return cross_entropy(outputs[0].flatten(0, 1), targets.flatten())

    def batch_weight(self, targets: Tensor) -> Any:
        return (targets != -100).sum()

    def score_from(self, sums: Any, loss: float) -> float:
        return math.exp(loss)


class FromDataset(Recurrent):
    """The same, sample by sample, with a text beside each."""

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, columns: dict[str, Any]) -> None:
            self.columns = columns

        def __len__(self) -> int:
            return len(self.columns["tokens"])

        def __getitem__(self, index: int) -> Any:
            return {**{name: rows[index] for name, rows in self.columns.items()}, "name": f"row {index}"}

    def data(self) -> Any:
        return tuple(map(self.Rows, super().data()))

    def unpack_batch(self, batch: Any) -> Any:
        assert all(name.startswith("row ") for name in batch.pop("name"))
        return super().unpack_batch(batch)


@pytest.mark.long
def test_dictionaries_arrays_and_texts_are_trained_on_like_tensors(tmp_path: Path) -> None:
    curves = []
    for number, kind in enumerate((Recurrent, FromDataset)):
        folder = tmp_path / str(number)
        scheduler = ASHA(SPACE, max_resource=1, max_trials=1, mode="min")
        result = tune(kind(), scheduler, variation="ohgw-1step", gpus="inline", results_dir=folder)
        assert 1.0 < result.best_value < 7.0
        curves.append(result.best_value)
    assert curves[0] == curves[1]


class Weighted(Small):
    """A triple: the weight of each sample is part of what only the criterion sees."""

    def data(self) -> Any:
        (x, y), (vx, vy) = super().data()
        return (x, y, 1.0 + y), (vx, vy, 1.0 + vy)

    def criterion(self, outputs: Tensor, targets: Any) -> Tensor:
        classes, weights = targets
        return (cross_entropy(outputs, classes, reduction="none") * weights).sum() / weights.sum()

    def batch_weight(self, targets: Any) -> Any:
        return targets[1].sum()

    def score_sums(self, outputs: Tensor, targets: Any) -> Any:
        return super().score_sums(outputs, targets[0])


def test_triples_carry_weights_to_the_loss() -> None:
    task = Weighted()
    x, y, w = task.data()[1]
    model = fresh_model(task, LR, 0, "cpu").eval()
    task.eval_batch_size = 7
    score, loss = evaluate(task, model, Batches((x, y, w), "cpu"))
    with torch.no_grad():
        each = cross_entropy(model(x), y, reduction="none")
        assert loss == pytest.approx(((each * w).sum() / w.sum()).item(), rel=1e-5)
        assert score == (model(x).argmax(1) == y).double().mean().item()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": torch.zeros(2)}, "has x, of which none may be the targets"),
        ({"label": torch.zeros(2), "targets": torch.zeros(2), "x": 1}, r"\['label', 'targets'\] may be"),
        ({"labels": torch.zeros(2)}, "nothing but labels"),
        (torch.zeros(2), "a Tensor without targets"),
    ],
)
def test_a_batch_without_clear_targets_says_what_to_write(batch: Any, message: str) -> None:
    with pytest.raises(AshaError, match=rf"{message}.*unpack_batch"):
        Small().unpack_batch(batch)


def test_sequences_of_any_length_are_put_together_by_the_task(tmp_path: Path) -> None:
    class Sequences(FromDataset):
        loader_workers = 0

        class Rows(FromDataset.Rows):
            def __getitem__(self, index: int) -> Any:
                cut = 3 + index % 5
                return {name: torch.as_tensor(rows[index][:cut]) for name, rows in self.columns.items()}

        def collate_fn(self, samples: list[Any]) -> Any:  # type: ignore[override]
            return {
                name: nn.utils.rnn.pad_sequence(
                    [sample[name] for sample in samples],
                    batch_first=True,
                    padding_value=-100.0 if name == "labels" else 0.0,
                )
                for name in samples[0]
            }

        def unpack_batch(self, batch: Any) -> Any:
            return TorchTask.unpack_batch(self, batch)

    task = Sequences()
    tune(
        task,
        ASHA(SPACE, max_resource=1, max_trials=2, mode="min"),
        variation="ohgw-1step",
        gpus="inline",
        results_dir=tmp_path,
    )
    assert evaluate(task, task.model(LR), load_data(task, "cpu")[1])[0] > 1.0


# -- a validation keeps nothing --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Small, Recurrent, Regression])
def test_a_validation_of_any_length_holds_one_batch_of_outputs(kind: type[TorchTask]) -> None:
    task = kind()
    task.eval_batch_size = 2
    alive: list[weakref.ref[Any]] = []
    most = 0

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal most
        output = output[0] if isinstance(output, tuple) else output
        alive.append(weakref.ref(output))
        most = max(most, sum(ref() is not None for ref in alive))

    model = task.model(LR)
    model.register_forward_hook(seen)
    gc.disable()
    try:
        evaluate(task, model, load_data(task, "cpu")[1])
    finally:
        gc.enable()
    assert len(alive) > 3
    assert most <= 2


def test_a_score_of_ones_own_is_still_given_everything() -> None:
    class Whole(Small):
        def score(self, outputs: Tensor, targets: Tensor) -> float:
            return float(len(outputs))

    task = Whole()
    task.eval_batch_size = 7
    assert evaluate(task, task.model(LR), load_data(task, "cpu")[1])[0] == 30.0
