"""The cases worked out by hand notice every mistake in ``mutants``.

The core and the cases are copied to a folder of their own, the mistake is made there, and the cases are run
on that copy by a process that knows no other.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.asha_core.mutants import MUTANTS

CORE = Path(__file__).resolve().parent
PACKAGE = CORE.parent.parent / "asha_core"
SCHEDULERS = ("asha", "stopping", "pasha", "hyperband", "full", "successive_halving", "sync_hyperband")
OF_BASE = ("contract", "asha", "sync_hyperband", "stopping", "finished", "retried", "refined_promotions")


def of_schedulers(*names: str) -> list[str]:
    return [f"schedulers/test_{name}.py" for name in names]


CASES = {
    "schedulers.rung": of_schedulers("rung_by_hand", "retried"),
    "schedulers.levels": of_schedulers("levels_by_hand"),
    "schedulers.soft_ranking": of_schedulers("soft_ranking"),
    "schedulers.brackets": of_schedulers("brackets_by_hand"),
    "schedulers.attempts": of_schedulers("contract"),
    "messages": ["runtime/test_resume_laws.py"],
    **{f"schedulers.{name}": of_schedulers(*OF_BASE) for name in ("base", "event_checks", "state", "tally")},
    "schedulers.hook_checks": of_schedulers("hooks"),
    "schedulers.synchronous": of_schedulers("successive_halving", "sync_hyperband"),
    **{f"schedulers.{name}": of_schedulers(name) for name in SCHEDULERS},
    "runtime.replay": ["runtime/test_resume_laws.py"],
}
FAST = tuple(f"schedulers.{name}" for name in ("asha", "full"))  # others: seconds each
HELPERS = (
    "__init__.py",
    "schedulers/__init__.py",
    "schedulers/helpers.py",
    "runtime/__init__.py",
    "runtime/engine_doubles.py",
)
WHICH = """
from pathlib import Path
import asha_core, asha_core.schedulers.rung, asha_core.schedulers.base, tests

def test_it_is_the_copy_that_is_tested():
    here = Path(__file__).resolve().parents[2]
    for module in (asha_core, asha_core.schedulers.rung, asha_core.schedulers.base, tests):
        assert Path(module.__file__).resolve().is_relative_to(here)
"""


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The core and the cases, in a folder of their own."""
    folder = tmp_path / "original"
    others = shutil.ignore_patterns("cli", "launch", "study", "__pycache__")
    shutil.copytree(PACKAGE, folder / "asha_core", ignore=others)
    cases = folder / "tests" / "asha_core"
    (cases / "schedulers").mkdir(parents=True)
    (cases / "runtime").mkdir()
    needed = {case for each in CASES.values() for case in each}
    for name in (*HELPERS, *needed):
        shutil.copy(CORE / name, cases / name)
    (folder / "tests" / "__init__.py").touch()
    (cases / "test_which.py").write_text(WHICH)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    compileall.compile_dir(folder, quiet=2)
    return folder


def run(folders: list[Path], cases: list[str]) -> list[str]:
    """Run cases on each copy: "0" if all passed, "1" if one failed."""
    files = ",".join(f"tests/asha_core/{case}" for case in ("test_which.py", *cases))
    done = subprocess.run(
        [sys.executable, str(CORE / "forks.py"), *(f"{folder}:{files}" for folder in folders)],
        capture_output=True,
        text=True,
        check=True,
    )
    status = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    return [status[str(folder)] for folder in folders]


@pytest.mark.slow
@pytest.mark.processes
def test_without_a_mistake_all_cases_pass(original):
    cases = sorted({case for each in CASES.values() for case in each})
    assert run([original], cases) == ["0"], (original / "said.txt").read_text()


@pytest.mark.processes
def test_the_installed_core_would_be_noticed(original):
    # where the copy is missing something else is imported, or nothing: either way the status is not 0
    shutil.rmtree(original / "asha_core")
    assert run([original], []) != ["0"]


def mistaken(module: str, old: str, new: str) -> str:
    """The module's text with the mistake in it."""
    text = (PACKAGE / f"{module.replace('.', '/')}.py").read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {module}: the list is out of date"
    made = text.replace(old, new)
    compile(made, module, "exec")
    return made


@pytest.mark.parametrize("module", MUTANTS)
def test_every_mistake_can_be_made(module):
    made = {mistaken(module, old, new) for old, new, _ in MUTANTS[module]}
    assert len(made) == len(MUTANTS[module]), "a mistake is there twice"


@pytest.mark.processes
@pytest.mark.parametrize(
    "module", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MUTANTS]
)
def test_every_mistake_is_noticed(original, module):
    folders = []
    for number, (old, new, _) in enumerate(MUTANTS[module]):
        folder = original.parent / str(number)
        shutil.copytree(original, folder)
        (folder / "asha_core" / f"{module.replace('.', '/')}.py").write_text(mistaken(module, old, new))
        folders.append(folder)
    without, *found = run([original, *folders], CASES[module])
    assert without == "0", "the cases fail without any mistake"
    unnoticed = []
    for folder, status, (old, new, rule) in zip(folders, found, MUTANTS[module], strict=True):
        if status not in ("1", "endless"):
            unnoticed.append(f"{rule}: {old!r} -> {new!r}: status {status}")
        elif status == "1":  # and not because the wrong thing was tested
            said = (folder / "said.txt").read_text()
            assert "FAILED" in said, said
            assert "test_which" not in said.split("short test summary")[1], said
    assert not unnoticed, "\n".join(unnoticed)
