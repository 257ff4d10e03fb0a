"""Columns that cannot be learned from: free text, infinite values, numbers with something else among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from asha_core.errors import TaskError
from asha_core.runtime.units import counted
from trials.data.tables.table import (
    Table,
    Values,
    as_number,
    as_text,
    how_numbers_are_written,
    is_text,
    missing,
)

FREE_TEXT = 0.5  # more different texts than this share of the rows
_FEW = 20  # different texts that are never too many
MOSTLY_NUMBERS = 0.8  # share of a column's cells that are numbers


def check(table: Table, asked_for: Collection[str]) -> None:
    """Raise if a column cannot be learned from.

    Args:
        table: without the target.
        asked_for: columns that the user calls categories: any texts may be in them.
    Raises:
        TaskError: for the first one.
    """
    for name, values in table.columns.items():
        where = f"column {name!r} of {table.name}"
        if not is_text(values):
            _finite(where, name, values)
        elif name not in asked_for:
            no_stray_texts(table, name)
            _categories(where, name, values)


def as_in(table: Table, train: Table) -> Table:
    """The same columns as the training table's, in its order; numbers where it has categories become some.

    Raises:
        TaskError: a column is missing, or too many, or of text where numbers are wanted.
    """
    absent = [name for name in train.columns if name not in table.columns]
    more = [name for name in table.columns if name not in train.columns]
    if absent or more:
        lacks = f"lacks {_quoted(absent)}" if absent else ""
        has = f"has {_quoted(more)} besides" if more else ""
        raise TaskError(
            f"{table.name} {' and '.join(filter(None, (lacks, has)))}: its columns must be those of "
            f"{train.name}, in any order (drop=NAME leaves one out of both)"
        )
    columns = {name: table.columns[name] for name in train.columns}
    for name, values in columns.items():
        if is_text(train.columns[name]):
            columns[name] = as_text(values)
        elif is_text(values):
            filled = np.flatnonzero(~missing(values))
            at = next((at for at in filled if as_number(values[at]) is None), filled[0])
            raise TaskError(
                f"column {name!r} of {table.name} holds text, such as {values[at]!r} in row {at + 1}, and "
                f"numbers in {train.name}: mend it, or leave it out with drop={name}"
            )
    return replace(table, columns=columns)


def _quoted(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def _finite(where: str, name: str, values: Values) -> None:
    infinite = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
    if len(infinite):
        at = int(infinite[0])
        raise TaskError(
            f"{where} is {values[at]} in {counted(len(infinite), 'row')} (the first: row {at + 1}): leave "
            f"such cells empty, or the column out with drop={name}"
        )


def no_stray_texts(table: Table, name: str) -> None:
    """Raise if a column is numbers but for a few cells: mistakes, or a way to say that one is missing."""
    values = table.columns[name]
    if name in table.nominal or not is_text(values):
        return
    counts = _counts(values)
    strays = {text: count for text, count in counts.items() if as_number(text) is None}
    number = sum(strays.values())
    if number and number <= (1 - MOSTLY_NUMBERS) * counts.total():
        at = next(at for at, value in enumerate(values) if value in strays)
        raise TaskError(
            f"column {name!r} of {table.name} holds numbers, but for {counted(number, 'cell')}, such as "
            f"{values[at]!r} in row {at + 1}: mend or empty such cells, or say that these are categories, "
            f"with categorical={name}"
        )


def _counts(values: Values) -> Counter[str]:
    return Counter(value for value in values.tolist() if value is not None)


def _categories(where: str, name: str, values: Values) -> None:
    counts, rows = _counts(values), len(values)
    if len(counts) > max(_FEW, FREE_TEXT * rows):
        example = next(iter(counts))
        short = example if len(example) <= 40 else f"{example[:37]}..."
        raise TaskError(
            f"{where} is free text: {len(counts)} different ones in {rows} rows, such as {short!r}; leave "
            f"it out with drop={name}, or, if these are categories, say categorical={name} (dates are read "
            f"as 2024-01-31{how_numbers_are_written(example)})"
        )
