"""What is said of libraries that are not installed (that extras have them: ``tests/test_packaging.py``)."""

from __future__ import annotations

import importlib.util

import pytest

from asha_core.errors import SettingError, TaskError
from asha_core.extras import missing, needed


@pytest.fixture
def gone(monkeypatch):
    there = importlib.util.find_spec
    names = {"gpytorch", "optuna", "xgboost", "pyarrow", "his_own"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else there(name))


def test_what_is_missing_is_told_with_how_to_have_it(gone):
    assert missing(["torch", "numpy"]) == ""
    assert missing(["torch", "gpytorch"]) == "gpytorch, which is not installed: pip install 'asha-core[bo]'"
    assert missing(["gpytorch", "optuna"]) == (
        "gpytorch and optuna, which are not installed: pip install 'asha-core[bo]'"
    )
    assert missing(["gpytorch", "xgboost"]).endswith("pip install 'asha-core[bo,tabular]'")
    assert missing(["pyarrow"], "language").endswith("pip install 'asha-core[language]'")
    assert missing(["his_own"]) == "his_own, which is not installed: pip install his_own"


def test_the_error_says_who_needs_it(gone):
    needed("bo", "torch", what="task mine")
    with pytest.raises(TaskError) as caught:
        needed("tabular", "xgboost", what="task tabular")
    assert str(caught.value) == (
        "task tabular needs xgboost, which is not installed: pip install 'asha-core[tabular]'"
    )
    with pytest.raises(SettingError, match="scheduler his needs gpytorch"):
        needed(None, "gpytorch", what="scheduler his", error=SettingError)
