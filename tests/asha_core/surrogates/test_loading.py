"""Models are loaded when a scheduler or searcher that needs one is made, and not before."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from asha_core import surrogates
from asha_core.errors import SettingError
from asha_core.schedulers import MODEL_BASED, MODEL_FREE, SCHEDULERS

CORE = Path(surrogates.__file__).resolve().parents[1]
LARGE = ("torch", "numpy", "scipy", "gpytorch", "optuna")


@pytest.mark.processes
def test_the_core_loads_no_library_of_its_models():
    """Not by importing any module of the schedulers and searchers, those with models among them."""
    modules = [
        f"asha_core.{room}.{file.stem}"
        for room in ("schedulers", "searchers")
        for file in sorted((CORE / room).glob("*.py"))
        if file.stem != "__init__"
    ]
    program = (
        f"import importlib, sys\nfor name in {['asha_core.surrogates', *modules]!r}:\n"
        f"    importlib.import_module(name)\nprint([name for name in {LARGE!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_scheduler_has_a_model_or_none():
    assert {**MODEL_FREE, **MODEL_BASED} == SCHEDULERS
    assert not set(MODEL_FREE) & set(MODEL_BASED)


def test_a_model_that_nobody_has_is_named():
    with pytest.raises(SettingError, match="unknown surrogate 'deep-colonel'"):
        surrogates.load("deep-colonel", "scheduler mine")


def test_what_is_missing_is_told_with_how_to_have_it(monkeypatch):
    there = importlib.util.find_spec
    gone = ("gpytorch", "optuna")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else there(name))
    surrogates.check_installed(("torch", "numpy"), "scheduler mine")
    with pytest.raises(SettingError) as caught:
        surrogates.check_installed(("torch", "gpytorch"), "scheduler mine")
    assert str(caught.value) == (
        "scheduler mine needs gpytorch, which is not installed: pip install 'asha-core[bo]'"
    )
    with pytest.raises(SettingError, match="needs gpytorch and optuna, which are not installed: pip"):
        surrogates.check_installed(gone, "searcher yours")
    monkeypatch.setitem(surrogates.SURROGATES, "his", ("nowhere:Nothing", ("gpytorch",)))
    with pytest.raises(SettingError, match="scheduler his needs gpytorch"):  # ahead of any import
        surrogates.load("his", "scheduler his")


def test_a_model_is_imported_by_its_name(monkeypatch):
    monkeypatch.setitem(surrogates.SURROGATES, "queue", ("collections:deque", ()))
    assert surrogates.load("queue", "a test").__name__ == "deque"
