"""Image data sets: read as torchvision reads them, refused by name when damaged, downloaded when allowed."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
from torchvision import datasets

from asha_core.errors import SettingError, TaskError
from trials.data.image_files import IMAGE_SETS, check, read
from trials.tasks.cifar import Cifar10

FASHION_LABELS = "train-labels-idx1-ubyte"


def small_cifar(folder: Path, kind: str = "cifar10") -> dict[str, str]:
    """Write files like the official ones, of 3 images each; their names and MD5s."""
    labels = "labels" if kind == "cifar10" else "fine_labels"
    sums = {}
    (folder / IMAGE_SETS[kind].folder).mkdir(parents=True)
    for number, name in enumerate(IMAGE_SETS[kind].files):
        pixels = np.random.default_rng(number).integers(0, 256, (3, 3072)).astype(np.uint8)
        content = pickle.dumps({"data": pixels, labels: [number, 7, 9], "coarse_labels": [0, 0, 0]})
        (folder / IMAGE_SETS[kind].folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    return sums


def small_fashion(folder: Path) -> dict[str, str]:
    """The same for Fashion-MNIST, gzipped, in the folder itself."""
    draw = np.random.default_rng(0)
    sums = {}
    for name in IMAGE_SETS["fashion-mnist"].files:
        shape, header = ((300, 784), 16) if "images" in name else ((300,), 8)
        high = 256 if "images" in name else 10
        content = bytes(header) + draw.integers(0, high, shape).astype(np.uint8).tobytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        sums[name] = hashlib.md5(content).hexdigest()
    return sums


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the three sets in small, whose checksums are taken for the published ones."""
    folder = tmp_path / "small"
    for kind, spec in list(IMAGE_SETS.items()):
        sums = small_fashion(folder) if kind == "fashion-mnist" else small_cifar(folder, kind)
        train, test = ({name: sums[name] for name in part} for part in (spec.train, spec.test))
        monkeypatch.setitem(IMAGE_SETS, kind, replace(spec, train=train, test=test))
    return folder


Fetch = Callable[[Path], object]
Fake = Callable[[str, Fetch], list[Path]]


