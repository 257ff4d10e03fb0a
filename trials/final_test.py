"""The one look at the test data: the chosen configuration's best checkpoint, measured once.

Whoever measures several configurations on the test data and keeps the best has searched on it, and the value
says nothing any more. So what is measured is kept beside the search, and asking again reads it back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError
from asha_core.runtime.storage.json_files import read_json, read_optional_json, write_json
from asha_core.runtime.storage.lock import held
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.storage.records import json_values
from asha_core.runtime.storage.run_directory import RunDirectory
from trials.loading import rebuilt
from trials.own_threads import threads_within_limits
from trials.task import Task

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Final:
    """What the chosen configuration does on test data.

    Attributes:
        metric: what ``value`` is.
        value: as in a validation.
        loss: likewise; None: the task knows none.
        count: of samples, or of what ``what`` says.
        confusion: (classes, classes) counts, a row for each true class; None where outputs are no classes.
        configuration: whose checkpoint it is.
        resource: after how many units.
        unit: what these are.
        trial: its number; None if there is no results.json that says so.
        validation: its value in the search; likewise.
        measured: when, ISO 8601, UTC.
        what: one of these is.
        again: it is the one that was measured then.
    """

    metric: str
    value: float
    loss: float | None
    count: int
    confusion: list[list[int]] | None
    configuration: dict[str, Any]
    resource: int
    unit: str
    trial: int | None
    validation: float | None
    measured: str
    what: str = "sample"
    again: bool = False


def measure_on_test_data(
    directory: str | Path,
    *,
    task: type[Task] | Task | str | None = None,
    data_dir: str | Path | None = None,
    device: str = "cpu",
    replace: bool = False,
) -> Final:
    """Measure ``checkpoints/best.pt`` of a search on its task's test data, and keep it as ``test.json``.

    Args:
        directory: of the search's results.
        task: as for ``trials.load_model``.
        data_dir: where the data lies, if not where the search found it.
        device: for torch.
        replace: measure although another checkpoint of this search was measured before.
    Raises:
        ResultsError: no checkpoint; or another one was measured before.
        TaskError: no test data.
    """
    rooms = RunDirectory(user_path(directory, "the results directory"))
    if not rooms.path.is_dir():
        raise ResultsError(f"{rooms.path} is no results directory: name the one that asha-run wrote")
    if not rooms.best_checkpoint.exists() and any(rooms.path.glob("*/run.json")):
        raise ResultsError(f"{rooms.path} holds several searches: name one of the directories in it")
    options = {} if data_dir is None else {"data_dir": str(user_path(data_dir, "data_dir").absolute())}
    rooms = rooms.seen_from(Path.cwd())  # the task's module may go to another folder
    built, model, content = rebuilt(rooms.best_checkpoint, task, options)
    which = {"configuration": content["configuration"], "resource": content["resource"]}
    with held(rooms.lock):
        before = _kept(rooms.test)
        if before is not None and json_values(which) == json_values(
            {name: getattr(before, name) for name in which}
        ):
            return before
        if before is not None and not replace:
            raise ResultsError(
                f"{rooms.path} was measured on test data on {before.measured[:10]}, with the configuration "
                "that was best then: a second look at the test data is a search on it; to replace the "
                "first, use --replace"
            )
        if not os.access(rooms.path, os.W_OK | os.X_OK):
            raise ResultsError(f"{rooms.path} is not writable: what is measured there could not be kept")
        return _look(rooms, built, model, which, device)


def _look(rooms: RunDirectory, built: Task, model: Any, which: dict[str, Any], device: str) -> Final:
    """Measure, and keep it."""
    trial, validation = _in_the_search(rooms, which["resource"])
    with threads_within_limits():
        score = built.measure_test(model, built.space.restored(which["configuration"]), device)
    final = Final(
        built.metric,
        float(score.value),
        None if score.loss is None else float(score.loss),
        score.count,
        score.confusion,
        **which,
        unit=built.unit,
        trial=trial,
        validation=validation,
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        what=score.what,
    )
    try:
        write_json(rooms.test, {"schema": _SCHEMA, **fields(final)})
    except OSError as error:
        raise ResultsError(
            f"the test data gave {final.metric} {final.value:.6g}, and this cannot be kept: {error}"
        ) from error
    return final


def _in_the_search(rooms: RunDirectory, resource: int) -> tuple[int | None, float | None]:
    """(trial, value) of the best checkpoint, as results.json has them."""
    results = read_optional_json(rooms.results)
    try:
        checkpoint = results["best_checkpoint"]
        if checkpoint["resource"] == resource:
            return int(results["best"]["trial"]), float(checkpoint["value"])
    except (ValueError, TypeError, KeyError):
        pass
    return None, None


def fields(final: Final) -> dict[str, Any]:
    """As ``test.json`` holds them."""
    return {name: getattr(final, name) for name in Final.__slots__ if name != "again"}


def _kept(path: Path) -> Final | None:
    """What was measured before."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
        if content.pop("schema") != _SCHEMA:
            raise ValueError("of another schema")
        validation = content.pop("validation")
        value, loss = float(content.pop("value")), content.pop("loss")  # "nan" is text in JSON
        final = Final(
            **content,
            value=value,
            loss=None if loss is None else float(loss),
            validation=None if validation is None else float(validation),
            again=True,
        )
        if not (
            isinstance(final.metric, str) and isinstance(final.measured, str) and dict(final.configuration)
        ):
            raise ValueError("of other types")
        return final
    except (ResultsError, ValueError, TypeError, KeyError) as error:
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}): it says what was measured on the test data; remove "
            "it to measure again"
        ) from None
