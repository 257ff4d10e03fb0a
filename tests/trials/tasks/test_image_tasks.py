"""The image benchmarks: pipeline, schedule, bitwise resume, and bad input."""

from __future__ import annotations

import shutil
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from asha_core import AshaError, Job, RandomSearch, Refined, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.warmstart.smoothing import cross_entropy
from trials import TorchTask, measure_on_test_data
from trials.checkpoints.files import load_checkpoint
from trials.data.augmentation import cutout
from trials.spec import TaskSpec
from trials.tasks.cifar import Cifar10, Cifar100
from trials.tasks.dummy import Dummy
from trials.tasks.fashion_mnist import FashionMnist
from trials.tasks.images import ImageTask
from trials.torch_task.acceleration import Precision
from trials.torch_task.learner import fresh_model, heldout_inputs, load_data, training_inputs
from trials.torch_task.warm_start_problem import TrainingProblem
from trials.worker.job_runner import JobRunner, WorkerSettings
from warmstart.strategies.hypergradient import HyperGradient

SIZES = {Cifar10: (32, 3, 10), Cifar100: (32, 3, 100), FashionMnist: (28, 1, 10)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up images in the form of each data set, as .npz files: 10 of each class for training."""
    made, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for kind, (size, channels, classes) in SIZES.items():
        arrays: dict[str, Any] = {}
        for part, count in (("train", 20), ("test", 2)):
            labels = np.arange(count * classes) % classes
            images = draw.integers(0, 256, (len(labels), size, size, channels), dtype=np.uint8)
            # something to learn: a class is brighter in rows of its own
            images[np.arange(len(labels)), labels % size] //= 4
            arrays |= {f"{part}_images": images, f"{part}_labels": labels}
        np.savez(made / f"{kind.images}.npz", **arrays)
    return made


def small(kind: type[ImageTask], folder: Path, **options: Any) -> ImageTask:
    return kind(data_dir=str(folder), **{"batch_size": 32, "download": False, **options})


@pytest.mark.parametrize("kind", SIZES)
def test_every_set_goes_through_its_network(kind: type[ImageTask], folder: Path) -> None:
    size, channels, classes = SIZES[kind]
    task = small(kind, folder)
    task.prepare()
    train, valid = load_data(task, "cpu")
    assert (train.size, valid.size) == (18 * classes, 2 * classes)
    configuration = RandomSearch(task.space, 0).propose(0)
    inputs, targets = next(iter(train.ordered(4)))
    assert inputs.dtype == torch.uint8
    prepared = training_inputs(task, inputs, configuration, torch.Generator().manual_seed(0))
    assert prepared.shape == (4, channels, size, size)
    assert prepared.dtype == torch.float32
    outputs = task.model(configuration)(prepared)
    assert outputs.shape == (4, classes)
    assert task.loss(outputs, targets, configuration).isfinite()
    test = task.test_data()
    assert isinstance(test, tuple)
    assert len(test[0]) == len(test[1]) == 2 * classes


@pytest.mark.parametrize("model", Cifar10.models)
def test_every_network_of_cifar_can_be_named(model: str, folder: Path) -> None:
    task = small(Cifar10, folder, model=model)
    assert isinstance(task.model(RandomSearch(task.space, 0).propose(0)), nn.Module)


def test_projection_shortcuts_are_an_option(folder: Path) -> None:
    plain, projected = small(Cifar10, folder), small(Cifar10, folder, shortcut="projection")
    counts = [sum(p.numel() for p in task.model({}).parameters()) for task in (plain, projected)]  # type: ignore[arg-type]
    assert counts[0] == 269_722
    assert counts[1] > counts[0]


# -- the pipeline ----------------------------------------------------------------------------------


def test_validation_and_test_images_are_normalised_and_nothing_else(folder: Path) -> None:
    task = small(Cifar10, folder)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    first, second = task.normalize(images), task.normalize(images)
    assert torch.equal(first, second)
    by_hand = np.stack([(x - x.mean()) / x.std(ddof=1) for x in images.numpy().astype(np.float64)])
    assert np.allclose(first.numpy(), by_hand, atol=1e-5)


def test_an_image_of_one_colour_is_zero_and_finite(folder: Path) -> None:
    flat = torch.full((2, 3, 32, 32), 7, dtype=torch.uint8)
    assert torch.equal(small(Cifar10, folder).normalize(flat), torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize("kind", [pytest.param(Cifar10, marks=pytest.mark.slow), FashionMnist])
def test_the_channels_means_are_the_training_images_own(
    kind: type[ImageTask], request: pytest.FixtureRequest
) -> None:
    real = request.getfixturevalue("cifar_dir" if kind is Cifar10 else "fashion_dir")
    task = kind(data_dir=str(real), normalization="per-channel", download=False)
    images = task._read("train")[0]
    for channel, (mean, deviation) in enumerate(zip(kind.mean, kind.deviation, strict=True)):
        counts, values = np.bincount(images[..., channel].ravel(), minlength=256), np.arange(256)
        exact = (counts * values).sum() / counts.sum()
        assert mean == pytest.approx(exact, abs=0.01)
        assert deviation**2 == pytest.approx((counts * (values - exact) ** 2).sum() / counts.sum(), abs=1)
    some = torch.from_numpy(images[:2000]).permute(0, 3, 1, 2)
    assert task.normalize(some).mean().abs() < 0.1


def test_training_images_are_cut_out_after_they_are_normalised(folder: Path) -> None:
    task = small(Cifar10, folder, cutout=16)
    images = torch.randint(1, 256, (64, 3, 32, 32), dtype=torch.uint8)
    configuration: Any = {"magnitude": 0.0}
    prepared = task.training_inputs(images, configuration, torch.Generator().manual_seed(0))
    whole = task.normalize(task.augment(images, configuration, torch.Generator().manual_seed(0)))
    changed = prepared != whole
    assert torch.equal(prepared[changed], torch.zeros(int(changed.sum())))
    share = changed.float().mean((1, 2, 3))
    assert share.max() <= 0.25  # 16 x 16 of 32 x 32
    assert share.min() >= 0.0625  # a corner of it at least
    assert torch.equal(
        small(Cifar10, folder, cutout=0).training_inputs(
            images, configuration, torch.Generator().manual_seed(0)
        ),
        whole,
    )


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32))
def test_cutout_is_one_rectangle_of_zeros_within_reach_of_its_centre(
    height: int, width: int, side: int, seed: int
) -> None:
    images = torch.ones(5, 2, height, width)
    out = cutout(images, side, torch.Generator().manual_seed(seed))
    assert torch.equal(out[:, 0], out[:, 1])
    for image in out[:, 0]:
        rows, columns = ((image == 0).any(dim) for dim in (1, 0))
        assert torch.equal(image == 0, rows[:, None] & columns)
        for line, size in ((rows, height), (columns, width)):
            there = line.nonzero().flatten()
            assert len(there) >= 1  # the centre is in the image, and the square holds it
            assert len(there) <= side
            assert torch.equal(there, torch.arange(int(there[0]), int(there[-1]) + 1))
            inside = there[0] > 0 and there[-1] < size - 1
            assert not inside or len(there) == side


def test_cutouts_centres_are_uniform_and_its_whole_square_is_16_wide() -> None:
    out = cutout(torch.ones(4000, 1, 32, 32), 16, torch.Generator().manual_seed(0))
    holes = (out == 0)[:, 0]
    # DeVries and Taylor: pixels from centre - 8 to centre + 7, clipped: the expected area, by hand
    reach = np.mean([min(c + 8, 32) - max(c - 8, 0) for c in range(32)])
    assert holes.sum((1, 2)).double().mean() == pytest.approx(reach**2, rel=0.03)
    assert holes.float().mean(0)[12:20, 12:20].std() < 0.02


def test_the_learning_rate_is_pytorchs_cosine_over_the_whole_of_max_resource() -> None:
    """Whatever the rung: a trial that ends at a low one has seen the beginning of the long schedule."""
    steps, epochs, peak = 7, 5, 0.3
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps * epochs)
    task: TorchTask = Dummy()
    for unit in range(1, epochs + 1):
        for step in range(steps):
            ours = peak * task.schedule((unit - 1 + step / steps) / epochs)
            assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
            optimizer.step()
            theirs.step()


# -- paused, resumed -------------------------------------------------------------------------------


def curve_of(task: TorchTask, path: Path, pieces: list[int], **settings: Any) -> list[Any]:
    """Reports of one trial in jobs that end at ``pieces``, each on a fresh worker."""
    directory = RunDirectory(path)
    directory.create()
    configuration, events, start = RandomSearch(task.space, 0).propose(3), [], 0
    for until in pieces:
        worker = WorkerSettings(task, str(path), 9, **settings)
        sent: list[Any] = []
        JobRunner(worker, "cpu").run(
            Job(0, configuration, start, until, 0, 7, refine=start == 0), sent.append
        )
        configuration = next((e.configuration for e in sent if isinstance(e, Refined)), configuration)
        events += sent
        start = until
    reports = [(e.resource, e.value, dict(e.metrics)) for e in events if isinstance(e, Report)]
    assert len(reports) == pieces[-1], events
    return reports


@pytest.mark.long
@pytest.mark.parametrize("kind", [Cifar10, FashionMnist, Dummy])
def test_paused_at_rungs_on_fresh_workers_the_curve_is_bitwise_the_same(
    kind: type[Any], folder: Path, tmp_path: Path
) -> None:
    task, again = (
        Dummy() if kind is Dummy else small(kind, folder, label_noise=0.1, subset=0.5) for _ in range(2)
    )
    whole = curve_of(task, tmp_path / "whole", [3])
    assert curve_of(again, tmp_path / "paused", [1, 3]) == whole


@pytest.mark.long
@pytest.mark.parametrize("kind", [Cifar10, FashionMnist, Dummy])
def test_a_warm_start_of_size_zero_leaves_no_trace_on_them(
    kind: type[Any], folder: Path, tmp_path: Path
) -> None:
    def task() -> TorchTask:
        return Dummy() if kind is Dummy else small(kind, folder, subset=0.5)

    plain = curve_of(task(), tmp_path / "plain", [1])
    nothing = {"warm_start": "hypergradient", "warm_start_settings": {"eta_h": 0.0}}
    assert curve_of(task(), tmp_path / "warm", [1], **nothing) == plain


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler for the CPU")
def test_a_compiled_step_learns_as_the_plain_one_does(tmp_path: Path) -> None:
    class Compiled(Dummy):
        compile = "default"

    plain, compiled = (
        curve_of(task, tmp_path / name, [2]) for name, task in (("plain", Dummy()), ("compiled", Compiled()))
    )
    for (_, value, metrics), (_, other, others) in zip(plain, compiled, strict=True):
        assert other == pytest.approx(value, abs=0.02)
        assert others["train_loss"] == pytest.approx(metrics["train_loss"], rel=1e-3)


@pytest.mark.parametrize("together", [True, False])
def test_weights_and_images_lie_in_memory_alike(together: bool) -> None:
    class Images(Dummy):
        channels_last = together

        def model(self, config: Any) -> nn.Module:
            return nn.Conv2d(3, 8, 3)

    weight = fresh_model(Images(), RandomSearch(Dummy.space, 0).propose(0), 0, "cpu").weight
    assert isinstance(weight, torch.Tensor)
    inputs = heldout_inputs(Images(), torch.rand(2, 3, 8, 8))
    for tensor in (weight, inputs):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == together


def test_precision_is_a_choice(tmp_path: Path) -> None:
    class Half(Dummy):
        precision = "bfloat16"

    plain, half = (
        curve_of(task, tmp_path / name, [2]) for name, task in (("plain", Dummy()), ("half", Half()))
    )
    assert half != plain
    assert half[-1][1] == pytest.approx(plain[-1][1], abs=0.05)
    weights = load_checkpoint(RunDirectory(tmp_path / "half").trial_checkpoint(0))["state"]["model"]
    assert {value.dtype for value in weights.values()} == {torch.float32}


# -- labels ----------------------------------------------------------------------------------------


def test_label_noise_is_of_the_training_images_alone_and_the_same_every_time(folder: Path) -> None:
    clean, noisy, again = (small(Cifar10, folder, label_noise=share).data() for share in (0.0, 0.1, 0.1))
    (x, y), (vx, vy) = clean
    (nx, ny), (nvx, nvy) = noisy
    assert torch.equal(x, nx)
    assert torch.equal(vx, nvx)
    assert torch.equal(vy, nvy)
    assert int((y != ny).sum()) == round(0.1 * len(y))
    assert torch.equal(ny, again[0][1])
    other = small(Cifar10, folder, label_noise=0.1, data_seed=1).data()[0]
    assert not torch.equal(other[1], ny)


# -- bad input -------------------------------------------------------------------------------------

BAD = [
    ({"model": "resnet-20"}, "cifar10 model is 'resnet-20'; did you mean \"resnet20\""),
    ({"model": 20}, "model"),
    ({"subset": 0}, "subset is 0: it must be a finite number of at least 0.001 and at most 1"),
    ({"subset": "half"}, "subset is 'half'"),
    ({"label_noise": 1.0}, "label_noise is 1.0"),
    ({"label_noise": -0.1}, "label_noise is -0.1"),
    ({"cutout": 33}, "cutout is 33: it must be an integer of at least 0 and at most 32"),
    ({"cutout": 1.5}, "cutout is 1.5"),
    ({"normalization": "per-chanel"}, 'did you mean "per-channel"'),
    ({"shortcut": "projektion"}, 'did you mean "projection"'),
    ({"model": "vit-tiny", "shortcut": "projection"}, "shortcut"),
    ({"batch_size": 0}, "batch_size is 0"),
    ({"batch_size": "many"}, "batch_size is 'many'"),
    ({"data_seed": 0.5}, "data_seed is 0.5"),
    ({"compile": "reduce"}, 'did you mean "reduce-overhead"'),
    ({"precision": "float8"}, "precision is 'float8'; did you mean"),
    ({"deterministic": "yes"}, "deterministic is 'yes': it must be true or false"),
    ({"download": "n"}, "download is 'n': it must be true or false"),
    ({"data_dir": None}, "data_dir is None: it must be a path"),
    ({"normalization": None}, "normalization is None"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=str)
def test_options_are_checked_before_anything_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AshaError, match=message):
        TaskSpec("trials.tasks.cifar:Cifar10", options).build()


def test_a_batch_larger_than_the_data_is_refused(folder: Path) -> None:
    with pytest.raises(AshaError, match="batch_size is 512, and there are 180 training images"):
        small(Cifar10, folder, batch_size=512).prepare()


def test_a_subset_with_too_few_of_a_class_is_refused(folder: Path) -> None:
    with pytest.raises(AshaError, match="class"):
        small(Cifar100, folder, subset=0.06).prepare()


def test_missing_data_is_told_before_a_worker_starts(tmp_path: Path) -> None:
    for kind in SIZES:
        with pytest.raises(AshaError, match="--data-dir"):
            kind(data_dir=str(tmp_path / "none"), download=False).prepare()


def test_crop_and_flip_agree_with_torchvisions(folder: Path) -> None:
    """Every image is torchvision's crop of the padded image, flipped or not."""
    from torchvision.transforms.functional import crop, hflip

    task = small(Cifar10, folder, cutout=0)
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    out = task.augment(images, {"magnitude": 0.0}, torch.Generator().manual_seed(5))  # type: ignore[arg-type]
    padded = functional.pad(images, (4,) * 4)
    for index in range(16):
        windows = [crop(padded[index], top, left, 32, 32) for top in range(9) for left in range(9)]
        places = windows + [hflip(window) for window in windows]
        assert any(torch.equal(out[index], window.float()) for window in places)


# -- what the network is given ---------------------------------------------------------------------


class Seen:
    """Calls of a network, kept where a warm start does not look: a list would be as before, after it."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[bool, torch.Tensor]] = SimpleQueue()
        self.add = self._calls.put

    def taken(self) -> list[tuple[bool, torch.Tensor]]:
        """(in train mode, inputs) of every call since the last time."""
        return [self._calls.get() for _ in range(self._calls.qsize())]


def seen_by_the_network(task: ImageTask, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Its calls from now on."""
    seen = Seen()
    build = type(task).model

    def model(self: ImageTask, config: Any) -> nn.Module:
        network = build(self, config)
        network.register_forward_pre_hook(
            lambda module, inputs: seen.add((module.training, inputs[0].detach().clone()))
        )
        return network

    monkeypatch.setattr(type(task), "model", model)
    return seen


def test_what_is_measured_is_every_image_as_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real path: validation in a search, and the test data in the end."""
    task = small(FashionMnist, folder)
    valid, test = task.data()[1], task.test_data()
    seen = seen_by_the_network(task, monkeypatch)
    curve_of(task, tmp_path / "r", [1])
    best = RunDirectory(tmp_path / "r")
    best.best_checkpoint.write_bytes(best.trial_checkpoint(0).read_bytes())
    measured = [inputs for training, inputs in seen.taken() if not training]
    measure_on_test_data(tmp_path / "r", task=task)
    for source, inputs in ((valid, measured), (test, [inputs for _, inputs in seen.taken()])):
        images = source[0].numpy().astype(np.float64)  # type: ignore[index]
        by_hand = [(image - image.mean()) / image.std(ddof=1) for image in images]
        assert np.allclose(torch.cat(inputs).numpy(), np.stack(by_hand), atol=1e-5)


def test_the_held_out_half_of_a_warm_start_is_not_augmented(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = small(FashionMnist, folder, cutout=14)
    seen = seen_by_the_network(task, monkeypatch)
    configuration = RandomSearch(task.space, 0).propose(0)
    HyperGradient(eta_h=0.0).refine(TrainingProblem(task, 0, "cpu"), configuration, 0)
    images = {
        tuple(image.flatten().round(decimals=3).tolist())
        for image in task.normalize(task.data()[0][0])  # type: ignore[index]
    }
    plain = [
        all(tuple(image.flatten().round(decimals=3).tolist()) in images for image in inputs)
        for _, inputs in seen.taken()
    ]
    assert True in plain
    assert False in plain


# -- float16, and the pure step --------------------------------------------------------------------


def test_the_scaler_of_float16_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(Dummy):
        precision = "float16"

    class Large(Precision):
        def __init__(self, precision: str, device: str) -> None:
            super().__init__(precision, device)
            # so large at first that steps are skipped, and growing every third step
            self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=3)

    monkeypatch.setattr("trials.torch_task.learner.Precision", Large)
    whole = curve_of(Half(), tmp_path / "whole", [3])
    assert curve_of(Half(), tmp_path / "paused", [1, 2, 3]) == whole
    scales = [
        load_checkpoint(RunDirectory(tmp_path / name).trial_checkpoint(0))["state"]["scaler"]["scale"]
        for name in ("whole", "paused")
    ]
    assert scales[0] == scales[1] != 2.0**24


def test_loss_and_gradient_are_a_pure_function_that_trains_two_trials_as_one(folder: Path) -> None:
    """Of parameters, buffers, batch and hyper-parameters: torch.func can map it over trials."""
    task = small(Cifar10, folder)
    configurations = [RandomSearch(task.space, 0).propose(i) for i in range(2)]
    models = [fresh_model(task, configurations[i], i, "cpu") for i in range(2)]
    (images, labels) = next(iter(load_data(task, "cpu")[0].ordered(4)))
    inputs = torch.stack(
        [
            training_inputs(task, images, c, torch.Generator().manual_seed(i))
            for i, c in enumerate(configurations)
        ]
    )
    smoothing = torch.tensor([c["label_smoothing"] for c in configurations])

    def loss(parameters: Any, buffers: Any, x: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        outputs = torch.func.functional_call(models[0], (parameters, buffers), (x,))
        return cross_entropy(outputs, labels, amount)  # as task.loss; PyTorch's own takes no tensor for it

    stacked = torch.func.stack_module_state(models)
    together, losses = torch.func.vmap(torch.func.grad_and_value(loss))(*stacked, inputs, smoothing)
    for index, (model, configuration) in enumerate(zip(models, configurations, strict=True)):
        alone = task.loss(model(inputs[index]), labels, configuration)
        assert losses[index].item() == pytest.approx(alone.item(), rel=1e-4)
        alone.backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            assert torch.allclose(together[name][index], parameter.grad, rtol=1e-3, atol=1e-4)
