"""A table as plain arrays: what every reader gives, and all that the rest knows of where rows came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import shown
from asha_core.errors import SettingError, closest

Values = NDArray[Any]
_SHOWN = 20  # names in a message
_NONE = np.array(None, dtype=object)


@dataclass(frozen=True)
class Table:
    """Columns of equal length, by name and in order.

    Attributes:
        name: as people know it: a path, ``wine``, ``openml:61``.
        columns: (N,) float64 of numbers, NaN where one is missing; or (N,) object of texts (categories), None
            where one is.
        target: the column that its source calls the target; None: it names none.
        nominal: columns that the source itself declares to be categories.
        dropped: columns that were there, and that nobody wants.
        notes: what the reader left out or found odd, in sentences for people.
    """

    name: str
    columns: dict[str, Values]
    target: str | None = None
    nominal: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def texts(self) -> frozenset[str]:
        """The columns of categories."""
        return frozenset(name for name, values in self.columns.items() if is_text(values))

    def with_categories(self, names: Iterable[str]) -> Table:
        """The same with these columns as categories, whatever they hold."""
        named = set(names) & set(self.columns)
        columns = {
            name: as_text(values) if name in named else values for name, values in self.columns.items()
        }
        return replace(self, columns=columns, nominal=self.nominal | named)


def is_text(values: Values) -> bool:
    """Whether these are categories, not numbers."""
    return bool(values.dtype.kind == "O")


def missing(values: Values) -> NDArray[np.bool_]:
    """(N,): where there is none."""
    if is_text(values):
        return np.asarray(np.equal(values, _NONE), dtype=np.bool_)
    return np.isnan(values)


def as_text(values: Values) -> Values:
    """Numbers as categories: 3.0 is called ``3``; what is text already, or missing, stays so."""
    if is_text(values):
        return values
    found: list[str | None] = [
        None if np.isnan(value) else f"{int(value)}" if value.is_integer() else repr(float(value))
        for value in values
    ]
    return np.array(found, dtype=object)


def as_number(text: str) -> float | None:
    """A number that is written in ASCII; None: it is none."""
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def how_numbers_are_written(example: str) -> str:
    """The part of an error about texts that may be meant as numbers, as ``1,234`` and ``$5``; or nothing."""
    bare = example.strip("$\u20ac\u00a3% ").replace(",", "").replace(" ", "").replace("'", "")
    return "; numbers are read as 1234.5" if bare != example and as_number(bare) is not None else ""


def names_of(option: str, value: object) -> tuple[str, ...]:
    """Column names from ``a,b``, or a list of them; a column that is called 3 may be named by the number."""
    named = (
        value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    )
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in named):
        raise SettingError(f"{option} is {shown(value)}: it must name columns, as in {option}=age,city")
    return tuple(filter(None, (str(name).strip() for name in named)))


def listed(names: Iterable[str], most: int = _SHOWN) -> str:
    """Names for a message, only the first of very many."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) or "(none)") + more


def not_there(name: str, names: Iterable[str]) -> str:
    """The end of an error about a name that is not one of these: the nearest one, and all."""
    found = list(names)
    close = next((each for each in found if each.lower() == name.lower()), None) or closest(name, found)
    question = f'; did you mean "{close}"?' if close else ";"
    return f"{question} there are: {listed(found)}"
