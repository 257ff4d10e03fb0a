"""A user's file by its path: a module of its own project, whatever others are called."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from asha_core import user_files
from asha_core.errors import SettingError
from asha_core.user_files import absolute_target, file_of, import_by_name, module_name, same_target

TASK = """
import json, os.path
import parts.inner as inner
from helpers import WHO
from . import helpers as beside

class Mine:
    who = WHO, beside.WHO, inner.WHO

    def later(self):
        import late
        return late.WHO
"""


def project(folder: Path, who: str) -> Path:
    """A project in a folder; everything in it says whose it is."""
    (folder / "parts").mkdir(parents=True)
    for name in ("helpers.py", "json.py", "parts/inner.py", "trials.py"):
        (folder / name).write_text(f"WHO = {who!r}\n")
    (folder / "late.py").write_text("from helpers import WHO\n")
    (folder / "task.py").write_text(TASK)
    return folder / "task.py"


def forget() -> None:
    """As in a process that has imported none of them."""
    for name in [name for name in sys.modules if name.startswith(f"{user_files.__name__}.")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget()


def test_two_projects_with_modules_of_the_same_names_do_not_meet(tmp_path: Path) -> None:
    modules: list[ModuleType] = []
    for who in ("one", "an.other % two"):
        modules.append(import_by_name(str(project(tmp_path / who, who))))
    for who, module in zip(("one", "an.other % two"), modules, strict=True):
        assert module.Mine.who == (who, who, who)
        assert module.Mine().later() == who
        assert who == module.json.WHO  # as beside any script
        assert module.beside.__name__.startswith(user_files.__name__)
    assert "helpers" not in sys.modules
    assert not hasattr(sys.modules["json"], "WHO")


def test_a_file_s_module_has_one_name_that_suffices_to_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project(tmp_path / "v1.2", "me")
    monkeypatch.chdir(tmp_path)
    module = import_by_name("v1.2/task.py")
    assert module is import_by_name(str(file))
    assert file_of(module.__name__) == str(file)
    assert file_of(module.beside.__name__) == str(file.parent / "helpers.py")
    assert file_of("json") is None
    text = pickle.dumps(module.Mine())
    forget()
    assert pickle.loads(text).who == ("me", "me", "me")


def test_a_file_of_a_package_belongs_to_it(tmp_path: Path) -> None:
    project(tmp_path, "root")
    inside = tmp_path / "package" / "sub"
    inside.mkdir(parents=True)
    for folder in (inside, inside.parent):
        (folder / "__init__.py").write_text("WHO = 'package'\n")
    (inside / "run.v2.py").write_text(
        "from .. import WHO\nimport package\nfrom package.sub import WHO as own\nimport helpers\n"
    )
    module = import_by_name(str(inside / "run.v2.py"))
    assert (module.WHO, module.package.WHO, module.own, module.helpers.WHO) == ("package",) * 3 + ("root",)
    assert module.__package__ == module.package.__name__ + ".sub"
    assert file_of(module.__name__) == str(inside / "run.v2.py")
    assert file_of(module.package.__name__) == str(inside.parent / "__init__.py")


def test_our_own_packages_and_what_is_elsewhere_are_found_as_ever(tmp_path: Path) -> None:
    file = project(tmp_path, "me")
    (tmp_path / "wave").mkdir()  # a mere folder, and Python has a module of the name
    file.write_text("from trials import Task\nimport asha_core.space\nimport wave\n")
    module = import_by_name(str(file))
    assert module.Task is sys.modules["trials"].Task
    assert hasattr(module.wave, "open")
    file = tmp_path / "missing.py"
    file.write_text("import nowhere_at_all")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'nowhere_at_all'$"):
        import_by_name(str(file))
    with pytest.raises(ModuleNotFoundError, match=f"there is no file {tmp_path / 'nope.py'}"):
        module_name(str(tmp_path / "nope.py"))


def test_targets_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_target("a/b.py:C") == f"{tmp_path}/a/b.py:C"
    assert absolute_target("a.b:C") == "a.b:C"
    assert same_target("here/b.py:C", "/there/b.py:C")
    assert not same_target("here/b.py:C", "here/c.py:C")
    assert not same_target("here/b.py:C", "b:C")
    assert not same_target("here/b.py:C", "here/b.py:D")


def test_a_search_may_begin_while_another_thread_imports() -> None:
    """Two searches in two threads: the imports of one are not the other's business."""
    with user_files.importing("a module"), ThreadPoolExecutor(1) as other:
        other.submit(user_files.refuse_while_importing).result()
        with pytest.raises(SettingError, match="a module begins a search when it is imported"):
            user_files.refuse_while_importing()
