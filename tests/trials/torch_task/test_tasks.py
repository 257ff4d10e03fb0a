"""The tasks that come with the package, on their real data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import InterpolationMode
from torchvision.transforms.functional import affine as torchvision_affine

from asha_core import AshaError, RandomSearch
from trials.data.augmentation import affine, random_affine, random_crop_flip
from trials.models.resnet import resnet20
from trials.spec import TaskSpec
from trials.tasks import TASKS, task_target
from trials.tasks.cifar import Cifar10
from trials.tasks.digits import Digits
from trials.tasks.dummy import Dummy
from trials.torch_task.learner import load_data
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart.strategies.hypergradient import HyperGradient


def test_digits_splits_are_disjoint_and_stratified() -> None:
    (x, y), (vx, vy) = Digits().data()
    assert x.shape == (1077, 1, 8, 8)
    assert vx.shape == (360, 1, 8, 8)
    assert 0 <= x.min() < x.max() <= 1
    shares = [torch.bincount(labels) / len(labels) for labels in (y, vy)]
    assert torch.allclose(*shares, atol=0.005)
    rows = {tuple(image.flatten().tolist()) for image in x}
    assert not any(tuple(image.flatten().tolist()) in rows for image in vx)


def test_resnet20_has_the_papers_size_and_shapes() -> None:
    model = resnet20()
    assert sum(p.numel() for p in model.parameters()) == 269_722
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_cifar_is_split_by_class_and_normalised(cifar_dir: Path) -> None:
    task = Cifar10(data_dir=str(cifar_dir))
    task.prepare()
    (x, y), (_, vy) = task.data()
    assert x.shape == (45_000, 3, 32, 32)
    assert x.dtype == torch.uint8
    assert torch.bincount(y).tolist() == [4500] * 10
    assert torch.bincount(vy).tolist() == [500] * 10
    images = task.normalize(x[:64])
    assert torch.allclose(images.mean((1, 2, 3)), torch.zeros(64), atol=1e-5)
    assert torch.allclose(images.std((1, 2, 3)), torch.ones(64), atol=1e-4)


def test_a_cifar_subset_is_stratified_and_a_warm_start_runs_on_it(cifar_dir: Path) -> None:
    task = Cifar10(data_dir=str(cifar_dir), subset=0.02)
    train, valid = load_data(task, "cpu")
    assert (train.size, valid.size) == (900, 100)
    configuration = RandomSearch(task.space, 0).propose(0)
    outcome = HyperGradient(eta_h=0.0, check=False).refine(TrainingProblem(task, 0, "cpu"), configuration, 0)
    assert all(np.isfinite(g) and g != 0 for g in outcome.diagnostics["gradient"].values())


def test_missing_cifar_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(AshaError, match=r"cifar-10-batches-py.*--data-dir"):
        Cifar10(data_dir=str(tmp_path), download=False).prepare()


@pytest.mark.parametrize("subset", [0, 1.5, -0.1])
def test_a_subset_out_of_range_is_refused(subset: float) -> None:
    with pytest.raises(AshaError, match="subset"):
        Cifar10(subset=subset)


def test_random_affine_is_continuous_and_nothing_at_zero() -> None:
    images = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def at(magnitude: float) -> torch.Tensor:
        return random_affine(images, magnitude, torch.Generator().manual_seed(1))

    assert torch.equal(at(0.0), images)
    assert (at(1e-6) - images).abs().max() < 1e-4
    assert (at(0.5) - at(0.5 + 1e-6)).abs().max() < 1e-4
    assert (at(1.0) - images).abs().mean() > 0.05


@pytest.mark.parametrize(("degrees", "scale"), [(0.0, 1.0), (17.0, 1.0), (-30.0, 0.8), (90.0, 1.2)])
def test_the_warp_is_torchvisions(degrees: float, scale: float) -> None:
    images = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    ours = affine(images, torch.full((3,), math.radians(degrees)), torch.full((3,), scale), torch.zeros(3, 2))
    theirs = torchvision_affine(
        images,
        angle=-degrees,  # ours turns the grid, torchvision the image
        scale=1 / scale,
        translate=[0, 0],
        shear=[0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_warp_shifts_by_whole_pixels() -> None:
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    still, one = torch.zeros(2), torch.ones(2)
    shifted = affine(images, still, one, torch.tensor([[0.25, 0.0], [0.0, -0.25]]))  # 1 pixel of 8
    assert torch.allclose(shifted[0, :, :, :-1], images[0, :, :, 1:], atol=1e-5)
    assert torch.allclose(shifted[1, :, 1:], images[1, :, :-1], atol=1e-5)


def test_crops_and_flips_are_the_padded_images_own_windows() -> None:
    images = torch.arange(2 * 3 * 6 * 6, dtype=torch.uint8).reshape(2, 3, 6, 6)
    padded = torch.nn.functional.pad(images, (2,) * 4)
    windows = [
        {
            tuple(flipped.flatten().tolist())
            for top in range(5)
            for left in range(5)
            for window in [padded[index, :, top : top + 6, left : left + 6]]
            for flipped in (window, window.flip(2))
        }
        for index in range(2)
    ]
    seen = set()
    for seed in range(60):
        out = random_crop_flip(images, 2, torch.Generator().manual_seed(seed))
        assert out.dtype == torch.uint8
        for index in range(2):
            window = tuple(out[index].flatten().tolist())
            assert window in windows[index]
            seen.add(window)
    assert len(seen) > 40  # of 100: every place comes up


ADAMW = ("lr", "weight_decay", "beta1", "one_minus_beta2", "dropout", "label_smoothing")
# of the tasks that are no images, all that is searched
BEYOND_IMAGES = {
    "language": ADAMW,
    "tabular": ADAMW,
    "atari": ("lr", "ent_coef", "clip_range", "one_minus_gae_lambda", "one_minus_gamma"),
}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_builds_without_torch_and_has_a_space(name: str) -> None:
    if name == "atari":
        pytest.importorskip("stable_baselines3", reason="needs the extra rl")
    task = TaskSpec(task_target(name)).build()
    if name in BEYOND_IMAGES:
        assert tuple(task.space) == BEYOND_IMAGES[name]
        return
    assert len(task.space) == 5
    assert set(task.space) >= {"lr", "weight_decay", "momentum", "label_smoothing"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.at_all:Task", "cannot be imported: No module named 'nowhere'"),
        ("trials.tasks.digits:Digit", 'did you mean "Digits"'),
        ("trials.tasks.digits:SPACE", "must be a subclass"),
        ("trials.tasks.digits", "mypackage.mymodule:MyTask"),
        ("tests.trials.broken_space:Broken", "lower must be smaller than upper"),
    ],
)
def test_a_task_that_cannot_be_had_is_explained(target: str, message: str) -> None:
    with pytest.raises(AshaError, match=message):
        TaskSpec(target).build()


def test_unknown_options_and_models_name_the_nearest() -> None:
    with pytest.raises(AshaError, match="no option 'modle'; did you mean \"model\""):
        TaskSpec("trials.tasks.digits:Digits", {"modle": "mlp"}).build()
    with pytest.raises(AshaError, match='did you mean "cnn"'):
        Digits("cn")
    with pytest.raises(AshaError, match='did you mean "digits"'):
        task_target("digit")


def test_a_task_without_options_takes_none() -> None:
    """Nor does it pass over them: that would be a search of something else than was asked for."""
    with pytest.raises(AshaError, match="takes no option 'anything'"):
        TaskSpec("trials.tasks.dummy:Dummy", {"anything": 5}).build()
    with pytest.raises(TypeError, match="takes no arguments"):
        Dummy(anything=5)  # type: ignore[call-arg]


def test_a_task_that_is_an_object_takes_no_options_more() -> None:
    assert TaskSpec("tests.trials.torch_task.test_tasks:MADE").build() is not None
    with pytest.raises(AshaError, match="made with its options already"):
        TaskSpec("tests.trials.torch_task.test_tasks:MADE", {"model": "mlp"}).build()


MADE = Digits("mlp")
