"""A study's tables, for a terminal, for Markdown and for LaTeX."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asha_core.runtime.terminal.console import format_table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{INFINITY}": r"$\infty$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
    "\N{DAGGER}": r"\dag{}",
}
_MINUS = re.compile(r"(?<![\w.)-])-(?=[\d.])")
_PATTERN = re.compile("|".join(map(re.escape, _ESCAPES)))


_BAR = r"\|"
_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # would begin HTML in Markdown


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    name: of its files, without their endings. title: what it shows. rows: as long as ``header`` each.
    notes: what the columns mean, a sentence each. left: columns that are words, from the first; the others
    are numbers. rules: rows above which a line is drawn.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: tuple[str, ...] = ()
    left: int = 1
    rules: frozenset[int] = frozenset()


def text(table: Table) -> str:
    """For a terminal."""
    widths = [max(len(row[column]) for row in (table.header, *table.rows)) for column in range(table.left)]
    rows = [
        [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), *row[table.left :]]
        for row in (table.header, *table.rows)
    ]
    notes = [textwrap.fill(note, 100) for note in table.notes]
    return "\n".join([table.title, "", format_table(rows[0], rows[1:]), *notes])


def markdown(table: Table) -> str:
    """A GitHub-flavoured table under its title, with the notes below."""
    lines = [
        _row(table.header),
        _row([":--" if column < table.left else "--:" for column in range(len(table.header))]),
        *(_row(row) for row in table.rows),
    ]
    return "\n\n".join([f"**{table.title}**", "\n".join(lines), *table.notes]) + "\n"


def _row(cells: Sequence[str]) -> str:
    told = (_TAG.sub("&lt;", cell.replace("|", _BAR)) for cell in cells)
    return f"| {' | '.join(told)} |"


def latex(table: Table) -> str:
    r"""A ``tabular`` with the rules of booktabs, for \input in a ``table``; the notes are comments."""
    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    about = [table.title, *table.notes, r"needs \usepackage{booktabs}"]
    lines = [f"% {_one_line(line)}" for line in about]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _tex_row(table.header), r"\midrule"]
    for index, row in enumerate(table.rows):
        if index in table.rules and index:
            lines.append(r"\midrule")
        lines.append(_tex_row(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(escaped(cell) for cell in cells) + r" \\"


def escaped(cell: str) -> str:
    """A text as LaTeX shows it."""
    shown = _PATTERN.sub(lambda found: _ESCAPES[found.group()], _one_line(cell))
    shown = _MINUS.sub("$-$", shown)
    # an opening bracket at the start of a row would be read as an argument of the line break before it
    return f"{{{shown[0]}}}{shown[1:]}" if shown.startswith("[") else shown


def _one_line(words: str) -> str:
    return " ".join(words.split())


RENDERED: dict[str, Callable[[Table], str]] = {"md": markdown, "tex": latex}
