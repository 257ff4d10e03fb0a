"""Images in folders, and the ImageNet task on a small folder of JPEGs that is made here."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import functional

from asha_core import Configuration, Failed, Job, Lost, RandomSearch, Report
from asha_core.errors import ResultsError, SettingError, TaskError
from asha_core.runtime.replay import check_same_search
from asha_core.runtime.storage.run_directory import RunDirectory
from trials.data import class_folders
from trials.data.batches import Batches
from trials.data.class_folders import EXTENSIONS
from trials.data.image_folder import ImageFiles, ImageFolderData, RandomCrops, decoded, random_box
from trials.data.sample_reader import is_seeded
from trials.final_test import measure_on_test_data
from trials.loading import load_model, rebuilt
from trials.tasks import imagenet
from trials.tasks.imagenet import DEVIATION, MEAN, ImageNet
from trials.worker.job_runner import JobRunner, WorkerSettings
from trials.worker.processes import stat

# a machine may have fewer cores than loader processes here
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

COLOURS = {"cat": (200, 40, 40), "dog": (40, 200, 40), "owl": (40, 40, 200)}
EACH = 20


def picture(colour: tuple[int, int, int], number: int, width: int = 64, height: int = 64) -> Image.Image:
    """Noise about a colour, which a network tells apart in no time."""
    noise = np.random.default_rng(number).integers(-40, 40, (height, width, 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def proposed(**values: Any) -> Configuration:
    """A configuration of the task's space, with these values in it."""
    configuration = {**RandomSearch(ImageNet.space, 0).propose(3), **values}
    return Configuration(tuple(configuration), tuple(configuration.values()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for part, count in (("train", EACH), ("val", 4)):
        for name, colour in COLOURS.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                picture(colour, number, 64 + number, 60).save(folder / f"{number}.JPEG")
    return root


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "own"))


# -- files and images ------------------------------------------------------------------------------


def test_the_files_are_those_that_torchvision_finds(made: Path) -> None:
    files = ImageFiles.of(made / "train")
    assert files.classes == ("cat", "dog", "owl")
    assert len(files) == 3 * EACH
    assert files.path(0) == str(made / "train" / "cat" / "0.JPEG")
    assert [Path(files.path(i)).parent.name for i in range(len(files))] == [
        files.classes[label] for label in files.labels
    ]
    assert set(EXTENSIONS) == set(IMG_EXTENSIONS)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.99])
def test_a_split_takes_the_share_of_every_class(made: Path, share: float) -> None:
    files = ImageFiles.of(made / "train")
    rest, held = files.split(share)
    expected = min(max(round(share * EACH), 1), EACH - 1)
    assert np.bincount(held.labels).tolist() == [expected] * 3
    assert np.bincount(rest.labels).tolist() == [EACH - expected] * 3
    assert sorted([*rest.names, *held.names]) == sorted(files.names)
    assert files.split(share)[1].names.tolist() == held.names.tolist()


def test_what_is_held_out_of_a_class_depends_on_that_class_alone(own: Path) -> None:
    before = set(ImageFiles.of(own / "train").split(0.2)[1].names.tolist())
    shutil.rmtree(own / "train" / "cat")
    after = set(ImageFiles.of(own / "train").split(0.2)[1].names.tolist())
    assert after == {name for name in before if not name.startswith(b"cat")}


@pytest.mark.parametrize("seed", [0, 7])
def test_a_subset_is_a_part_of_a_larger_one_and_depends_on_its_class_alone(own: Path, seed: int) -> None:
    files = ImageFiles.of(own / "train")
    parts = [files.subset(share, seed) for share in (0.001, 0.11, 0.5, 0.9, 1.0)]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[n] * 3 for n in (2, 2, 10, 18, 20)]
    names = [set(part.names.tolist()) for part in parts]
    assert all(small <= large for small, large in itertools.pairwise(names))
    assert names[2] != set(files.subset(0.5, seed + 1).names.tolist())
    rest, held = parts[2].split(0.2, seed)
    assert sorted([*rest.names, *held.names]) == sorted(parts[2].names)
    shutil.rmtree(own / "train" / "cat")
    after = set(ImageFiles.of(own / "train").subset(0.5, seed).names.tolist())
    assert after == {name for name in names[2] if not name.startswith(b"cat")}


