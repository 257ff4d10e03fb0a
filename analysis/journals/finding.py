"""Where runs lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from asha_core.errors import ResultsError


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """Run directories among ``paths``: each is one, or holds some.

    Raises:
        ResultsError: a path is neither.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        below = list(run_directories(path))
        if not below:
            raise ResultsError(
                f"{path} is not a results directory: it has no journal.jsonl, and no folder in it has one"
                if path.exists()
                else f"results directory {path} does not exist"
            )
        found += below
    return found


def run_directories(path: Path) -> Iterable[Path]:
    """Run directories at or below ``path``, in order of their names; none is looked for inside of one.

    Links lead to runs elsewhere; one to a place that is seen anyway ("latest", or a circle) is passed over.
    """
    seen = [Path(os.path.realpath(path))]
    for folder, below, files in os.walk(path, followlinks=True):
        below.sort()
        if "journal.jsonl" in files:
            below.clear()
            yield Path(folder)
        for link in [each for each in map(Path(folder).joinpath, below) if each.is_symlink()]:
            target = Path(os.path.realpath(link))
            if any(target.is_relative_to(root) or root.is_relative_to(target) for root in seen):
                below.remove(link.name)
            seen.append(target)
