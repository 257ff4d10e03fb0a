"""``--print-completion SHELL``: a script with which a shell completes a command's options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from asha_core.arguments import one_of
from asha_core.errors import SettingError
from asha_core.extras import needed

SHELLS = ("bash", "zsh", "fish")
_FOLDERS, _FILES = ("DIR", "RESULTS_DIR"), ("FILE", "FILE.yaml", "PATH")  # by the metavar


class PrintCompletion(argparse.Action):
    """Prints the script on standard output, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **others: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, metavar="SHELL", **others)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        """Print it."""
        one_of("--print-completion", values, SHELLS)
        print(completion_of(parser, values))
        parser.exit()


def completion_of(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Raises:
        SettingError: shtab, which writes it, is not installed.
    """
    needed("completion", "shtab", what="--print-completion", error=SettingError)
    import shtab

    for action in parser._actions:
        if action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif isinstance(action, PrintCompletion):
            action.choices = SHELLS
        elif action.dest in getattr(parser, "names", {}):
            action.choices = list(parser.names[action.dest])  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))
