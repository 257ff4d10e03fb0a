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
import pickle
import stat
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import one_of
from asha_core.errors import TaskError
from trials.data import npz_images
from trials.data.image_downloads import DownloadError, fetch
from trials.data.image_sets import IMAGE_SETS, ImageSet

__all__ = ["IMAGE_SETS", "ImageSet", "Part", "check", "read"]

Part = Literal["train", "test"]
Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


class _TornError(TaskError):
    """A compressed file ends early: most likely its download was cut off."""

    def __init__(self, file: str, path: Path, message: str) -> None:
        super().__init__(message)
        self.file = file
        self.path = path


def check(name: str, data_dir: Path, *, download: bool) -> None:
    """Make sure that a data set is there and whole, downloading it first if it is absent and may be.

    Args:
        name: one of IMAGE_SETS.
        data_dir: the folder that holds ImageSet.folder, or that folder itself; or the path of an ``.npz``.
        download: let torchvision fetch what is missing into ``data_dir``. A damaged file is never replaced.
    Raises:
        TaskError: a file is missing, damaged or unreadable, or cannot be downloaded. A download that fails
            leaves nothing behind.
        SettingError: no such data set.
    """
    kind = _kind(name)
    home, archive = _located(kind, data_dir)
    if archive is not None:
        npz_images.check(kind, archive)
        return
    missing = _missing(kind, home)
    lack = _are_missing(kind, missing)
    if not missing:
        try:
            for file in kind.files:
                _verified(kind, home, file)
            return
        except _TornError as torn:
            if not download:
                raise
            missing, lack = [torn.file], f"{torn.path} ends early"
    if not download:
        raise _absent(kind, home, "and download=false", missing, lack)
    try:
        fetch(kind, home)
    except DownloadError as error:
        raise _absent(kind, home, f"and cannot be downloaded ({error})", missing, lack) from error
    for file in kind.files:
        _verified(kind, home, file)


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
    one_of(f"part of {kind.title}", part, ("train", "test"))
    home, archive = _located(kind, data_dir)
    if archive is not None:
        return npz_images.read(kind, archive, part)
    missing = _missing(kind, home)
    if missing:
        raise _absent(kind, home, "any more, or not on this machine", missing)
    contents = (_verified(kind, home, file) for file in (kind.train if part == "train" else kind.test))
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
    return IMAGE_SETS[one_of("image data set", name, IMAGE_SETS)]


def _mode(path: Path) -> int:
    """Type and permissions of what stands there, as ``st_mode``; 0: nothing.

    Raises:
        TaskError: a folder on the way may not be looked into, or no file can have that name.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except PermissionError as error:
        folder = _closed(path)
        raise TaskError(
            f"{folder} cannot be looked into ({error.strerror}): allow it (chmod u+rx {folder}), or name "
            "another folder, with --data-dir"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise TaskError(
            f"{str(path)!r} cannot be looked for: {reason}; name another with --data-dir"
        ) from error


def _closed(path: Path) -> Path:
    """The folder that keeps us from ``path``: the nearest above it of which anything can be learnt."""
    for folder in path.parents:
        try:
            folder.stat()
        except OSError:
            continue
        return folder
    return path.parent


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _located(kind: ImageSet, data_dir: Path) -> tuple[Path, Path | None]:
    """The folder of the official files, and the ``.npz`` that is to be read instead; None: they are."""
    mode = _mode(data_dir)
    if not stat.S_ISDIR(mode):
        if data_dir.suffix == ".npz":
            return data_dir.parent, data_dir
        packed = data_dir.name.endswith(_ARCHIVES)
        if mode or packed:
            what = "an archive: unpack it and" if packed else "a file:"
            raise TaskError(
                f"{kind.title}: {data_dir} is {what} name the folder that holds {kind.content}, or an .npz, "
                "with --data-dir"
            )
    home = _home(kind, data_dir)
    beside = data_dir / f"{kind.name}.npz"
    return home, beside if _is_file(beside) and _missing(kind, home) else None


def _home(kind: ImageSet, data_dir: Path) -> Path:
    """The folder that holds ``kind.folder``, of which the user may have named the inner one."""
    inner, whole = Path(kind.folder).parts, data_dir.absolute()
    if whole.parts[-len(inner) :] != inner or _mode(data_dir / kind.folder):
        return data_dir
    return whole.parents[len(inner) - 1]


def _find(kind: ImageSet, home: Path, file: str) -> Path | None:
    """Where an official file lies."""
    places = [home / kind.folder / file]
    if kind.loose:
        places = [folder / f"{file}{end}" for folder in (places[0].parent, home) for end in ("", ".gz")]
    return next((place for place in places if _is_file(place)), None)


def _missing(kind: ImageSet, home: Path) -> list[str]:
    return [file for file in kind.files if _find(kind, home, file) is None]


def _are_missing(kind: ImageSet, files: Sequence[str]) -> str:
    if len(files) == 1:
        md5 = "" if kind.loose else f" (MD5 {kind.files[files[0]]})"  # ``_absent`` gives that of loose files
        return f"{kind.folder}/{files[0]} is missing{md5}"
    return f"{kind.folder}/{files[0]} and {len(files) - 1} more are missing" if files else ""


def _absent(kind: ImageSet, home: Path, why: str, missing: Sequence[str], lack: str = "") -> TaskError:
    """The error that says what is missing, where to put it, and where to get it.

    Args:
        why: it is not there.
        missing: names of the official files to be put there.
        lack: what is the matter with them, if not that they are missing.
    """
    lack = lack or _are_missing(kind, missing)
    if kind.loose:
        files = ", ".join(f"{file}.gz (MD5 {kind.files[file]})" for file in missing)
        source = f"from {kind.url}, gzipped or not: the MD5 is of the content"
        put = f"put {files} into {home} or {home / kind.folder} ({source})"
    else:
        put = f"put the folder {kind.folder} (from {kind.url}, MD5 {kind.md5}) into {home}"
    name = "or name its parent, or an .npz, with --data-dir"
    return TaskError(f"{kind.title} is not in {home} {why}: {lack}; {put}, {name}")


def _verified(kind: ImageSet, home: Path, file: str) -> bytes:
    """The uncompressed content of an official file, after its MD5 was found to be the published one."""
    path = _find(kind, home, file)
    if path is None:
        raise _absent(kind, home, "any more", [file])
    wanted = kind.files[file]
    source = f"{kind.url}{file}.gz" if kind.loose else kind.url
    cure = f"remove it and put the official one there (from {source}); with download=true, removing is enough"
    packed = path.suffix == ".gz"
    try:
        content = path.read_bytes()
        if packed:
            content = _unpacked(content)
    except EOFError:
        raise _TornError(
            file,
            path,
            f"{kind.title}: {path} is damaged: it ends early, so that the MD5 of its content is not "
            f"{wanted}; {cure}",
        ) from None
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
