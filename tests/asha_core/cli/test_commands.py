"""The commands as they are installed: a Ctrl-C while they load is one line."""

from __future__ import annotations

import configparser
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from asha_core.cli import commands
from tests.conftest import ROOT


def installed() -> dict[str, str]:
    """Each command, and the function that it calls."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lines = settings["options.entry_points"]["console_scripts"].strip().splitlines()
    return dict(line.split(" = ") for line in lines)


@pytest.mark.parametrize("name", installed())
def test_a_command_that_is_interrupted_while_it_loads_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, function = installed()[name].partition(":")
    command = getattr(import_module(module), function)
    loaded: list[str] = []

    def interrupted(module: str) -> Any:
        loaded.append(module)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "import_module", interrupted)
    assert command() == 130
    assert capsys.readouterr() == ("", f"{name}: interrupted\n")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", [name, "--version-of-nothing"])
    assert command() == 2
    assert f"{name}: error: " in capsys.readouterr().err


@pytest.mark.processes
def test_until_then_they_load_next_to_nothing() -> None:
    code = (
        "import sys, asha_core.cli.commands; print(*(m for m in sys.modules if m.startswith('asha_core.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert len(done.stdout.split()) < 10, done.stdout
