"""Tables in files: however they are written, the same rows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trials.data.tables.made import lines, written
from trials.data.tables import check, prepared
from trials.data.tables.reading import located

pd: Any = pytest.importorskip("pandas")

WAYS: dict[str, Any] = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
}


def same_as_plain(path: str, tmp_path: Path, **options: Any) -> None:
    plain = prepared(written(tmp_path / "plain.csv", lines()), "y")
    found = prepared(path, "y", **options)
    assert (found.numeric_names, found.categorical_names) == (plain.numeric_names, plain.categorical_names)
    assert found.classes == plain.classes
    np.testing.assert_array_equal(found.train.numeric, plain.train.numeric)
    np.testing.assert_array_equal(found.test.categories, plain.test.categories)
    np.testing.assert_array_equal(found.valid.target, plain.valid.target)


@pytest.mark.parametrize("delimiter", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_byte_order_marks(delimiter: str, encoding: str, tmp_path: Path) -> None:
    same_as_plain(written(tmp_path / "t.csv", lines(delimiter=delimiter), encoding), tmp_path)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_ends_of_lines(end: str, tmp_path: Path) -> None:
    same_as_plain(written(tmp_path / "t.csv", lines(), end=end), tmp_path)


def test_gzip_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(lines()).encode())
    same_as_plain(written(tmp_path / "table", packed), tmp_path)


def test_blanks_after_delimiters(tmp_path: Path) -> None:
    same_as_plain(written(tmp_path / "t.data", [line.replace(",", ", ") for line in lines()]), tmp_path)


def test_row_numbers_and_an_empty_last_column_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered = [f"{'' if at == 0 else at - 1},{line}" for at, line in enumerate(lines())]
    for changed, why in ((numbered, "row numbers"), ([f"{line}," for line in lines()], "is empty")):
        path = written(tmp_path / "t.csv", changed)
        same_as_plain(path, tmp_path)
        capsys.readouterr()
        check(path, "y")
        assert why in capsys.readouterr().err


def test_decimal_commas(tmp_path: Path) -> None:
    rows = [f"{at},5;{at % 2}" for at in range(20)]
    found = prepared(written(tmp_path / "t.csv", ["x;y", *rows]), "y", encoding="trees")
    assert set(found.train.numeric[:, 0]) < {at + 0.5 for at in range(20)}


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.read_csv(written(tmp_path / "t.csv", lines())).to_parquet(tmp_path / "t.parquet")
    same_as_plain(str(tmp_path / "t.parquet"), tmp_path)


def test_types_of_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import datetime
    from decimal import Decimal

    days = [datetime.date(1970, 1, 2 + at % 3) for at in range(30)]
    columns = {
        "flag": pd.array([True, None, False] * 10, dtype="boolean"),
        "count": pd.array([1, None, 3] * 10, dtype="Int64"),
        "price": [Decimal("1.5")] * 30,
        "day": days,
        "moment": pd.Series(pd.to_datetime(days)).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        "kind": pd.Categorical(["3", "4", None] * 10),
        "y": ["a", "b"] * 15,
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    found = prepared(str(tmp_path / "t.parquet"), "y", encoding="trees")
    assert found.numeric_names == ("flag", "count", "price", "day", "moment")
    assert found.categorical_names == ("kind",)
    assert found.cardinalities == (3,)
    flag, count, price, day, moment = found.train.numeric.T
    assert set(flag[~np.isnan(flag)]) == {0, 1}
    assert set(count[~np.isnan(count)]) == {1, 3}
    assert set(price) == {1.5}
    assert set(day) == {1, 2, 3}
    np.testing.assert_array_equal(day, moment)


def test_dates_are_days_and_booleans_0_and_1(tmp_path: Path) -> None:
    rows = [f"1970-01-{2 + at % 20:02},1970-01-02T12:00:00Z,{at % 2 == 0},{at % 2}" for at in range(40)]
    found = prepared(written(tmp_path / "t.csv", ["day,noon,flag,y", *rows]), "y", encoding="trees")
    assert found.numeric_names == ("day", "noon", "flag")
    assert found.train.numeric[:, 0].min() == 1
    assert set(found.train.numeric[:, 1]) == {1.5}
    assert set(found.train.numeric[:, 2]) == {0, 1}


@pytest.mark.parametrize("text", ["", "?", "NA", "NaN", "null", " "])
def test_what_is_missing(text: str, tmp_path: Path) -> None:
    rows = [f"{text if at % 4 == 0 else at},{text if at % 4 == 1 else 'x'},{at % 2}" for at in range(40)]
    found = prepared(written(tmp_path / "t.csv", ["n,c,y", *rows]), "y")
    assert found.numeric_names == ("n", "n is missing")
    assert found.cardinalities == (2,)
    assert 0 in found.train.categories


def test_numbers_that_are_categories_keep_how_they_are_written(tmp_path: Path) -> None:
    rows = [f"{('01', '1', '2')[at % 3]},{at % 2}" for at in range(42)]
    path = written(tmp_path / "t.csv", ["zip,y", *rows])
    assert prepared(path, "y").categorical_names == ()
    assert prepared(path, "y", categorical="zip").cardinalities == (4,)


def test_a_test_file_with_numbers_where_the_data_have_texts_too(tmp_path: Path) -> None:
    rows = [f"{'A' if at % 2 else '07'},{at % 2}" for at in range(40)]
    data = written(tmp_path / "t.csv", ["code,y", *rows])
    test = written(tmp_path / "test.csv", ["y,code", *[f"{at % 2},07" for at in range(6)]])
    found = prepared(data, "y", test)
    assert set(found.test.categories[:, 0]) == {1}


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["no", "yes"], "classification", ("no", "yes")),
        (["True", "False"], "classification", ("0", "1")),
        (["2", "10"], "classification", ("2", "10")),
        (["1.0", "-1.0"], "classification", ("-1", "1")),
        ([str(at) for at in range(20)], "classification", tuple(str(at) for at in range(20))),
        ([str(at) for at in range(21)], "regression", ()),
        (["1.5", "2"], "regression", ()),
    ],
)
def test_what_a_target_is(values: list[str], kind: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    rows = [f"{at},{values[at % len(values)]}" for at in range(210)]
    path = written(tmp_path / "t.csv", ["x,y", *rows])
    found = prepared(path, "y")
    assert (found.kind, found.classes) == (kind, classes)
    assert found.target_name == "y"


def test_a_table_is_found_from_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "t.csv", lines())
    (tmp_path / "wine").mkdir()
    assert located("t.csv") == str(tmp_path / "t.csv")
    for data in ("wine", "openml:61", "not-there.csv"):
        assert located(data) == data


def test_kind_says_what_a_target_of_whole_numbers_is(tmp_path: Path) -> None:
    rows = [f"{at},{at % 30}" for at in range(210)]
    path = written(tmp_path / "t.csv", ["x,y", *rows])
    assert len(prepared(path, "y", kind="classification").classes) == 30
    few = written(tmp_path / "few.csv", ["x,y", *[f"{at},{at % 3}" for at in range(30)]])
    assert prepared(few, "y", kind="regression").kind == "regression"


def test_columns_whose_names_are_numbers_may_be_named_by_numbers(tmp_path: Path) -> None:
    """As a command reads ``target=2``."""
    path = written(tmp_path / "t.csv", ["0,1,2", *[f"{at},{at % 3},{at % 2}" for at in range(30)]])
    found = prepared(path, 2, drop=0, categorical=[1])  # type: ignore[arg-type]
    assert (found.target_name, found.numeric_names, found.categorical_names) == ("2", (), ("1",))