def test_labels_are_made_wrong_by_a_share(made: Path) -> None:
    files = ImageFiles.of(made / "train")
    wrong = files.mislabelled(0.3, 5)
    assert (wrong.labels != files.labels).sum() == round(0.3 * len(files))
    assert (wrong.names == files.names).all()
    assert set(wrong.labels.tolist()) == {0, 1, 2}
    assert (files.mislabelled(0.3, 6).labels != wrong.labels).any()


@pytest.mark.parametrize("shape", [(500, 375), (64, 64), (7, 90), (300, 20), (1, 1), (5, 4)])
def test_boxes_are_those_of_torchvision_under_the_same_seed(shape: tuple[int, int]) -> None:
    image = Image.new("RGB", shape)
    kept = torch.get_rng_state()
    try:
        for seed in range(50):
            torch.manual_seed(seed)
            top, left, height, width = transforms.RandomResizedCrop.get_params(
                image, [0.08, 1], [3 / 4, 4 / 3]
            )
            box = random_box(*shape, torch.Generator().manual_seed(seed))
            assert box == (left, top, width, height)
    finally:
        torch.set_rng_state(kept)


def test_training_and_measured_samples_are_torchvisions(made: Path) -> None:
    files = ImageFiles.of(made / "train")
    image = decoded(files.path(21))
    measured = transforms.Compose(
        [transforms.Resize(round(32 * 256 / 224)), transforms.CenterCrop(32), transforms.PILToTensor()]
    )
    pixels, label = ImageFolderData(files, 32)[21]
    assert torch.equal(pixels, measured(image))
    assert (pixels.dtype, pixels.shape, label) == (torch.uint8, (3, 32, 32), 1)
    crops = RandomCrops(files, 32)
    assert is_seeded(crops)
    assert not is_seeded(ImageFolderData(files, 32))
    before = torch.get_rng_state()
    left, top, width, height = random_box(*image.size, torch.Generator().manual_seed(9))
    expected = functional.pil_to_tensor(
        image.crop((left, top, left + width, top + height)).resize((32, 32), 2)
    )
    assert torch.equal(crops.sample(21, 9)[0], expected)
    assert not torch.equal(crops.sample(21, 9)[0], crops.sample(21, 10)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_images_of_every_kind_become_rgb(mode: str, tmp_path: Path) -> None:
    path = str(tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png"))
    original = picture((200, 40, 40), 0)
    original.convert(mode).save(path)
    image = decoded(path)
    assert (image.mode, image.size) == ("RGB", (64, 64))
    if mode in ("P", "RGBA", "CMYK", "YCbCr"):  # those with colours: it is still the red one
        red, green, blue = np.asarray(image).reshape(-1, 3).mean(0)
        assert red > 150
        assert max(green, blue) < 80


def test_a_palette_with_transparency_raises_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture((200, 40, 40), 0).convert("P").save(path, transparency=bytes([0, 128, 255]))
    assert decoded(str(path)).mode == "RGB"


def test_images_of_16_bits_are_refused_instead_of_turning_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((8, 8), 30_000, dtype=np.uint16)).save(path)
    with pytest.raises(TaskError, match=r"a\.png cannot be read .*I;16, not 8 bits"):
        decoded(str(path))


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_image_is_named(own: Path, workers: int, damage: str) -> None:
    path = own / "train" / "dog" / "3.JPEG"
    content = path.read_bytes()
    path.write_bytes(
        {"cut": content[: len(content) // 2], "text": b"<html>not found</html>", "empty": b""}[damage]
    )
    batches = Batches(RandomCrops(ImageFiles.of(own / "train"), 32), "cpu", workers)
    with pytest.raises(TaskError) as caught:
        list(batches.shuffled(8, torch.Generator()))
    assert str(caught.value).startswith(f"the image {path} cannot be read (")
    assert "\n" not in str(caught.value)


# -- what is refused before a search ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "resnet5"}, "imagenet model is 'resnet5'; did you mean \"resnet50\"?"),
        ({"size": 100}, "size is 100: it must be a multiple of 16"),
        ({"size": 16}, "size is 16: it must be an integer of at least 32 and at most 1024"),
        ({"size": 2048}, "at most 1024"),
        ({"size": 224.5}, "size is 224.5: it must be an integer"),
        ({"batch_size": 0}, "batch_size is 0: it must be an integer of at least 1"),
        ({"workers": -1}, "workers is -1: it must be an integer of at least 0"),
        ({"workers": True}, "workers is True"),
        ({"classes": 0}, "classes is 0: it must be an integer of at least 1"),
        ({"subset": 0}, "subset is 0: it must be a finite number of at least 0.001 and at most 1"),
        ({"subset": float("nan")}, "subset is nan: it must be a finite number"),
        ({"label_noise": 1}, "label_noise is 1: it must be a finite number of at least 0 and at most 0.99"),
        ({"data_seed": -1}, "data_seed is -1: it must be an integer of at least 0 and at most 4294967295"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        ImageNet(**options)
    assert words in str(caught.value)


def remove(*parts: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root.joinpath(*parts))


def emptied(*parts: str, but: int = 0) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for file in sorted(root.joinpath(*parts).iterdir())[but:]:
            file.unlink()

    return change


def flat(root: Path) -> None:
    """As the published archive of val is."""
    for folder in list((root / "val").iterdir()):
        shutil.rmtree(folder)
    picture((0, 0, 0), 0).save(root / "val" / "ILSVRC2012_val_00000001.JPEG")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove(), ["own is not there", "train/CLASS", "val/CLASS", "--data-dir", "image-net.org"]),
        (remove("train"), ["own/train is not there", "train/CLASS"]),
        (remove("val"), ["own/val is not there", "val/CLASS"]),
        (flat, ["own/val has no folders, one a class", "torchvision.datasets.ImageNet"]),
        (remove("val", "owl"), ["own/train has class owl, and", "own/val has not"]),
        (remove("train", "owl"), ["own/val has class owl, and", "own/train has not"]),
        (emptied("train", "dog"), ["own/train/dog has no images, and needs 2 (.jpg, "]),
        (emptied("val", "dog"), ["own/val/dog has no images, and needs 1 (.jpg, "]),
        (emptied("train", "dog", but=1), ["own/train/dog has 1 image, and needs 2", "held out"]),
    ],
)
def test_folders_are_checked_before_a_search(
    own: Path, change: Callable[[Path], None], words: list[str]
) -> None:
    task = ImageNet(data_dir=str(own), batch_size=8)
    task.prepare()
    change(own)
    with pytest.raises(TaskError) as caught:
        task.prepare()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_worker_that_sees_other_files_says_so_too(own: Path) -> None:
    task = ImageNet(data_dir=str(own), batch_size=8)
    emptied("train", "dog", but=1)(own)
    with pytest.raises(TaskError, match="own/train/dog has 1 image, and needs 2"):
        task.data()
    emptied("train", "dog")(own)
    with pytest.raises(TaskError, match=r"(?s)images in .*own/train cannot be listed.*dog"):
        task.data()
    remove("val", "owl")(own)
    with pytest.raises(TaskError, match="own/train has class owl"):
        task.test_data()
    with pytest.raises(TaskError, match="batch_size is 256, and there are 57 training images"):
        remove("train", "dog")(own)
        shutil.copytree(own / "train" / "cat", own / "train" / "dog")
        ImageNet(data_dir=str(own)).data()


@pytest.mark.parametrize("subset", [0.001, 0.2, 0.71, 1.0])
def test_a_batch_is_refused_before_a_search_just_when_there_are_not_enough_images(
    own: Path, subset: float
) -> None:
    for number in range(150):  # so that more than one of a class is held out
        (own / "train" / "dog" / f"more{number}.jpg").touch()
    emptied("train", "owl", but=2)(own)

    def task(batch_size: int) -> ImageNet:
        return ImageNet(data_dir=str(own), batch_size=batch_size, subset=subset)

    images = len(task(1).data()[0])  # type: ignore[arg-type]
    assert images >= 3
    task(images).data()
    for size in range(1, images + 1):
        task(size).prepare()
    for refused in (task(images + 1).prepare, task(images + 1).data):
        with pytest.raises(TaskError) as caught:
            refused()
        assert f"batch_size is {images + 1}, and there are {images} training images" in str(caught.value)
        assert f"--task-option batch_size={images}" in str(caught.value)
        assert ("subset is" in str(caught.value)) == (subset < 1)


@pytest.mark.parametrize(("batch_size", "most"), [(3, 9), (20, 9 + 24), (57, 9 + 60)])
def test_no_more_files_are_listed_than_needed(
    made: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int, most: int
) -> None:
    """Two of each class in train and one in val are; the others only for a batch that these may not fill."""
    listed: list[str] = []
    real = class_folders._images

    def watched(folder: Any) -> Any:
        for path in real(folder):
            listed.append(path)
            yield path

    monkeypatch.setattr(class_folders, "_images", watched)
    ImageNet(data_dir=str(made), batch_size=batch_size).prepare()
    assert 9 <= len(listed) <= most


def test_noise_needs_a_second_class(own: Path) -> None:
    for part, name in itertools.product(("train", "val"), ("cat", "dog")):
        remove(part, name)(own)
    ImageNet(data_dir=str(own), batch_size=8).prepare()
    with pytest.raises(SettingError, match=r"label_noise is 0\.1, and there is one class"):
        ImageNet(data_dir=str(own), batch_size=8, label_noise=0.1).prepare()


def test_another_number_of_classes_is_refused(made: Path) -> None:
    task = ImageNet(data_dir=str(made), batch_size=8, classes=4)
    for refused in (task.prepare, task.data, task.test_data):
        with pytest.raises(TaskError, match=r"classes is 4, and .*(train|val) has 3 folders"):
            refused()
    ImageNet(data_dir=str(made), batch_size=8, classes=3).prepare()


@pytest.mark.processes
def test_a_plan_needs_no_torch(made: Path) -> None:
    code = (
        "import sys; from trials.tasks.imagenet import ImageNet; "
        f"ImageNet(data_dir={str(made)!r}, batch_size=8).prepare(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_loader_processes_by_default_are_a_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, made: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert ImageNet().loader_workers == 5
    assert ImageNet(workers=0).loader_workers == 0
    made_elsewhere, chosen = (ImageNet(data_dir=str(made), batch_size=8, workers=w) for w in (None, 3))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for task in (made_elsewhere, chosen):
        task.setup("cpu")
    assert (made_elsewhere.loader_workers, chosen.loader_workers) == (1, 3)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(imagenet, "cores", lambda: 4)
    assert ImageNet().loader_workers == 3


# -- the task --------------------------------------------------------------------------------------


def test_validation_is_held_out_of_train_and_val_is_for_the_test(made: Path) -> None:
    task = ImageNet(data_dir=str(made), size=32, batch_size=8)
    train, valid = task.data()
    test = task.test_data()
    assert isinstance(train, RandomCrops)
    assert type(valid) is type(test) is ImageFolderData
    folders = [
        {os.path.relpath(source.files.path(i), made) for i in range(len(source))}
        for source in (train, valid, test)
    ]
    assert [len(names) for names in folders] == [57, 3, 12]
    assert not folders[0] & folders[1]
    assert {name.split("/")[0] for name in folders[0] | folders[1]} == {"train"}
    assert {name.split("/")[0] for name in folders[2]} == {"val"}


def test_a_part_of_the_data_with_wrong_labels_to_train_on(made: Path) -> None:
    options: dict[str, Any] = {"data_dir": str(made), "size": 32, "batch_size": 8, "subset": 0.5}
    clean, noisy, again, other = (
        ImageNet(**options, label_noise=noise, data_seed=seed).data()
        for noise, seed in ((0, 4), (0.25, 4), (0.25, 4), (0.25, 5))
    )

    def right(source: Any) -> list[bool]:
        return [
            Path(source.files.path(i)).parent.name == source.files.classes[source[i][1]]
            for i in range(len(source))
        ]

    assert [len(part) for part in (*clean, *noisy)] == [27, 3, 27, 3]  # type: ignore[arg-type]
    assert right(noisy[0]).count(False) == round(0.25 * 27)
    assert all(right(clean[0]) + right(clean[1]) + right(noisy[1]))
    for a, b in zip(clean + noisy, noisy + again, strict=True):
        assert a.files.names.tolist() == b.files.names.tolist()  # type: ignore[union-attr]
    assert noisy[0].files.labels.tolist() == again[0].files.labels.tolist()  # type: ignore[union-attr]
    assert set(noisy[0].files.names) != set(other[0].files.names)  # type: ignore[union-attr]
    assert right(noisy[0]) == [
        noisy[0].sample(i, 1)[1] == label  # type: ignore[union-attr]
        for i, label in enumerate(clean[0].files.labels)  # type: ignore[union-attr]
    ]


def test_augmented_and_normalised_images(made: Path) -> None:
    task = ImageNet(data_dir=str(made), size=32, batch_size=8)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    plain = task.augment(images, proposed(magnitude=0.0), torch.Generator().manual_seed(1))
    same = (plain == images).flatten(1).all(1)
    turned = (plain == images.flip(3)).flatten(1).all(1)
    assert (same ^ turned).all()
    assert 16 < turned.sum() < 48
    expected = transforms.Normalize(MEAN, DEVIATION)(images.float() / 255)
    torch.testing.assert_close(task.normalize(images), expected)

    def loss(magnitude: Tensor) -> Tensor:
        configuration = proposed(magnitude=magnitude)
        return (
            task.normalize(task.augment(images, configuration, torch.Generator().manual_seed(1)))
            .square()
            .mean()
        )

    magnitude = torch.tensor(0.4, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(magnitude), magnitude)
    assert slope.isfinite()
    assert slope != 0


@pytest.mark.long
@pytest.mark.parametrize("name", ["resnet50", "vit-small"])
def test_the_networks_have_an_output_for_each_folder(made: Path, name: str) -> None:
    task = ImageNet(name, data_dir=str(made), size=32, batch_size=8)
    network = task.model(proposed()).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def manifest(task: ImageNet) -> dict[str, Any]:
    return {"task": json.loads(json.dumps(task.describe()))}


def test_what_describes_the_task_has_the_number_of_classes_wherever_it_is_asked(own: Path) -> None:
    task, given = ImageNet(data_dir=str(own)), ImageNet(data_dir=str(own), classes=3)
    expected = {"data_dir": str(own), "classes": 3}
    assert task.describe() == given.describe()
    assert task.describe() == {"target": "trials.tasks.imagenet:ImageNet", "options": expected}
    worker = pickle.loads(pickle.dumps(task))
    moved = own.rename(own.with_name("moved"))
    assert task.describe() == worker.describe() == given.describe()  # it was counted once
    assert "classes" not in ImageNet(data_dir=str(own)).describe()["options"]
    check_same_search(manifest(task), manifest(ImageNet(data_dir=str(moved))), own)
    (moved / "train" / "emu").mkdir()
    with pytest.raises(ResultsError, match="another search: its task has options"):
        check_same_search(manifest(task), manifest(ImageNet(data_dir=str(moved))), own)


def test_a_task_that_does_not_take_the_number_is_not_told_it(made: Path) -> None:
    class Mine(ImageNet):
        def __init__(self, root: Any) -> None:
            super().__init__(data_dir=str(root))

    assert Mine(str(made)).describe()["options"] == {"root": str(made)}
    assert Mine(made).describe()["options"] is None
    assert Mine(str(made)).model(proposed()).fc.out_features == 3  # type: ignore[union-attr]


class Quick(ImageNet):
    """A network of 200 weights, with dropout, so that an epoch takes no time."""

    def model(self, config: Configuration) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, 4),
            nn.BatchNorm2d(6),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        )


