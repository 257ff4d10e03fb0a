"""A study's results directory: what was planned, and how far each run is.

study.json           all runs that were ever asked for here
study.lock           held by the ``asha-study`` that works here
simulated.runs       all simulated runs
curves/              the tables that these are simulated over
runs/<arm>/seed-<n>/ a run's results directory, with config.yaml, stdout.log, stderr.log and outcome.json
evaluation/          what ``asha-report`` writes
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from analysis.study.simulated_runs import FILE, Index
from asha_core.errors import ResultsError, SettingError
from asha_core.runtime.observers import FINISHED
from asha_core.runtime.storage.atomic import whole
from asha_core.runtime.storage.json_files import read_json, read_optional_json, write_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.study.arm_names import with_names_kept
from asha_core.study.planned_runs import PlannedRun, Study, group_labels
from asha_core.study.simulated_plan import collapsed, expanded, keep_tables

State = Literal["new", "begun", "failed", "done"]
_SCHEMA = 1
_NOTHING = ("", math.nan, 0.0)  # of a simulated run that has not been run


class StudyDirectory:
    """The paths of a study, and the runs that were asked for in it.

    Args:
        path: the directory; made when study.json is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "study.json"
        self.lock = path / "study.lock"
        self.simulated = path / FILE
        self._index: tuple[tuple[int, int], Index] = ((0, 0), Index({}, 0))

    def run(self, run: PlannedRun) -> RunDirectory:
        """A run's own results directory."""
        return RunDirectory(self.path / "runs" / run.id)

    def index(self) -> Index:
        """How far each simulated run is.

        Raises:
            ResultsError: their file cannot be read.
        """
        try:
            stat = self.simulated.stat()
        except OSError:
            return Index({}, 0)
        now = stat.st_size, stat.st_mtime_ns
        if self._index[0] != now:
            self._index = now, Index.of(self.simulated)
        return self._index[1]

    def state(self, run: PlannedRun) -> State:
        """How far a run is: "begun" can be gone on with, "failed" is tried again."""
        if run.table:
            reason, _, _ = self.index().runs.get(run.id, _NOTHING)
            return "done" if reason in FINISHED else "failed" if reason else "new"
        directory = self.run(run)
        if _reason(directory) in FINISHED:
            return "done"
        outcome = self.outcome(run)
        if outcome is not None and outcome.get("status") not in (0, 130):
            return "failed"
        return "begun" if directory.begun else "new"

    def found_nothing(self, run: PlannedRun) -> bool:
        """Whether a search is over in which no trial reported a finite value."""
        if run.table:
            reason, best, _ = self.index().runs.get(run.id, _NOTHING)
            return reason in FINISHED and math.isnan(best)
        results = read_optional_json(self.run(run).results)
        return results.get("reason") in FINISHED and results.get("best", 0) is None

    def virtual_seconds(self, run: PlannedRun) -> float:
        """How long a simulated run took in virtual time."""
        return self.index().runs.get(run.id, _NOTHING)[2]

    def outcome(self, run: PlannedRun) -> dict[str, Any] | None:
        """How the run's last process ended: outcome.json; None if none has, or it cannot be read."""
        return read_optional_json(self.run(run).outcome) or None

    def read(self) -> list[PlannedRun]:
        """The runs that were planned here before; none if there is no study yet.

        Raises:
            ResultsError: study.json is damaged.
        """
        if not self.file.exists():
            # what an asha-study leaves that is killed before it has written study.json
            ours = (self.lock, self.file.with_name(f"{self.file.name}.tmp"))
            if self.path.is_dir() and any(entry not in ours for entry in self.path.iterdir()):
                raise ResultsError(
                    f"results directory {self.path} is not empty and holds no study: name another with "
                    "--results-dir"
                )
            return []
        content = read_json(self.file)
        try:
            if content["schema"] != _SCHEMA:
                raise ResultsError(
                    f"{self.file} has schema {content['schema']!r}: this version reads {_SCHEMA}"
                )
            real = [PlannedRun.from_dict(kept) for kept in content["runs"]]
            return [*real, *expanded(content.get("simulated", []))]
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{self.file} is damaged: {type(error).__name__} {error}") from None

    def merged(self, study: Study) -> list[PlannedRun]:
        """All runs of this directory: those of the study, and those that were planned here before.

        What is here already keeps its name, whatever the file would call it now.

        Raises:
            SettingError: a run that has begun here would be another search now, or would be judged by targets
                or in a measure that were chosen since.
        """
        known = self.read()
        runs = {run.id: run for run in known}
        self._check_measure(study, known)
        for run in with_names_kept(study.runs, known):
            before = runs.get(run.id)
            if before is not None and before.identity != run.identity and self.state(before) != "new":
                raise SettingError(
                    f"{run.id} has begun in {self.path} with other options ({_differences(before, run)}): "
                    "name another directory with --results-dir, or give the experiment another run_id"
                )
            if before is not None and before.targets != run.targets and self.state(before) != "new":
                raise SettingError(
                    f"{run.id} has begun in {self.path} with the targets {list(before.targets)}, and now "
                    f"they are {list(run.targets)}: targets are fixed before the runs. Take those of before; "
                    f"asha-report {self.path} --target T shows others, without tests"
                )
            runs[run.id] = run
        labels = group_labels(list(runs.values()))
        return [replace(run, group=labels[run.pairing]) for run in runs.values()]

    def _check_measure(self, study: Study, known: Sequence[PlannedRun]) -> None:
        measure = read_json(self.file).get("measure", study.measure) if known else study.measure
        if measure != study.measure and any(self.state(run) != "new" for run in known):
            raise SettingError(
                f"runs have begun in {self.path}, which are to be compared by {measure}, and now measure is "
                f"{study.measure}: what is tested is fixed before the runs. The report tells the other "
                "measures, too"
            )

    def make(self) -> None:
        """Make the directory.

        Raises:
            ResultsError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"results directory {self.path} cannot be made: {error.strerror}") from None

    def _commands(self, command: Sequence[str]) -> list[list[str]]:
        """Those that have worked here, each once, and this one."""
        before = read_json(self.file).get("commands", []) if self.file.exists() else []
        return [*(each for each in before if each != list(command)), list(command)]

    def write(self, study: Study, runs: Sequence[PlannedRun], command: Sequence[str]) -> None:
        """Write study.json.

        Raises:
            ResultsError: it cannot be written.
        """
        self.make()
        content = {
            "schema": _SCHEMA,
            "name": study.name,
            "created": read_json(self.file)["created"]
            if self.file.exists()
            else datetime.now(UTC).isoformat(),
            "commands": self._commands(command),
            "baseline": study.baseline,
            "measure": study.measure,
            "gpus_per_run": study.gpus_per_run,
            "runs": [run.to_dict() for run in runs if not run.table],
        }
        if any(run.table for run in runs):
            before = read_optional_json(self.file)
            content["tables"] = keep_tables(self.path, runs, before.get("tables", {}))
            content["simulated"] = collapsed(runs, before.get("simulated", []), self.path)
        try:
            write_json(self.file, content)
        except OSError as error:
            raise ResultsError(f"{self.file} cannot be written: {error.strerror}") from None

    def write_config(self, run: PlannedRun) -> Path:
        """Write the run's config.yaml, which ``asha-run --config`` takes; its path."""
        directory = self.run(run)
        directory.path.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            key.replace("_", "-"): dict(value) if isinstance(value, Mapping) else value
            for key, value in run.options.items()
        }
        if "start-points" in options:  # so that it is run again from wherever that is done
            options["start-points"] = str(Path(options["start-points"]).absolute())
        with whole(directory.config, "x", encoding="utf-8") as file:
            yaml.safe_dump(options, file, sort_keys=False, allow_unicode=True)
        return directory.config

    def close(self, run: PlannedRun, status: int, seconds: float, keep: str) -> None:
        """Write outcome.json; of a complete run keep the best checkpoint alone, if ``keep`` is "best"."""
        directory = self.run(run)
        begun = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()
        directory.path.mkdir(parents=True, exist_ok=True)
        write_json(
            directory.outcome,
            {"schema": _SCHEMA, "status": status, "seconds": seconds, "begun": begun,
             "ended": datetime.now(UTC).isoformat()},
        )  # fmt: skip
        if keep == "best" and _reason(directory) in FINISHED:
            for checkpoint in directory.checkpoints.glob("trial-*"):
                checkpoint.unlink(missing_ok=True)


def _reason(directory: RunDirectory) -> str | None:
    """How the last session of a run ended, by results.json; None: it did not."""
    reason = read_optional_json(directory.results).get("reason")
    return None if reason is None else str(reason)


def _differences(before: PlannedRun, now: PlannedRun) -> str:
    if before.table != now.table:
        return (
            "its table of curves has changed since" if before.table and now.table else "it has other curves"
        )
    return ", ".join(
        f"{name} {before.options.get(name)!r}, now {now.options.get(name)!r}" for name in before.changed(now)
    )
