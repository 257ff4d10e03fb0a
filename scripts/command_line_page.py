"""Write the whole help of each command into docs/reference/command-line.md, between its marks.

python -m scripts.command_line_page           # tests/test_docs.py fails if that would change the page
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from pathlib import Path
from unittest.mock import patch

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "command-line.md"
COMMANDS = {
    "asha-run": "asha_core.cli.run",
    "asha-test": "asha_core.cli.final_test",
    "asha-study": "asha_core.cli.study",
    "asha-curves": "asha_core.cli.curves",
    "asha-report": "analysis.cli",
}


def help_of(command: str) -> str:
    """All that ``command``'s help has, on a terminal of 80 columns: what a page of the site has room for."""
    name, *part = command.split()
    main = importlib.import_module(COMMANDS[name]).main
    printed = io.StringIO()
    plain = patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1"})
    with plain, contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*part, "--help-all" if command == "asha-run" else "--help"])
    return printed.getvalue().rstrip()


def with_help(text: str) -> str:
    """The page's text, in which every marked place has the help of its command."""
    return re.sub(
        r"(<!-- (asha-\w+(?: \w+)?) --help -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}```text\n{help_of(found[2])}\n```\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(with_help(PAGE.read_text()))
