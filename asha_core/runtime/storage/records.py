"""What the journal's lines hold: jobs and events as JSON objects, and back.

A number that JSON does not have is written as the string "nan", "inf" or "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

from asha_core.arguments import plain
from asha_core.messages import Event, Failed, Finished, Job, Lost, Refined, Rejected, Report, Retried
from asha_core.runtime.executor import ExecutorEvent, Notice, Retired, WorkerReady
from asha_core.space import Configuration, stored

Record = dict[str, Any]

_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _storable(value: Any) -> Any:
    """``value`` with every non-finite number replaced by its name, and plain ones for numpy's."""
    value = plain(value)
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


def _encoder() -> Callable[[Any], str]:
    """Strict JSON on one line. ``json`` makes its encoder in C anew for each value; here it is made once."""
    plain_one = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain_one.encode
    encoder = make(
        None,
        plain_one.default,
        json.encoder.encode_basestring,
        None,
        plain_one.key_separator,
        plain_one.item_separator,
        False,
        False,
        False,
    )
    return lambda value: "".join(encoder(value, 0))


_encode = _encoder()


def to_json(value: Any) -> str:
    """Strict JSON on one line: no NaN, no Infinity."""
    try:
        return _encode(value)
    except (ValueError, TypeError):  # a non-finite number, or a mapping that is not a dict
        return _encode(_storable(value))


def json_values(value: Any) -> Any:
    """A value as it is read again from ``to_json``, such as lists for tuples."""
    return json.loads(to_json(value))


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
        record |= {"refine": job.refine, "configuration": stored(job.configuration)}
    elif job.refine:
        record["refine"] = True
    if job.alone:
        record["alone"] = True
    return record


_EVENTS = {  # class: the record's type, and its fields in order
    Report: ("report", ("trial", "attempt", "resource", "value", "seconds")),
    Finished: ("finished", ("trial", "attempt", "resource")),
    Refined: ("refined", ("trial", "configuration", "seconds", "diagnostics")),
    Rejected: ("rejected", ("trial", "reason", "seconds")),
    Failed: ("failed", ("trial", "attempt", "kind", "error")),
    Lost: ("lost", ("trial", "attempt", "kind", "reason")),
    Retried: ("retried", ("trial",)),
    Notice: ("notice", ("slot", "trial", "text")),
    Retired: ("retired", ("slot", "reason")),
    WorkerReady: ("worker", ("slot", "pid", "device", "seconds")),
}
_OF_TRIALS: dict[str, type[Event]] = {_EVENTS[kind][0]: kind for kind in get_args(Event)}


def event_record(event: ExecutorEvent) -> Record:
    """An event as the journal keeps it."""
    if type(event) is Report and not (event.metrics or event.costs) and event.unread is None:
        return {  # of which there are very many
            "type": "report",
            "trial": event.trial,
            "attempt": event.attempt,
            "resource": event.resource,
            "value": event.value,
            "seconds": round(event.seconds, 6),
        }
    kind, names = _EVENTS[type(event)]
    record: Record = {"type": kind}
    for name in names:
        record[name] = getattr(event, name)
    if "seconds" in record:
        record["seconds"] = round(record["seconds"], 3 if kind == "worker" else 6)
    if isinstance(event, Refined):
        record["configuration"] = stored(event.configuration)
        if event.resource:
            record["resource"] = event.resource
    if isinstance(event, Report) and event.metrics:
        record["metrics"] = dict(event.metrics)
    if isinstance(event, Report | Refined) and event.costs:
        record["costs"] = dict(event.costs)
    if isinstance(event, Report) and event.unread is not None:
        record["unread"] = list(event.unread)
    return record


def read_event(record: Record) -> Event | None:
    """The event of a record, for replay; None for records that are not events of a trial."""
    kind = _OF_TRIALS.get(record["type"])
    if kind is None:
        return None
    if kind is Lost and "kind" not in record:  # of versions in which only workers were lost
        record = {**record, "kind": "died"}
    fields = {name: record[name] for name in _EVENTS[kind][1]}
    for name in ("value", "seconds"):
        if name in fields:
            fields[name] = read_number(fields[name])
    for name in ("metrics", "costs"):
        if name in record:
            fields[name] = _read_numbers(record[name])
    if "unread" in record:
        fields["unread"] = tuple(record["unread"])
    if kind is Refined:
        values = record["configuration"]
        fields["configuration"] = Configuration(tuple(values), tuple(values.values()))
        fields["resource"] = record.get("resource", 0)
    return kind(**fields)
