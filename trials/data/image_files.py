"""The files of CIFAR-10, CIFAR-100 and Fashion-MNIST: found, checked, downloaded and read.

Two forms are read: the official files, where torchvision puts them, and a plain ``.npz``. The choice is made
once for both parts: the official files if all of them are there, else NAME.npz. Official files have published
checksums, and each is compared with its own before anything in it is used. An ``.npz`` has none: its shapes,
types and labels are checked instead.

``check`` is for the engine, once, before any worker starts. ``read`` verifies again, but only what it reads:
a worker may stand on another machine and see other files, and the MD5 of CIFAR-10's 155 MB of training
images takes a quarter of a second.

Importing this module loads neither torch nor torchvision; only a download does.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asha_core.errors import SettingError, TaskError, nearest
from trials.data import npz_images
from trials.data.image_sets import IMAGE_SETS, ImageSet

__all__ = ["IMAGE_SETS", "ImageSet", "Part", "check", "read"]

Part = Literal["train", "test"]
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


class _TornError(TaskError):
    """A compressed file ends early: most likely its download was cut off."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def check(name: str, data_dir: Path, *, download: bool) -> None:
    """Make sure that a data set is there and whole, downloading it first if it is absent and may be.

    Args:
        name: one of IMAGE_SETS.
        data_dir: the folder of its files, or the path of an ``.npz``.
        download: let torchvision fetch what is missing into ``data_dir``. A damaged file is never replaced.
    Raises:
        TaskError: a file is missing, damaged or unreadable, or cannot be downloaded. A download that fails
            leaves nothing behind.
        SettingError: no such data set.
    """
    kind = _kind(name)
    archive = _npz(kind, data_dir)
    if archive is not None:
        npz_images.check(kind, archive)
        return
    missing = _missing(kind, data_dir)
    lack = _are_missing(kind, missing)
    if not missing:
        try:
            for file in kind.files:
                _verified(kind, data_dir, file)
            return
        except _TornError as torn:
            if not download:
                raise
            lack = f"{torn.path} ends early"
    if not download:
        raise _absent(kind, data_dir, "and download=false", lack)
    _download(kind, data_dir, lack)
    for file in kind.files:
        _verified(kind, data_dir, file)


def read(name: str, data_dir: Path, part: Part) -> Images:
    """The images and labels of one part, in the official order, from files that were just verified.

    Args:
        name: one of IMAGE_SETS.
        data_dir: as for ``check``. Nothing is downloaded here.
        part: "train" or "test".
    Returns:
        (N, H, W, C) uint8, not necessarily contiguous, and (N,) int64 from 0 to classes - 1.
    Raises:
        TaskError: a file is missing or damaged, or an ``.npz`` holds something else.
        SettingError: no such data set or part.
    """
    kind = _kind(name)
    if part not in ("train", "test"):
        raise SettingError(f"{kind.title} has no part {part!r}{nearest(part, ('train', 'test'))}")
    archive = _npz(kind, data_dir)
    if archive is not None:
        return npz_images.read(kind, archive, part)
    missing = _missing(kind, data_dir)
    if missing:
        raise _absent(kind, data_dir, "any more, or not on this machine", _are_missing(kind, missing))
    contents = (_verified(kind, data_dir, file) for file in (kind.train if part == "train" else kind.test))
    return _from_idx(kind, contents) if kind.loose else _from_pickles(kind, contents)


def _from_idx(kind: ImageSet, contents: Iterable[bytes]) -> Images:
    """From idx files of images and labels: 4 bytes, 4 more for each dimension, then the values."""
    pixels, labels = (np.frombuffer(content, np.uint8) for content in contents)
    shape = (-1, kind.size, kind.size, kind.channels)
    return pixels[16:].reshape(shape).copy(), labels[8:].astype(np.int64)  # copied, to be writable


def _from_pickles(kind: ImageSet, contents: Iterable[bytes]) -> Images:
    """From CIFAR's batches. A pickle can run any code: pass only what has the published MD5."""
    batches: list[dict[str, Any]] = [pickle.loads(content, encoding="latin1") for content in contents]
    key = "labels" if "labels" in batches[0] else "fine_labels"
    pixels = np.concatenate([batch["data"] for batch in batches])
    labels = np.concatenate([batch[key] for batch in batches]).astype(np.int64)
    # stored with the channels first; as a view, so that putting them first again costs nothing
    return pixels.reshape(-1, kind.channels, kind.size, kind.size).transpose(0, 2, 3, 1), labels


def _kind(name: str) -> ImageSet:
    if name not in IMAGE_SETS:
        raise SettingError(f"unknown image data set {name!r}{nearest(name, IMAGE_SETS)}")
    return IMAGE_SETS[name]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a folder that may not be looked into
        raise TaskError(f"{path} cannot be looked for: {error.strerror}") from error


