"""An append-only file of frames: a line of JSON, and bytes with a checksum; a torn end is found and cut off.

    {"format": "...", "schema": 1}
    {"bytes": 4711, "crc32": 305419896, ...}
    4711 bytes, and a line feed
    ...

What was appended stands, whatever happens to who appends next: the whole frames before a torn one are read.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from asha_core.errors import ResultsError

_SCHEMA = 1


def read_frames(path: Path, kind: str) -> Iterator[tuple[dict[str, Any], bytes, int]]:
    """Each whole frame: its line, its bytes, and where it ends; none if there is no file.

    Args:
        kind: what the file holds, as its first line says.
    Raises:
        ResultsError: it cannot be read, holds something else, or was written by another version.
    """
    try:
        with path.open("rb") as file:
            if not _is_headed(file, path, kind):
                return
            while (frame := _next(file)) is not None:
                yield *frame, file.tell()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from None


def _is_headed(file: BinaryIO, path: Path, kind: str) -> bool:
    """Whether it begins with its own line; False: that was never written whole."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return False
    found = _object(line)
    if found is None or found.get("format") != kind:
        raise ResultsError(f"{path} is damaged, or no file of {kind}: its first line does not say that it is")
    if found.get("schema") != _SCHEMA:
        raise ResultsError(f"{path} has schema {found.get('schema')!r}: this version reads {_SCHEMA}")
    return True


def _next(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next whole frame; None: there is none, or it is torn."""
    told = _object(file.readline())
    if told is None:
        return None
    content = file.read(told["bytes"])
    whole = len(content) == told["bytes"] and file.read(1) == b"\n"
    return (told, content) if whole and zlib.crc32(content) == told["crc32"] else None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class FrameWriter:
    """Appends frames, each synced before the next.

    Args:
        path: the file; made if it is not there.
        kind: what it holds.
        end: where its last whole frame ends, as ``read_frames`` says; what lies behind is cut off. 0: all.
    """

    def __init__(self, path: Path, kind: str, end: int) -> None:
        self._file = open(path, "r+b" if path.exists() else "x+b")  # noqa: SIM115 - closed by ``close``
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._file.write(json.dumps({"format": kind, "schema": _SCHEMA}).encode() + b"\n")

    def append(self, content: bytes, **told: Any) -> None:
        """One more frame.

        Args:
            told: further entries of its line, as JSON has them.
        """
        line = json.dumps({"bytes": len(content), "crc32": zlib.crc32(content), **told})
        self._file.write(line.encode() + b"\n" + content + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more of them."""
        self._file.close()
