"""The public names, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import asha_core

HEAVY = ("torch", "numpy", "rich", "scipy", "yaml", "asha_core.cli")
# tune puts the engine, the tasks and the workers together
ENGINE = {"Curves", "simulate", "tune", "Result"}
# what the engine says to those who watch it, or run its jobs
ENGINE |= {"Executor", "Notice", "Observer", "Outcome", "Retired", "SearchView", "SlotView", "WorkerReady"}


def loaded_after(statements: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after some statements."""
    program = f"import json, sys\n{statements}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.processes
def test_importing_the_package_loads_nothing_heavy():
    modules = loaded_after("import asha_core; asha_core.__version__; dir(asha_core)")
    assert "asha_core" in modules
    assert modules.isdisjoint(HEAVY)
    assert {name for name in modules if name.startswith("asha_core.")} == {"asha_core.old_paths"}


@pytest.mark.processes
def test_the_core_names_load_nothing_heavy():
    names = sorted(set(asha_core.__all__) - ENGINE - {"__version__"})
    modules = loaded_after(f"from asha_core import {', '.join(names)}")
    assert "asha_core.schedulers.asha" in modules
    assert modules.isdisjoint(HEAVY)
    assert not any(name.startswith(("asha_core.runtime", "trials", "warmstart")) for name in modules)


@pytest.mark.parametrize("name", asha_core.__all__)
def test_every_public_name_resolves_to_what_its_module_defines(name):
    value = getattr(asha_core, name)
    if name == "__version__":
        assert [part.isdigit() for part in value.split(".")] == [True] * 3
        return
    assert value.__name__ == name
    assert value.__doc__
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_dir_lists_every_public_name_once():
    for name in asha_core.__all__:
        getattr(asha_core, name)
    listed = dir(asha_core)
    assert set(asha_core.__all__) <= set(listed)
    assert len(listed) == len(set(listed))


def test_public_names_are_listed_once():
    assert len(asha_core.__all__) == len(set(asha_core.__all__))


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(asha_core.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == asha_core._HOME
    assert set(seen) | {"__version__"} == set(asha_core.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Hyperbandd"):
        asha_core.Hyperbandd  # noqa: B018
