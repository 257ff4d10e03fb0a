"""Record a table: a random search for each arm, all of one seed, every configuration trained to the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.journals.runs import load_run
from asha_core.errors import ResultsError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.option_table import Scope, keys_of
from asha_core.launch.resolve import Parts, resolve
from asha_core.launch.result import Result
from asha_core.launch.resume_options import storable
from asha_core.recording.from_runs import Recorded, curves_of
from asha_core.runtime.storage.json_files import read_json, read_optional_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.study.arm_names import directory_name
from warmstart.base import acts
from warmstart.registry import strategy_label

Search = Callable[[Mapping[str, Any], Parts, Mapping[str, Any]], Result]  # options, what they make, changes

_TO_THE_END = "a recording trains every configuration to the end; Ctrl-C stops it, the same command goes on"
_NOT_TAKEN = {  # option -> what to do
    "variation": "name the arms with --arms",
    "max_trials": "say how many with --configurations",
    "budget": _TO_THE_END,
    "gpu_hours": _TO_THE_END,
    "stop_at": _TO_THE_END,
    "patience": _TO_THE_END,
    "resume": "the same command goes on with a recording by itself",
    "retry_failed": "give it to asha-run --resume --results-dir with the arm's directory; then record again",
    "plan": "a recording trains configurations times arms times max-resource units",
    "check_warm_start": "asha-run has it",
    "json": "asha-curves show --json tells what a table has",
}
_MAY_DIFFER = ("variation", "max_trials", "workers_per_gpu")


@dataclass(frozen=True, slots=True)
class RecordedArm:
    """One arm: a search."""

    name: str
    options: Mapping[str, Any]  # of asha-run
    parts: Parts
    directory: RunDirectory

    def is_complete(self, configurations: int) -> bool:
        """Whether so many were trained to the end."""
        results = read_optional_json(self.directory.results)
        return results.get("reason") == "complete" and results.get("trials", 0) >= configurations

    def recorded(self) -> int:
        """How many configurations are over: trained to the end, failed or screened out."""
        if not self.directory.journal.exists():
            return 0
        states = [trial.state for trial in load_run(self.directory.path).trials.values()]
        return sum(state in ("done", "finished", "failed", "rejected") for state in states)


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be recorded, checked; nothing is begun.

    Attributes:
        output: the table's file.
        configurations: how many.
        arms: one search each.
        folder: where these lie.
    """

    output: Path
    configurations: int
    arms: Sequence[RecordedArm]
    folder: Path

    @classmethod
    def of(
        cls, arguments: Sequence[str], variations: Sequence[str], configurations: int, output: Path
    ) -> Recording:
        """From the command line.

        Args:
            arguments: options of ``asha-run``, for every arm.
            variations: the arms' warm starts, as ``--variation`` has them.
        Raises:
            AshaError: an option that cannot be used; or the directory holds another recording.
        """
        given = parse_arguments(arguments)
        _check_taken(given)
        folder = Path(given["results_dir"] or f"{output}.runs").absolute()
        if output.exists() and not folder.is_dir():
            raise SettingError(
                f"--output {output} exists, and no recording lies beside it in {folder}: name another file, "
                "or remove it"
            )
        recording = cls(output.absolute(), configurations, [], folder)
        arms = [recording._arm(given, variation) for variation in variations]
        names = [arm.name for arm in arms]
        for name in names:
            if names.count(name) > 1:
                raise SettingError(f"--arms names {name} twice: name each arm once")
        for arm in arms:
            _check_same(arm)
        return cls(recording.output, configurations, arms, folder)

    def _arm(self, given: Mapping[str, Any], variation: str) -> RecordedArm:
        name = strategy_label(variation)
        where = RunDirectory(self.folder / directory_name([name]))
        options = {
            **given,
            "variation": variation,
            "scheduler": "random",
            "max_trials": self.configurations,
            "results_dir": str(where.path),
        }
        if variation in ("baseline", "none"):  # which has none
            options["warm_start_option"] = {}
        parts = resolve(options)
        if parts.scheduler.searcher.learns:
            raise SettingError(
                f"--searcher {given['searcher']} learns from what trials report, so the arms would not have "
                "the same configurations: leave it out"
            )
        if acts(parts.warm_start.built, promoted=True):
            raise SettingError(
                f"--arms {name} acts where a trial is promoted, and a table's curves are of configurations "
                "that stay what they are: leave it out, and compare it by searches"
            )
        return RecordedArm(name, options, parts, where)

    def left(self) -> int:
        """Curves that are not recorded yet."""
        return sum(max(self.configurations - arm.recorded(), 0) for arm in self.arms)

    def run(self, arm: RecordedArm, search: Search) -> Result:
        """Record one arm, or go on with it; of what it trained the best checkpoint alone is kept."""
        options, changes = arm.options, dict[str, Any]()
        if arm.directory.begun:
            options = {**options, "resume": True}
            before, now = read_json(arm.directory.manifest)["settings"], storable(arm.options)
            session = keys_of(Scope.SESSION)
            changes = {k: now[k] for k, v in before.items() if k in now and k not in session and now[k] != v}
        result = search(options, arm.parts, changes)
        if result.outcome.reason == "complete":
            for checkpoint in arm.directory.checkpoints.glob("trial-*"):
                checkpoint.unlink(missing_ok=True)
        return result

    def table(self, source: Mapping[str, Any]) -> Recorded:
        """The table of what is recorded."""
        runs = [load_run(arm.directory.path) for arm in self.arms]
        space = self.arms[0].parts.task.space
        return curves_of(runs, space=space, first=self.configurations, source=source)


def read_arms(text: str) -> list[str]:
    """The arms that ``--arms`` names.

    Raises:
        SettingError: none.
    """
    arms = [name.strip() for name in text.split(",")]
    if not all(arms):
        raise SettingError(
            f"--arms is {text!r}: give names of warm starts with commas between them, such as "
            "baseline,ohgw-1step"
        )
    return arms


def _check_taken(given: Mapping[str, Any]) -> None:
    usual = parse_arguments([])
    for key, instead in _NOT_TAKEN.items():
        if given[key] != usual[key]:
            raise SettingError(f"--{key.replace('_', '-')} is none of asha-curves record: {instead}")
    if given["scheduler"] not in (None, "random"):
        raise SettingError(
            f"--scheduler {given['scheduler']} is none of asha-curves record: it trains every configuration "
            "to the end, with the scheduler random; what is recorded can be searched with any"
        )


def _check_same(arm: RecordedArm) -> None:
    """What is in the arm's directory was begun with the same options."""
    if not arm.directory.begun:
        arm.directory.check()
        return
    before = read_json(arm.directory.manifest).get("settings") or {}
    if not before:
        raise ResultsError(f"{arm.directory.path} holds a search of a script: name another --results-dir")
    now = storable(arm.options)
    for key in keys_of(Scope.SEARCH, Scope.ARM):
        if key in before and key not in _MAY_DIFFER and before[key] != now[key]:
            option = f"--{key.replace('_', '-')}"
            raise SettingError(
                f"{arm.name} was begun in {arm.directory.path} with {option} {before[key]}, and now it is "
                f"{now[key]}: give what it was begun with, or another --output"
            )