def _npz(kind: ImageSet, data_dir: Path) -> Path | None:
    """The ``.npz`` that is to be read; None: the official files are."""
    if data_dir.suffix == ".npz" and not data_dir.is_dir():
        return data_dir
    beside = data_dir / f"{kind.name}.npz"
    return beside if _is_file(beside) and _missing(kind, data_dir) else None


def _find(kind: ImageSet, data_dir: Path, file: str) -> Path | None:
    """Where an official file lies."""
    places = [data_dir / kind.folder / file]
    if kind.loose:
        places = [folder / f"{file}{end}" for folder in (places[0].parent, data_dir) for end in ("", ".gz")]
    return next((place for place in places if _is_file(place)), None)


def _missing(kind: ImageSet, data_dir: Path) -> list[str]:
    return [file for file in kind.files if _find(kind, data_dir, file) is None]


def _are_missing(kind: ImageSet, files: list[str]) -> str:
    if len(files) == 1:
        return f"{kind.folder}/{files[0]} is missing"
    return f"{kind.folder}/{files[0]} and {len(files) - 1} more are missing" if files else ""


def _absent(kind: ImageSet, data_dir: Path, why: str, lack: str) -> TaskError:
    """The error that says what is missing, where to put it, and where to get it."""
    if kind.loose:
        files = ", ".join(f"{file}.gz" for file in kind.files)
        put = f"put {files} (gzipped or not, from {kind.url}) into {data_dir} or {data_dir / kind.folder}"
    else:
        put = f"put the folder {kind.folder} (from {kind.url}) into {data_dir}"
    name = "or name its parent, or an .npz, with --data-dir"
    return TaskError(f"{kind.title} is not in {data_dir} {why}: {lack}; {put}, {name}")


def _verified(kind: ImageSet, data_dir: Path, file: str) -> bytes:
    """The uncompressed content of an official file, after its MD5 was found to be the published one."""
    path = _find(kind, data_dir, file)
    if path is None:
        raise _absent(kind, data_dir, "any more", _are_missing(kind, [file]))
    wanted = kind.files[file]
    source = f"{kind.url}{file}.gz" if kind.loose else kind.url
    cure = f"remove it and put the official one there (from {source}); with download=true, removing is enough"
    packed = path.suffix == ".gz"
    try:
        content = path.read_bytes()
        if packed:
            content = _unpacked(content)
    except EOFError:
        raise _TornError(path, f"{kind.title}: {path} is damaged: it ends early; {cure}") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise TaskError(
            f"{kind.title}: {path} is damaged: it cannot be decompressed ({error}), so that the MD5 of its "
            f"content is not {wanted}; {cure}"
        ) from None
    except OSError as error:
        raise TaskError(f"{kind.title}: {path} cannot be read: {error.strerror}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != wanted:
        what = "the MD5 of its uncompressed content" if packed else "its MD5"
        raise TaskError(f"{kind.title}: {path} is damaged: {what} is {found}, not {wanted}; {cure}")
    return content


def _unpacked(content: bytes) -> bytes:
    """What was gzipped.

    Raises:
        EOFError: it ends early; an empty file does, too, but gzip takes it for an empty content.
    """
    if not content:
        raise EOFError
    return gzip.decompress(content)


def _obstacle(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which may have to be made first; None: it can."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is a file, not a folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"there is no permission to write into {place}"
    return None


def _download(kind: ImageSet, data_dir: Path, lack: str) -> None:
    """Let torchvision fetch and unpack the official files.

    Raises:
        TaskError: it cannot; whatever the attempt created is gone again.
    """
    for folder in (data_dir, data_dir / kind.folder):
        obstacle = _obstacle(folder)
        if obstacle:
            raise _absent(kind, data_dir, f"and cannot be downloaded ({obstacle})", lack)
    parents = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    before = _below(kind, data_dir)
    try:
        from torchvision import datasets

        getattr(datasets, kind.loader)(str(data_dir), download=True)
    except (
        BaseException
    ) as error:  # no network, no room, a bad checksum; or an interrupt, which tidies up too
        for path in sorted(_below(kind, data_dir) - before, reverse=True):  # what is in a folder before it
            _remove(path)
        for folder in parents:
            _remove(folder)
        if not isinstance(error, Exception):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _absent(kind, data_dir, f"and cannot be downloaded ({reason})", lack) from error


def _below(kind: ImageSet, data_dir: Path) -> set[Path]:
    """What is there of all that a download of this data set creates in ``data_dir``."""
    top = data_dir / kind.folder.partition("/")[0]
    archive = data_dir / kind.url.rpartition("/")[2]  # for loose files: data_dir itself, which stays
    return {path for path in (archive, top, *top.rglob("*")) if path.exists() and path != data_dir}


def _remove(path: Path) -> None:
    """Remove a file, or a folder if it is empty."""
    with suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()
