"""What can be named: the package's own, other packages' entry points, modules and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, Float, Scheduler, SearchSpace
from asha_core.arguments import parameters
from asha_core.errors import SettingError, TaskError
from asha_core.import_paths import label, load
from asha_core.launch.registries import EXECUTOR, OBSERVER, SCHEDULER, SEARCHER
from asha_core.plugins import Plugins
from tests.asha_core.outsiders import package_installed, written
from trials.tasks import TASK
from warmstart.registry import WARM_START, absolute_strategy, parts, strategy_label, variation

ALL = {
    "eager": SCHEDULER,
    "corner": SEARCHER,
    "log": OBSERVER,
    "here": EXECUTOR,
    "halve": WARM_START,
    "steps": TASK,
}
CLASSES = {name: name.capitalize() for name in ALL}
every = pytest.mark.parametrize("name", ALL)


@pytest.fixture
def outsider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with package_installed(tmp_path / "site", monkeypatch):
        yield


@every
@pytest.mark.usefixtures("outsider")
def test_what_an_installed_package_registers_has_a_name(name: str) -> None:
    plugins = ALL[name]
    assert name in plugins.others
    assert plugins.knows(name)
    assert plugins.load(name).__name__ == CLASSES[name]
    with pytest.raises(plugins.kind, match=f'did you mean "{name}"'):
        plugins.load(f"{name}s")


@every
def test_a_file_and_a_module_name_what_is_in_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, plugins = written(tmp_path / "a"), ALL[name]
    kind = plugins.load(f"{file}:{CLASSES[name]}")
    assert kind.__name__ == CLASSES[name]
    other = written(tmp_path / "b")  # of the same name, in another project
    assert plugins.load(f"{other}:{CLASSES[name]}") is not kind
    assert plugins.load(f"{file}:{CLASSES[name]}") is kind
    monkeypatch.chdir(tmp_path / "a")
    assert plugins.load(f"outside.py:{CLASSES[name]}") is kind
    monkeypatch.syspath_prepend(str(tmp_path / "b"))
    assert plugins.load(f"tests.asha_core.test_plugins:{CLASSES[name]}") == CLASSES[name]


SPACE = SearchSpace({"x": Float(0.0, 1.0)})
Eager, Corner, Log, Here, Halve, Steps = CLASSES.values()


@pytest.mark.usefixtures("outsider")
def test_nothing_stands_in_for_one_of_the_packages_own() -> None:
    assert SCHEDULER.load("asha") is ASHA
    assert "asha" not in SCHEDULER.others


@pytest.mark.usefixtures("outsider")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "gone",
            "'gone' is registered as nowhere_at_all:Gone, which cannot be imported: ModuleNotFoundError",
        ),
        (
            "eagr",
            "unknown scheduler 'eagr'; did you mean \"eager\".* or mypackage.mymodule:MyScheduler, or pa",
        ),
        ("{file}:Eagr", "outside.py has no 'Eagr'; did you mean \"Eager\""),
        ("{file}:NOT_ONE", "outside.py:NOT_ONE' is 3: it must be a subclass of asha_core.Scheduler"),
        (
            "{file}:Corner",
            "outside.py:Corner' is the class Corner: it must be a subclass of asha_core.Scheduler",
        ),
        ("{file}:Raises", "outside.py:Raises' cannot be made: RuntimeError: no licence"),
        ("{file}:", "write it as mypackage.mymodule:MyScheduler, or as path/file.py:MyScheduler"),
        ("no/such.py:Eager", "cannot be imported: there is no file .*no/such.py"),
        ("nothing_there:Eager", "cannot be imported: No module named 'nothing_there' .searched the current"),
        ("{folder}/broken.py:X", "broken.py:X cannot be imported: ZeroDivisionError: division by zero"),
        ("{folder}/leaves.py:X", "leaves.py:X cannot be imported: its module exits .3"),
    ],
)
def test_what_is_broken_is_named_in_one_line(name: str, said: str, tmp_path: Path) -> None:
    file = written(tmp_path / "a")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(SettingError, match=said) as caught:
        SCHEDULER.make(
            name.format(file=file, folder=tmp_path), [SPACE], base=Scheduler, base_name="asha_core.Scheduler"
        )
    assert "\n" not in str(caught.value)


def test_each_kind_has_its_own_errors_and_groups() -> None:
    assert len({plugins.group for plugins in ALL.values()}) == len(ALL)
    with pytest.raises(TaskError, match="unknown task 'digist'; did you mean \"digits\""):
        TASK.load("digist")
    with pytest.raises(TaskError, match="task a:b:c cannot be imported"):
        load("a:b:c", "task", "MyTask", TaskError)


def takes_two(a: int, *, b: int = 0) -> None: ...
def takes_any(a: int, **others: Any) -> None: ...


class Base:
    def __init__(self, a: int, *, b: int = 0) -> None: ...


class Child(Base):
    def __init__(self, *arguments: Any, c: int = 0, **others: Any) -> None: ...


class Open:
    def __init__(self, c: int = 0, **others: Any) -> None: ...


class Plain: ...


@pytest.mark.parametrize(
    ("thing", "names"),
    [
        (takes_two, ["a", "b"]),
        (takes_any, None),
        (Base, ["a", "b"]),
        (Child, ["c", "a", "b"]),
        (Open, None),
        (Plain, []),
        (abs, ["x"]),
        (int, None),
    ],
)
def test_the_settings_that_a_class_takes(thing: Any, names: list[str] | None) -> None:
    assert parameters(thing) == names


def test_a_setting_that_there_is_not_is_told_those_that_there_are() -> None:
    plugins = Plugins("gadget", "asha_core.none_such", "MyGadget", {"own": f"{__name__}:Child"})
    with pytest.raises(SettingError, match=r"gadget 'own' has no setting 'd'; .*known: a, b, c"):
        plugins.make("own", (), {"d": 1})
    assert isinstance(plugins.make("own", (), {"c": 1}), Child)


def test_strategies_in_files_are_parts_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "with+plus")
    monkeypatch.chdir(file.parent)
    whole = absolute_strategy("screen+outside.py:Halve")
    assert whole == f"screen+{file}:Halve"
    assert parts(f"{file}:Halve") == [f"{file}:Halve"]
    assert strategy_label(f"{file}:Halve") == label(f"{file}:Halve") == "outside.py:Halve"
    for key in ("times", "Halve.times", "outside.py:Halve.times", f"{file}:Halve.times"):
        assert variation(f"{file}:Halve", {key: 2}).settings == {"times": 2}
