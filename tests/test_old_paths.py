"""Old import paths give the very objects that are at the new ones, and say so."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from asha_core.old_paths import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_gives_the_same_objects_with_a_warning(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f" is {MOVED[old]} now"):
        module = importlib.import_module(old)
    new = vars(importlib.import_module(MOVED[old]))
    public = [name for name in new if not name.startswith("_")]
    assert public
    assert all(getattr(module, name) is new[name] for name in public)


def test_what_never_was_there_is_still_missing():
    with pytest.raises(ModuleNotFoundError, match="never"):
        importlib.import_module("analysis.never")


@pytest.mark.processes
def test_from_a_fresh_interpreter():
    code = "from analysis.paired import holm; print(holm.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "analysis.stats.paired"
