"""What cannot be learned from is said before anything runs: in one line, with what to do."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import TaskError
from tests.trials.data.tables.made import lines, written
from trials.data.tables import check, prepared

pd: Any = pytest.importorskip("pandas")

Change = Callable[[list[str]], list[str] | bytes]


def in_row(number: int, column: int, value: str) -> Change:
    def change(rows: list[str]) -> list[str]:
        cells = rows[number].split(",")
        cells[column] = value
        return [*rows[:number], ",".join(cells), *rows[number + 1 :]]

    return change


def with_column(name: str, value: Callable[[int], str]) -> Change:
    return lambda rows: [f"{name},{rows[0]}", *(f"{value(at)},{row}" for at, row in enumerate(rows[1:]))]


def refused(path: str, *parts: str, **options: Any) -> None:
    """``check`` and ``prepared`` refuse it alike, on one line with these parts."""
    options = {"target": "y", **options}
    said = set()
    for function in (check, prepared):
        with pytest.raises(TaskError) as caught:
            function(path, **options)
        said.add(str(caught.value))
    (text,) = said
    assert "\n" not in text
    assert [part for part in parts if part not in text] == [], text


BAD: dict[str, tuple[Change, dict[str, Any], list[str]]] = {
    "empty": (lambda rows: b"", {}, ["is empty", "header"]),
    "blank": (lambda rows: b"\n  \n\n", {}, ["is empty"]),
    "header only": (lambda rows: rows[:1], {}, ["header and no rows", "age, city, y"]),
    "header and a blank line": (lambda rows: [rows[0], ""], {}, ["header and no rows"]),
    "no header": (lambda rows: ["5.1,3.5,a", "4.9,3.0,b"], {}, ["has no header", "5.1, 3.5"]),
    "another delimiter": (
        lambda rows: [row.replace(",", "^") for row in rows],
        {},
        ["a single column, 'age^city^y'", "semicolon"],
    ),
    "nothing but constants": (
        lambda rows: [rows[0], *(f"1,a,{row.split(',')[-1]}" for row in rows[1:])],
        {},
        ["nothing to predict it from"],
    ),
    "target elsewhere": (
        lambda rows: rows,
        {"target": "citi"},
        ["no column 'citi'", 'mean "city"', "age, city, y"],
    ),
    "target in capitals": (lambda rows: rows, {"target": "Y"}, ['did you mean "y"']),
    "no target": (lambda rows: rows, {"target": None}, ["target=NAME", "age, city, y"]),
    "constant": (
        lambda rows: [row.replace("yes", "no") for row in rows],
        {},
        ["is no in all 60 rows", "nothing to predict"],
    ),
    "missing target": (in_row(3, 2, ""), {}, ["missing in 1 row of 60", "row 3", "leave those rows out"]),
    "infinite target": (
        with_column("z", lambda at: "inf" if at == 4 else f"{at}.5"),
        {"target": "z"},
        ["'z'", "is inf in 1 row", "row 5", "finite"],
    ),
    "free text": (
        with_column("note", lambda at: f"the {at}th remark"),
        {},
        ["'note'", "free text: 60 different", "'the 0th remark'", "drop=note", "categorical=note"],
    ),
    "numbers with commas": (
        with_column("debt", lambda at: f"${at + 1} 234"),
        {},
        ["'debt'", "'$1 234'", "numbers are read as 1234.5"],
    ),
    "target of percentages": (
        with_column("share", lambda at: f"{at}%"),
        {"target": "share"},
        ["such as '0%'", "no classes", "numbers are read as 1234.5"],
    ),
    "target of free text": (
        with_column("note", lambda at: f"the {at}th remark"),
        {"target": "note"},
        ["60 different texts in 60 rows", "no classes"],
    ),
    "a class with one row": (
        in_row(9, 2, "maybe"),
        {},
        ["at least 5 rows", "maybe (1)", "leave those rows out"],
    ),
    "numbers taken for classes": (
        with_column("z", lambda at: str(at % 19)),
        {"target": "z"},
        ["at least 5 rows", "0 (4)", "kind=regression"],
    ),
    "one name twice": (lambda rows: ["age,age,y", *rows[1:]], {}, ["several columns called 'age'", "rename"]),
    "no name": (
        lambda rows: [f",{rows[0]}", *(f"{at * at},{row}" for at, row in enumerate(rows[1:]))],
        {},
        ["column 1 has no name"],
    ),
    "mostly numbers": (
        in_row(7, 0, "n.a."),
        {},
        ["'age'", "but for 1 cell, such as 'n.a.' in row 7", "categorical=age"],
    ),
    "target mostly numbers": (in_row(7, 0, "n.a."), {"target": "age"}, ["but for 1 cell", "row 7"]),
    "infinite": (in_row(7, 0, "-inf"), {}, ["'age'", "is -inf in 1 row", "row 7", "drop=age"]),
    "beyond float32": (in_row(7, 0, "1e39"), {}, ["'age'", "is 1e+39 in 1 row"]),
    "too few rows": (
        lambda rows: ["x,y", *[f"{at},{at}.5" for at in range(9)]],
        {},
        ["has 9 rows", "at least 10"],
    ),
    "one column": (lambda rows: ["y", *["1", "2"] * 20], {}, ["no column but the target 'y'"]),
    "all dropped": (lambda rows: rows, {"drop": "age,city"}, ["no column but the target 'y'"]),
    "drop elsewhere": (lambda rows: rows, {"drop": "agee"}, ["drop names 'agee'", 'mean "age"']),
    "drop of the target": (lambda rows: rows, {"drop": ["y"]}, ["the target 'y' is in drop"]),
    "categories elsewhere": (
        lambda rows: rows,
        {"categorical": "zip"},
        ["categorical names 'zip'", "age, city, y"],
    ),
    "a longer row": (lambda rows: [*rows, "1,2,3,4"], {}, ["line 62", "saw 4"]),
    "longer rows": (lambda rows: ["x,y", *["1,2,3"] * 20], {}, ["more cells than its header, which has 2"]),
    "an open quote": (lambda rows: [*rows, '1,"open,yes'], {}, ["cannot be read", "inside string"]),
    "Latin-1": (
        lambda rows: "\n".join(rows).replace("Rome", "Zürich").encode("latin-1"),
        {},
        ["not UTF-8", "0xfc", "save it as UTF-8"],
    ),
    "Latin-1 far down": (
        lambda rows: "\n".join(rows * 200).encode() + "\n1,Zürich,yes\n".encode("latin-1"),
        {},
        ["not UTF-8", "0xfc"],
    ),
    "Excel": (lambda rows: b"PK\x03\x04 and so on", {}, ["Excel", "save it as CSV"]),
    "binary": (lambda rows: bytes(range(256)), {}, ["not a text file"]),
    "damaged gzip": (
        lambda rows: gzip.compress("\n".join(rows).encode())[:-20],
        {},
        ["damaged", "compress it again"],
    ),
    "damaged Parquet": (lambda rows: b"PAR1 and so on", {}, ["not a whole Parquet file"]),
    "regression of text": (lambda rows: rows, {"kind": "regression"}, ["is text", "kind=classification"]),
    "classes of fractions": (
        with_column("z", lambda at: f"{at}.5"),
        {"target": "z", "kind": "classification"},
        ["fractions, such as 0.5", "kind=regression"],
    ),
}


@pytest.mark.parametrize(("change", "options", "parts"), BAD.values(), ids=BAD)
def test_what_is_said_of_a_file(
    change: Change, options: dict[str, Any], parts: list[str], tmp_path: Path
) -> None:
    refused(written(tmp_path / "people.csv", change(lines())), *parts, **options)


@pytest.mark.parametrize("change", [with_column("note", lambda at: f"the {at}th"), in_row(7, 0, "n.a.")])
def test_what_the_message_tells_to_do_helps(change: Change, tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", change(lines()))
    name = "note" if "note" in Path(path).read_text()[:10] else "age"
    for option in ("drop", "categorical"):
        check(path, "y", **{option: name})


def test_files_that_are_not_there(tmp_path: Path) -> None:
    written(tmp_path / "people.csv", lines())
    refused(str(tmp_path / "peopel.csv"), "there is no file", 'did you mean "people.csv"')
    refused(str(tmp_path / "none" / "people.csv"), "its folder is not there")
    refused(str(tmp_path), "is a folder", "people.csv")
    refused("wien", 'did you mean "wine"', "breast-cancer", "diabetes")
    refused("x" * 999, "no file can be called so", "too long")
    refused("~nobody-of-this-name/t.csv", "no file can be called so")
    refused("https://example.org/people.csv", "fetch it first")


def test_columns_of_parquet_that_are_no_values(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = str(tmp_path / "t.parquet")
    table = pd.read_csv(written(tmp_path / "t.csv", lines()))
    table["tags"] = [[1, 2]] * len(table)
    table.to_parquet(path)
    refused(path, "'tags'", "drop=tags")
    check(path, "y", drop="tags")


TESTS: dict[str, tuple[Change, list[str]]] = {
    "another column": (
        lambda rows: ["age,town,y", *rows[1:]],
        ["lacks 'city' and has 'town' besides", "people.csv"],
    ),
    "no target": (lambda rows: ["age,city,z", *rows[1:]], ["lacks the target 'y'"]),
    "another class": (
        lambda rows: [row.replace("yes", "yes.") for row in rows],
        ["'yes.', which", 'did you mean "yes"'],
    ),
    "text for numbers": (in_row(2, 0, "old"), ["'age'", "'old' in row 2", "numbers in"]),
    "infinite": (in_row(2, 0, "inf"), ["'age'", "row 2"]),
    "missing target": (in_row(2, 2, ""), ["'y'", "missing in 1 row"]),
    "empty": (lambda rows: b"", ["is empty"]),
}


@pytest.mark.parametrize(("change", "parts"), TESTS.values(), ids=TESTS)
def test_what_is_said_of_a_test_file(change: Change, parts: list[str], tmp_path: Path) -> None:
    data = written(tmp_path / "people.csv", lines())
    test = written(tmp_path / "test.csv", change(lines(9)))
    refused(data, "test.csv", *parts, test=test)


def test_a_test_file_of_text_for_a_regression(tmp_path: Path) -> None:
    data = written(tmp_path / "data.csv", ["x,y", *[f"{at},{at}.5" for at in range(20)]])
    test = written(tmp_path / "test.csv", ["x,y", "1,a", "2,b"])
    refused(data, "test.csv", "is text, such as 'a'", test=test)


def test_where_pandas_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "people.csv", lines())
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    for data in (path, "openml:61"):
        refused(data, "needs pandas", "pip install 'asha-core[tabular]'")
