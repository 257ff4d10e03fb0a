"""The journal: one JSON object a line, appended before the event it describes has an effect.

    {"type": "journal", "schema": 2, "created": "2026-01-01T12:00:00+00:00", "crc": "9ae0cf11"}
    {"t": 0.41, "type": "worker", "slot": 0, "pid": 4711, "device": "cpu", "seconds": 0.4, "crc": ...}
    {"t": 0.42, "type": "job", "slot": 0, "trial": 0, "start": 0, "until": 1, "attempt": 0, ...}
    {"t": 1.07, "type": "report", "trial": 0, "attempt": 0, "resource": 1, "value": 0.71, ...}

``t`` is seconds since the search began. ``crc`` is the CRC-32 of the line before it, begun with the
``crc`` of the line above, so that a changed, missing or moved line shows. A last line without its end (the
process was killed while writing it) is torn and passed over; any other damage is an error that names the
line. Schema 1, of the first versions, has no ``crc``. Field by field: docs/reference/journal.md.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from asha_core.errors import JournalError
from asha_core.runtime.storage.atomic import sync_directory
from asha_core.runtime.storage.records import Record, to_json

SCHEMA = 2
_READABLE = (1, 2)
_MARK, _END = b', "crc": "', b'"}'
_TAIL = len(_MARK) + 8 + len(_END)
_SYNC_SECONDS = 0.25
_BLOCK = 1 << 20  # bytes of a virtual search that are handed on at once
_decode = json.JSONDecoder().decode  # json.loads of bytes first looks for their encoding, every time


class DiskFull(Exception):
    """The file system has no room for a record; the journal is as it was before."""


class JournalGone(JournalError):
    """The file is not where it was: its directory was deleted, moved or replaced while it was written."""


@dataclass(frozen=True, slots=True)
class JournalContents:
    """A journal as read."""

    header: Record
    records: list[Record]  # in order
    torn: bool  # the last line was
    size: int  # bytes up to the end of the last whole record
    crc: int  # that record's
    ended: bool = True  # its line has its end


class Journal(Protocol):
    """Where records go."""

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Keep records that happened at ``t``."""
        ...

    def close(self) -> None:
        """No more records."""
        ...


