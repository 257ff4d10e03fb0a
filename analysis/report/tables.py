"""Tables: what their columns say of the things that are their rows; as text, as Markdown and as LaTeX."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

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


_MARKS = re.compile(r"[\\|$*`]")  # would end a cell in Markdown, begin a formula, bold letters, code
_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # would begin HTML


Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column.

    Attributes:
        header: what stands above it.
        cell: what it says of the thing that a row is about.
        align: "l" for words, "r" for numbers.
        shown: whether the table has it.
    """

    header: str
    cell: Callable[[Row], str]
    align: Literal["l", "r"] = "r"
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Attributes:
        name: of its files, without their endings.
        title: what it shows.
        header: what stands above each column.
        rows: as long as ``header`` each.
        notes: what the columns mean, a sentence each.
        align: a letter for each column: "l" for words, "r" for numbers.
        rules: rows above which a line is drawn.
        folded: few readers need it.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    align: str = ""
    rules: frozenset[int] = frozenset()
    folded: bool = False

    def __post_init__(self) -> None:
        if not self.align:
            object.__setattr__(self, "align", "l" + "r" * (len(self.header) - 1))


def tabulate(
    name: str,
    title: str,
    things: Iterable[Row],
    columns: Sequence[Column[Row]],
    notes: Sequence[str] = (),
    *,
    by: Callable[[Row], object] | None = None,
    folded: bool = False,
) -> Table:
    """A table with a row for each of ``things``.

    Args:
        by: a line is drawn between rows of which it gives different answers.
    """
    things = list(things)
    columns = [column for column in columns if column.shown]
    kinds = [by(each) for each in things] if by else []
    return Table(
        name,
        title,
        [column.header for column in columns],
        [[column.cell(each) for column in columns] for each in things],
        notes,
        "".join(column.align for column in columns),
        frozenset(place for place in range(1, len(kinds)) if kinds[place] != kinds[place - 1]),
        folded,
    )


def text(table: Table) -> str:
    """For a terminal."""
    columns = list(zip(*(table.header, *table.rows), strict=True))
    padded = [
        [cell.ljust(max(map(len, column))) for cell in column] if align == "l" else column
        for column, align in zip(columns, table.align, strict=True)
    ]
    header, *rows = zip(*padded, strict=True)
    lines = [line.rstrip() for line in format_table(header, rows).splitlines()]
    return "\n".join([table.title, "", *lines, *(textwrap.fill(note, 100) for note in table.notes)])


def markdown(table: Table) -> str:
    """A GitHub-flavoured table under its title, with the notes below."""
    lines = [
        _row(table.header),
        _row([":--" if align == "l" else "--:" for align in table.align]),
        *(_row(row) for row in table.rows),
    ]
    return "\n\n".join([f"**{_as_markdown(table.title)}**", "\n".join(lines), *table.notes]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_as_markdown, cells))} |"


def _as_markdown(cell: str) -> str:
    return _TAG.sub("&lt;", _MARKS.sub(r"\\\g<0>", _one_line(cell)))


def latex(table: Table) -> str:
    r"""A ``tabular`` with the rules of booktabs, for \input in a ``table``; the notes are comments."""
    about = [table.title, *table.notes, r"needs \usepackage{booktabs}"]
    lines = [f"% {_one_line(line)}" for line in about]
    lines += [rf"\begin{{tabular}}{{{table.align}}}", r"\toprule", _tex_row(table.header), r"\midrule"]
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
