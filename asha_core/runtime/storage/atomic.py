"""Files that are written whole or not at all, also if the machine stops."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def whole(path: Path, mode: str = "xb", **options: Any) -> Iterator[IO[Any]]:
    """A file to write that becomes ``path`` in the end: temporary file, fsync, rename, fsync of the folder.

    On an error, such as a full disk, what lay there before still does, and nothing else is left.
    """
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)  # then made anew: what a link there points to is not written
    try:
        with open(temporary, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make new names last through a power cut, where the system lets a directory be synced."""
    with contextlib.suppress(OSError):  # the files are written: some network file systems refuse this
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
