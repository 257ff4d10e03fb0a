"""What is done to a docstring before griffe reads it.

``a, b: what both are`` becomes an entry for each, an example with ``>>>`` a block of code, and sections are
told apart. Comments on the fields of a class, behind them or above them, become its list of attributes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

ENTRY = re.compile(r"^( +)(\w+(?:, \w+)+): (.*\n(?:\1 +.*\n)*)", re.MULTILINE)
SECTION = re.compile(r"^Args:\n((?: .*\n|\n)*)", re.MULTILINE)

COMMENT = re.compile(r"(?:^|  )# (.*)")

TITLE = re.compile(r"(?<=[^\n])\n(Args|Attributes|Returns|Yields|Raises|Source):", re.MULTILINE)
EXAMPLE = re.compile(r"^( *)>>> .*\n(?: *\S.*\n)*", re.MULTILINE)


def split(docstring: str, starred: dict[str, str]) -> str:
    """The docstring, in which each argument of a list has an entry of its own."""

    def entries(found: re.Match[str]) -> str:
        indent, names, text = found.groups()
        first, *others = (starred.get(name, name) for name in names.split(", "))
        return f"{indent}{first}: {text}" + "".join(f"{indent}{name}: as {first}.\n" for name in others)

    def section(found: re.Match[str]) -> str:
        return "Args:\n" + ENTRY.sub(entries, found[1])

    return SECTION.sub(section, docstring)


def fence(docstring: str) -> str:
    """The docstring, in which each example is fenced."""

    def block(found: re.Match[str]) -> str:
        lines = re.sub(r" +# doctest: .*", "", found[0])
        return f"{found[1]}```pycon\n{lines}{found[1]}```\n"

    return EXAMPLE.sub(block, docstring)


def readable(docstring: str, starred: dict[str, str]) -> str:
    """The docstring as griffe reads it: sections are told apart by empty lines."""
    text = fence(split(docstring + "\n", starred)).rstrip("\n")
    return TITLE.sub(r"\n\n\1:", text)


def comment(field: griffe.Attribute) -> str:
    """What the comment behind a field, or those right above it, say of it."""
    if not isinstance(field.filepath, Path) or field.lineno is None or field.endlineno is None:
        return ""
    lines = field.lines_collection[field.filepath]
    first = field.lineno - 1
    while lines[first - 1].lstrip().startswith("# "):
        first -= 1
    found = (COMMENT.search(line.strip()) for line in lines[first : field.endlineno])
    return " ".join(each[1] for each in found if each)


class Docstrings(griffe.Extension):
    """Looks at every class and function."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change its docstring, if it has one."""
        if obj.docstring is not None:
            if isinstance(obj, griffe.Class) and "Attributes:" not in obj.docstring.value:
                fields = [each for each in obj.members.values() if isinstance(each, griffe.Attribute)]
                told = {
                    field.name: text
                    for field in fields
                    if not field.name.startswith("_") and (text := comment(field))
                }
                if told:
                    listed = "".join(f"\n    {name}: {text}" for name, text in told.items())
                    obj.docstring.value += f"\n\nAttributes:{listed}"
            starred = {p.name.lstrip("*"): p.name for p in getattr(obj, "parameters", ())}
            obj.docstring.value = readable(obj.docstring.value, starred)
