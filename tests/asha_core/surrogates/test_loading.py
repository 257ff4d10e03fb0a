"""Models are loaded when a scheduler or searcher that needs one is made, and not before."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from asha_core import surrogates
from asha_core.errors import SettingError
from asha_core.schedulers import MODEL_BASED, MODEL_FREE, SCHEDULERS
from asha_core.surrogates import background

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
    monkeypatch.setitem(surrogates.SURROGATES, "his", ("nowhere:Nothing", ("gpytorch",)))
    with pytest.raises(SettingError, match="scheduler his needs gpytorch"):  # ahead of any import
        surrogates.load("his", "scheduler his")


def test_a_model_is_imported_by_its_name(monkeypatch):
    monkeypatch.setitem(surrogates.SURROGATES, "queue", ("collections:deque", ()))
    assert surrogates.load("queue", "a test").__name__ == "deque"


def test_a_library_that_another_thread_is_loading_is_waited_for(monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def load(name):
        if name not in sys.modules:
            sys.modules[name] = types.ModuleType(name)
            begun.set()
            may_end.wait(10)
            sys.modules[name].models = "all of it"
        return sys.modules[name]

    monkeypatch.setitem(sys.modules, "gpytorch", None)
    monkeypatch.delitem(sys.modules, "gpytorch")
    monkeypatch.setattr(background.importlib, "import_module", load)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(hasattr(background.load_gpytorch(), "models")))
        for _ in range(2)
    ]
    threads[0].start()
    begun.wait(10)
    threads[1].start()
    threads[1].join(0.05)
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert found == [True, True]
