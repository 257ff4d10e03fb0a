"""Published tables as people have them: the ``.npz`` sets of the shared data, written as CSV.

    python -m benchmarks.published_tables FOLDER [NAME ...] [--data DATA]

writes FOLDER/NAME.csv, and FOLDER/NAME.test.csv where the set has an official test part. The sets are those
of DATA/tabular (``ASHA_TEST_DATA`` by default); the product names none of them. A level that the source
writes as ``?`` stays one: it is how a value is missing.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = {"adult": "income", "banknote": "class", "credit_g": "class", "winequality": "quality"}


def written(source: Path, name: str, folder: Path) -> tuple[Path, Path | None]:
    """Write one set as CSV.

    Args:
        source: the folder with ``name``.npz.
    Returns:
        The file of the rows to train on, and that of the official test part; None: there is none.
    """
    with np.load(source / f"{name}.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    header = [*(column.decode() for column in found["feature_names"]), TARGETS.get(name, "target")]
    rows = _cells(found)
    first = int(found["train_rows"]) if "train_rows" in found else len(rows)
    parts = [(folder / f"{name}.csv", rows[:first]), (folder / f"{name}.test.csv", rows[first:])]
    for path, part in parts:
        if part:
            with path.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(header)
                writer.writerows(part)
    return parts[0][0], parts[1][0] if parts[1][1] else None


def _cells(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text."""
    columns = []
    levels = found.get("levels", [b""] * len(found["feature_names"]))
    for values, names, categorical in zip(found["X"].T, levels, found["categorical"], strict=True):
        if categorical:
            known = names.decode().split("|")
            columns.append([known[int(value)] for value in values])
        else:
            columns.append(
                ["" if np.isnan(value) else np.format_float_positional(value, trim="-") for value in values]
            )
    classes = [each.decode() for each in found["classes"]]
    columns.append([classes[each] for each in found["y"]])
    return list(zip(*columns, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "names", nargs="*", default=[*TARGETS], help=f"of {', '.join(TARGETS)}; all by default"
    )
    known = os.environ.get("ASHA_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(known) if known else None, help="has tabular/")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder that has tabular/, with --data or ASHA_TEST_DATA")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        print(*filter(None, written(options.data / "tabular", name, options.folder)))


if __name__ == "__main__":
    main()