class JournalWriter:
    """Appends records to a file. The one writer of this file.

    A record is with the operating system when ``append`` returns, so it outlives this process. That it
    outlives the machine is seen to four times a second, by a thread that does not hold up the search.

    Args:
        path: must not exist yet; to go on with one that does, pass what ``read_journal`` found there as
            ``past``: a torn last line is cut off.
        sync: whether to wait for the disk at all.
        virtual: of a search in virtual time, whose records have no effect outside: they are handed on many at
            a time, their times are not rounded, and nothing tells when they were written, so that the same
            search writes the same bytes. One that is killed leaves the journal of a shorter search.
    """

    def __init__(
        self,
        path: Path,
        past: JournalContents | None = None,
        *,
        sync: bool = True,
        virtual: bool = False,
    ) -> None:
        self._path = path
        self._virtual = virtual
        self._held: list[tuple[bytes, int]] = []  # lines not handed on yet; the last one's checksum
        self._held_bytes = 0
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if past is None else 0)
        self._file = os.open(path, flags, 0o644)
        self._place = path.absolute()  # wherever this process may go
        self._identity = _identity(os.fstat(self._file))
        self._end = (0, 0)  # bytes, and the last record's checksum; in one, so that Ctrl-C cannot part them
        self._clean = True  # nothing lies beyond that end
        self._error_raised = False  # what the disk said to earlier records
        self._checksums = past is None or past.header["schema"] > 1
        self._syncer = _Syncer(self._file) if sync and not virtual else None
        try:
            if past is None:
                about = {"virtual": True} if virtual else {"created": datetime.now(UTC).isoformat()}
                self._put(*self._lines([{"type": "journal", "schema": SCHEMA, **about}], "{"))
                sync_directory(path.parent)
            else:
                self._append_to(past)
        except BaseException:
            self.close()
            raise

    def _append_to(self, past: JournalContents) -> None:
        self._end = past.size, past.crc
        os.ftruncate(self._file, past.size)
        if not past.ended:
            self._put(b"\n", past.crc)

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Write records that happened at ``t`` and hand them to the operating system.

        Raises:
            DiskFull: there is no room; nothing was written.
            JournalGone: the file is not there any more; nothing was written.
            JournalError: the disk does not take it.
        """
        stamp = t if self._virtual else round(t, 6)
        data, crc = self._lines(records, f'{{"t": {stamp!r}, ')
        if not self._virtual:
            self._put(data, crc)
            return
        self._held.append((data, crc))
        self._held_bytes += len(data)
        if self._held_bytes >= _BLOCK:
            self._hand_on()

    def _lines(self, records: Iterable[Record], beginning: str) -> tuple[bytes, int]:
        """The lines of records, ``beginning`` before the fields of each; and the checksum of the last one."""
        crc, parts = self._held[-1][1] if self._held else self._end[1], []
        for record in records:
            # a lone surrogate, which UTF-8 does not have, becomes a JSON escape
            text = (beginning + to_json(record)[1:]).encode("utf-8", errors="backslashreplace")
            if self._checksums:
                crc = zlib.crc32(text[:-1], crc)
                text = b"%s%s%08x%s" % (text[:-1], _MARK, crc, _END)
            parts.append(text + b"\n")
        return b"".join(parts), crc

    def _hand_on(self) -> None:
        """Give the operating system what is held."""
        crc = self._held[-1][1]
        if crc != self._end[1]:  # else it has it: Ctrl-C came in between
            self._put(b"".join(data for data, _ in self._held), crc)
        self._held, self._held_bytes = [], 0

    def _put(self, data: bytes, crc: int) -> None:
        """Write ``data`` at the end, whole or not at all; its last record has the checksum ``crc``."""
        self._check_place()
        self._check_disk()
        size, done = self._end[0], 0
        try:
            if not self._clean:
                os.ftruncate(self._file, size)
            self._clean = False
            while done < len(data):
                done += os.pwrite(self._file, data[done:], size + done)
        except OSError as error:
            os.ftruncate(self._file, size)
            self._clean = True
            if is_full(error) and not self._virtual:
                raise DiskFull(f"no room on the disk of {self._path}") from None
            self._error_raised = self._virtual  # what is held does not come again
            raise JournalError(f"{self._path} cannot be written: {error.strerror}") from error
        self._end = size + done, crc
        self._clean = True
        if self._syncer is not None:
            self._syncer.note()

    def _check_place(self) -> None:
        """Raise if the file is not there any more: nobody would find what is written."""
        try:
            there = self._place.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:  # a file system that does not answer now may do so later
            return
        else:
            if _identity(there) == self._identity:
                return
        self._error_raised = True
        directory = self._path.parent
        if os.fstat(self._file).st_nlink == 0:
            raise JournalGone(
                f"results directory {directory}, or the journal in it, was deleted while the search ran: the "
                "search has stopped"
            )
        raise JournalGone(
            f"results directory {directory}, or the journal in it, was moved away while the search ran: the "
            "search has stopped, and can be resumed from where it is now"
        )

    def _check_disk(self) -> None:
        """Raise what the disk said to earlier records: they may be gone, so this is not to be waited out."""
        error = None if self._syncer is None else self._syncer.error
        if error is not None:
            self._error_raised = True
            raise JournalError(f"{self._path} cannot be written: {error.strerror}")

    def close(self) -> None:
        """Wait for the disk, and close the file.

        Raises:
            JournalError: the disk did not take what was written last, or the file is gone.
        """
        if self._file < 0:
            return
        if self._syncer is not None:
            self._syncer.close()
        try:
            if self._held and not self._error_raised:
                self._hand_on()
            if not self._error_raised:
                self._check_place()
        finally:
            os.close(self._file)
            self._file = -1
        if not self._error_raised:
            self._check_disk()


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


class _Syncer:
    """Calls fsync from a thread of its own, at most every quarter of a second."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._dirty, self._over = threading.Event(), threading.Event()
        self.error: OSError | None = None  # what the disk said
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Something was written."""
        if not self._dirty.is_set():
            self._dirty.set()

    def close(self) -> None:
        self._over.set()
        self._dirty.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._dirty.wait()
            over = self._over.is_set()
            self._dirty.clear()
            try:
                os.fsync(self._file)
            except OSError as error:
                self.error = error
            if over:
                return
            self._over.wait(_SYNC_SECONDS)


def is_full(error: OSError) -> bool:
    """Whether ``error`` says that there is no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class NullJournal:
    """Keeps nothing; for searches that live in memory alone."""

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Forget the records."""

    def close(self) -> None:
        """Nothing to close."""


def read_journal(path: Path) -> JournalContents:
    """Read a journal.

    Raises:
        JournalError: the file is not there or not a journal, has an unknown schema, or a line other
            than the last is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from None
    return parse_journal(path, data)


