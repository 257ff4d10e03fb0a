"""What the journal's lines hold: jobs and events as JSON objects, and back.

A number that JSON does not have is written as the string "nan", "inf" or "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from asha_core.messages import Event, Failed, Job, Lost, Refined, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, Notice, Retired, WorkerReady
from asha_core.space import Configuration

Record = dict[str, Any]

_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _storable(value: Any) -> Any:
    """``value`` with every non-finite number replaced by its name, in fresh containers."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def read_number(value: Any) -> float:
    """The inverse of how the journal writes numbers."""
    return _ODD[value] if isinstance(value, str) else float(value)


def _read_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: read_number(value) for name, value in values.items()}


_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def to_json(value: Any) -> str:
    """Strict JSON on one line: no NaN, no Infinity."""
    try:
        return _encode(value)
    except (ValueError, TypeError):  # a non-finite number, or a mapping that is not a dict
        return _encode(_storable(value))


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
    if job.alone:
        record["alone"] = True
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
            if event.costs:
                record["costs"] = dict(event.costs)
            return record
        case Refined():
            record = {
                "type": "refined",
                "trial": event.trial,
                "configuration": dict(event.configuration),
                "seconds": round(event.seconds, 6),
                "diagnostics": event.diagnostics,
            }
            if event.costs:
                record["costs"] = dict(event.costs)
            return record
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
                "kind": event.kind,
                "reason": event.reason,
            }
        case Notice():
            return {"type": "notice", "slot": event.slot, "trial": event.trial, "text": event.text}
        case Retired():
            return {"type": "retired", "slot": event.slot, "reason": event.reason}
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
                _read_numbers(record.get("metrics", {})),
                _read_numbers(record.get("costs", {})),
            )
        case "refined":
            values = record["configuration"]
            configuration = Configuration(tuple(values), tuple(values.values()))
            seconds, costs = read_number(record["seconds"]), _read_numbers(record.get("costs", {}))
            return Refined(trial, configuration, seconds, record["diagnostics"], costs)
        case "rejected":
            return Rejected(trial, record["reason"], read_number(record["seconds"]))
        case "failed":
            return Failed(trial, record["attempt"], record["error"], record["kind"])
        case "lost":
            return Lost(trial, record["attempt"], record["reason"], record.get("kind", "died"))
    return None
