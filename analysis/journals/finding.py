"""Where runs lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from asha_core.errors import ResultsError
from asha_core.runtime.storage.paths import as_found, user_path


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """Run directories among ``paths``: each is one, or holds some.

    Raises:
        ResultsError: a path is neither.
    """
    found: list[Path] = []
    for path in map(user_path, paths):
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

    A link is followed to a run that is found in no other way ("latest" is), and to nothing else: it may lead
    to the data, or in a circle.
    """
    root, linked = Path(os.path.realpath(path)), set[Path]()
    for folder, below, files in os.walk(path, followlinks=True):
        below.sort()
        if "journal.jsonl" in files:
            below.clear()
            yield as_found(Path(folder))
        for link in [each for each in map(Path(folder).joinpath, below) if each.is_symlink()]:
            target = Path(os.path.realpath(link))
            if target in linked or target.is_relative_to(root) or not (target / "journal.jsonl").exists():
                below.remove(link.name)
            linked.add(target)
