"""Write the table of docs/reference/warm-start-gallery.md: what a warm start does on every kind of loop.

python -m scripts.warm_start_gallery     # tests/warmstart/gallery fails where that would change the page
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch

from tests.warmstart.gallery import kinds
from tests.warmstart.gallery.case import GALLERY, Case
from tests.warmstart.gallery.verdicts import Verdict, judged

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "warm-start-gallery.md"
START, END = "<!-- kinds -->\n", "<!-- end -->"
STEPS = (1, 2)
SMALLEST = -6  # powers of ten: what is below is the rounding of the judge's own differences

assert kinds  # puts them on show


def cell(verdict: Verdict) -> str:
    """One verdict in a table."""
    if verdict.refused is not None:
        return f"refused: *{_plain(verdict.refused)}*"
    told = f"{verdict.route}, {_power(verdict.error or 0.0)}"
    if verdict.flagged is not None:
        told += f"; flagged: *{_plain(verdict.flagged)}*"
    return told + ("" if not verdict.changed else "; **leaves a trace**")


def row(case: Case, cells: list[str]) -> str:
    """A kind's line of its table."""
    says = " ".join((case.build.__doc__ or "").split())
    one, two = cells if len(set(cells)) > 1 else (cells[0], "the same")
    return f"| **{case.name}**: {says} | {case.optimizer} | {one} | {two} |"


def cells_of(page: str) -> dict[str, list[str]]:
    """Kind -> its cells, as a page has them."""
    found = {}
    for line in page.partition(START)[2].partition(END)[0].splitlines():
        if line.startswith("| **"):
            name, _, one, two = (part.strip() for part in line.strip("|").split(" | "))
            found[name.partition("**: ")[0].strip("* ")] = [one, one if two == "the same" else two]
    return found


def table() -> str:
    """All kinds, file by file."""
    lines: list[str] = []
    for file in dict.fromkeys(case.file for case in GALLERY):
        lines += ["", f"## {file.replace('_', ' ').capitalize()}", ""]
        lines += ["| kind | optimiser | one step | two steps |", "|---|---|---|---|"]
        for case in GALLERY:
            if case.file == file:
                lines.append(row(case, [cell(judged(case, steps)) for steps in STEPS]))
    return "\n".join(lines) + "\n\n"


def _power(error: float) -> str:
    """The power of ten above an error, as it stands in a table."""
    return f"1e{max(SMALLEST, math.ceil(math.log10(error)) if error > 0 else SMALLEST)}"


def _plain(words: str) -> str:
    """Words that may stand in a table, in italics."""
    return words.replace("|", "/").replace("*", "\\*").replace("<", "&lt;").replace("_", "\\_")


def main() -> None:
    """Write the page."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(head + START + table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