def read_resumptions(path: Path) -> list[Record]:
    """The records with which sessions began that resumed the search; the others are passed over unread."""
    try:
        lines = [line for line in path.read_bytes().split(b"\n") if b'"type": "resume"' in line]
    except OSError:  # whoever reads the whole journal is told
        return []
    records = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            records.append(_decode(str(line, "utf-8", "surrogatepass")))
    return [record for record in records if isinstance(record, dict) and record.get("type") == "resume"]


def parse_journal(path: Path, data: bytes) -> JournalContents:
    """``read_journal`` of a file that holds ``data``."""
    *lines, tail = data.split(b"\n")
    reader = _Reader(path)
    for line in lines:
        reader.add(line)
    size, torn, ended = len(data) - len(tail), False, True
    if tail:
        try:
            reader.add(tail)
        except JournalError:
            torn = True
        else:  # all but its end was written
            size, ended = len(data), False
    if not reader.records:
        raise JournalError(f"{path} is not a journal: its first line is not a journal header")
    return JournalContents(reader.records[0], reader.records[1:], torn, size, reader.crc, ended)


class _Reader:
    """Checks and parses one line after the other."""

    def __init__(self, path: Path) -> None:
        self.records: list[Record] = []
        self.crc = 0
        self._path = path
        self._checked = False  # whether lines carry a checksum; the header says

    def add(self, line: bytes) -> None:
        record = self._parse(line)
        if not self.records:
            self._read_header(record)
        if self._checked:
            crc = zlib.crc32(line[:-_TAIL], self.crc)
            if line[-_TAIL : -_TAIL + len(_MARK)] != _MARK or record.pop("crc") != f"{crc:08x}":
                raise self._damaged(line, "its checksum is wrong, or a line before it is missing")
            self.crc = crc
        self.records.append(record)

    def _read_header(self, header: Record) -> None:
        if header["type"] != "journal":
            raise JournalError(f"{self._path} is not a journal: its first line is not a journal header")
        schema = header.get("schema")
        if type(schema) is not int or schema not in _READABLE:
            raise JournalError(
                f"{self._path} has schema {schema!r}: this version reads schemas 1 and 2; "
                "use the version that wrote it, or a newer one"
            )
        if schema == 1 and "crc" in header:  # a flipped bit would switch all checksums off
            raise JournalError(f"{self._path}, line 1, is damaged: schema 1 has no checksums, and it has one")
        self._checked = schema > 1

    def _parse(self, line: bytes) -> Record:
        try:
            record = _decode(str(line, "utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or "type" not in record:
            raise self._damaged(line, "it is not a record")
        for name in ("trial", "slot"):  # they name files
            number = record.get(name)
            if number is not None and (type(number) is not int or number < 0):
                raise self._damaged(line, f"its {name} is not a number")
        return record

    def _damaged(self, line: bytes, why: str) -> JournalError:
        start = line[:80].decode("utf-8", errors="replace")
        return JournalError(f"{self._path}, line {len(self.records) + 1}, is damaged ({why}): {start!r}")
