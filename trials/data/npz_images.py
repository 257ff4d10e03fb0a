"""Images and labels from a plain ``.npz``: a user's own copy of a data set, with no published checksum.

The arrays are ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``, or go by Keras's names
(``x_train``, ``y_train``, ``x_test``, ``y_test``). The test arrays are needed when they are asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.errors import TaskError
from asha_core.runtime.units import counted
from trials.data.image_sets import ImageSet

_NAMES = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}


def check(kind: ImageSet, path: Path) -> None:
    """Read everything that is there, to find what is wrong with it.

    Raises:
        TaskError: as ``read``; test arrays may be absent.
    """
    read(kind, path, "train")
    if any(name in _names(kind, path) for pair in _NAMES["test"] for name in pair):
        read(kind, path, "test")


def read(kind: ImageSet, path: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One part of a data set.

    Args:
        kind: what the images must be.
        part: "train" or "test".
    Returns:
        (N, H, W, C) uint8 and (N,) int64.
    Raises:
        TaskError: the file is not an ``.npz``, lacks an array, or holds something else than this data set.
    """
    there = _names(kind, path)
    pair = next((pair for pair in _NAMES[part] if set(pair) <= set(there)), None)
    if pair is None:
        raise TaskError(
            f"{kind.title}: {path} has no {_either(part)}; it has: {', '.join(there) or '(nothing)'}"
        )
    images = _images(kind, f"{kind.title}: {pair[0]} in {path}", _load(kind, path, pair[0]))
    labels = _labels(kind, f"{kind.title}: {pair[1]} in {path}", _load(kind, path, pair[1]))
    if len(images) != len(labels):
        raise TaskError(
            f"{kind.title}: {path} has {len(images)} {pair[0]} and {len(labels)} {pair[1]}: one each"
        )
    return images, labels


def _names(kind: ImageSet, path: Path) -> list[str]:
    """The names of the arrays in the file."""
    names: list[str] = _load(kind, path, None)
    return names


def _either(part: str) -> str:
    """How the arrays of a part may be called."""
    return " or ".join(f"{images} and {labels}" for images, labels in _NAMES[part])


def _load(kind: ImageSet, path: Path, name: str | None) -> Any:
    """One array of the file; without a name, the list of names."""
    what = f"{kind.title}: {path if name is None else f'{name} in {path}'}"
    cure = "write it with numpy.savez, as plain numbers"
    try:
        # opened here, because numpy leaves a file open that turns out to be no archive
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise TaskError(
            f"{kind.title}: there is no file {path}: put one there, written with numpy.savez, that holds the "
            f"arrays {_either('train')} (for asha-test also {_either('test')}), or name the folder that "
            f"holds {kind.content}, with --data-dir"
        ) from None
    except OSError as error:
        raise TaskError(f"{kind.title}: {path} cannot be read: {error.strerror}") from error
    try:
        with stream:
            archive = np.load(stream, allow_pickle=False)  # a pickle could run any code
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TaskError(f"{kind.title}: {path} is one array: save several with numpy.savez")
            with archive:
                found = list(archive.files) if name is None else archive[name]
    except TaskError:
        raise
    except Exception as error:  # a damaged file's: numpy's, zipfile's, a decompressor's, the tokenizer's
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TaskError(f"{what} cannot be read ({reason}): {cure}") from error
    if name is not None and not isinstance(found, np.ndarray):  # bytes: the entry does not begin as arrays do
        raise TaskError(f"{what} is not an array: {cure}")
    return found


def _images(kind: ImageSet, where: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, H, W, C), if that is what it holds."""
    size, channels = kind.size, kind.channels
    wanted = f"(N, {size}, {size}, {channels})" + (f" or (N, {size}, {size})" if channels == 1 else "")
    if array.dtype != np.uint8:
        raise TaskError(
            f"{where} is {array.dtype}: wanted are pixels from 0 to 255, as uint8 of shape {wanted}"
        )
    pixels = array[..., None] if array.ndim == 3 else array
    if pixels.ndim != 4 or pixels.shape[1:] != (size, size, channels):
        found = ""
        if pixels.shape[1:] == (channels, size, size):
            found = ": put the channels last, with .transpose(0, 2, 3, 1)"
        elif pixels.ndim == 4:
            found = (
                f": images of {pixels.shape[1]}x{pixels.shape[2]} with {counted(pixels.shape[3], 'channel')}"
            )
            found += f", where {kind.title} has {size}x{size} with {counted(channels, 'channel')}"
        raise TaskError(f"{where} has the shape {array.shape}, not {wanted}{found}")
    return pixels


def _labels(kind: ImageSet, where: str, array: NDArray[Any]) -> NDArray[np.int64]:
    """(N,), if that is what it holds; (N, 1), as Keras saves CIFAR's, is taken for it."""
    last = kind.classes - 1
    if array.dtype.kind not in "iu":
        raise TaskError(f"{where} is {array.dtype}: wanted are integers from 0 to {last}")
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        raise TaskError(
            f"{where} has the shape {array.shape}, not (N,): one integer from 0 to {last} an image"
        )
    if not len(flat):
        raise TaskError(f"{where} is empty")
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high > last:
        raise TaskError(f"{where} goes from {low} to {high}: {kind.title}'s classes are 0 to {last}")
    return flat.astype(np.int64)
