"""What is predicted: classes or a number, and everything that can be wrong with such a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import shown
from asha_core.errors import TaskError
from asha_core.runtime.units import counted
from trials.data.tables.table import (
    Table,
    Values,
    as_text,
    how_numbers_are_written,
    is_text,
    listed,
    missing,
    not_there,
)

MOST_CLASSES = 20  # that whole numbers can be without being asked for
LEAST_OF_A_CLASS = 5  # a fifth of them is one row
LEAST_ROWS = 10
KINDS = ("auto", "classification", "regression")


@dataclass(frozen=True)
class Target:
    """A checked target.

    Attributes:
        name: of its column.
        kind: "classification" or "regression".
        classes: their names, in order; empty for regression.
        values: (N,) int64 places in ``classes``, or (N,) float32.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    values: NDArray[Any]


def name_of(table: Table, target: str | None) -> str:
    """The column that is predicted: as it was named, or else the one that the source names."""
    name = table.target if target is None else target
    if name is None:
        raise TaskError(
            f"{table.name} has {counted(len(table.columns), 'column')}, and none is named as the target: add "
            f"target=NAME, one of: {listed(table.columns)}"
        )
    if name not in table.columns:
        raise TaskError(f"{table.name} has no column {name!r}{not_there(name, table.columns)}")
    return name


def target_of(table: Table, name: str, kind: str) -> Target:
    """The target of all rows.

    Raises:
        TaskError: it cannot be predicted; the message says why, and what to do.
    """
    values = table.columns[name]
    where = f"target {name!r} of {table.name}"
    _complete(where, values)
    different = len(set(values.tolist()))
    if different == 1:
        raise TaskError(f"{where} is {values[0]} in all {table.rows} rows: there is nothing to predict")
    found = _kind(where, values, different, kind)
    if table.rows < LEAST_ROWS:
        raise TaskError(
            f"{table.name} has {counted(table.rows, 'row')}: at least {LEAST_ROWS} are needed, to train on, "
            f"to validate and to test"
        )
    if found == "regression":
        return Target(name, found, (), values.astype(np.float32))
    classes = _classes(values)
    codes = _codes(values, classes)
    counts = np.bincount(codes, minlength=len(classes))
    if is_text(values) and different > max(MOST_CLASSES, table.rows // 2):
        raise TaskError(
            f"{where} holds {different} different texts in {table.rows} rows, such as {shown(classes[0])}: "
            f"these are no classes; name another column{how_numbers_are_written(classes[0])}"
        )
    if counts.min() < LEAST_OF_A_CLASS:
        few = [f"{classes[at]} ({counts[at]})" for at in np.flatnonzero(counts < LEAST_OF_A_CLASS)]
        numbers = "" if is_text(values) else "; or is it a number to predict? kind=regression"
        raise TaskError(
            f"{where}: at least {LEAST_OF_A_CLASS} rows of a class are needed, for training, validation and "
            f"test, and there are fewer of {listed(few, 5)}: add some, or leave those rows out{numbers}"
        )
    return Target(name, found, classes, codes)


def same_target(table: Table, target: Target, data: str) -> Target:
    """The target of a test file, in the terms of the data that were trained on."""
    values = table.columns[target.name]
    where = f"target {target.name!r} of {table.name}"
    _complete(where, values)
    if target.kind == "regression":
        if is_text(values):
            raise TaskError(f"{where} is text, such as {values[0]!r}, and a number in {data}")
        return Target(target.name, target.kind, (), values.astype(np.float32))
    texts = as_text(values)
    strange = sorted(set(texts.tolist()) - set(target.classes))
    if strange:
        raise TaskError(
            f"{where} holds {listed(map(repr, strange), 5)}, which {data} does not"
            f"{not_there(strange[0], target.classes)}"
        )
    return Target(target.name, target.kind, target.classes, _codes(texts, target.classes))


def _complete(where: str, values: Values) -> None:
    """Neither missing nor infinite."""
    gone = np.flatnonzero(missing(values))
    if len(gone):
        raise TaskError(
            f"{where} is missing in {counted(len(gone), 'row')} of {len(values)} (the first: row "
            f"{gone[0] + 1}): fill them in, or leave those rows out of the file"
        )
    if not is_text(values):
        infinite = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
        if len(infinite):
            raise TaskError(
                f"{where} is {values[infinite[0]]} in {counted(len(infinite), 'row')} of {len(values)} (the "
                f"first: row {infinite[0] + 1}): it must be finite, up to 3e38"
            )


def _kind(where: str, values: Values, different: int, kind: str) -> str:
    """What is asked for, if it can be; "auto": numbers with fractions, or many of them, are regression."""
    whole = is_text(values) or bool(np.all(values == np.round(values)))
    if kind == "regression" and is_text(values):
        raise TaskError(
            f"kind is regression, and {where} is text, such as {values[0]!r}: kind=classification"
        )
    if kind == "classification" and not whole:
        fraction = values[values != np.round(values)][0]
        raise TaskError(
            f"kind is classification, and {where} holds fractions, such as {fraction}: kind=regression"
        )
    if kind != "auto":
        return kind
    few = is_text(values) or different <= MOST_CLASSES
    return "classification" if whole and few else "regression"


def _classes(values: Values) -> tuple[str, ...]:
    """Their names: texts by alphabet, numbers by size."""
    return tuple(as_text(np.unique(values)) if not is_text(values) else sorted(set(values.tolist())))


def _codes(values: Values, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """(N,) places in ``classes``."""
    place = {name: at for at, name in enumerate(classes)}
    return np.array([place[name] for name in as_text(values)], dtype=np.int64)