class Search:
    """One trial, in jobs."""

    def __init__(self, task: ImageNet, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.directory.create()
        self.task = task
        self.configuration = proposed(lr=0.1)
        self.settings = WorkerSettings(task, str(path), 9)

    def run(self, start: int, until: int, stopping: Callable[[], bool] = lambda: False) -> list[Any]:
        sent: list[Any] = []
        runner = JobRunner(self.settings, "cpu", stopping=stopping)
        runner.run(Job(0, self.configuration, start, until, 0, seed=123), sent.append)
        return sent


def curve(events: list[Any]) -> list[tuple[int, float, dict[str, float]]]:
    assert not [event for event in events if isinstance(event, Failed)], events
    return [(e.resource, e.value, dict(e.metrics)) for e in events if isinstance(e, Report)]


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Three units, read by the trial's own process."""
    task = Quick(data_dir=str(made), size=32, batch_size=8, workers=0)
    return Search(task, tmp_path_factory.mktemp("whole")).run(0, 3)


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_the_curve_does_not_depend_on_loader_processes_or_pauses(
    made: Path, whole: list[Any], workers: int, tmp_path: Path
) -> None:
    search = Search(Quick(data_dir=str(made), size=32, batch_size=8, workers=workers), tmp_path / "run")
    events = search.run(0, 1)
    asked = iter(range(100))
    stopped = search.run(1, 3, stopping=lambda: next(asked) >= 3)  # in the middle of a unit
    assert isinstance(stopped[-1], Lost)
    assert search.directory.trial_checkpoint(0, "unfinished").exists()
    events += search.run(1, 3)
    assert curve(events) == curve(whole)
    assert len(curve(whole)) == 3


def children() -> set[int]:
    mine = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
    return {
        pid for pid in mine if (it := stat(pid)) is not None and it.parent == os.getpid() and it.state != "Z"
    }


@pytest.mark.processes
def test_a_search_that_stops_inside_a_unit_leaves_no_loader_process(made: Path, tmp_path: Path) -> None:
    before, during = children(), []
    search = Search(Quick(data_dir=str(made), size=32, batch_size=8, workers=2), tmp_path / "run")

    def stopping() -> bool:
        during.append(children() - before)
        return len(during) > 3

    assert isinstance(search.run(0, 3, stopping)[-1], Lost)
    assert len(during[-1]) == 2
    assert children() == before


@pytest.mark.processes
def test_a_damaged_image_ends_a_trial_with_its_name(own: Path, tmp_path: Path) -> None:
    (own / "train" / "cat" / "0.JPEG").write_bytes(b"")
    (own / "train" / "cat" / "1.JPEG").write_bytes(b"")
    (own / "train" / "cat" / "2.JPEG").write_bytes(b"")
    task = Quick(data_dir=str(own), size=32, batch_size=57, workers=1)
    closing = Search(task, tmp_path / "run").run(0, 1)[-1]
    assert isinstance(closing, Failed)
    assert closing.kind == "setup"
    assert closing.error.startswith(f"the image {own}/train/cat/")


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "vit-small"])
def test_the_real_networks_train(own: Path, name: str, tmp_path: Path) -> None:
    for folder in COLOURS:
        emptied("train", folder, but=3)(own)
    task = ImageNet(name, data_dir=str(own), size=32, batch_size=6, workers=1)
    ((resource, value, metrics),) = curve(Search(task, tmp_path / "run").run(0, 1))
    assert resource == 1
    assert 0 <= value <= 1
    assert np.isfinite([metrics["train_loss"], metrics["valid_loss"]]).all()


