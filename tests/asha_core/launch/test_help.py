"""``--help`` has what people need, ``--help-all`` all; the bare command starts nothing; shells complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.cli import main as report
from asha_core.cli.curves import main as curves
from asha_core.cli.final_test import main as final_test
from asha_core.cli.run import main as run
from asha_core.cli.study import main as study
from asha_core.launch.option_table import OPTIONS

COMMANDS = {
    "asha-run": run,
    "asha-study": study,
    "asha-test": final_test,
    "asha-curves": curves,
    "asha-report": report,
}


def printed(main, *arguments: str, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_short_help_has_ten_options_and_three_examples(option: str, capsys) -> None:
    text = printed(run, option, capsys=capsys)
    named = [o.name for o in OPTIONS if f"  --{o.name} " in text]
    assert len(named) == 10
    assert {"task", "gpus", "max-trials", "budget", "resume", "results-dir"} <= set(named)
    assert text.count("\n  asha-run --task") == 3
    assert "--help-all" in text


def test_the_long_help_has_every_option(capsys) -> None:
    text = printed(run, "--help-all", capsys=capsys)
    assert all(f"  --{option.name}" in text for option in OPTIONS)


def test_the_bare_command_shows_examples_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["asha-run"])
    assert run() == run([]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n  asha-run --task") == 6  # three each time
    assert not told.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_completes_its_options_in_each_shell(command: str, capsys) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = printed(COMMANDS[command], "--print-completion", shell, capsys=capsys)
        assert command in script
        assert {"asha-run": "max-retries", "asha-test": "data-dir"}.get(command, "json") in script
    assert COMMANDS[command](["--print-completion", "csh"]) == 2
    assert "bash, fish, zsh" in capsys.readouterr().err


def test_the_script_completes_in_a_shell(capsys) -> None:
    script = printed(run, "--print-completion", "bash", capsys=capsys)
    asked = """
        COMP_WORDS=(asha-run --max-t) COMP_CWORD=1; _shtab_asha_run; echo "${COMPREPLY[@]}"
        COMP_WORDS=(asha-run --scheduler pas) COMP_CWORD=2; _shtab_asha_run; echo "${COMPREPLY[@]}"
    """
    answer = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"], check=False, capture_output=True, text=True, timeout=30
    )
    assert answer.stdout.split() == ["--max-trials", "pasha"], answer.stderr


def test_without_shtab_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert run(["--print-completion", "bash"]) == 2
    assert "pip install 'asha-core[completion]'" in capsys.readouterr().err
