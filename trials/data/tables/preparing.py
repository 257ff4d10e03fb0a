"""A table made ready to train on: read, checked, split, and encoded by what the training rows say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import integer, one_of
from asha_core.errors import TaskError
from asha_core.runtime.terminal.streams import say
from trials.data.splits import stratified_split
from trials.data.tables.encoding import ENCODINGS, Encoder
from trials.data.tables.features import as_in, no_stray_texts
from trials.data.tables.features import check as features_check
from trials.data.tables.reading import read
from trials.data.tables.table import Table, Values, missing, names_of, not_there
from trials.data.tables.targets import KINDS, Target, name_of, same_target, target_of

_HELD_OUT = 0.2  # of all rows, for validation; and as many for the test
_LARGEST_SEED = 2**32 - 1
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """One part of a table.

    Attributes:
        numeric: (N, d) float32.
        categories: (N, c) int64 codes, 0 for what is missing or was never met in training.
        target: (N,) int64 places in ``Prepared.classes``, or (N,) float32 as in the file.
    """

    numeric: NDArray[np.float32]
    categories: NDArray[np.int64]
    target: NDArray[Any]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Prepared:
    """A table in three parts, encoded.

    Attributes:
        kind: "classification" or "regression".
        target_name: the column that is predicted.
        classes: their names; the target's values are places in it. Empty for regression.
        target_mean, target_deviation: of a regression's training rows; 0 and 1 for classes.
        numeric_names, categorical_names: of the columns of ``Rows``; of indicators, "... is missing".
        cardinalities: codes of each categorical column are below its; code 0 is for missing or unseen ones.
        train, valid, test: its rows.
        notes: what a user should know of how the table was read, a line each.
    """

    kind: str
    target_name: str
    classes: tuple[str, ...]
    target_mean: float
    target_deviation: float
    numeric_names: tuple[str, ...]
    categorical_names: tuple[str, ...]
    cardinalities: tuple[int, ...]
    train: Rows
    valid: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def prepared(
    data: str = "breast-cancer",
    target: str | None = None,
    test: str | None = None,
    kind: str = "auto",
    seed: int = 0,
    encoding: str = "dense",
    drop: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
) -> Prepared:
    """Read a table and make it ready: 60% of its rows to train on, 20% for validation, 20% for the test.

    Classes keep their shares in each part. Which rows are where depends on the target and the seed alone.

    Args:
        data: a set that comes with scikit-learn (breast-cancer, wine, digits, diabetes), a file (CSV with any
            usual delimiter, also .gz; Parquet), or ``openml:ID``.
        target: the column to predict; a file has to be told, the others name one.
        test: a file with the same columns that is the test part; the data are then split 80/20.
        kind: "classification", "regression", or "auto": text, booleans and at most 20 different whole numbers
            are classes.
        seed: of the split, 0 to 2**32 - 1.
        encoding: "dense" (for networks): numbers standardised, missing ones filled in with the median and
            marked in a column of their own; "trees": numbers as they are, NaN where missing. Both know
            the training rows alone.
        drop: columns to leave out, as in ``a,b``.
        categorical: columns of numbers that are names of categories.
    Raises:
        TaskError: the table cannot be read, or not be learned from; one line that says what to do.
        SettingError: an argument is out of its range.
    """
    one_of("encoding", encoding, ENCODINGS)
    features, found, parts = _parts(data, target, test, kind, seed, drop, categorical)
    encoder = Encoder(_taken(features[0], parts[0]), encoding)
    rows = [
        Rows(*encoder(_taken(table, part)), goal.values[part])
        for table, goal, part in zip(features, found, parts, strict=True)
    ]
    number = found[0].kind == "regression"
    goal = rows[0].target.astype(np.float64)
    return Prepared(
        kind=found[0].kind,
        target_name=found[0].name,
        classes=found[0].classes,
        target_mean=float(goal.mean()) if number else 0.0,
        target_deviation=float(goal.std()) or 1.0 if number else 1.0,
        numeric_names=encoder.numeric_names,
        categorical_names=encoder.categorical_names,
        cardinalities=encoder.cardinalities,
        train=rows[0],
        valid=rows[1],
        test=rows[2],
        notes=features[0].notes,
    )


def check(
    data: str = "breast-cancer",
    target: str | None = None,
    test: str | None = None,
    kind: str = "auto",
    seed: int = 0,
    encoding: str = "dense",
    drop: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
) -> NDArray[Any]:
    """Everything that ``prepared`` could find wrong, with nothing fitted. Arguments and errors as there.

    Returns:
        The target of the test rows, as ``Rows.target``.
    """
    one_of("encoding", encoding, ENCODINGS)
    features, found, parts = _parts(data, target, test, kind, seed, drop, categorical)
    for note in features[0].notes:
        say(note)
    return found[-1].values[parts[-1]]


def _parts(
    data: str,
    target: str | None,
    test: str | None,
    kind: str,
    seed: int,
    drop: str | Sequence[str],
    categorical: str | Sequence[str],
) -> tuple[list[Table], list[Target], list[Indices]]:
    """Of training, validation and test: the table without its target, the target, and which rows."""
    one_of("kind", kind, KINDS)
    seed = integer("seed", seed, 0, _LARGEST_SEED)
    if target is not None:
        (target,) = names_of("target", [target]) or (None,)
    left_out, categories = names_of("drop", drop), names_of("categorical", categorical)
    table = read(data, target, left_out, categories)
    other = None if test is None else read(test, None, left_out, table.texts | {*categories})
    _all_there(table, other, target, left_out, categories)
    name = name_of(table, target)
    no_stray_texts(table, name)
    found = target_of(table, name, kind)
    features = _without(table, name)
    features_check(features, categories)
    if not features.columns:
        raise TaskError(
            f"{table.name} has no column but the target {name!r}: there is nothing to predict it from"
        )
    if all(_is_constant(values) for values in features.columns.values()):
        raise TaskError(
            f"{table.name}: beside the target {name!r}, each column has the same value in all rows, or none: "
            "there is nothing to predict it from"
        )
    if other is None:
        rest, last = _split(found, np.arange(table.rows, dtype=np.int64), _HELD_OUT, seed)
        train, valid = _split(found, rest, _HELD_OUT / (1 - _HELD_OUT), seed)
        return [features] * 3, [found] * 3, [train, valid, last]
    if name not in other.columns:
        raise TaskError(f"{other.name} lacks the target {name!r}{not_there(name, other.columns)}")
    goal = same_target(other, found, table.name)
    last_features = as_in(_without(other, name), features)
    features_check(last_features, features.columns)
    train, valid = _split(found, np.arange(table.rows, dtype=np.int64), _HELD_OUT, seed)
    last = np.arange(other.rows, dtype=np.int64)
    return [features, features, last_features], [found, found, goal], [train, valid, last]


def _is_constant(values: Values) -> bool:
    there = values[~missing(values)]
    return len(there) in (0, len(values)) and not np.any(there[1:] != there[:1])


def _all_there(
    table: Table,
    other: Table | None,
    target: str | None,
    drop: Sequence[str],
    categories: Sequence[str],
) -> None:
    """Raise if an option names a column that is nowhere."""
    dropped = table.dropped | (other.dropped if other else frozenset())
    for option, names, known in (("drop", drop, dropped), ("categorical", categories, table.columns)):
        for name in names:
            if name not in known:
                there = not_there(name, table.columns)
                raise TaskError(f"{option} names {name!r}: {table.name} has no such column{there}")
    if target in drop:
        raise TaskError(f"the target {target!r} is in drop: name another target, or keep it")


def _split(target: Target, rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """These rows in two, the second a share of them: by class, or anyhow."""
    from sklearn.model_selection import train_test_split

    if target.kind == "classification":
        kept, held = stratified_split(target.values[rows], share, 1.0, seed)
    else:
        kept, held = train_test_split(np.arange(len(rows)), test_size=share, random_state=seed)
    return rows[kept], rows[held]


def _without(table: Table, name: str) -> Table:
    columns = {column: values for column, values in table.columns.items() if column != name}
    return replace(table, columns=columns)


def _taken(table: Table, rows: Indices) -> Table:
    """Some rows of a table."""
    return replace(table, columns={name: values[rows] for name, values in table.columns.items()})
