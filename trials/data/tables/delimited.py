"""How a text file of columns is written, told from its beginning: delimiter, encoding, decimal sign, header.

What is tried are comma, semicolon, tab and pipe. The header has to be there: the columns go by their names.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from asha_core.errors import TaskError
from trials.data.tables.table import as_number, listed

DELIMITERS = ",;\t|"
_BEGINNING = 1 << 17  # bytes that are looked at
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"PK\x03\x04": "an Excel sheet or another zip archive: save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet: save it as CSV",
    b"BZh": "compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz: unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it, or compress it with gzip",
    b"\x89HDF": "an HDF5 file: save it as CSV or Parquet",
    b"%PDF": "a PDF file: save it as CSV",
}


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        delimiter, encoding, decimal: as pandas takes them.
        compression: "gzip", or None.
        names: of the columns, from the header, without blanks around them; a nameless one is "".
    """

    delimiter: str
    encoding: str
    decimal: str
    compression: str | None
    names: list[str]


def layout(path: Path) -> Layout:
    """How this file is written.

    Raises:
        TaskError: it is empty, no text, or its header cannot be used.
    """
    start, whole, compression = _beginning(path)
    if not start:
        raise TaskError(f"{path} is empty: wanted is a header with the columns' names, and rows")
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
    if encoding != "utf-16":
        kind = next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None)
        if kind or b"\0" in start:
            raise TaskError(f"{path} is {kind or 'not a text file: save it as CSV or Parquet'}")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, final=whole)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    if not text.strip():
        raise TaskError(f"{path} is empty: wanted is a header with the columns' names, and rows")
    delimiter = max(DELIMITERS, key=lambda each: _fits(text, each, whole))
    rows = _rows(text, delimiter, whole)
    if not rows:
        raise TaskError(f"{path}: the first line is longer than {_BEGINNING} characters: is it a table?")
    names = [name.strip() for name in rows[0]]
    _check_header(path, names, rows)
    return Layout(delimiter, encoding, _decimal(delimiter, rows[1:]), compression, names)


def not_utf8(path: Path, error: UnicodeDecodeError) -> TaskError:
    """What is said of another encoding."""
    byte = error.object[error.start]
    return TaskError(f"{path} is not UTF-8 text (there is a byte 0x{byte:02x}): save it as UTF-8")


def _beginning(path: Path) -> tuple[bytes, bool, str | None]:
    """The first bytes, unpacked; whether these are all; and how they were packed."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            start = stream.read(_BEGINNING + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TaskError(f"{path} is damaged ({error}): compress it again with gzip") from None
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror or error}") from None
    return start[:_BEGINNING], len(start) <= _BEGINNING, "gzip" if packed else None


def _rows(text: str, delimiter: str, whole: bool) -> list[list[str]]:
    """The rows, but for a last one that may be cut; blank lines are none."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))
    except csv.Error:  # a quoted cell without an end
        return []
    if not whole:
        rows = rows[:-1]
    return [row for row in rows if len(row) > 1 or "".join(row).strip()]


def _fits(text: str, delimiter: str, whole: bool) -> tuple[bool, float, int]:
    """How well a delimiter suits: more than one column, rows as long as the header, many columns."""
    rows = _rows(text, delimiter, whole)
    if not rows:
        return False, 0.0, 0
    width = len(rows[0])
    return width > 1, sum(len(row) == width for row in rows) / len(rows), width


def _check_header(path: Path, names: list[str], rows: list[list[str]]) -> None:
    numbers = [number for number in map(as_number, names) if number is not None]
    whole = all(number.is_integer() and number >= 0 for number in numbers)
    counts = whole and len({*numbers}) == len(numbers)  # names like 0, 1, 2
    if len(numbers) * 2 > len(names) and not counts:
        raise TaskError(
            f"{path} has no header: its first line holds values ({listed(names, 4)}); write the columns' "
            f"names above it"
        )
    if len(names) == 1 and re.search(r"[\s^~:]", names[0]):
        raise TaskError(
            f"{path} seems to have a single column, {names[0]!r}: columns are told apart by a comma, a "
            "semicolon, a tab or a pipe"
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise TaskError(f"{path} has several columns called {listed(map(repr, twice), 5)}: rename them")
    if len(rows) == 1:
        raise TaskError(f"{path} has a header and no rows: {listed(names, 5)}")


def _decimal(delimiter: str, rows: list[list[str]]) -> str:
    """A comma where numbers are written with it, and none with a point."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    points = any(re.fullmatch(r"[+-]?\d*\.\d+", cell) for cell in cells)
    return "," if not points and any(re.fullmatch(r"[+-]?\d+,\d+", cell) for cell in cells) else "."
