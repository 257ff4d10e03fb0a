"""The journal: one JSON object a line, appended before the event it describes has an effect.

    {"type": "journal", "schema": 1, "created": "2026-01-01T12:00:00+00:00"}
    {"t": 0.41, "type": "worker", "slot": 0, "pid": 4711, "device": "cpu", "seconds": 0.4}
    {"t": 0.42, "type": "job", "slot": 0, "trial": 0, "start": 0, "until": 1, "attempt": 0, ...}
    {"t": 1.07, "type": "report", "trial": 0, "attempt": 0, "resource": 1, "value": 0.71, ...}

``t`` is seconds since the search began. A number that JSON does not have is written as the string
"nan", "inf" or "-inf". The last line may be torn (the process was killed while writing it); anything
else that does not parse is an error that names the line. Field by field: docs/reference/journal.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asha_core.errors import JournalError
from asha_core.messages import Event, Failed, Job, Lost, Refined, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from asha_core.space import Configuration

SCHEMA = 1
Record = dict[str, Any]

_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _plain(value: Any) -> Any:
    """``value`` with every non-finite number replaced by its name, in fresh containers."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def read_number(value: Any) -> float:
    """The inverse of how the journal writes numbers."""
    return _ODD[value] if isinstance(value, str) else float(value)


_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def to_json(value: Any) -> str:
    """Strict JSON on one line: no NaN, no Infinity."""
    try:
        return _encode(value)
    except (ValueError, TypeError):  # a non-finite number, or a mapping that is not a dict
        return _encode(_plain(value))


def job_record(job: Job, slot: int) -> Record:
    """A job as the journal keeps it; the configuration only where the trial begins."""
    record: Record = {
        "type": "job",
        "slot": slot,
        "trial": job.trial,
        "start": job.start,
        "until": job.until,
        "attempt": job.attempt,
    }
    if job.start == 0:
        record |= {"refine": job.refine, "configuration": dict(job.configuration)}
    return record


def event_record(event: ExecutorEvent) -> Record:
    """An event as the journal keeps it."""
    match event:
        case Report():
            record: Record = {
                "type": "report",
                "trial": event.trial,
                "attempt": event.attempt,
                "resource": event.resource,
                "value": event.value,
                "seconds": round(event.seconds, 6),
            }
            if event.metrics:
                record["metrics"] = dict(event.metrics)
            return record
        case Refined():
            return {
                "type": "refined",
                "trial": event.trial,
                "configuration": dict(event.configuration),
                "seconds": round(event.seconds, 6),
                "diagnostics": event.diagnostics,
            }
        case Rejected():
            return {
                "type": "rejected",
                "trial": event.trial,
                "reason": event.reason,
                "seconds": round(event.seconds, 6),
            }
        case Failed():
            return {
                "type": "failed",
                "trial": event.trial,
                "attempt": event.attempt,
                "kind": event.kind,
                "error": event.error,
            }
        case Lost():
            return {
                "type": "lost",
                "trial": event.trial,
                "attempt": event.attempt,
                "reason": event.reason,
            }
        case WorkerReady():
            return {
                "type": "worker",
                "slot": event.slot,
                "pid": event.pid,
                "device": event.device,
                "seconds": round(event.seconds, 3),
            }


def read_event(record: Record) -> Event | None:
    """The event of a record, for replay; None for records that are not events of a trial."""
    trial = record.get("trial", -1)
    match record["type"]:
        case "report":
            return Report(
                trial,
                record["attempt"],
                record["resource"],
                read_number(record["value"]),
                read_number(record["seconds"]),
                {name: read_number(value) for name, value in record.get("metrics", {}).items()},
            )
        case "refined":
            values = record["configuration"]
            configuration = Configuration(tuple(values), tuple(values.values()))
            return Refined(trial, configuration, read_number(record["seconds"]), record["diagnostics"])
        case "rejected":
            return Rejected(trial, record["reason"], read_number(record["seconds"]))
        case "failed":
            return Failed(trial, record["attempt"], record["error"], record["kind"])
        case "lost":
            return Lost(trial, record["attempt"], record["reason"])
    return None


class JournalWriter:
    """Appends records to a new file. The one writer of this file.

    Args:
        path: must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # a lone surrogate, which UTF-8 does not have, becomes a JSON escape
        self._file = open(  # noqa: SIM115 - closed by close()
            path, "x", encoding="utf-8", errors="backslashreplace"
        )
        header = {"type": "journal", "schema": SCHEMA, "created": datetime.now(UTC).isoformat()}
        self._file.write(to_json(header) + "\n")
        self._file.flush()

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Write records that happened at ``t`` and hand them to the operating system."""
        stamp = round(t, 6)
        for record in records:
            self._file.write(to_json({"t": stamp, **record}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NullJournal:
    """Keeps nothing; for searches that live in memory alone."""

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Forget the records."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class JournalContents:
    """A journal as read: its header, its records in order, and whether the last line was torn."""

    header: Record
    records: list[Record]
    torn: bool


def read_journal(path: Path) -> JournalContents:
    """Read a journal.

    Raises:
        JournalError: the file is not there or not a journal, has an unknown schema, or a line other
            than the last is damaged.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from None
    *lines, tail = text.split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        records.append(_parse(path, number, line))
    torn = False
    if tail:
        try:
            records.append(_parse(path, len(lines) + 1, tail))
        except JournalError:
            torn = True
    if not records or records[0].get("type") != "journal":
        raise JournalError(f"{path} is not a journal: its first line is not a journal header")
    schema = records[0].get("schema")
    if schema != SCHEMA:
        raise JournalError(
            f"{path} has schema {schema!r}: this version reads schema {SCHEMA}; "
            "use the version that wrote it, or a newer one"
        )
    return JournalContents(records[0], records[1:], torn)


def _parse(path: Path, number: int, line: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or "type" not in record:
        raise JournalError(f"{path}, line {number}, is damaged: {line[:80]!r}")
    return record
