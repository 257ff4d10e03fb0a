"""Text for streams whose encoding lacks some of it: what a search has found is told whatever the locale."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_ERRORS = "asha_core.readable"
# what tables are made of here; as wide as it was, so that columns stay columns
_ALIKE = {
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "~",
    "\N{MIDDLE DOT}": ".",
    "\N{LESS-THAN OR EQUAL TO}": "<",
    "\N{GREATER-THAN OR EQUAL TO}": ">",
    "\N{DAGGER}": "+",
}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BEYOND_ASCII = re.compile("[^\0-\x7f]")


@contextmanager
def every_text_told() -> Iterator[None]:
    """Nothing is refused by standard output and standard error.

    What their encoding lacks is written as something alike, or as Python writes it in a string. A byte of a
    file name that is no text is written as that byte.
    """
    before = [(stream, getattr(stream, "errors", None)) for stream in (sys.stdout, sys.stderr)]
    for stream, _ in before:
        _set_errors(stream, _ERRORS)
    try:
        yield
    finally:
        for stream, errors in before:
            _set_errors(stream, errors)


def _set_errors(stream: TextIO, errors: str | None) -> None:
    with suppress(AttributeError, OSError, ValueError):  # a stream without any, or a closed one
        stream.reconfigure(errors=errors)  # type: ignore[attr-defined]


def print_json(text: str, stream: TextIO | None = None) -> None:
    """Print JSON as ``json_for`` the stream; by default on standard output."""
    stream = stream or sys.stdout
    print(json_for(stream, text), file=stream)


def json_for(stream: TextIO, text: str) -> str:
    """JSON with escapes for what the stream's encoding may lack, so that it is JSON still."""
    unicode = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
    lacks = _LONE_SURROGATE if unicode else _BEYOND_ASCII
    return lacks.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter, after = error.object[error.start], error.start + 1
    if "\udc80" <= letter <= "\udcff":
        return bytes([ord(letter) - 0xDC00]), after
    return _ALIKE.get(letter) or letter.encode("ascii", "backslashreplace").decode(), after


codecs.register_error(_ERRORS, _readable)
