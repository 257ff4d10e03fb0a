"""Write the differences of ``examples/trainers`` into the how-to: ``python -m scripts.trainers_page``."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "trainers"
PAGE = ROOT / "docs" / "how-to" / "from-your-script.md"


def difference(name: str) -> str:
    """What a search changes in a script, as ``diff -u`` shows it, a line of context each side."""
    plain, search = (
        (EXAMPLES / f"{name}_{kind}.py").read_text().splitlines() for kind in ("plain", "search")
    )
    lines = list(difflib.unified_diff(plain, search, lineterm="", n=1))[2:]
    return "\n".join("..." if line.startswith("@@") else line.rstrip() for line in lines[1:])


def page() -> str:
    """The how-to with each difference as it is now."""

    def block(found: re.Match[str]) -> str:
        return f"<!-- difference: {found[1]} -->\n\n```diff\n{difference(found[1])}\n```"

    return re.sub(
        r"<!-- difference: (\w+) -->\n\n```diff\n(?:.*?\n)??```", block, PAGE.read_text(), flags=re.S
    )


if __name__ == "__main__":
    PAGE.write_text(page())
