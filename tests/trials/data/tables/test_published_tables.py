"""The published sets, as the benchmarks write them: read as a user's own files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.published_tables import TARGETS, written
from trials.data.tables import prepared

pytest.importorskip("pandas")


LONG = {"adult": pytest.mark.long}
SETS = [pytest.param(name, marks=LONG.get(name, ())) for name in sorted(TARGETS)]


@pytest.mark.parametrize("name", SETS)
def test_a_published_set_comes_back_from_its_file(name: str, data: Path, tmp_path: Path) -> None:
    source = data / "tabular"
    if not source.is_dir():
        pytest.skip("no published tables here")
    train, test = written(source, name, tmp_path)
    found = prepared(str(train), TARGETS[name], str(test) if test else None, encoding="trees")
    with np.load(source / f"{name}.npz") as arrays:
        numbers, goal = arrays["X"], arrays["y"]
        columns = [each.decode() for each in arrays["feature_names"]]
        categorical = arrays["categorical"]
    parts = (found.train, found.valid, found.test)
    assert sum(map(len, parts)) == len(goal)
    counts = np.bincount(np.concatenate([part.target for part in parts]))
    assert sorted(counts) == sorted(np.bincount(goal)[np.bincount(goal) > 0])
    assert found.categorical_names == tuple(np.array(columns)[categorical])
    for at, column in enumerate(found.numeric_names):
        values = np.concatenate([part.numeric[:, at] for part in parts])
        np.testing.assert_array_equal(np.sort(values), np.sort(numbers[:, columns.index(column)]))
    if test:
        assert len(found.test) == 16281
