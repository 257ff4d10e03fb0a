"""A user's own scheduler, searcher, observer, executor, warm start and task, in one file; and as a package.

The file is written where a test wants it, so that nothing of it can be imported but by its path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asha_core.plugins import installed

KINDS = ("schedulers", "searchers", "observers", "executors", "warm_starts", "tasks")

CODE = '''
from pathlib import Path

from asha_core import ASHA, Float, Observer, Searcher, SearchSpace
from trials import Task
from trials.executors.inline import InlineExecutor
from warmstart import Outcome


class Eager(ASHA):
    """ASHA that lets go on whoever comes first, up to ``most`` trials."""

    name = "eager-asha"

    def __init__(self, space, *, most=100, **settings):
        self.most = most
        super().__init__(space, **settings)

    def describe(self):
        return {**super().describe(), "most": self.most}


class Corner(Searcher):
    """Always the same place."""

    name = "corner"

    def __init__(self, space, seed, where=0.25):
        self.space, self.where = space, where

    def propose(self, index):
        return self.space.configuration({"x": self.where})


class Log(Observer):
    """A line a report, in a file."""

    def __init__(self, path="log.txt"):
        self.file = Path(path).open("a")

    def on_event(self, view, event):
        print(type(event).__name__, file=self.file, flush=True)

    def close(self):
        self.file.close()


class Other(Log):
    def __init__(self, path="other.txt"):
        super().__init__(path)


class Needs(Log):
    def __init__(self, path):
        super().__init__(path)


class Here(InlineExecutor):
    """One job after the other, in this process."""

    def __init__(self, settings, slots, *, mark=None):
        if mark:
            Path(mark).write_text(str(len(slots)))
        super().__init__(settings, slots[0].device)


class Halve:
    name = "halve"
    needs_losses = False

    def __init__(self, times=1):
        self.times = times

    def refine(self, problem, configuration, seed):
        values = {**configuration, "x": configuration["x"] / 2**self.times}
        return Outcome(problem.space.configuration(values), {"strategy": self.name, "step": {}})


class Steps(Task):
    space = SearchSpace({"x": Float(0.0, 1.0)})
    metric = "score"
    unit = "step"
    max_resource = 9

    def run(self, trial):
        for unit in trial.units():
            trial.save({"unit": unit})
            trial.report(trial.config["x"] * unit)


class Raises(ASHA):
    def __init__(self, space, **settings):
        raise RuntimeError("no licence")


class Unmade(ASHA):
    def __init__(self, space, *, mode="max", seed=0):
        self.space = space


NOT_ONE = 3
'''
POINTS = "\n".join(
    [
        "[asha_core.schedulers]\neager = outsider:Eager\nasha = outsider:Raises\ngone = nowhere_at_all:Gone",
        "[asha_core.searchers]\ncorner = outsider:Corner",
        "[asha_core.observers]\nlog = outsider:Log",
        "[asha_core.executors]\nhere = outsider:Here",
        "[asha_core.warm_starts]\nhalve = outsider:Halve",
        "[asha_core.tasks]\nsteps = outsider:Steps",
    ]
)


def written(folder: Path) -> Path:
    """The file, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "outside.py"
    file.write_text(CODE)
    return file


@contextmanager
def package_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with all of it, installed where this process finds it."""
    info = folder / "outsider-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "outsider.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(folder))
    installed.cache_clear()
    try:
        yield
    finally:
        installed.cache_clear()
        sys.modules.pop("outsider", None)
