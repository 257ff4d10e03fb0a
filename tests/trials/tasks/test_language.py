"""The language model: what it sees, what it counts, and that hyper-gradients go through it exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asha_core import Configuration, SettingError
from asha_core.cli.run import main
from asha_core.errors import TaskError
from asha_core.testing import TaskContract
from benchmarks.bigram import cut, perplexities
from tests.trials.torch_task.test_training import identical, in_sittings
from trials.checkpoints.files import load_checkpoint
from trials.data.batches import Batches
from trials.models.transformer import Shape, Transformer
from trials.tasks.language import MODELS, SPACE, Language
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import Learner, load_data
from warmstart.estimates.estimate import estimate
from warmstart.moves import movable

PSI = SPACE.configuration(
    {
        "lr": 3e-3,
        "weight_decay": 0.1,
        "beta1": 0.9,
        "one_minus_beta2": 0.02,
        "dropout": 0.2,
        "label_smoothing": 0.05,
    }
)
WITHOUT_DROPOUT = SPACE.configuration({**PSI, "dropout": 0.0})
TEXT = "".join(f"{n} bottles, and {n * n} in the other room.\n" for n in range(300))


def small(data_dir: str | None = None, **options: Any) -> Language:
    given = {"layers": 2, "width": 16, "heads": 2, "context": 8, "batch_size": 4, "tokens_per_unit": 256}
    return Language(data_dir=data_dir, **{**given, **options})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has on a small machine: for matrices of this size a second one is a loss."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TestLanguage(TaskContract):
    folder: str

    @pytest.fixture(autouse=True)
    def _text(self, text: str) -> None:
        self.folder = text

    def task(self) -> Language:
        return small(self.folder)


@pytest.fixture
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text(TEXT)
    return str(folder)


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_each_target_is_the_token_after(text: str, tokenizer: str) -> None:
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    task = small(text, tokenizer=tokenizer, **({"vocabulary": 300} if tokenizer == "bpe" else {}))
    for inputs, targets in (*task.data(), task.test_data()):
        line = torch.cat([inputs.flatten(), targets.flatten()[-1:]])
        assert torch.equal(line[1:], targets.flatten())
        assert (
            inputs.untyped_storage().data_ptr() == targets.untyped_storage().data_ptr()
        )  # nothing is copied


def test_no_text_is_in_two_parts(text: str) -> None:
    parts = cut(TEXT.encode())
    task = small(text)
    for (inputs, targets), part in zip((*task.data(), task.test_data()), parts, strict=True):
        seen = bytes(inputs.flatten().tolist()) + bytes([int(targets[-1, -1])])
        assert part.startswith(seen)


def test_a_validation_is_no_longer_than_asked_for(text: str) -> None:
    _, (inputs, _) = small(text, validation_tokens=40).data()
    assert inputs.numel() == 40


def test_the_score_is_exp_of_the_mean_cross_entropy_of_a_token(text: str) -> None:
    task = small(text)
    model = Learner(task, PSI, 0, "cpu").model.eval()
    inputs, targets = task.test_data()  # type: ignore[misc]
    with torch.no_grad():
        chances = model(inputs.int()).double().log_softmax(2)
    nats = -chances.gather(2, targets.long()[..., None]).mean()
    found = task.measure_test(model, PSI, "cpu")
    assert found.value == pytest.approx(math.exp(nats), rel=1e-5)
    assert (found.count, found.what) == (targets.numel(), "token")
    value, loss = evaluate(task, model, Batches((inputs, targets), "cpu"))
    assert value == pytest.approx(math.exp(loss))
    assert task.score_from({}, 1e4) == math.inf
    assert math.isnan(task.score_from({}, math.nan))


def test_the_future_is_not_seen() -> None:
    torch.manual_seed(0)
    model = Transformer(Shape(256, 8, 2, 16, 2, 0.5)).eval()
    tokens = torch.randint(256, (3, 8))
    changed = tokens.clone()
    changed[:, 5:] += 1
    before, after = model(tokens), model(changed % 256)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)


def test_dropout_is_for_training_alone() -> None:
    model = Transformer(Shape(256, 8, 2, 16, 2, 0.5))
    tokens = torch.randint(256, (3, 8))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


@pytest.mark.parametrize(
    ("name", "vocabulary", "parameters"),
    [("tiny", 256, 220_544), ("small", 16_000, 16_889_856), ("base", 16_000, 46_152_704)],
)
def test_sizes(name: str, vocabulary: int, parameters: int) -> None:
    size = MODELS[name]
    with torch.device("meta"):
        model = Transformer(Shape(vocabulary, size.context, size.layers, size.width, size.heads))
    assert sum(weight.numel() for weight in model.parameters()) == parameters


def test_fresh_weights_guess_evenly(text: str) -> None:
    task = Language(data_dir=text)
    model = Learner(task, PSI, 0, "cpu").model.eval()
    _, batches = load_data(task, "cpu")
    value, _ = evaluate(task, model, batches)
    assert value == pytest.approx(256, rel=0.1)


def test_only_matrices_decay(text: str) -> None:
    learner = Learner(small(text), PSI, 0, "cpu")
    for group in learner.optimizer.param_groups:
        for weight in group["params"]:
            assert group["weight_decay"] == (0.1 if weight.ndim >= 2 else 0.0)
            assert group["betas"] == (0.9, 0.98)
    found = [id(weight) for group in learner.optimizer.param_groups for weight in group["params"]]
    assert sorted(found) == sorted(map(id, learner.model.parameters()))


def test_a_linear_warm_up_and_then_the_cosine() -> None:
    task = small(warmup_steps=4)
    assert [task.lr_lambda(step, 0.0, PSI) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert task.lr_lambda(900, 0.5, PSI) == pytest.approx(0.5)
    assert small(warmup_steps=0).lr_lambda(0, 0.0, PSI) == 1.0


def test_a_unit_is_so_many_tokens(tmp_path: Path, text: str) -> None:
    task = small(text, tokens_per_unit=320)
    seen: list[int] = []
    inner = task.loss

    def loss(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        seen.append(targets.numel())
        return inner(outputs, targets, config)

    task.loss = loss  # type: ignore[method-assign]
    in_sittings(task, tmp_path / "run", 2, [])
    assert sum(seen) == 640


def test_stopped_in_the_middle_of_a_unit_and_gone_on_with(tmp_path: Path, text: str) -> None:
    whole, sent = in_sittings(small(text), tmp_path / "whole", 2, [])
    parts, again = in_sittings(small(text), tmp_path / "parts", 2, [3, 7])
    assert [each.value for each in again] == [each.value for each in sent]
    left, right = (load_checkpoint(each.trial_checkpoint(0))["state"] for each in (whole, parts))
    assert identical(left, right)


@pytest.fixture
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("psi", [PSI, WITHOUT_DROPOUT])
@pytest.mark.usefixtures("in_double")
def test_hyper_gradients_are_those_of_differences_through_the_real_optimiser(
    text: str, steps: int, psi: Configuration
) -> None:
    problem = small(text, layers=1, width=8).problem(3, "cpu")
    losses = problem.losses(psi)
    pairs = [losses.batches(draw, "split") for draw in range(steps)]
    training, held = [pair[0] for pair in pairs], pairs[0][1]
    found = estimate(losses, SPACE, psi, training, held)
    assert found.route in ("closed", "tangents")
    assert "dropout" not in found.gradient  # its masks have no derivative
    late = {"beta1", "one_minus_beta2"}  # bias correction takes them out of Adam's first step
    for name, gradient in found.gradient.items():
        dimension = movable(SPACE, psi)[name]
        middle, step = (
            dimension.to_search(psi[name]),
            1e-6,
        )  # short: Adam's step bends where a gradient is near 0
        above, below = (
            losses.after(
                SPACE.configuration({**psi, name: dimension.from_search(middle + sign * step)}),
                training,
                held,
            )
            for sign in (1, -1)
        )
        assert gradient == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-8), name
        assert (gradient == 0.0) == (steps == 1 and name in late), name


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "tinny"}, "did you mean"),
        ({"tokenizer": "words"}, "tokenizer is 'words'"),
        ({"width": 15}, "width is 15, and heads 2: it must be a multiple"),
        ({"tokens_per_unit": 31}, "tokens_per_unit is 31: a unit must have at least one mini-batch"),
        ({"validation_tokens": 7}, "validation_tokens is 7"),
        ({"tokenizer": "bpe", "vocabulary": 256}, "vocabulary is 256"),
        ({"vocabulary": 500}, "vocabulary is 500, and tokens are bytes"),
        ({"context": 0}, "context is 0"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told) as error:
        small(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, 5, 150])
def test_a_text_shorter_than_the_context(tmp_path: Path, length: int) -> None:
    (tmp_path / "short.txt").write_text("a" * length)
    with pytest.raises(TaskError, match=r"context is 8: it must have at least one more"):
        small(str(tmp_path)).prepare()


def test_what_the_text_is_without_a_folder_is_said(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = small().plan_notes()
    assert "no --data-dir" in note
    assert small(text).plan_notes() == []
    plan = ["--task", "language", "--gpus", "cpu", "--max-trials", "9", "--plan"]
    assert main(plan) == 0
    assert note in capsys.readouterr().out
    assert main([*plan, "--data-dir", text]) == 0
    assert "no --data-dir" not in capsys.readouterr().out


def test_a_bigram_model_knows_what_it_counted() -> None:
    assert perplexities(b"abababab", b"abab")["add-one"] == pytest.approx(
        math.exp(-(2 * math.log(5 / 260) + math.log(4 / 259)) / 3)
    )


@pytest.mark.slow
def test_it_beats_a_bigram_model() -> None:
    """On Python's documentation, with the defaults, in six units: a minute."""
    from trials.data.text_files import read_parts

    task = Language()
    training, validation, _ = read_parts(None)
    bigram = min(perplexities(training, validation[: task.validation_tokens + 1]).values())
    config = SPACE.configuration({**WITHOUT_DROPOUT, "lr": 8e-3, "label_smoothing": 0.0})
    learner = Learner(task, config, 0, "cpu")
    batches, held = load_data(task, "cpu")
    steps = 6 * 128
    for step in range(steps):
        inputs, targets = batches.draw(task.batch_size, torch.Generator().manual_seed(step))
        for group, peak in zip(learner.optimizer.param_groups, learner.peaks, strict=True):
            group["lr"] = peak * task.lr_lambda(step, step / steps, config)
        learner.optimizer.zero_grad()
        task.loss(learner.model(task.normalize(inputs)), targets, config).backward()
        learner.step()
    assert evaluate(task, learner.model, held)[0] < bigram
