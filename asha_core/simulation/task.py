"""A table of curves as a task: a simulated search is one of it, and in a process it reports the table."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import TaskError
from asha_core.simulation.curve import CurveSource
from asha_core.simulation.curves import Curves
from asha_core.simulation.sources import load_source
from asha_core.space import stored
from trials.task import Task

if TYPE_CHECKING:
    from trials.trial import Trial


class CurvesTask(Task):
    """Space, metric, mode, unit and the longest trial are those of the curves.

    Args:
        curves: a table, or another source of curves; or the path of a file that has them.
        path: the file that they were read from, if there is one.
    Raises:
        CurvesError: the file cannot be read.
    """

    def __init__(self, curves: CurveSource | str | Path, path: str | Path | None = None) -> None:
        loaded, file = (load_source(curves), curves) if isinstance(curves, str | Path) else (curves, path)
        self.curves: CurveSource = loaded
        self._path = None if file is None else str(file)
        self.space = loaded.space
        self.metric, self.mode, self.unit = loaded.metric, loaded.mode, loaded.unit
        self.min_resource, self.max_resource = loaded.units[0], loaded.units[-1]

    @property
    def name(self) -> str:
        """For people, and for directories: the file's name, or "curves"."""
        return "curves" if self._path is None else Path(self._path).stem

    def run(self, trial: Trial) -> None:
        """Report what the table has for the trial's configuration, under its first arm, in no time."""
        curves = self.curves
        if not isinstance(curves, Curves) or curves.units[: trial.until] != tuple(range(1, trial.until + 1)):
            raise TaskError(
                "these curves cannot be trained by in a process, only simulated (executor simulate): that "
                f"takes a table with every {curves.unit} from 1 on"
            )
        configuration = self.space.configuration(dict(trial.config))
        row = curves.row_of(configuration)
        curve = curves.curve(curves.arms[0], curves.nearest(configuration) if row is None else row)
        for unit in trial.units():
            if unit > len(curve.units):
                if curve.ended == "failed":
                    raise RuntimeError(curve.why or "it failed when it was recorded")
                trial.stop_early()
                return
            metrics = {name: values[unit - 1] for name, values in curve.metrics.items()}
            trial.report(curve.values[unit - 1], **metrics)
            if unit == len(curve.units) and curve.ended == "finished":
                trial.stop_early()

    def describe(self) -> dict[str, Any]:
        """The file that it was read from, and what tells these curves from others."""
        options = {} if self._path is None else {"curves": self._path}
        target = f"{CurvesTask.__module__}:{CurvesTask.__qualname__}"
        return {"target": target, "options": options, "curves": digest(self.curves)}


def digest(curves: CurveSource) -> str:
    """Sixteen letters that tell a table's content from another's."""
    if not isinstance(curves, Curves):
        return str(getattr(curves, "digest", ""))
    found = blake2b(digest_size=8)
    about = [curves.space.to_dict(), curves.metric, curves.mode, curves.unit, curves.arms, curves.units]
    drawn = [stored(each) for each in curves.configurations]
    refined = [[*key, stored(each)] for key, each in sorted(curves.refined.items(), key=_key)]
    found.update(json.dumps([*about, drawn, refined]).encode())
    for array in (curves.value, curves.seconds, curves.length, curves.ended, curves.warm_seconds):
        found.update(b"" if array is None else array.tobytes())
    return found.hexdigest()


def _key(item: tuple[tuple[int, int], Any]) -> tuple[int, int]:
    return item[0]
