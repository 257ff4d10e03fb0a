"""What every command has in common: how it reads its arguments, and how it ends."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from asha_core.errors import AshaError, SettingError
from asha_core.runtime.storage.paths import locale_lacks
from asha_core.runtime.terminal.completion import SHELLS, PrintCompletion
from asha_core.runtime.terminal.encodings import every_text_told
from asha_core.runtime.terminal.streams import Nowhere, fill_descriptors, say


class _Help(argparse.HelpFormatter):
    """A name such as ohgw-1step is on one line."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Raises ``SettingError`` where argparse would print a usage page and exit; takes no abbreviations.

    Attributes:
        names: by an option's dest what a shell suggests for it; it may take others.
    """

    names: Mapping[str, Sequence[str]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Help, **settings)
        self.add_argument(
            "--print-completion",
            action=PrintCompletion,
            help=f"print a script that completes this command's options in {', '.join(SHELLS)}, and exit",
        )

    def error(self, message: str) -> Any:
        """What argparse calls for a mistake."""
        raise SettingError(message)


def run_command(name: str, command: Callable[[], int]) -> int:
    """The exit status of ``command``; its errors are one line on standard error, and a list below it.

    Its output is told whatever the locale.

    Returns:
        What it returns; 2 for an ``AshaError``, 130 for Ctrl-C, 1 if the reader of its output has left.
    """
    fill_descriptors()
    if getattr(sys.stdout, "closed", False):
        _silence()
    with every_text_told():
        return _run(name, command)


def _run(name: str, command: Callable[[], int]) -> int:
    try:
        return command()
    except AshaError as error:
        between = "\n" if error.lists else "; "
        say(f"{name}: error: {between.join(str(error).splitlines())}")
        return 2
    except UnicodeEncodeError as error:
        if error.encoding.startswith("utf") or error.encoding != sys.getfilesystemencoding():
            raise
        say(f"{name}: error: {locale_lacks(error)}")
        return 2
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return 130
    except BrokenPipeError:  # such as `head`
        _silence()
        return 1


@contextmanager
def last_words() -> Iterator[None]:
    """For what is printed when the work is done: nobody may read it, and the disk may be full."""
    try:
        yield
        with suppress(AttributeError):  # no file, or none at all
            sys.stdout.flush()
    except OSError:
        _silence()


def _silence() -> None:
    """Let the flush at the end of this process have nothing to say."""
    sys.stdout = Nowhere()
