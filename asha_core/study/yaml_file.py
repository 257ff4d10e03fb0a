"""A study's YAML file as text: what YAML would read otherwise than its author meant is refused."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from asha_core.errors import SettingError
from asha_core.launch.yaml_files import read_yaml_file, with_python_names

_MOST_SEEDS = 100_000
_ONE = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"([0-9]{1,18})\s*-\s*([0-9]{1,18})")


def read_file(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        SettingError: it cannot be read, is not YAML, gives a key twice, or is nested without end.
    """
    return read_yaml_file(
        path, str(path), check=lambda text: _check_node(yaml.compose(text, yaml.SafeLoader), path, {})
    )


def _check_node(node: Any, path: Path, seen: dict[int, bool]) -> None:
    """Refuse 1:30, which YAML takes for 90, and what contains itself."""
    if node is None:
        return
    where = f"{path}: line {node.start_mark.line + 1}"
    if id(node) in seen:  # an anchor's content is looked at once
        if not seen[id(node)]:
            raise SettingError(f"{where}: this contains itself, by an anchor (&): write it out")
        return
    seen[id(node)] = False
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _check_node(value, path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_node(value, path, seen)
    elif node.tag.endswith((":int", ":float")) and ":" in node.value:
        raise SettingError(
            f"{where}: YAML reads {node.value} as a number in base 60: write a time as 1h30m, text in quotes"
        )
    seen[id(node)] = True


def mapping_of(content: Any, place: str) -> dict[str, Any]:
    """A mapping with its keys as in Python: ``max-trials`` is ``max_trials``.

    Raises:
        SettingError: it is none, or a key is there in both spellings.
    """
    if not isinstance(content, Mapping):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise SettingError(
            f"{place} holds {kind}: it must map keys such as tasks, variations and seeds to values"
        )
    return with_python_names(content, place)


def storable_value(value: Any, place: str) -> Any:
    """The value, if JSON can keep it as it is.

    Raises:
        SettingError: a date, a set, bytes, a key that is no text, or text that is no Unicode.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise SettingError(f"{place} has the key {key!r}: keys must be text; write it in quotes")
        return {storable_value(key, place): storable_value(item, place) for key, item in value.items()}
    if isinstance(value, list):
        return [storable_value(item, place) for item in value]
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise SettingError(f"{place} is {value!r}: this is no text that can be written") from None
    if value is None or isinstance(value, str | int | float):
        return value
    kind = "a date" if isinstance(value, datetime.date) else f"of the kind {type(value).__name__}"
    raise SettingError(
        f"{place} is {value!s}, {kind}: give text (in quotes), a number, true, false, a list or a mapping"
    )


def one_name(value: Any, place: str) -> str:
    """A name that a directory can have: text or a number, without a slash.

    Raises:
        SettingError: it is none.
    """
    text = str(value).strip()
    wrong = isinstance(value, bool | Mapping | list) or value is None
    if wrong or not re.search(r"\w", text) or "/" in text or not text.isprintable() or len(text) > 200:
        raise SettingError(
            f"{place} is {value!r}: give a name of letters, digits and hyphens, in quotes if YAML takes it "
            "for something else"
        )
    return text


def read_seeds(given: Any, source: str) -> list[int]:
    """Seeds: how many (from 0), a list of them, or ranges such as "100-119" or "0-3, 8".

    >>> read_seeds("0-3, 8", "seeds")
    [0, 1, 2, 3, 8]
    """
    seeds = _seeds(given)
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingError(
            f"{source} is {given!r}: give how many (20: from 0 to 19), a list, or ranges such as 100-119; "
            f"each once, and not more than {_MOST_SEEDS:,}"
        )
    return seeds


def _seeds(given: Any) -> list[int]:
    """The seeds; empty: they cannot be read, or are too many."""
    if isinstance(given, int) and not isinstance(given, bool):
        return list(range(given)) if given <= _MOST_SEEDS else []
    if not isinstance(given, str | list):
        return []
    seeds: list[int] = []
    for item in given if isinstance(given, list) else given.split(","):
        text = str(item).strip() if isinstance(item, str | int) and not isinstance(item, bool) else ""
        match = _RANGE.fullmatch(text)
        if match is not None:
            span = range(int(match[1]), int(match[2]) + 1)
        elif _ONE.fullmatch(text):
            span = range(int(text), int(text) + 1)
        else:
            return []
        if len(seeds) + len(span) > _MOST_SEEDS:
            return []
        seeds += span
    return seeds
