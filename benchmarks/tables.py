"""What the benchmarks share: a fresh process for each run, tables, and JSON files of results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TODAY = date.today().isoformat()
RESULTS = Path(__file__).parent / "results"
PAGES = Path(__file__).parent.parent / "docs" / "results"
NOT_INSTALLED = 3  # exit status of a child whose system is not there


class Table:
    """A table as text, line by line while rows come in, and as Markdown.

    Args:
        columns: (head, how to show it of a row). A column that a row has nothing for (``KeyError``) is left
            out, and the row's status takes its place. The first is aligned to the left.
    """

    def __init__(self, columns: Sequence[tuple[str, Callable[[Row], str]]], first: int) -> None:
        self.columns = columns
        self.widths = [first, *(max(len(head) + 2, 11) for head, _ in columns[1:])]

    def _cells(self, row: Row) -> list[str]:
        cells = []
        for _, show in self.columns:
            try:
                cells.append(show(row))
            except KeyError:
                return [*cells, f"  {row['status']}"]
        return cells

    def _line(self, cells: Sequence[str]) -> str:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(cells[1:], self.widths[1:], strict=False))
        return f"{cells[0]:<{self.widths[0]}}{first}{''.join(others)}"

    def head(self) -> str:
        return self._line([head for head, _ in self.columns])

    def line(self, row: Row) -> str:
        return self._line(self._cells(row))

    def markdown(self, rows: Iterable[Row]) -> str:
        lines = [[head for head, _ in self.columns], ["---", *["---:"] * (len(self.columns) - 1)]]
        for row in rows:
            cells = self._cells(row)
            lines.append(cells + ["-"] * (len(self.columns) - len(cells)))
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def answer(function: Callable[[], Any]) -> None:
    """In the child: print what ``function`` returns, for ``measure``."""
    try:
        print(json.dumps(function()))
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_INSTALLED)


def measure(script: str, *arguments: str) -> tuple[Any, str]:
    """Run ``script --child arguments``: what it answered, and "measured"; or None, and why in a few words."""
    command = [sys.executable, script, "--child", *arguments]
    environment = os.environ | {"RAY_AIR_NEW_OUTPUT": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if process.returncode == NOT_INSTALLED:
        return None, "not installed"
    if process.returncode != 0:
        return None, "failed: " + (process.stderr.strip().splitlines() or ["no message"])[-1]
    return json.loads(process.stdout.strip().splitlines()[-1]), "measured"


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def with_rows_before(rows: list[Row], path: Path, systems: Sequence[str]) -> list[Row]:
    """``rows``, and those of the file for systems that were not measured now; in the order of ``systems``."""
    measured = {row["system"] for row in rows}
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = rows + [row for row in before if row["system"] not in measured]
    return sorted((row for row in rows if row["system"] in systems), key=lambda r: systems.index(r["system"]))


def put(page: Path, tables: dict[str, str]) -> None:
    """Put tables into a page, each between ``<!-- table: NAME -->`` and ``<!-- end -->``."""
    text = page.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- table: {name} -->", "<!-- end -->"
        if begin in text:
            before, rest = text.split(begin, 1)
            text = f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end, 1)[1]}"
    page.write_text(text)
    print(f"wrote the tables of {page.name}")


def write(path: Path, rows: list[Row], distributions: Iterable[str], settings: dict[str, Any]) -> None:
    content = {
        "benchmark": path.stem,
        "date": TODAY,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in distributions},
        "settings": settings,
        "rows": rows,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nwrote results/{path.name}")
