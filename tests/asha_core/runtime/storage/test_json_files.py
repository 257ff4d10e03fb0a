"""JSON files are read with an error that names them, or as nothing where nothing relies on them."""

from __future__ import annotations

import math

import pytest

from asha_core.errors import ResultsError
from asha_core.runtime.storage.json_files import read_json, read_optional_json, write_json


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": (1, math.inf), "y": {"\udcff": None}})
    assert read_json(path) == read_optional_json(path) == {"x": [1, "inf"], "y": {"\udcff": None}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot read .*a.json: No such file"),
        (b"", "a.json is damaged"),
        (b'{"x": 1', "a.json is damaged"),
        (b"\xff{}", "a.json is damaged"),
        (b"[" * 100_000, "a.json is damaged"),
        (b"[1]", "a.json is damaged: it holds a list"),
    ],
)
def test_what_cannot_be_read_is_an_error_or_nothing(tmp_path, content, why):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert read_optional_json(path) == {}
    with pytest.raises(ResultsError, match=why):
        read_json(path)
