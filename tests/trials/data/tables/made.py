"""Tables for tests: in memory, and as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from trials.data.tables import Prepared, preparing
from trials.data.tables.table import Table, Values


def people(count: int = 60, seed: int = 0, share: float = 0.1) -> dict[str, Values]:
    """Numbers and categories, some missing; ``row`` is its place; ``y`` has three unequal classes."""
    random = np.random.default_rng(seed)
    numbers = random.normal(5, 3, count)
    numbers[random.random(count) < share] = np.nan
    cities = random.choice(np.array(["Rome", "Oslo", "Bern", "Lima"], dtype=object), count)
    cities[random.random(count) < share] = None
    classes = np.array(["a"] * (count // 6) + ["b"] * (count // 3), dtype=object)
    classes = np.concatenate([classes, np.full(count - len(classes), "c", dtype=object)])
    return {
        "row": np.arange(count, dtype=np.float64),
        "size": numbers,
        "city": cities,
        "y": random.permutation(classes),
    }


@contextmanager
def in_place_of_files(*tables: dict[str, Values]) -> Iterator[None]:
    """Reading gives these tables, one after the other."""
    given = [Table(f"table-{at}", columns) for at, columns in enumerate(tables)]
    with mock.patch.object(preparing, "read", side_effect=given):
        yield


def prepared_from(columns: dict[str, Values], *test: dict[str, Values], **options: Any) -> Prepared:
    """What ``prepared`` makes of a table in memory, and of one to test on."""
    named = {"test": "table-1"} if test else {}
    with in_place_of_files(columns, *test):
        return preparing.prepared("table-0", "y", **named, **options)


def lines(count: int = 60, delimiter: str = ",") -> list[str]:
    """A small table as text: age, city, y."""
    cities = ["Rome", "Oslo", "Bern"]
    rows = [[str(20 + at * 7 % 50), cities[at % 3], "no" if at % 3 else "yes"] for at in range(count)]
    return [delimiter.join(row) for row in [["age", "city", "y"], *rows]]


def written(path: Path, text: list[str] | bytes, encoding: str = "utf-8", end: str = "\n") -> str:
    """Write a file, and give its path as a user would."""
    path.write_bytes(text if isinstance(text, bytes) else (end.join(text) + end).encode(encoding))
    return str(path)
