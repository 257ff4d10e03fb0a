"""Columns as numbers, by scikit-learn's transformers, which are fitted on the training rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import one_of
from trials.data.tables.table import Table, is_text, missing

ENCODINGS = ("dense", "trees")


class Encoder:
    """Fitted on the training rows; every other row is only transformed.

    Args:
        train: the training rows, without the target.
        encoding: "dense": numbers are standardised, missing ones are the median, and a column of 0 and 1 says
            where, if training rows had any; "trees": numbers as they are, NaN where missing.
    Attributes:
        numeric_names, categorical_names: of the columns of what ``__call__`` gives.
        cardinalities: of each categorical column: its categories in the training rows, and one for all else.
    """

    def __init__(self, train: Table, encoding: str) -> None:
        from sklearn.preprocessing import OrdinalEncoder

        self._encoding = one_of("encoding", encoding, ENCODINGS)
        names = list(train.columns)
        self._numeric = [name for name in names if not is_text(train.columns[name])]
        self.categorical_names = tuple(name for name in names if is_text(train.columns[name]))
        self._scaler = self._fitted(_stacked(train, self._numeric)) if encoding == "dense" else None
        self.numeric_names = tuple(self._numeric) + self._indicators()
        self._codes: Any = None
        self.cardinalities: tuple[int, ...] = ()
        if self.categorical_names:
            unseen = {"handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -1}
            self._codes = OrdinalEncoder(dtype=np.int64, **unseen).fit(_texts(train, self.categorical_names))
            self.cardinalities = tuple(
                1 + sum(isinstance(category, str) for category in each) for each in self._codes.categories_
            )

    def __call__(self, table: Table) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(N, d) float32 numbers, and (N, c) int64 codes: 0 where missing, or never met in training."""
        numbers = _stacked(table, self._numeric)
        if self._scaler is not None:
            numbers = self._scaler.transform(numbers)
        codes = np.zeros((table.rows, 0), dtype=np.int64)
        if self._codes is not None:
            codes = self._codes.transform(_texts(table, self.categorical_names)) + 1
        return np.ascontiguousarray(numbers, dtype=np.float32), np.ascontiguousarray(codes, dtype=np.int64)

    def _fitted(self, numbers: NDArray[np.float64]) -> Any:
        """Standardised numbers beside indicators, which stay 0 and 1: a rare one would become hundreds."""
        from sklearn.impute import MissingIndicator, SimpleImputer
        from sklearn.pipeline import make_pipeline, make_union
        from sklearn.preprocessing import StandardScaler

        if not numbers.shape[1]:
            return None
        filled = SimpleImputer(strategy="median", keep_empty_features=True)
        where = MissingIndicator(features="missing-only", error_on_new=False)
        return make_union(make_pipeline(filled, StandardScaler()), where).fit(numbers)

    def _indicators(self) -> tuple[str, ...]:
        if self._scaler is None:
            return ()
        where = self._scaler.transformer_list[1][1]
        return tuple(f"{self._numeric[at]} is missing" for at in where.features_)


def _stacked(table: Table, names: list[str]) -> NDArray[np.float64]:
    """(N, d) float64."""
    columns = [table.columns[name] for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((table.rows, 0))


def _texts(table: Table, names: tuple[str, ...]) -> NDArray[Any]:
    """(N, c) object, NaN where missing: scikit-learn takes None for a category."""
    columns = [table.columns[name] for name in names]
    return np.stack([np.where(missing(values), np.nan, values) for values in columns], axis=1)
