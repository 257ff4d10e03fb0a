"""What the documents say is true: Python runs, commands are understood, links lead somewhere."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import analysis
import asha_core
import asha_core.errors
import trials
import warmstart
from asha_core.cli import run
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.option_table import OPTIONS
from asha_core.launch.yaml_files import read_yaml
from scripts import command_line_page
from warmstart.registry import STRATEGIES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.processes
@pytest.mark.parametrize("number", [0, 1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_the_readmes_python_runs(number: int, tmp_path: Path) -> None:
    code = blocks(ROOT / "README.md", "python")
    assert len(code) == 4
    (tmp_path / "mysearch.py").write_text(code[number])
    done = subprocess.run(
        [sys.executable, "mysearch.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"0\.\d+|1\.0", done.stdout)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_asha_run_in_a_page_is_understood(page: Path) -> None:
    for block in blocks(page, "console") + blocks(page, "sh") + blocks(page, ""):
        for line in re.findall(r"^\$ (?:.*&& )?asha-run (.*)$", block, re.MULTILINE):
            words = shlex.split(line.split("#")[0].split(">")[0].split("|")[0])
            if {"--help", "--version"} & set(words) or "--config" in words:
                continue
            if "asha-run: error" in block:
                continue  # a page that shows what a mistake looks like
            parse_arguments(words)


PLANS = [
    pytest.param(command, shown, id=f"{page.stem}-{number}")
    for page in PAGES
    for block in blocks(page, "console")
    for number, (command, shown) in enumerate(
        re.findall(r"^\$ asha-run (.*--plan.*)\n((?:(?!\$ ).*\n)+)", block, re.MULTILINE)
    )
    if not {"--config", "--json"} & set(command.split()) and ":" not in command  # a page's own file or task
]


@pytest.mark.long
@pytest.mark.parametrize(("command", "shown"), PLANS)
def test_a_plan_that_a_page_shows_is_the_one_that_is_printed(
    command: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(shlex.split(command)) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in shown.splitlines() if line and line != "..." and line not in printed] == []


def test_many_pages_show_plans() -> None:
    assert len(PLANS) >= 8


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """In the repository; on the site `make docs` looks, at anchors, too."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(root|home|work)/", page.read_text())


def test_the_commands_help_is_in_the_reference() -> None:
    page = command_line_page.PAGE.read_text()
    assert all(f"<!-- {command} --help -->" in page for command in command_line_page.COMMANDS)
    assert command_line_page.with_help(page).split() == page.split(), (
        "python -m scripts.command_line_page writes it anew"
    )


@pytest.mark.parametrize("package", [asha_core, trials, warmstart, analysis], ids=lambda each: each.__name__)
def test_every_public_name_is_in_the_reference(package: ModuleType) -> None:
    name = package.__name__
    text = (ROOT / "docs" / "reference" / "api" / f"{name}.md").read_text()
    elsewhere = {*asha_core.__all__} if package is warmstart else {"__version__"}
    if "\n::: asha_core.errors\n" in text:
        elsewhere |= {each for each in vars(asha_core.errors) if each.endswith("Error")}
    assert not [each for each in {*package.__all__} - elsewhere if f"\n::: {name}.{each}\n" not in text]


def test_every_strategy_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "api" / "warmstart.md").read_text()
    assert not [name for name in STRATEGIES if f"| `{name}` |" not in text]