def test_a_checkpoint_needs_no_training_images(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: str, classes: int, channels: int, size: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

    monkeypatch.setattr(imagenet, "build", small)
    task = ImageNet(data_dir=str(own), size=32, batch_size=32, workers=0)
    search = Search(task, tmp_path / "run")
    search.run(0, 1)
    shutil.copy(search.directory.trial_checkpoint(0), search.directory.best_checkpoint)
    remove("train")(own)
    final = measure_on_test_data(search.directory.path)
    assert (final.count, len(final.confusion or ())) == (12, 3)
    remove("val", "owl")(own)
    with pytest.raises(TaskError, match=r"classes is 3, and .*val has 2 folders"):
        rebuilt(search.directory.path, None, {})[0].test_data()
    remove()(own)
    model, _ = load_model(search.directory.path)
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.processes
def test_a_warm_start_reads_the_images(made: Path) -> None:
    task = Quick(data_dir=str(made), size=32, batch_size=8, workers=2)
    problem = task.problem(5, "cpu")
    configuration = proposed()
    (train, held), (again, _) = (problem.losses(configuration).batches(0, "half") for _ in range(2))
    assert train.inputs.dtype == torch.uint8
    assert len(train.inputs) == len(held.inputs) == 4
    assert torch.equal(train.inputs, again.inputs)
