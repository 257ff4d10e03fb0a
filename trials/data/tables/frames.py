"""A pandas frame as a table: each column becomes numbers, or categories.

Numbers are integers, floats, decimals, booleans (0 and 1), and dates, as days since 1970. Texts are
categories.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np

from asha_core.arguments import shown
from asha_core.errors import TaskError
from trials.data.tables.table import Values

_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_DAY = 86400e9  # nanoseconds


def columns_of(frame: Any, where: str, drop: Collection[str], text: Collection[str]) -> dict[str, Values]:
    """The columns of a frame, by name.

    Args:
        where: the table, for errors.
        drop: names of columns that are not looked at.
        text: names of columns of which dates stay text.
    Raises:
        TaskError: a column holds something else than numbers, texts and dates, or some have one name.
    """
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TaskError(f"{where} has several columns called {', '.join(map(repr, twice))}: rename them")
    return {
        name: _values(f"column {name!r} of {where}", name, frame.iloc[:, at], name in text)
        for at, name in enumerate(names)
        if name not in drop
    }


def nominal_in(frame: Any) -> frozenset[str]:
    """The columns that are declared to be categories."""
    import pandas as pd

    return frozenset(
        str(name) for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)
    )


def _values(where: str, name: str, series: Any, text: bool) -> Values:
    import pandas as pd

    types = pd.api.types
    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _categories(series)
    if types.is_datetime64_any_dtype(kind):
        return _days(series)
    if types.is_timedelta64_dtype(kind):
        return np.asarray(series.dt.total_seconds().to_numpy(dtype=np.float64) / 86400)
    if types.is_complex_dtype(kind):
        raise TaskError(f"{where} holds complex numbers: leave it out with drop={name}")
    if types.is_numeric_dtype(kind) or types.is_bool_dtype(kind):
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return _objects(where, name, series, text)


def _categories(series: Any) -> Values:
    """The texts of declared categories, or of numbers as they are written."""
    known = series.isna().to_numpy()
    texts = [str(value) for value in series.astype(object)]
    return np.array([None if gone else each for gone, each in zip(known, texts, strict=True)], dtype=object)


def _objects(where: str, name: str, series: Any, text: bool) -> Values:
    """Texts, or Python's own numbers and dates."""
    import pandas as pd

    values = series.to_numpy(dtype=object, na_value=None)
    gone = series.isna().to_numpy()
    found = values[~gone]
    if all(isinstance(value, str) for value in found):
        stripped = np.full(len(values), None, dtype=object)
        stripped[~gone] = [value.strip() or None for value in found]
        filled = [value for value in stripped if value is not None]
        if not text and filled and all(map(_ISO_DATE.fullmatch, filled)):
            days = pd.to_datetime(pd.Series(stripped), errors="coerce", format="ISO8601", utc=True)
            if days.notna().sum() == len(filled):
                return _days(days)
        return stripped if filled or text else np.full(len(values), np.nan)
    if all(isinstance(value, Real | np.bool_) or hasattr(value, "as_tuple") for value in found):
        numbers = np.full(len(values), np.nan)
        numbers[~gone] = [float(value) for value in found]
        return numbers
    if all(isinstance(value, datetime.date) for value in found):
        return _days(pd.to_datetime(series, errors="coerce", utc=True))
    strange = next(value for value in found if not isinstance(value, str | Real))
    raise TaskError(
        f"{where} holds a {type(strange).__name__}, {shown(strange)}: wanted are numbers, texts or dates; "
        f"leave it out with drop={name}"
    )


def _days(series: Any) -> Values:
    """Moments as days since 1970 (UTC, where a zone is given), NaN where missing."""
    moments = series.dt.tz_convert("UTC").dt.tz_localize(None) if series.dt.tz is not None else series
    numbers = moments.astype("datetime64[ns]").astype(np.int64).to_numpy().astype(np.float64) / _DAY
    numbers[series.isna().to_numpy()] = np.nan
    return np.asarray(numbers)
