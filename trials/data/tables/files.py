"""A table in a file: delimited text, packed or not, or Parquet, told apart by what is in it."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from asha_core.errors import TaskError, closest
from asha_core.extras import needed
from asha_core.runtime.units import counted
from trials.data.tables.delimited import Layout, layout, not_utf8
from trials.data.tables.frames import columns_of, nominal_in
from trials.data.tables.table import Table, listed

_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".test", ".gz", ".parquet", ".pq")
MISSING = "?"  # beside what pandas takes for missing: UCI and OpenML write it so


def read(path: Path, drop: Collection[str], text: Collection[str]) -> Table:
    """The table in a file.

    Args:
        drop: columns that are not read.
        text: columns that are read as text, whatever they look like.
    Raises:
        TaskError: there is none, or it cannot be read.
    """
    _find(path)
    needed("tabular", "pandas", what=f"data={path}")
    if _begins_with(path, b"PAR1"):
        frame = _parquet(path)
        return _table(path, frame, drop, text)
    how = layout(path)
    frame = _delimited(path, how, text)
    if not len(frame):
        raise TaskError(f"{path} has a header and no rows: {listed(how.names, 5)}")
    notes = _leave_out_nameless(path, frame)
    return _table(path, frame, drop, text, notes)


def _find(path: Path) -> None:
    """Raise if there is no such file: which are, and which one may be meant."""
    if path.is_dir():
        raise TaskError(f"{path} is a folder: name a file; it has {listed(_tables_in(path), 8)}")
    if path.exists():
        return
    folder = path.parent
    if not folder.is_dir():
        raise TaskError(f"there is no file {path}: its folder is not there either")
    names = _tables_in(folder)
    close = closest(path.name, names)
    question = f' did you mean "{close}"?' if close else ""
    raise TaskError(f"there is no file {path};{question} the folder has {listed(names, 8)}")


def _tables_in(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if each.suffix.lower() in _ENDINGS)
    except OSError:
        return []


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror or error}") from None


def _parquet(path: Path) -> Any:
    needed("tabular", "pyarrow", what=f"data={path}")
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # whatever pyarrow finds wrong
        raise TaskError(f"{path} is not a whole Parquet file ({_line(error)}): write it again") from None


def _delimited(path: Path, how: Layout, text: Collection[str]) -> Any:
    import pandas as pd
    from pandas.errors import EmptyDataError, ParserError, ParserWarning

    names = [name or f"\0{at}" for at, name in enumerate(how.names)]  # what no header can have
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ParserWarning)
            return pd.read_csv(
                path,
                sep=how.delimiter,
                encoding=how.encoding,
                decimal=how.decimal,
                compression=how.compression,
                names=names,
                header=0,
                index_col=False,
                dtype={name: str for name in text if name in names},
                na_values=[MISSING],
                skipinitialspace=True,
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TaskError(f"{path} is damaged ({_line(error)}): compress it again with gzip") from None
    except ParserWarning:
        raise TaskError(f"{path} has rows with more cells than its header, which has {len(names)}") from None
    except (ParserError, EmptyDataError, ValueError, OverflowError) as error:
        reason = _line(error).removeprefix("Error tokenizing data. C error: ")
        raise TaskError(
            f"{path} cannot be read with {how.delimiter!r} between its {len(names)} columns: {reason}"
        ) from None
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror or error}") from None


def _leave_out_nameless(path: Path, frame: Any) -> tuple[str, ...]:
    """Drop row numbers, as pandas writes them, and an empty last column; others need a name."""
    notes = []
    for at, name in list(enumerate(frame.columns)):
        if not name.startswith("\0"):
            continue
        values = frame[name]
        if values.isna().all():
            what = "is empty"
        elif list(values) in (list(range(len(values))), list(range(1, len(values) + 1))):
            what = "holds row numbers"
        else:
            raise TaskError(f"{path}: column {at + 1} has no name: write one into the header")
        del frame[name]
        notes.append(f"{path}: column {at + 1} has no name and {what}: it is left out")
    return tuple(notes)


def _table(
    path: Path, frame: Any, drop: Collection[str], text: Collection[str], notes: tuple[str, ...] = ()
) -> Table:
    if not frame.size:
        raise TaskError(f"{path} has {counted(len(frame), 'row')} of {counted(frame.shape[1], 'column')}")
    columns = columns_of(frame, str(path), drop, text)
    return Table(
        str(path), columns, None, nominal_in(frame), frozenset(drop) & {*map(str, frame.columns)}, notes
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
