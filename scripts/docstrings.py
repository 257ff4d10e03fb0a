"""What is done to a docstring before griffe reads it.

``a, b: what both are`` becomes an entry for each, an example with ``>>>`` a block of code, and sections are
told apart.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ENTRY = re.compile(r"^( +)(\w+(?:, \w+)+): (.*\n(?:\1 +.*\n)*)", re.MULTILINE)
SECTION = re.compile(r"^Args:\n((?: .*\n|\n)*)", re.MULTILINE)

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


class Docstrings(griffe.Extension):
    """Looks at every class and function."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change its docstring, if it has one."""
        if obj.docstring is not None:
            starred = {p.name.lstrip("*"): p.name for p in getattr(obj, "parameters", ())}
            obj.docstring.value = readable(obj.docstring.value, starred)
