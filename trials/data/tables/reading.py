"""From ``data=`` to a table: a bundled set, ``openml:ID``, or a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from asha_core.arguments import text
from asha_core.errors import TaskError
from trials.data.tables import bundled
from trials.data.tables.table import Table


def read(data: str, target: str | None, drop: Collection[str], categories: Collection[str]) -> Table:
    """The table that ``data`` names, without the columns of ``drop``.

    Args:
        data: a bundled set's name, ``openml:ID``, or a file's path.
        target: the column to predict; None: the source names it.
        drop: columns that are not read, wherever they are there.
        categories: columns that are read as text.
    Raises:
        TaskError: there is no such table, or it cannot be read.
    """
    data = text("data", data)
    if data in bundled.LOADERS:
        table = bundled.read(data)
    else:
        raise TaskError(f"data is {data}: files are not read yet")
    kept = {name: values for name, values in table.columns.items() if name not in drop}
    return replace(table, columns=kept).with_categories(categories)
