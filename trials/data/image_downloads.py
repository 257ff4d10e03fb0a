"""Downloads of image data sets by torchvision: said before they begin, and gone again if they fail.

Importing this module loads neither torch nor torchvision; only a download does.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from asha_core.runtime.terminal.streams import say
from trials.data.image_sets import ImageSet


class DownloadError(Exception):
    """A download failed, or cannot be begun; its text says why, on one line."""


def fetch(kind: ImageSet, folder: Path) -> None:
    """Let torchvision fetch and unpack the official files; a line on standard error says so first.

    Args:
        folder: the data directory, which is made if need be.
    Raises:
        DownloadError: it cannot; whatever the attempt created is gone again.
    """
    for place in (folder, folder / kind.folder):
        obstacle = _obstacle(place)
        if obstacle:
            raise DownloadError(obstacle)
    parents = [place for place in (folder, *folder.parents) if not place.exists()]
    before = _below(kind, folder)
    try:
        say(_announcement(kind, folder))
        from torchvision import datasets

        getattr(datasets, kind.loader)(str(folder), download=True)
    except BaseException as error:  # no network, a bad checksum; or an interrupt, which tidies up too
        for path in sorted(_below(kind, folder) - before, reverse=True):  # what is in a folder before it
            _remove(path)
        for place in parents:
            _remove(place)
        if not isinstance(error, Exception):
            raise
        raise DownloadError(_reason(error)) from error


def _announcement(kind: ImageSet, folder: Path) -> str:
    """What is about to happen: torchvision downloads no archive that is there and whole."""
    archive = _archive(kind, folder)
    if kind.md5 and archive.is_file():
        with archive.open("rb") as stream:
            if hashlib.file_digest(stream, "md5").hexdigest() == kind.md5:
                return f"unpacking {archive}"
    return f"downloading {kind.title} ({kind.megabytes} MB) to {folder}, from {kind.url}"


def _reason(error: Exception) -> str:
    """Why a download failed, in words; a URLError, which torchvision may quote, would read as a tag."""
    said = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"<urlopen error (?:\[Errno -?\d+\] )?(.*?)>", r"no connection: \1", said)


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


def _archive(kind: ImageSet, folder: Path) -> Path:
    """Where a download puts the archive; for loose files: ``folder`` itself."""
    return folder / kind.url.rpartition("/")[2]


def _below(kind: ImageSet, folder: Path) -> set[Path]:
    """What is there of all that a download of this data set creates in ``folder``, which stays."""
    top = folder / kind.folder.partition("/")[0]
    return {
        path for path in (_archive(kind, folder), top, *top.rglob("*")) if path.exists() and path != folder
    }


def _remove(path: Path) -> None:
    """Remove a file, or a folder if it is empty."""
    with suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()
