"""Tasks from anywhere: by name what can be imported, by value all else; no main module runs twice."""

from __future__ import annotations

import importlib.util
import json
import linecache
import pickletools
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.asha_core.cli.searches import environment
from trials.worker.by_value import MainModule, pickled, read

SCRIPT = '''
import enum, functools, pickle, sys
from dataclasses import dataclass
from pathlib import Path

from asha_core import ASHA, Float, SearchSpace, tune
from beside import TEN
from trials import Task

with open("runs.txt", "a") as file:
    print("the main module runs", file=file)

class Color(enum.Enum):
    RED = 1

@dataclass
class Point:
    x: float = 0.5

@functools.lru_cache(maxsize=7)
def cached(x):
    return x

def whole(x):
    return Kept.of(x)

class Kept:
    """Pickled by name inside a trial, as torch.save does with a model's class."""
    def __init__(self, x):
        self.x = x
    @classmethod
    def of(cls, x):
        return pickle.loads(pickle.dumps(cls(x)))

def made():
    offset = 100.0
    class Local:
        scale = 2.0
        def times(self, x):
            return self.scale * x
    def closure(kind, x):
        assert kind is Color.RED and cached(x) == x and cached.cache_info().maxsize == 7
        return offset + whole(Local().times(x)).x + Point().x + TEN
    return functools.partial(closure, Color.RED), Local().times

closure, bound = made()

class Own(Task):
    space = SearchSpace({"x": Float(1.0, 2.0)})

    def run(self, trial):
        x = trial.config["x"]
        assert bound(x) == 2 * x
        for unit in trial.units():
            trial.save({"x": x})
            trial.report((lambda: closure(x))(), x=x)
        sys.stderr.write("trained")

scheduler = ASHA(Own.space, max_resource=1, max_trials=2)
result = tune(Own(), scheduler, gpus="cpu", workers_per_gpu=1, results_dir="run", progress="none")
x = result.best_configuration["x"]
assert abs(result.best_value - (110.5 + 2 * x)) < 1e-9, result
# and again from the same main module: another process would find a task of the same name
tune(Own(), ASHA(Own.space, max_resource=1, max_trials=2), gpus="inline", results_dir="run", resume=True,
     progress="none")
'''


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("script.py", "script:Own"),
        ("-", "__main__:Own"),
        pytest.param("-m app", "__main__:Own", marks=pytest.mark.slow),
    ],
)
def test_everything_that_a_main_module_defines_reaches_the_workers_and_it_runs_once(
    form: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("TEN = 10\n")
    (tmp_path / "app").mkdir()
    for file in (tmp_path / "script.py", tmp_path / "app" / "__main__.py"):
        file.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, *form.split()],
        input=SCRIPT if form == "-" else None,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs.txt").read_text() == "the main module runs\n"
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["task"]["target"] == named


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A main module for the test to write."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def written(module: ModuleType, text: str) -> Any:
    """What the text, run in the module, calls ``thing``."""
    exec(text, vars(module))
    return vars(module)["thing"]


def refers_to(content: bytes) -> str:
    return " ".join(str(argument) for _, argument, _ in pickletools.genops(content))


def module_from(file: Path, name: str, text: str) -> ModuleType:
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_a_module_that_no_import_would_find_travels_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def helper(): return 41\ndef thing(): return helper() + 1\n"
    for name in ("asha_test_elsewhere", "asha_test_here"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # gone again in the end
    (tmp_path / "elsewhere").mkdir()
    elsewhere = module_from(tmp_path / "elsewhere" / "asha_test_elsewhere.py", "asha_test_elsewhere", text)
    here = module_from(tmp_path / "asha_test_here.py", "asha_test_here", text)
    monkeypatch.syspath_prepend(tmp_path)
    contents = [pickled(elsewhere.thing), pickled(here.thing), pickled({"module": elsewhere}["module"])]
    assert "asha_test_here" in refers_to(contents[1])
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])
    del sys.modules["asha_test_elsewhere"], sys.modules["asha_test_here"]
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    nothing = MainModule(None, None)
    assert read(contents[0], nothing)() == 42
    assert read(contents[2], nothing).thing() == 42
    with pytest.raises(ModuleNotFoundError, match="asha_test_here"):
        read(contents[1], nothing)


def test_a_module_that_is_still_being_imported_travels_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that calls ``tune`` at its top level: a worker that imported it would call it again."""
    monkeypatch.setitem(sys.modules, "asha_test_begins", ModuleType("asha_test_begins"))
    del sys.modules["asha_test_begins"]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "asha_test_begins.py").write_text(
        "from trials.worker.by_value import pickled\ndef thing(): return 42\ncontent = pickled(thing)\n"
    )
    module = importlib.import_module("asha_test_begins")
    del sys.modules["asha_test_begins"]
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    assert read(module.content, MainModule(None, None))() == 42
    assert "asha_test_begins" not in sys.modules


@pytest.mark.parametrize(
    "expression", ["dict", "len", "json.dumps", "math.sin", "torch.nn.Linear", "torch.ops", "torch.sin"]
)
def test_what_can_be_imported_travels_by_name(expression: str, main: ModuleType) -> None:
    thing = written(main, f"import json, math, torch\nthing = {expression}")
    assert len(pickled(thing)) < 150
    assert read(pickled(thing), MainModule(None, None)) is thing


def test_what_came_along_of_the_main_module_is_found_by_name(main: ModuleType, tmp_path: Path) -> None:
    thing = written(main, "def helper(): return 42\ndef unused(): ...\ndef thing(): return helper()")
    script = tmp_path / "script.py"
    script.write_text("")
    main.__file__ = str(script)
    described = MainModule.of_this_process()
    assert read(pickled(thing), described)() == 42
    there = sys.modules["__main__"]
    assert (there is main, there.__file__, hasattr(there, "unused")) == (False, str(script), False)
    assert vars(there)["helper"]() == 42


def test_what_python_itself_cannot_pickle_of_a_class_or_a_function_travels(main: ModuleType) -> None:
    text = """
import functools
@functools.singledispatch
def kind(x): return "any"
@kind.register(int)
def _(x): return "int"
class Kept:
    @functools.cached_property
    def value(self): return [kind(1)]
    @functools.lru_cache
    def half(self, x): return x / 2
def thing():
    kept = Kept()
    return kind("x"), kind(1), kept.value[0], kept.half(3), vars(kept)
"""
    function = read(pickled(written(main, text)), MainModule(None, None))
    assert function() == ("any", "int", "int", 1.5, {"value": ["int"]})


def test_a_traceback_shows_the_lines_of_a_notebook_s_cell(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, text = "/nowhere/cell-1.py", "def thing(): return [1 / 0 for _ in 'x']  # of the cell"
    monkeypatch.setitem(linecache.cache, cell, (len(text), None, [text], cell))
    exec(compile(text, cell, "exec"), vars(main))
    content = pickled(vars(main)["thing"])
    del linecache.cache[cell]
    function = read(content, MainModule(None, None))
    with pytest.raises(ZeroDivisionError) as caught:
        function()
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "{cell}", line 1, in thing' in shown
    assert "# of the cell" in shown


def test_a_main_module_without_a_file_has_none_there(main: ModuleType) -> None:
    main.__file__ = "<stdin>"
    assert MainModule.of_this_process() == MainModule(None, None)
    assert not hasattr(MainModule(None, None).stand_in(), "__file__")
    assert MainModule("/x/app/__main__.py", "app.__main__").stand_in().__spec__.name == "app.__main__"  # type: ignore[union-attr]