@pytest.fixture
def torchvision_does(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Replace a class of torchvision by one that "downloads" with a function; what it was called with."""

    def install(loader: str, fetch: Fetch) -> list[Path]:
        calls: list[Path] = []

        def fake(root: str, *, download: bool) -> None:
            assert download
            calls.append(Path(root))
            fetch(Path(root))

        monkeypatch.setattr(datasets, loader, fake)
        return calls

    return install


def no_network(root: Path) -> None:
    """As torchvision leaves things when a download is cut off."""
    (root / "cifar-10-batches-py").mkdir(parents=True, exist_ok=True)
    (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half")
    (root / "cifar-10-python.tar.gz").write_bytes(b"half")
    raise RuntimeError("Tried a mirror, got:\n<urlopen error [Errno -2] Name or service not known>\n")


def refusal(name: str, folder: Path, *, download: bool = False) -> str:
    """What ``check`` says, on one line."""
    with pytest.raises(TaskError) as caught:
        check(name, folder, download=download)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifars_checksums_and_names_are_torchvisions(name: str) -> None:
    ours = IMAGE_SETS[name]
    theirs = getattr(datasets, ours.loader)
    assert list(ours.train.items()) == [tuple(pair) for pair in theirs.train_list]
    assert list(ours.test.items()) == [tuple(pair) for pair in theirs.test_list]
    assert (ours.folder, ours.url, ours.md5) == (theirs.base_folder, theirs.url, theirs.tgz_md5)


def test_fashion_mnists_names_and_source_are_torchvisions() -> None:
    ours = IMAGE_SETS["fashion-mnist"]
    assert [f"{name}.gz" for name in ours.files] == [name for name, _ in datasets.FashionMNIST.resources]
    assert ours.url in datasets.FashionMNIST.mirrors


@pytest.mark.slow
def test_cifar_is_read_as_torchvision_reads_it(cifar_dir: Path) -> None:
    check("cifar10", cifar_dir, download=False)
    for part in ("train", "test"):
        images, labels = read("cifar10", cifar_dir, part)
        theirs = datasets.CIFAR10(str(cifar_dir), train=part == "train")
        assert np.array_equal(images, theirs.data)
        assert labels.tolist() == theirs.targets
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


def test_fashion_mnist_is_read_gzipped_or_not_and_as_torchvision_reads_it(
    fashion_dir: Path, tmp_path: Path
) -> None:
    check("fashion-mnist", fashion_dir, download=False)
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in IMAGE_SETS["fashion-mnist"].files:
        with gzip.open(fashion_dir / f"{name}.gz") as packed, (raw / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    check("fashion-mnist", tmp_path, download=False)
    for part, count in (("train", 6000), ("test", 1000)):
        images, labels = read("fashion-mnist", tmp_path, part)
        assert images.shape == (10 * count, 28, 28, 1)
        assert np.bincount(labels).tolist() == [count] * 10
        assert images.flags.writeable
        theirs = datasets.FashionMNIST(str(tmp_path), train=part == "train")
        assert np.array_equal(images[..., 0], theirs.data.numpy())
        assert np.array_equal(labels, theirs.targets.numpy())
        gzipped = read("fashion-mnist", fashion_dir, part)
        assert np.array_equal(gzipped[0], images)
        assert np.array_equal(gzipped[1], labels)


def test_the_checksum_is_of_the_content_so_that_another_compression_is_as_good(
    fashion_dir: Path, tmp_path: Path
) -> None:
    published = dict(datasets.FashionMNIST.resources)
    for name in IMAGE_SETS["fashion-mnist"].files:
        (tmp_path / f"{name}.gz").symlink_to(fashion_dir / f"{name}.gz")
    labels = tmp_path / f"{FASHION_LABELS}.gz"
    content = gzip.decompress(labels.read_bytes())
    assert hashlib.md5(labels.read_bytes()).hexdigest() == published[labels.name]
    labels.unlink()
    labels.write_bytes(gzip.compress(content, 1))
    assert hashlib.md5(labels.read_bytes()).hexdigest() != published[labels.name]
    check("fashion-mnist", tmp_path, download=False)


@pytest.mark.parametrize("download", [False, True])
def test_a_flipped_bit_in_cifar_is_found_and_the_file_is_named(
    cifar_dir: Path, tmp_path: Path, download: bool, torchvision_does: Fake
) -> None:
    calls = torchvision_does("CIFAR10", no_network)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in IMAGE_SETS["cifar10"].files:
        (folder / name).symlink_to(cifar_dir / folder.name / name)
    content = bytearray((folder / "data_batch_3").read_bytes())
    content[10_000_000] ^= 1
    (folder / "data_batch_3").unlink()
    (folder / "data_batch_3").write_bytes(content)
    said = refusal("cifar10", tmp_path, download=download)
    assert not calls  # a damaged file is the user's to look at, never replaced
    assert f"{folder / 'data_batch_3'} is damaged" in said
    assert f"its MD5 is {hashlib.md5(content).hexdigest()}, not 54ebc095f3ab1f0389bbae665268c751" in said
    assert "remove it and put the official one there" in said
    assert "cifar-10-python.tar.gz" in said
    with pytest.raises(TaskError, match="data_batch_3 is damaged"):
        read("cifar10", tmp_path, "train")
    assert len(read("cifar10", tmp_path, "test")[1]) == 10_000  # verifies what it reads, and no more


def test_a_wrong_label_in_fashion_mnist_is_found(small: Path) -> None:
    path = small / f"{FASHION_LABELS}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[100] = (content[100] + 1) % 10
    path.write_bytes(gzip.compress(content))
    said = refusal("fashion-mnist", small, download=True)
    assert (
        f"{path} is damaged: the MD5 of its uncompressed content is {hashlib.md5(content).hexdigest()}"
        in said
    )
    assert f"not {IMAGE_SETS['fashion-mnist'].train[FASHION_LABELS]}" in said
    assert f"{IMAGE_SETS['fashion-mnist'].url}{path.name}" in said


@pytest.mark.parametrize(
    "where", [0, 100, -5]
)  # not gzip at all; another content; another checksum of gzip's own
def test_a_flipped_bit_in_a_gzipped_file_is_found(small: Path, where: int) -> None:
    path = small / f"{FASHION_LABELS}.gz"
    content = bytearray(path.read_bytes())
    content[where] ^= 16
    path.write_bytes(content)
    said = refusal("fashion-mnist", small, download=True)
    assert f"{path} is damaged: it cannot be decompressed" in said
    assert IMAGE_SETS["fashion-mnist"].train[FASHION_LABELS] in said


@pytest.mark.parametrize("length", [0, 100])
def test_a_download_that_was_cut_off_is_made_again(
    small: Path, tmp_path: Path, length: int, torchvision_does: Fake
) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in IMAGE_SETS["fashion-mnist"].files:
        shutil.copy(small / f"{name}.gz", raw)
    path = raw / f"{FASHION_LABELS}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    wanted = IMAGE_SETS["fashion-mnist"].train[FASHION_LABELS]
    said = refusal("fashion-mnist", tmp_path)
    assert f"{path} is damaged: it ends early, so that the MD5 of its content is not {wanted}" in said
    torchvision_does("FashionMNIST", no_network)
    said = refusal("fashion-mnist", tmp_path, download=True)
    assert f"{path} ends early; put {path.name} (MD5 {wanted}) into" in said
    calls = torchvision_does(
        "FashionMNIST", lambda root: (raw / FASHION_LABELS).write_bytes(gzip.decompress(whole))
    )
    check("fashion-mnist", tmp_path, download=True)
    check("fashion-mnist", tmp_path, download=True)
    assert calls == [tmp_path]


@pytest.mark.parametrize(("name", "count"), [("cifar10", 15), ("cifar100", 3)])
def test_both_cifars_are_read_in_order(small: Path, name: str, count: int) -> None:
    check(name, small, download=False)
    images, labels = read(name, small, "train")
    assert images.shape == (count, 32, 32, 3)
    assert labels.tolist() == [label for k in range(count // 3) for label in (k, 7, 9)]
    first = np.random.default_rng(0).integers(0, 256, (3, 3072)).astype(np.uint8)
    assert images[0, 0, 1].tolist() == first[0, [1, 1025, 2049]].tolist()  # red, green, blue planes
    assert read(name, small, "test")[1].tolist() == [count // 3, 7, 9]


def test_a_pickle_with_another_checksum_is_never_loaded(small: Path, tmp_path: Path) -> None:
    path, trap = small / "cifar-10-batches-py" / "test_batch", tmp_path / "trap"
    path.write_bytes(f"cos\nmkdir\n(S'{trap}'\ntR.".encode())
    with pytest.raises(TaskError, match="test_batch is damaged"):
        read("cifar10", small, "test")
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists()  # it would have


def test_missing_files_say_which_where_and_from_where(tmp_path: Path) -> None:
    said = refusal("cifar10", tmp_path)
    assert f"CIFAR-10 is not in {tmp_path} and download=false" in said
    assert "cifar-10-batches-py/data_batch_1 and 5 more are missing" in said
    archive = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz, MD5 c58f30108f718f92721af3b95e74349a"
    assert f"put the folder cifar-10-batches-py (from {archive}) into {tmp_path}, or" in said
    assert said.endswith("--data-dir")
    said = refusal("fashion-mnist", tmp_path / "not" / "there")
    assert "FashionMNIST/raw/train-images-idx3-ubyte and 3 more are missing" in said
    assert "t10k-labels-idx1-ubyte.gz (MD5 15d484375f8d13e6eb1aabb0c3f46965) into" in said
    assert "train-images-idx3-ubyte.gz (MD5 f4a8712d7a061bf5bd6d2ca38dc4d50a), train-labels" in said
    assert f"into {tmp_path / 'not' / 'there'} or" in said
    assert not (tmp_path / "not").exists()


def test_one_missing_file_is_named(small: Path) -> None:
    (small / "cifar-100-python" / "test").unlink()
    wanted = IMAGE_SETS["cifar100"].test["test"]
    assert f"cifar-100-python/test is missing (MD5 {wanted})" in refusal("cifar100", small)
    with pytest.raises(TaskError, match=r"not on this machine: cifar-100-python/test is missing"):
        read("cifar100", small, "train")
    (small / f"{FASHION_LABELS}.gz").unlink()
    wanted = IMAGE_SETS["fashion-mnist"].train[FASHION_LABELS]
    said = refusal("fashion-mnist", small)
    assert f"/{FASHION_LABELS} is missing; put {FASHION_LABELS}.gz (MD5 {wanted}) into {small} or" in said


def test_the_inner_folder_itself_may_be_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = small / "cifar-10-batches-py"
    monkeypatch.chdir(inner)
    for place in (inner, Path(), Path("../cifar-10-batches-py")):
        check("cifar10", place, download=False)
        assert read("cifar10", place, "test")[1].tolist() == [5, 7, 9]
    (small / "FashionMNIST" / "raw").mkdir(parents=True)
    check("fashion-mnist", small / "FashionMNIST" / "raw", download=False)
    with pytest.raises(TaskError, match=r"CIFAR-100 is not in .*cifar-10-batches-py and"):
        check("cifar100", inner, download=False)


def test_what_is_missing_of_a_named_inner_folder_is_put_and_downloaded_beside_it(
    small: Path, torchvision_does: Fake
) -> None:
    inner = small / "cifar-10-batches-py"
    content = (inner / "test_batch").read_bytes()
    (inner / "test_batch").unlink()
    said = refusal("cifar10", inner)
    assert f"CIFAR-10 is not in {small} and" in said
    assert f"into {small}, or" in said
    calls = torchvision_does("CIFAR10", lambda root: (inner / "test_batch").write_bytes(content))
    check("cifar10", inner, download=True)
    assert calls == [small]


def test_a_folder_in_the_folder_of_that_name_goes_before_it(small: Path) -> None:
    outer = small / "cifar-100-python"
    shutil.copytree(small / "cifar-10-batches-py", small / "x" / "cifar-100-python" / "cifar-10-batches-py")
    shutil.move(outer, small / "x" / "cifar-100-python" / "cifar-100-python")
    check("cifar100", small / "x" / "cifar-100-python", download=False)


@pytest.mark.parametrize("exists", [True, False])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, exists: bool, torchvision_does: Fake) -> None:
    calls = torchvision_does("CIFAR10", no_network)
    archive = tmp_path / "cifar-10-python.tar.gz"
    if exists:
        archive.write_bytes(b"any")
    said = refusal("cifar10", archive, download=True)
    assert f"{archive} is an archive: unpack it and name the folder that holds cifar-10-batches-py" in said
    assert not calls
    with pytest.raises(TaskError, match="unpack it"):
        read("cifar10", archive, "train")


def test_one_of_the_files_is_no_folder(small: Path) -> None:
    said = refusal("cifar10", small / "cifar-10-batches-py" / "test_batch")
    assert "test_batch is a file: name the folder that holds cifar-10-batches-py, or an .npz" in said
    said = refusal("fashion-mnist", small / f"{FASHION_LABELS}.gz")
    assert f"{FASHION_LABELS}.gz is a file: name the folder that holds train-images-idx3-ubyte.gz" in said


@pytest.mark.parametrize("closed", ["", "inner", "cifar-10-batches-py"])
def test_the_folder_that_cannot_be_looked_into_is_named(
    small: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    folder = small / closed if closed != "inner" else small
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if folder in path.parents:  # as for anyone but root, who may look into every folder
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    said = refusal("cifar10", small / "deep" / "er" if closed == "inner" else small, download=True)
    assert f"{folder} cannot be looked into (Permission denied): allow it (chmod u+rx {folder}), or" in said
    assert ".npz" not in said


@pytest.mark.parametrize(
    "name",
    ["a" * 300, "a" * 300 + ".npz", "a\0b", "a\0b.npz", "loop", "loop.npz"],
    ids=["long", "long.npz", "null", "null.npz", "loop", "loop.npz"],
)
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    if "loop" in name:
        (tmp_path / name).symlink_to(tmp_path / name)
    assert " cannot be looked for: " in refusal("cifar10", tmp_path / name, download=True)


def test_a_download_is_made_once_and_verified(
    small: Path, tmp_path: Path, torchvision_does: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "data"

    def fetch(root: Path) -> None:
        shutil.copytree(small / "cifar-10-batches-py", root / "cifar-10-batches-py")

    calls = torchvision_does("CIFAR10", fetch)
    check("cifar10", folder, download=True)
    check("cifar10", folder, download=True)
    assert calls == [folder]
    url = IMAGE_SETS["cifar10"].url
    assert capsys.readouterr() == ("", f"downloading CIFAR-10 (170 MB) to {folder}, from {url}\n")
    assert len(read("cifar10", folder, "train")[1]) == 15


def test_the_line_comes_before_the_download(
    tmp_path: Path, torchvision_does: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = []
    torchvision_does("CIFAR10", lambda root: before.append(capsys.readouterr().err))
    refusal("cifar10", tmp_path, download=True)
    assert before[0].startswith(f"downloading CIFAR-10 (170 MB) to {tmp_path}, from http")


def test_a_whole_archive_is_unpacked_and_not_said_to_be_downloaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    torchvision_does: Fake,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torchvision_does("CIFAR10", lambda root: None)
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"half")
    refusal("cifar10", tmp_path, download=True)
    assert capsys.readouterr().err.startswith("downloading ")
    md5 = hashlib.md5(b"half").hexdigest()
    monkeypatch.setitem(IMAGE_SETS, "cifar10", replace(IMAGE_SETS["cifar10"], md5=md5))
    refusal("cifar10", tmp_path, download=True)
    assert capsys.readouterr().err == f"unpacking {archive}\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (URLError(OSError(-2, "Name or service not known")), "no connection: Name or service not known"),
        (URLError("no host given"), "no connection: no host given"),
        (HTTPError("http://x", 404, "Not Found", Message(), None), "HTTP Error 404: Not Found"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_a_download_failed_is_said_in_words(
    tmp_path: Path, torchvision_does: Fake, error: Exception, said: str
) -> None:
    def fail(root: Path) -> None:
        raise error

    torchvision_does("CIFAR10", fail)
    assert f"cannot be downloaded ({said}): " in refusal("cifar10", tmp_path, download=True)


def test_what_a_download_brings_is_verified(small: Path, tmp_path: Path, torchvision_does: Fake) -> None:
    def fetch(root: Path) -> None:
        shutil.copytree(small / "cifar-10-batches-py", root / "cifar-10-batches-py")
        (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"a login page")

    torchvision_does("CIFAR10", fetch)
    assert "test_batch is damaged" in refusal("cifar10", tmp_path, download=True)


def test_a_failed_download_leaves_nothing_behind(tmp_path: Path, torchvision_does: Fake) -> None:
    torchvision_does("CIFAR10", no_network)
    said = refusal("cifar10", tmp_path / "a" / "b", download=True)
    assert "cannot be downloaded (Tried a mirror, got: no connection: Name or service not known)" in said
    assert "put the folder cifar-10-batches-py" in said
    assert tree(tmp_path) == set()


def test_a_failed_download_leaves_alone_what_was_there(tmp_path: Path, torchvision_does: Fake) -> None:
    mine = {"notes.txt", "cifar-10-batches-py", "cifar-10-batches-py/test_batch"}
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"")
    torchvision_does("CIFAR10", no_network)
    refusal("cifar10", tmp_path, download=True)
    assert tree(tmp_path) == mine


def test_an_interrupted_download_leaves_nothing_behind(tmp_path: Path, torchvision_does: Fake) -> None:
    def interrupt(root: Path) -> None:
        (root / "FashionMNIST" / "raw").mkdir(parents=True)
        (root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"half")
        raise KeyboardInterrupt

    torchvision_does("FashionMNIST", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check("fashion-mnist", tmp_path / "data", download=True)
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("left", ["archive", "folder"])
def test_a_half_finished_download_is_made_again(
    small: Path, torchvision_does: Fake, tmp_path: Path, left: str
) -> None:
    if left == "archive":
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half")
    else:
        (tmp_path / "cifar-10-batches-py").mkdir()
        (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half")

    def fetch(root: Path) -> None:
        shutil.copytree(small / "cifar-10-batches-py", root / "cifar-10-batches-py", dirs_exist_ok=True)

    assert "missing" in refusal("cifar10", tmp_path)
    calls = torchvision_does("CIFAR10", fetch)
    check("cifar10", tmp_path, download=True)
    assert calls == [tmp_path]


def test_a_file_where_the_folder_should_be_is_said_before_any_download(
    tmp_path: Path, torchvision_does: Fake
) -> None:
    calls = torchvision_does("CIFAR10", no_network)
    (tmp_path / "data").write_text("")
    said = refusal("cifar10", tmp_path / "data" / "deeper", download=True)
    assert f"cannot be downloaded ({tmp_path / 'data'} is a file, not a folder)" in said
    assert not calls


def test_no_permission_is_said_before_any_download(
    tmp_path: Path, torchvision_does: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = torchvision_does("FashionMNIST", no_network)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and real(path, mode))
    said = refusal("fashion-mnist", tmp_path / "data", download=True)
    assert f"cannot be downloaded (there is no permission to write into {tmp_path})" in said
    assert not calls


def test_data_in_a_folder_that_cannot_be_written_is_read(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    check("cifar10", small, download=True)
    assert len(read("cifar10", small, "test")[1]) == 3


def test_a_folder_where_a_file_should_be_is_missing_and_an_unreadable_file_is_said(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "data_batch_1 cannot be read: Permission denied" in refusal("cifar10", small)
    shutil.rmtree(small / "cifar-10-batches-py")
    (small / "cifar-10-batches-py" / "data_batch_1").mkdir(parents=True)
    assert "data_batch_1 and 5 more are missing" in refusal("cifar10", small)


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match='did you mean "fashion-mnist"'):
        check("fashion_mnist", tmp_path, download=False)
    with pytest.raises(SettingError, match='did you mean "train"'):
        read("cifar10", tmp_path, "training")  # type: ignore[arg-type]


@pytest.mark.processes
def test_files_are_checked_and_read_without_torch(tmp_path: Path) -> None:
    np.savez(tmp_path / "cifar10.npz", x_train=np.zeros((2, 32, 32, 3), np.uint8), y_train=np.arange(2))
    code = (
        "import sys, pathlib; from trials.data.image_files import check, read; "
        "p = pathlib.Path(sys.argv[1]); "
        "check('cifar10', p, download=False); read('cifar10', p, 'train'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


@pytest.mark.slow
def test_the_smallest_subsets_of_the_page_on_image_data(tmp_path: Path) -> None:
    images, labels = np.zeros((50_000, 32, 32, 3), np.uint8), np.arange(50_000) % 10
    np.savez_compressed(tmp_path / "cifar10.npz", train_images=images, train_labels=labels)
    Cifar10(str(tmp_path), subset=0.003).prepare()
    Cifar10(str(tmp_path), subset=0.002, batch_size=64).prepare()
    with pytest.raises(TaskError, match="90 training images"):
        Cifar10(str(tmp_path), subset=0.002).prepare()
