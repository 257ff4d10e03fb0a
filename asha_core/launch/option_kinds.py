"""What an option of ``asha-run`` may be given: how it is read, and what an error says it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asha_core.arguments import integer, number
from asha_core.runtime.early_end import Patience
from asha_core.runtime.units import parse_bytes, parse_duration
from warmstart.registry import absolute_strategy


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value."""

    read: Callable[[Any], Any]  # raises ValueError, TypeError or SettingError for what it does not take
    must_be: str  # for an error


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _at_least(least: int) -> Kind:
    def read(value: Any) -> int:
        return integer("value", _integer(value), least)

    return Kind(read, f"an integer of at least {least}")


def _time(value: Any) -> str:
    """A time as text, as it is kept in the manifest."""
    text = _text(value)
    parse_duration(text)
    return text


def _number(value: Any) -> float:
    return number("value", float(value) if isinstance(value, str) else value)


def _positive(value: Any) -> float:
    return number("value", _number(value), above=0)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):  # gpus: [0, 1] in YAML
        return ",".join(map(str, value))
    if value is None or isinstance(value, dict):
        raise ValueError
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _patience(value: Any) -> str | int:
    """A number of results, or a time as text, as it is kept in the manifest."""
    results = Patience.read(value).results
    return _text(value) if results is None else results


def _decisions(value: Any) -> str | float:
    """What decisions cost."""
    return str(value) if value in ("none", "measured") else number("value", _number(value), least=0.0)


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What also takes "none": of a search that goes on, the option as if it had never been given."""
    return lambda value: None if value == "none" else read(value)


def _reference(value: Any) -> str:
    """A name, or where something is, found from every folder."""
    return absolute_strategy(_text(value))


def _references(value: Any) -> list[str]:
    """Names; "none" is none at all."""
    found = [_reference(each) for each in (value if isinstance(value, list | tuple) else [value])]
    return [] if found == ["none"] else list(dict.fromkeys(found))


FLAG = Kind(_flag, "true or false")  # given without a value
KEY_VALUES = Kind(_text, "KEY=VALUE")  # may be repeated; together they are a mapping
REFERENCE = Kind(_reference, "a name, mypackage.mymodule:Name, or path/file.py:Name")
REFERENCES = Kind(_references, "names, each perhaps mypackage.mymodule:Name or path/file.py:Name")
NAME = Kind(_text, "a name")
PATH = Kind(_text, "a path")
FILE = Kind(_text, "a file")
GPU_LIST = Kind(_text, "a list of GPUs")
INTEGER = Kind(_integer, "an integer")
NATURAL = _at_least(0)
COUNT = _at_least(1)
ETA = _at_least(2)
NUMBER = Kind(_number, "a number")
POSITIVE = Kind(_positive, "a number above 0")
TIME = Kind(_time, "a time above zero such as 30m or 1h30m")
SCORE = Kind(_or_none(_number), "a number, or none")
PATIENCE = Kind(_or_none(_patience), "a number of results such as 50, a time such as 30m, or none")
DECISIONS = Kind(_decisions, "none, measured, or seconds such as 0.05")
SIZE = Kind(parse_bytes, "a size such as 20GB or 500MB")
