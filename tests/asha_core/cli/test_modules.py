"""``python -m``: each command's module, and each package that has one command, does what the command does."""

from __future__ import annotations

import runpy
import sys
from importlib import util

import pytest

COMMANDS = {
    "asha_core": "asha-run",
    "asha_core.cli": "asha-run",
    "asha_core.cli.run": "asha-run",
    "asha_core.cli.study": "asha-study",
    "asha_core.cli.final_test": "asha-test",
    "asha_core.cli.report": "asha-report",
    "asha_core.cli.curves": "asha-curves",
    "analysis": "asha-report",
    "analysis.cli": "asha-report",
}


@pytest.mark.parametrize("module", COMMANDS)
def test_a_module_does_what_its_command_does(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = util.find_spec(module)
    assert package is not None
    found = util.find_spec(f"{module}.__main__") if package.submodule_search_locations else package
    assert found is not None, "it cannot be run"
    file = str(found.origin)
    for arguments, status in ((["--help"], 0), (["--no-such-option", "3"], 2)):
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(file, run_name="__main__")
        assert (ended.value.code or 0) == status
        printed = capsys.readouterr()
        assert COMMANDS[module] in (printed.out if status == 0 else printed.err)
