"""The checkpoints of one trial: which file holds what, and which of them to go on from."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError
from asha_core.runtime.storage.results import read_best_note, write_best_note
from asha_core.schedulers.state import improves
from trials.checkpoints.files import load_checkpoint, save_checkpoint


class TrialCheckpoints:
    """Files of four kinds: the "last" one written, the "previous" and the "best" one, an "unfinished" unit's.

    Args:
        path: of a kind.
        start: units that were reported before this job; what was kept of later ones is passed over.
        mode: of the metric, "max" or "min".
        about: what each file also holds: the configuration and the task.
        wait_until_journalled: returns when all reports so far are in the journal.
    """

    def __init__(
        self,
        path: Callable[[str], Path],
        start: int,
        mode: str,
        about: Mapping[str, Any],
        wait_until_journalled: Callable[[], None],
    ) -> None:
        self._path = path
        self._start = start
        self._mode = mode
        self._about = about
        self._wait_until_journalled = wait_until_journalled
        self._written = 0  # the unit whose checkpoint is on disk
        self._last_is_good = False  # a file that was passed over must not push out the one before

    def newest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """(the newest checkpoint of units that were reported, what is wrong with newer ones)."""
        self._drop_unreported_best()
        damaged: list[str] = []
        found = self._load("last", damaged)
        self._last_is_good = found is not None
        if found is None:  # of the others neither is always the newer one
            rest = [self._load("previous", damaged), self._load("best", damaged)]
            found = max(filter(None, rest), key=lambda each: int(each["resource"]), default=None)
        if found is not None:
            self._written = int(found["resource"])
        return found, damaged

    def _load(self, kind: str, damaged: list[str]) -> dict[str, Any] | None:
        """The checkpoint of a kind, if it is there, whole, and of units that were reported."""
        path = self._path(kind)
        if not path.exists():
            return None
        try:
            content = load_checkpoint(path)
            resource = content.get("resource")
            if not isinstance(resource, int) or "state" not in content:
                raise ResultsError(f"checkpoint {path} is of no unit")
        except ResultsError as error:
            damaged.append(_short(error, path))
            if kind == "best":  # so that the next best is kept, and this one is not handed out in the end
                self._drop_best()
            return None
        return content if resource <= self._start else None

    def write(self, unit: int, state: Any) -> None:
        """Keep the state after a unit; the last one becomes the previous one."""
        last = self._path("last")
        if self._last_is_good and self._written != unit:
            # or the engine, if it were killed now, could know of units before "previous" only
            self._wait_until_journalled()
            os.replace(last, self._path("previous"))
            self._last_is_good = False  # until there is another
        save_checkpoint(last, self._content(unit, state))
        self._written, self._last_is_good = unit, True
        self._path("unfinished").unlink(missing_ok=True)

    def write_unfinished(self, unit: int, state: Any, **more: Any) -> None:
        """Keep the state inside a unit."""
        save_checkpoint(self._path("unfinished"), {**self._content(unit - 1, state), "unit": unit, **more})

    def unfinished(self, unit: int) -> dict[str, Any] | None:
        """What is kept of exactly this unit.

        Raises:
            ResultsError: it is damaged.
        """
        path = self._path("unfinished")
        if not path.exists():
            return None
        try:
            content = load_checkpoint(path)
        except ResultsError as error:
            raise ResultsError(_short(error, path)) from None
        expected = {"resource": unit - 1, "unit": unit, "configuration": self._about["configuration"]}
        return content if all(content.get(name) == value for name, value in expected.items()) else None

    def _content(self, resource: int, state: Any) -> dict[str, Any]:
        return {"resource": resource, **self._about, "state": state}

    def keep_if_best(self, value: float, unit: int) -> None:
        """Hard-link the checkpoint just written as the trial's best, if it is."""
        best = self._path("best")
        before = read_best_note(best)
        if not improves(value, math.nan if before is None else before["value"], self._mode):
            return
        temporary = best.with_name(best.name + ".tmp")
        temporary.unlink(missing_ok=True)
        try:
            os.link(self._path("last"), temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(self._path("last"), temporary)
        os.replace(temporary, best)
        write_best_note(best, value, unit)

    def _drop_unreported_best(self) -> None:
        """Forget a best whose report never arrived."""
        note = read_best_note(self._path("best"))
        if note is not None and note["resource"] > self._start:
            self._drop_best()

    def _drop_best(self) -> None:
        best = self._path("best")
        best.unlink(missing_ok=True)
        best.with_suffix(".json").unlink(missing_ok=True)


def _short(error: ResultsError, path: Path) -> str:
    """What is wrong with a file, by its name alone."""
    return str(error).replace(str(path), path.name)
