"""What a search found: from ``tune``, or read from its results directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.arguments import shown
from asha_core.errors import ResultsError, TaskError
from asha_core.runtime.observers import Outcome, describe_outcome, short
from asha_core.runtime.storage.json_files import read_optional_json
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.schedulers.state import Best
from asha_core.space import Configuration, SearchSpace

if TYPE_CHECKING:
    from analysis.journals.runs import Run
    from trials.task import Task


@dataclass(frozen=True, slots=True)
class Reached:
    """What it took until a search first had a value as good as its target, all its sessions together."""

    seconds: float  # wall-clock
    gpu_hours: float  # devices held times hours; on a CPU: worker processes times hours
    units: int  # resource that all trials had trained by then


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What a search found. In a notebook it shows itself as a table.

    Attributes:
        best: the best value reported, with its trial, resource and configuration; None if there was none.
        outcome: how it ended.
        directory: where its journal, logs and checkpoints lie; the whole path.
        summary: the content of results.json.
        reached: what its target took; None if it has none, or has not reached it.
        task: what was tuned, if it is at hand: after ``tune``, and where it was given to ``load``.
    """

    best: Best | None
    outcome: Outcome
    directory: Path
    summary: Mapping[str, Any]
    reached: Reached | None = None
    task: type[Task] | Task | str | None = field(default=None, compare=False)

    @property
    def best_configuration(self) -> Configuration | None:
        """The configuration with the best value."""
        return self.best.configuration if self.best is not None else None

    @property
    def best_value(self) -> float | None:
        """The best value reported."""
        return self.best.value if self.best is not None else None

    @staticmethod
    def load(directory: str | Path, task: type[Task] | Task | str | None = None) -> Result:
        """The result of a search by its results directory, from its journal: nothing there is executed.

        A search that was killed, or still runs, has one as well, as far as it has come.

        Args:
            directory: of its results.
            task: what was tuned: an object, its class, or "package.module:Name". Without it the options of a
                ``Choice`` are as they are kept: lists for tuples, names for classes and functions. Where a
                function was tuned, ``space.restored(result.best_configuration)`` gives them back.
        Raises:
            ResultsError: it is no results directory, or a damaged one.
            JournalError: its journal is missing or damaged.
            TaskError: there is no such task.

        >>> Result.load("results/mine").best_configuration  # doctest: +SKIP
        Configuration({'rate': 0.8741})
        """
        from analysis.journals.runs import load_run

        run = load_run(user_path(directory, "directory").absolute())
        return _of(run, None if task is None else _loaded(task))

    def frame(self) -> Any:
        """All trials as a pandas DataFrame, a row each.

        Columns: trial, state ("done", "paused", "failed", ...), best, best_at (the unit at which it had it),
        reached (its last unit), seconds, and ``config.NAME`` for each dimension. More columns and tables:
        ``analysis.load(result.directory)``.

        Raises:
            SettingError: pandas is not installed.
        """
        from analysis.journals.runs import load_run
        from analysis.journals.trial_table import trials_as_trained
        from analysis.study.tidy import as_frame

        return as_frame(trials_as_trained(load_run(self.directory)), "analysis.load(result.directory).trials")

    def load_model(self, task: type[Task] | Task | str | None = None) -> tuple[Any, dict[str, Any]]:
        """The trained model of the best checkpoint, as ``trials.load_model`` gives it: model and checkpoint.

        Args:
            task: what was tuned; not needed after ``tune``, nor for a task that comes with this package.
        Raises:
            ResultsError: there is no checkpoint, or it is of a task without ``trained_model``; or the task
                has to be given.
        """
        from trials.loading import load_model

        return load_model(self.directory, self.task if task is None else task)

    def load_state(self) -> Any:
        """What the best trial had given to ``trial.save`` at its best unit (a ``TorchTask`` gives parts).

        Raises:
            ResultsError: there is no checkpoint, or a damaged one.
        """
        from trials.checkpoints.files import load_checkpoint

        return load_checkpoint(self.directory / "checkpoints" / "best.pt")["state"]

    def report(self) -> Path:
        """Write the report that ``asha-report`` writes, into the results directory.

        Returns:
            Its page, ``report.html``, which stands alone.
        Raises:
            ResultsError: it cannot be written.
        """
        from analysis.journals.runs import load_run
        from analysis.report.run_report import write_report

        run = load_run(self.directory)
        try:
            return write_report([run], self.directory).page
        except OSError as error:
            raise ResultsError(f"the report cannot be written into {self.directory}: {error}") from None

    @property
    def _unit(self) -> str:
        return str(self.summary.get("unit", "unit"))

    def _best_in_words(self) -> str:
        if self.best is None:
            return "no finite value"
        best = self.best
        value = f"best {self.summary['metric']} {short(best.value)}"
        return f"{value} by trial {best.trial} at {self._unit} {best.resource}"

    def __repr__(self) -> str:
        return f"<Result {self.outcome.reason}: {self._best_in_words()}, {self.directory}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: how it ended, the best ten trials, and where everything lies."""
        top = self.summary["top"]
        names = list(dict.fromkeys(name for entry in top for name in entry["configuration"]))
        header = ["trial", self.summary["metric"], f"at {self._unit}", "reached", *names]
        rows = [
            [
                *(entry[key] for key in ("trial", "value", "resource", "reached")),
                *(entry["configuration"].get(name, "") for name in names),
            ]
            for entry in top
        ]
        table = _table(header, rows) if rows else ""
        ended = describe_outcome(self.outcome, self._unit)
        return (
            f"<div><p><b>{escape(self._best_in_words())}</b><br>{escape(ended)}<br>"
            f"<code>{escape(str(self.directory))}</code></p>{table}</div>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the task, which may hold what cannot be pickled."""
        return Result, (self.best, self.outcome, self.directory, self.summary, self.reached)


def _table(header: list[str], rows: list[list[Any]]) -> str:
    def line(cells: list[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(short(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"


def _loaded(task: type[Task] | Task | str) -> type[Task] | Task:
    from trials.spec import TaskSpec
    from trials.task import Task

    found = TaskSpec(task).load() if isinstance(task, str) else task
    kind = found if isinstance(found, type) else type(found)
    if not issubclass(kind, Task):
        raise TaskError(f"task is {shown(found)}: it must be a trials.Task, or the class of one")
    return found


def _of(run: Run, task: type[Task] | Task | None) -> Result:
    """The result that a journal tells of."""
    summary = _summary(run)
    best, configured = summary["best"], None
    if best is not None:
        values = best["configuration"]
        configured = Configuration(tuple(values), tuple(values.values()))
        space = getattr(task, "space", None)
        if isinstance(space, SearchSpace):  # a class may make it in its __init__
            configured = space.restored(configured)
    found = None if configured is None else Best(best["trial"], best["resource"], best["value"], configured)
    outcome = Outcome(
        reason=run.reason,
        best=found,
        trials=summary["trials"],
        units=summary["units"],
        failures=summary["failed"],
        seconds=summary["seconds"],
        gpu_seconds=summary["gpu_hours"] * 3600,
        warm_start_seconds=summary["warm_start_seconds"],
        training_seconds=summary["training_seconds"],
    )
    return Result(found, outcome, run.directory, summary, _reached(run), task)


def _summary(run: Run) -> dict[str, Any]:
    """results.json; and if it is missing, or older than the journal, what the journal has of it."""
    from analysis.journals.metrics import time_split
    from analysis.report.run_report import summary_of

    stored = read_optional_json(RunDirectory(run.directory).results)
    told, split = summary_of(run, []), time_split(run)
    counts = {key: told[key] for key in ("trials", "rejected", "failed", "stopped_early", "units")}
    same = {"reason": run.reason, **counts}
    if {key: stored.get(key) for key in same} == same:
        return {"unit": run.unit, **stored}
    return {
        "schema": 1,
        **same,
        "metric": run.metric,
        "mode": run.mode,
        "unit": run.unit,
        "best": next(iter(told["top"]), None),
        "best_checkpoint": None,
        "top": told["top"],
        "seconds": told["seconds"],
        "gpu_hours": told["gpu_hours"],
        "training_seconds": split.training,
        "warm_start_seconds": split.warm_start,
        "scheduler_state": {},
        "rungs": [{"level": rung["level"], "reached": rung["trials"]} for rung in told["rungs"]],
    }


def _reached(run: Run) -> Reached | None:
    from analysis.journals.metrics import time_to_target

    target = run.manifest.get("target")
    if target is None:
        return None
    told = time_to_target(run, float(target))
    return None if told.censored else Reached(told.seconds, told.gpu_hours, told.units)