PACKAGES = "asha_core|trials|warmstart|analysis"
GROUPS = {option.plugins.group for option in OPTIONS if option.plugins is not None}  # of entry points
DOTTED = re.compile(rf"(?<![\w/.])(?:{PACKAGES})(?:\.\w+)+")
FILE = re.compile(
    rf"(?<![\w/.])(?:{PACKAGES}|tests|benchmarks|scripts|examples)/[\w./-]+\.(?:py|md|yaml|ipynb)"
)


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or what a module has."""
    module, attributes = name, []
    while True:  # the package itself is there
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            attributes.insert(0, last)
    return all((found := getattr(found, attribute, None)) is not None for attribute in attributes)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_modules_and_files_that_a_page_names_are_there(page: Path) -> None:
    """Under their names of today: an old import path warns, and warnings are errors."""
    text = "" if page.name == "CHANGELOG.md" else page.read_text()
    dotted = set(DOTTED.findall(text)) - GROUPS
    files = {path for path in FILE.findall(text) if "yours" not in path}
    assert not [name for name in dotted if not is_there(name)]
    assert not [path for path in files if not (ROOT / path).exists()]


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert not [page.name for page in folder.glob("0*.md") if page.name not in index]


@pytest.mark.long
def test_the_examples_in_docstrings_are_right() -> None:
    tried = 0
    for package in ("asha_core", "warmstart", "analysis"):
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            with warnings.catch_warnings():  # gpytorch has PyTorch warn of jit.script as it is imported
                warnings.simplefilter("ignore", FutureWarning)
                module = importlib.import_module(found.name)
            result = doctest.testmod(module)
            assert result.failed == 0, found.name
            tried += result.attempted
    assert tried >= 8


# a line such as `size: bytes.`, with what belongs to it: lines that are indented further, or, in running text
# without a section, those that follow
ENTRY = re.compile(
    r"^( *)(?!Source)\w+(?:, \w+)*: .*\n(?:(?:\1 .*\n)+|(?:\1\S(?!\w*(?:, \w+)*: ).*\n)*)", re.MULTILINE
)
ANOTHER = re.compile(r"[.;)]\s+(?!None|NaN|0|Source)(\w+(?:[,;] \w+)*): ")  # `None: no limit` is no name


def entries_on_one_line(docstring: str) -> list[str]:
    """Arguments, fields or exceptions that are told in another's entry, and shown as its text."""
    return [name for entry in ENTRY.finditer(f"{docstring}\n") for name in ANOTHER.findall(entry[0])]


def docstrings(file: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds))
    return [text for node in nodes if (text := ast.get_docstring(node))]


@pytest.mark.parametrize("package", PACKAGES.split("|"))
def test_each_argument_has_a_line_of_its_own(package: str) -> None:
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / package).rglob("*.py")
        for docstring in docstrings(file)
        for name in entries_on_one_line(docstring)
    }
    assert not found


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("Args:\n    n: pairs. sd: as before.\n    p: of one; q, r: of\n        two.\n", ["sd", "q, r"]),
        ("Args:\n    size: of all, as it is\n        now. count: how many.\nReturns:\n    x", ["count"]),
        ("Raises:\n    OSError: it is full. ValueError: it is wrong.", ["ValueError"]),
        ("What it is.\n\nindex: its place. first: its\nrung. size: of it.", ["first", "size"]),
        ("Args:\n    size: bytes; None: no limit. Less is more.\n    count, more: how many.", []),
        ("Args:\n    size: bytes.\n    count: how many.\nSource: A. B; exact: C.", []),
    ],
)
def test_arguments_on_one_line_are_found(docstring: str, found: list[str]) -> None:
    assert entries_on_one_line(docstring) == found


def test_the_sites_settings_give_no_key_twice() -> None:
    assert read_yaml((ROOT / "mkdocs.yml").read_text())["site_name"] == "asha-core"


def test_what_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = {path for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text) if "yours" not in path}
    assert len(named) > 15
    assert not [path for path in named if not (ROOT / path).exists()]
    targets = set(re.findall(r"^\$ make ([\w-]+)", text, re.MULTILINE))
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_version_to_cite_is_this_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == asha_core.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_the_map_of_the_house_names_every_file() -> None:
    (drawn,) = blocks(ROOT / "docs" / "explanation" / "architecture.md", "text")
    named, rooms = [], list[tuple[int, str]]()
    for line in drawn.splitlines():
        indent, left = len(line) - len(line.lstrip()), re.split(r"  +", line.strip())[0]
        rooms = [room for room in rooms if room[0] < indent]
        if left.endswith("/"):
            rooms.append((indent, left))
        else:
            named += ["".join(name for _, name in rooms) + name for name in left.split(", ")]
    files = [
        str(file.relative_to(ROOT).with_suffix(""))
        for package in ("asha_core", "trials", "warmstart", "analysis")
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    ]
    assert sorted(named) == sorted(files)
