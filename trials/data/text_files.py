"""Text for language models: found in a folder, and shared out into training, validation and test.

What is looked for, in this order: WikiText's own files (``wiki.train.tokens``, or ``.raw``), Parquet files
with a column ``text`` (``train-*.parquet``, as on the Hugging Face Hub), ``train.txt``, ``valid.txt`` and
``test.txt`` (also ``.txt.gz``), and then any ``.txt`` or ``.txt.gz``: those are joined in the order of their
names, and cut into 90, 5 and 5 per cent at the ends of lines. A file may be named itself.

Importing this module loads no torch.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from asha_core.errors import TaskError
from asha_core.extras import needed

Parts = tuple[bytes, bytes, bytes]
PARTS = ("training", "validation", "test")
_MARK = b"\xef\xbb\xbf"  # a byte-order mark in UTF-8
_SHARES = (0.9, 0.95)  # where training text ends, and validation text
# the usual files: training, validation, test
_FORMS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("wiki.train.tokens",), ("wiki.valid.tokens",), ("wiki.test.tokens",)),
    (("wiki.train.raw",), ("wiki.valid.raw",), ("wiki.test.raw",)),
    (("train*.parquet",), ("valid*.parquet",), ("test*.parquet",)),
    tuple((f"{name}.txt", f"{name}.txt.gz") for name in ("train", "valid", "test")),
)
_EXPECTED = (
    "wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens (or .raw), train-*.parquet and so on with a "
    "column text, train.txt, valid.txt and test.txt, or any .txt or .txt.gz"
)


def read_parts(place: Path | None) -> Parts:
    """Training, validation and test text, UTF-8 as it lies there.

    Args:
        place: a folder, or a file; None: the documentation of Python's language, which comes with it.
    Raises:
        TaskError: there is no text, only some of the parts, or a file that cannot be read.
    """
    if place is None:
        return cut(documentation())
    if place.is_file():
        return cut(_read([place]))
    if not place.is_dir():
        raise TaskError(f"language: there is no {place}: name a folder of texts with --data-dir: {_EXPECTED}")
    for form in _FORMS:
        found = [_matching(place, patterns) for patterns in form]
        if found[0]:
            for part, files, patterns in zip(PARTS, found, form, strict=True):
                if not files:
                    raise TaskError(
                        f"language: {place} has {found[0][0].name}, and no {patterns[0]}: put the {part} "
                        "text there, or name a single file, which is cut into three"
                    )
            training, validation, test = map(_read, found)
            return training, validation, test
    texts = _matching(place, ("*.txt", "*.txt.gz"))
    if not texts:
        raise TaskError(f"language: {place} has no text{_below(place)}: put there {_EXPECTED}")
    return cut(_read(texts))


def documentation() -> bytes:
    """About 700 kB of English that every CPython has: the topics of its ``help()``."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise TaskError(
            "language: this Python comes without its documentation (pydoc_data.topics): name a folder of "
            "texts with --data-dir"
        ) from None
    return "\n".join(topics[name] for name in sorted(topics)).encode()


def cut(text: bytes) -> Parts:
    """90, 5 and 5 per cent, cut after the line, or else the character, in which each share ends."""
    first, second = (_end_of_line(text, int(len(text) * share)) for share in _SHARES)
    return text[:first], text[first:second], text[second:]


def _end_of_line(text: bytes, place: int) -> int:
    """Just behind the next line feed, unless the line is long: then behind the next character."""
    found = text.find(b"\n", place, place + 10_000)
    if found >= 0:
        return found + 1
    while place < len(text) and text[place] & 0b1100_0000 == 0b1000_0000:  # within a character
        place += 1
    return place


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())


def _below(folder: Path) -> str:
    """Which folder below it was meant, perhaps."""
    for path in sorted(folder.glob("*")):  # which passes over what may not be read
        patterns = [pattern for form in _FORMS for pattern in form[0]]
        if path.is_dir() and _matching(path, (*patterns, "*.txt", "*.txt.gz")):
            return f", but {path} has (--data-dir {path})"
    return ""


def _read(files: Sequence[Path]) -> bytes:
    return b"".join(map(_text_of, files))


def _text_of(path: Path) -> bytes:
    try:
        if path.suffix == ".parquet":
            return _parquet(path)
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TaskError(f"language: {path} cannot be read: {why}{_damaged(error)}") from None
    return content.removeprefix(_MARK)


def _damaged(error: Exception) -> str:
    system = isinstance(error, OSError) and error.strerror
    return "" if system else "; it is damaged, or no gzip file: get it again"


def _parquet(path: Path) -> bytes:
    """The rows of its column ``text``, one after the other, as WikiText's are, with their line feeds."""
    needed("language", "pyarrow", what=f"language: {path.name}")
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        if "text" not in file.schema_arrow.names:
            names = ", ".join(file.schema_arrow.names)
            raise TaskError(f"language: {path} has no column text; it has: {names}")
        rows = file.read(columns=["text"]).column("text").to_pylist()
    except pyarrow.ArrowException as error:
        raise TaskError(
            f"language: {path} cannot be read: {' '.join(str(error).split())}; get it again"
        ) from None
    lines = (row if row.endswith("\n") else row + "\n" for row in rows if row is not None)
    return "".join(lines).encode()
