"""Data sets of openml.org, with scikit-learn's ``fetch_openml`` played by a double."""

from __future__ import annotations

import socket
import warnings
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest

from asha_core.errors import TaskError
from trials.data.tables import check, prepared

pd: Any = pytest.importorskip("pandas")


class OpenML:
    """Answers, or raises what it was given; keeps how it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **asked: Any) -> Any:
        self.asked.append({**asked, "patience": socket.getdefaulttimeout()})
        if isinstance(self.answer, Exception):
            raise self.answer
        warnings.warn("Version 1 of dataset iris is inactive", stacklevel=1)
        return self.answer


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> OpenML:
    columns = {
        "length": [at / 7 for at in range(30)],
        "colour": pd.Categorical(["1", "2", None] * 10),
        "class": pd.Categorical(["a", "b"] * 15),
    }
    double = OpenML(SimpleNamespace(frame=pd.DataFrame(columns), target_names=["class"]))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", double)
    return double


def test_a_data_set_by_its_id(openml: OpenML, capsys: pytest.CaptureFixture[str]) -> None:
    found = prepared("openml:61")
    assert (found.target_name, found.classes) == ("class", ("a", "b"))
    assert (found.numeric_names, found.categorical_names) == (("length",), ("colour",))
    assert openml.asked[0]["data_id"] == 61
    assert openml.asked[0]["patience"] is not None
    assert socket.getdefaulttimeout() is None
    assert capsys.readouterr().err == ""
    check("openml:61")
    assert "openml:61: Version 1 of dataset iris is inactive" in capsys.readouterr().err


def test_another_target_and_columns_left_out(openml: OpenML) -> None:
    found = prepared("openml:61", target="length", drop="colour")
    assert (found.kind, found.categorical_names) == ("regression", ("class",))


def test_several_targets(openml: OpenML) -> None:
    openml.answer.target_names = ["class", "colour"]
    with pytest.raises(TaskError, match=r"several targets: add target=NAME, one of: class, colour"):
        check("openml:61")
    check("openml:61", target="class")


def test_categories_that_are_numbers_are_parsed_by_the_other_parser(
    openml: OpenML, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(**asked: Any) -> Any:  # as scikit-learn 1.9 beside pandas 3.1
        if asked["parser"] == "auto":
            raise TypeError("expected string or bytes-like object, got 'int'")
        return openml(**asked)

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    check("openml:61")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (URLError(OSError(-2, "Name or service not known")), "no connection: Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (ValueError("Dataset with data_id 61 not found."), "Dataset with data_id 61 not found."),
    ],
)
def test_what_goes_wrong(openml: OpenML, error: Exception, said: str) -> None:
    openml.answer = error
    with pytest.raises(TaskError) as caught:
        check("openml:61")
    assert said in str(caught.value)
    assert "save the data set as CSV" in str(caught.value)
    assert ("check the network" in str(caught.value)) == isinstance(error, OSError)
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("data", ["openml:", "openml:iris", "openml:0", "openml:-3", "openml:²"])
def test_an_id_is_a_number(data: str) -> None:
    with pytest.raises(TaskError, match="as in openml:61"):
        check(data)
