"""Image data sets in a plain .npz: what is accepted, and what is said of what is not."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asha_core.errors import TaskError
from trials.data.image_files import check, read

Arrays = dict[str, NDArray[Any]]


def colour(count: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)


def plain(**changes: NDArray[Any]) -> Arrays:
    return {"train_images": colour(), "train_labels": np.arange(6), **changes}


def written(folder: Path, arrays: Arrays, name: str = "cifar10") -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
@pytest.mark.parametrize("labels", ["int64", "uint8", "column"])
def test_both_ways_to_name_arrays_are_read(tmp_path: Path, names: tuple[str, ...], labels: str) -> None:
    wanted = np.array([3, 0, 9, 9, 1, 2])
    kept = wanted[:, None] if labels == "column" else wanted.astype(labels)
    path = written(tmp_path, dict(zip(names, [colour(), kept, colour()[:4], kept[:4]], strict=True)))
    for place in (path, tmp_path):
        check("cifar10", place, download=False)
        images, classes = read("cifar10", place, "train")
        assert np.array_equal(images, colour())
        assert classes.tolist() == wanted.tolist()
        assert classes.dtype == np.int64
        assert read("cifar10", place, "test")[1].tolist() == wanted[:4].tolist()


@pytest.mark.parametrize("shape", [(6, 28, 28), (6, 28, 28, 1)])
def test_grey_images_need_no_channel(tmp_path: Path, shape: tuple[int, ...]) -> None:
    grey = np.arange(6 * 784).reshape(shape).astype(np.uint8)
    written(tmp_path, plain(train_images=grey), "fashion-mnist")
    check("fashion-mnist", tmp_path, download=False)
    assert np.array_equal(read("fashion-mnist", tmp_path, "train")[0], grey.reshape(6, 28, 28, 1))


def test_the_test_arrays_are_needed_when_they_are_asked_for(tmp_path: Path) -> None:
    written(tmp_path, plain())
    check("cifar10", tmp_path, download=False)
    with pytest.raises(
        TaskError, match=r"no test_images and test_labels or x_test and y_test; it has: train_i"
    ):
        read("cifar10", tmp_path, "test")


def test_official_files_go_before_an_npz_and_an_npz_before_a_download(
    cifar_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.CIFAR10", None)  # a call would fail
    written(tmp_path, plain(test_images=colour(), test_labels=np.arange(6)))
    check("cifar10", tmp_path, download=True)
    assert len(read("cifar10", tmp_path, "test")[1]) == 6
    (tmp_path / "cifar-10-batches-py").symlink_to(cifar_dir / "cifar-10-batches-py")
    assert len(read("cifar10", tmp_path, "test")[1]) == 10_000


REFUSED = {
    "a part of a pair": (
        {"train_images": colour()},
        r"has no train_images and train_labels or x_train and y_train; it has: train_images",
    ),
    "half a test set": (
        plain(test_labels=np.arange(6)),
        r"no test_images and test_labels .* it has: train_im",
    ),
    "floats": (
        plain(train_images=colour() / 255),
        r"train_images .* is float64: .* uint8 of shape \(N, 32, 32, 3\)",
    ),
    "another size": (
        plain(train_images=np.zeros((6, 28, 28), np.uint8)),
        r"shape \(6, 28, 28\), not \(N, 32, 32, 3\): images of 28x28 with 1 channel, where",
    ),
    "another size in colour": (
        plain(train_images=np.zeros((6, 64, 64, 3), np.uint8)),
        r"images of 64x64 with 3 channels, where CIFAR-10 has 32x32 with 3 channels",
    ),
    "grey": (plain(train_images=np.zeros((6, 32, 32, 1), np.uint8)), "images of 32x32 with 1 channel, where"),
    "channels first": (
        plain(train_images=np.zeros((6, 3, 32, 32), np.uint8)),
        r"put the channels last, with \.transpose\(0, 2, 3, 1\)",
    ),
    "flat": (plain(train_images=np.zeros((6, 3072), np.uint8)), r"has the shape \(6, 3072\), not \(N, 32"),
    "class 10": (plain(train_labels=np.arange(5, 11)), "goes from 5 to 10: CIFAR-10's classes are 0 to 9"),
    "class -1": (plain(train_labels=np.arange(-1, 5)), "goes from -1 to 4"),
    "float labels": (
        plain(train_labels=np.arange(6.0)),
        "train_labels .* is float64: wanted are integers from 0 to 9",
    ),
    "one-hot labels": (plain(train_labels=np.eye(6, 10, dtype=int)), r"shape \(6, 10\), not \(N,\)"),
    "unequal": (plain(train_labels=np.arange(5)), "has 6 train_images and 5 train_labels: one each"),
    "nothing": (plain(train_images=colour()[:0], train_labels=np.arange(0)), "train_labels .* is empty"),
    "objects": (
        plain(train_labels=np.array([0, 1, None, 3, 4, 5], dtype=object)),
        "train_labels in .* cannot be read .*allow_pickle",
    ),
    "bad test labels": (plain(test_images=colour(), test_labels=np.arange(6) + 9), "test_labels .* 9 to 14"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_this_data_set_is_refused_and_told_what_is_wanted(tmp_path: Path, case: str) -> None:
    arrays, said = REFUSED[case]
    path = written(tmp_path, arrays)
    with pytest.raises(TaskError, match=said) as caught:
        check("cifar10", tmp_path, download=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_an_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    with pytest.raises(TaskError, match=r"CIFAR-10: there is no file .*my\.npz: put one there") as caught:
        check("cifar10", path, download=True)
    assert "arrays train_images and train_labels or x_train and y_train" in str(caught.value)
    assert "test_images and test_labels or x_test and y_test" in str(caught.value)
    assert "name the folder that holds cifar-10-batches-py, with --data-dir" in str(caught.value)
    with pytest.raises(TaskError, match=r"there is no file .*a\.npz: put one there"):
        read("fashion-mnist", path / "a.npz", "train")
    for content in (b"", b"not an archive", b"PK\x03\x04 only the beginning"):
        path.write_bytes(content)
        with pytest.raises(TaskError, match=r"my\.npz cannot be read \(.+\): write it with numpy\.savez"):
            check("cifar10", path, download=True)
    with path.open("wb") as stream:
        np.save(stream, colour())
    with pytest.raises(TaskError, match="is one array"):
        check("cifar10", path, download=True)


def test_a_flipped_bit_in_an_npz_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, plain())
    content = bytearray(path.read_bytes())
    content[5000] ^= 1  # among the pixels
    path.write_bytes(content)
    with pytest.raises(TaskError, match=r"train_images in .* cannot be read \(Bad CRC-32"):
        check("cifar10", tmp_path, download=False)


def entry(header: bytes, version: int = 1) -> bytes:
    """What numpy saves before the values of an array."""
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header


def shaped(shape: str) -> bytes:
    return entry(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode())


DAMAGED = {
    "no array": b"hello world",
    "nothing": b"",
    "a header that is not Python": entry(b"{'descr': (((((((".ljust(64)),
    "a header that ends early": entry(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1,".ljust(64)),
    "more than any memory": shaped(f"({10**14}, 32, 32, 3)"),
    "less than nothing": shaped("(-1, 32, 32, 3)"),
    "a later version": entry(b" " * 64, 9),
}


def zipped(path: Path, images: bytes, compression: int = zipfile.ZIP_STORED) -> bytearray:
    """Write an ``.npz`` with those bytes for the images."""
    with io.BytesIO() as labels, zipfile.ZipFile(path, "w", compression) as archive:
        np.save(labels, np.arange(6))
        archive.writestr("train_images.npy", images)
        archive.writestr("train_labels.npy", labels.getvalue())
    return bytearray(path.read_bytes())


def refusal(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        check("cifar10", path, download=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_array_is_refused_by_name(tmp_path: Path, case: str) -> None:
    path = tmp_path / "my.npz"
    zipped(path, DAMAGED[case])
    said = refusal(path)
    assert said.startswith(f"CIFAR-10: train_images in {path} ")
    assert said.endswith(": write it with numpy.savez, as plain numbers")


@pytest.mark.parametrize("where", ["encrypted", "unknown compression", "lzma"])
def test_a_damaged_archive_is_refused_by_name(tmp_path: Path, where: str) -> None:
    path = tmp_path / "my.npz"
    with io.BytesIO() as images:
        np.save(images, colour())
        content = zipped(path, images.getvalue(), zipfile.ZIP_LZMA if where == "lzma" else zipfile.ZIP_STORED)
    check("cifar10", path, download=False)
    entry_of_the_index = content.find(b"PK\x01\x02")
    if where == "encrypted":
        content[6] |= 1
        content[entry_of_the_index + 8] |= 1
    elif where == "unknown compression":
        content[entry_of_the_index + 10] = 97
    else:
        content[120:160] = bytes(255 ^ value for value in content[120:160])
    path.write_bytes(content)
    assert f"in {path} cannot be read (" in refusal(path)


def test_an_npz_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, plain())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == f"CIFAR-10: {path} cannot be read: Permission denied"


def test_an_interrupt_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    written(tmp_path, plain())
    monkeypatch.setattr(np, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check("cifar10", tmp_path, download=False)
