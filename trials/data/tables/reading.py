"""From ``data=`` to a table: a bundled set, ``openml:ID``, or a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from asha_core.arguments import shown, text
from asha_core.errors import TaskError
from trials.data.tables import bundled, files, openml
from trials.data.tables.table import Table, not_there


def read(data: str, target: str | None, drop: Collection[str], categories: Collection[str]) -> Table:
    """The table that ``data`` names, without the columns of ``drop``.

    Args:
        data: a bundled set's name, ``openml:ID``, or a file's path.
        target: the column to predict; None: the source names it.
        drop: columns that are left out, wherever they are there.
        categories: columns that are read as text.
    Raises:
        TaskError: there is no such table, or it cannot be read.
    """
    data = text("data", data)
    if data in bundled.LOADERS:
        found = bundled.read(data)
        columns = {name: values for name, values in found.columns.items() if name not in drop}
        table = replace(found, columns=columns, dropped=frozenset(drop) & {*found.columns})
    elif data.startswith(openml.PREFIX):
        table = openml.read(data, target, drop, categories)
    elif "://" in data:
        raise TaskError(f"data is {data}: fetch it first, and name the file")
    elif not _path(data).exists() and not _path(data).suffix and Path(data).name == data:
        raise TaskError(
            f"data is {data}: no file, and no set of scikit-learn's{not_there(data, bundled.LOADERS)}"
        )
    else:
        table = files.read(_path(data), drop, categories)
    return table.with_categories(categories)


def located(data: str) -> str:
    """What names the same table from any folder: a file that is there by its whole path, else as it is.

    Raises:
        TaskError: no file can be called so.
    """
    there = data not in bundled.LOADERS and _path(data).exists()
    return str(_path(data).absolute()) if there else data


def _path(data: str) -> Path:
    try:
        path = Path(data).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; no such user; a null byte
        reason = getattr(error, "strerror", None) or error
        raise TaskError(f"data is {shown(data)}: no file can be called so ({reason})") from None
    return path
