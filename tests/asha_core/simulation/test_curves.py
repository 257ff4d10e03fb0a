"""Tables: made, kept in files, and what is wrong with them said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from asha_core import Choice, ConfigurationError, Curves, CurvesError, Float, SearchSpace

SPACE = SearchSpace(
    {"kind": Choice(["a", "b"]), "x": Float(0, 1), "y": Float(1e-3, 1, log=True)},
    conditions={"y": {"kind": "b"}},
)
ROWS = [{"kind": "a", "x": 0.5}, {"kind": "b", "x": 0.1, "y": 0.01}, {"kind": "a", "x": 0.5}]


def rich() -> Curves:
    value = np.arange(24, dtype=float).reshape(2, 3, 4)
    value[0, 1, 2:] = math.nan
    value[1, 2, 1] = math.nan
    return Curves.from_arrays(
        SPACE, ROWS, value, seconds=np.ones((2, 3, 4)), units=(1, 2, 4, 8), arms=("baseline", "ohgw-1step"),
        metric="accuracy", metrics={"loss": -value}, refined={(1, 1): {"kind": "b", "x": 0.2, "y": 0.02}},
        warm_seconds=[[0, 0, 0], [1, 2, 3]], warm_batches=[[0, 0, 0], [1.5, 1.5, 1.5]],
        why={(0, 1): "it ran out"}, ended=[["complete", "failed", "complete"], ["complete"] * 3],
        source={"task": "made up"},
    )  # fmt: skip


def test_a_file_gives_back_what_was_kept(tmp_path) -> None:
    table = rich()
    table.save(tmp_path / "c.npz")
    again = Curves.load(tmp_path / "c.npz")
    for name in (
        "space",
        "metric",
        "mode",
        "unit",
        "arms",
        "units",
        "configurations",
        "why",
        "refined",
        "source",
    ):
        assert getattr(again, name) == getattr(table, name)
    for name in ("value", "seconds", "length", "ended", "warm_seconds", "warm_batches"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
    np.testing.assert_array_equal(again.metrics["loss"], table.metrics["loss"])


def test_missing_units_and_diverged_ones() -> None:
    table = rich()
    assert table.length.tolist() == [[4, 2, 4], [4, 4, 4]]
    failed, diverged = table.curve("baseline", 1), table.curve("ohgw-1step", 2)
    assert (failed.units, failed.ended, failed.why) == ((1, 2), "failed", "it ran out")
    assert (len(diverged.values), diverged.ended, math.isnan(diverged.values[1])) == (4, "complete", True)


def test_rows_by_configuration() -> None:
    table = rich()
    assert [table.row_of(each) for each in table.configurations] == [0, 1, 0]  # the third is the first again
    moved = table.refined[1, 1]
    assert (table.row_of(moved), table.row_of(moved, "ohgw-1step"), table.row_of(moved, "baseline")) == (
        None,
        1,
        None,
    )
    assert table.nearest(moved) == 1


def test_the_searcher_draws_each_row_once() -> None:
    table = rich()
    searcher = table.searcher(3, resample=True)
    assert sorted(searcher.row(index) for index in range(3)) == [0, 1, 2]
    assert sorted(searcher.row(index) for index in range(3, 6)) == [0, 1, 2]
    assert [searcher.row(index) for index in range(3)] == [table.searcher(3).row(index) for index in range(3)]
    assert len({tuple(table.searcher(seed).row(i) for i in range(3)) for seed in range(40)}) == 6
    some = table.searcher(0, among=[1, 1])
    assert ([some.row(0), some.row(1)], some.size) == ([1, 1], 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": np.zeros((3, 4))}, "shape"),
        ({"value": np.zeros((2, 3, 0))}, "at least one unit"),
        ({"value": [[1, 2], [1]]}, "one length"),
        ({"configurations": [], "value": np.zeros((2, 0, 4))}, "empty"),
        ({"seconds": np.full((2, 3, 4), -1)}, "seconds of arm 0"),
        ({"seconds": np.full((2, 3, 4), math.nan)}, "seconds of arm 0"),
        ({"seconds": np.ones((2, 3))}, "seconds has shape"),
        ({"units": (1, 2, 2, 3)}, "grow"),
        ({"units": (1, 2)}, "2 units"),
        ({"arms": ("a", "a")}, "each once"),
        ({"length": 9}, "length"),
        ({"ended": "lost"}, "lost"),
        ({"refined": {(2, 0): ROWS[0]}}, "refined"),
        ({"warm_seconds": -1}, "warm_seconds"),
    ],
)
def test_mistakes(change, words: str) -> None:
    good = {"configurations": ROWS, "value": np.zeros((2, 3, 4)), "arms": ("baseline", "other")}
    with pytest.raises(CurvesError, match=words):
        Curves.from_arrays(SPACE, **{**good, **change})


def test_a_configuration_of_another_space() -> None:
    with pytest.raises(ConfigurationError, match="configuration 1: "):
        Curves.from_arrays(SPACE, [ROWS[0], {"kind": "c", "x": 0}], np.zeros((2, 3)))


def test_what_is_no_table(tmp_path) -> None:
    path = tmp_path / "c.npz"
    with pytest.raises(CurvesError, match="no file"):
        Curves.load(path)
    np.savez(path, x=1)
    with pytest.raises(CurvesError, match="no table of curves"):
        Curves.load(path)
    rich().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CurvesError, match="damaged"):
        Curves.load(path)
    np.savez(path, format=np.array({"a": 1}, dtype=object))
    with pytest.raises(CurvesError, match="damaged"):
        Curves.load(path)
