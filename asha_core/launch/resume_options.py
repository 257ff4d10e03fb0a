"""``asha-run --resume``: which search to go on with, and the options that it was begun with."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError, SettingError
from asha_core.import_paths import is_path, label
from asha_core.launch.naming import run_stem, short_name
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.option_table import OPTIONS, Scope, keys_of
from asha_core.launch.resolve import split_variation
from asha_core.launch.simulated_options import is_simulated
from asha_core.runtime.observers import EARLY
from asha_core.runtime.replay import changed_settings
from asha_core.runtime.storage.journal import read_resumptions
from asha_core.runtime.storage.json_files import read_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.streams import is_terminal
from asha_core.user_files import same_target
from trials.tasks import task_target
from warmstart.registry import strategy_label

_ODD = {".inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}  # as YAML writes what JSON cannot
_OF_A_SESSION = keys_of(Scope.SESSION)
_NAMING = tuple(option.key for option in OPTIONS if option.plugins is not None)


def read_options(arguments: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every option's value; of a search that is resumed, those not given are as it was begun.

    Returns:
        The options; and those of a resumed search that differ from before, as the journal keeps them.
    Raises:
        SettingError: an option that cannot be read, or nothing to resume.
    """
    options = parse_arguments(arguments)
    if options["retry_failed"] and not options["resume"]:
        raise SettingError(
            "--retry-failed tries again what failed in a search that is resumed: give --resume too"
        )
    if options["plan"]:
        if options["resume"]:
            raise SettingError("--plan tells what a new search would do: give its options, without --resume")
        return options, {}
    if options["check_warm_start"]:
        if options["resume"]:
            raise SettingError(
                "--check-warm-start looks at a new search's warm start: give its options, without --resume"
            )
        return options, {}
    given = options["results_dir"]
    if not options["resume"] and (given is None or not _asks_to_go_on(RunDirectory(Path(given)))):
        return options, {}
    directory = RunDirectory(Path(given) if given is not None else _newest(options))
    before: dict[str, Any] = {}
    if directory.begun:
        before = _options_before(directory, options)
        options = parse_arguments(arguments, _in_mappings(_restored, before))
    elif parse_arguments(arguments, {"task": ""})["task"] == "":  # it was not given
        raise SettingError(f"--resume: there is no search in {directory.path}")
    now = storable(options)
    changes = {key: now[key] for key, value in before.items() if key in now and now[key] != value}
    return options | {"resume": True, "results_dir": str(directory.path)}, changes


def _asks_to_go_on(directory: RunDirectory) -> bool:
    """Whether somebody at a terminal says yes."""
    if not (
        directory.begun and not directory.by_script and is_terminal(sys.stdin) and is_terminal(sys.stderr)
    ):
        return False
    print(f"{directory.path} holds a search. Go on with it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _newest(options: Mapping[str, Any]) -> Path:
    """The newest directory under results/ of a search that would have the same name."""
    scheduler, variation = split_variation(options["variation"], options["scheduler"])
    task = Path(options["curves"]).stem if is_simulated(options) else short_name(task_target(options["task"]))
    stem = run_stem(task, label(scheduler), strategy_label(variation), options["seed"])
    found = sorted((path.parent for path in Path("results").glob(f"{stem}-*/run.json")), key=_by_numbers)
    if not found:
        manifests = Path("results").glob("*/run.json")
        others = [path for path in manifests if not RunDirectory(path.parent).by_script]
        newest = max(others, key=lambda path: path.stat().st_mtime, default=None)
        which = "" if newest is None else f" (the newest is {newest.parent})"
        raise SettingError(
            f"--resume: there is no results/{stem}-*; name the directory with --results-dir{which}, or leave "
            "--resume out to begin a search"
        )
    return found[-1]


def _by_numbers(path: Path) -> list[int]:
    """To sort directories by the date, time and number in their names: -10 comes after -9."""
    return [int(digits) for digits in re.findall("[0-9]+", path.name)]


def _options_before(directory: RunDirectory, now: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the search in a directory, with what later sessions changed; as they are stored.

    Args:
        now: the options that are asked for now.
    """
    settings = _settings(directory)
    if not settings:
        raise SettingError(
            f"the search in {directory.path} was begun by a script: run that again, with "
            f"tune(..., results_dir={str(directory.path)!r}, resume=True)"
        )
    # their modules would be run, and what a results directory says is not to decide what is run
    missing = [
        (key, name)
        for key, name in _paths(settings)
        if not (key == "observer" and now[key] == [])
        and not any(same_target(name, given) for other, given in _paths(now) if other == key)
    ]
    if missing:
        given = " ".join(f"--{key} {name}" for key, name in missing)
        raise SettingError(f"--resume: the search in {directory.path} runs code of yours: give {given} too")
    return {key: value for key, value in settings.items() if key not in _OF_A_SESSION}


def _paths(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The options that name code by where it is, with its path each."""
    found = []
    for key in _NAMING:
        value = options.get(key)
        names = value if isinstance(value, list) else [value] if value is not None else []
        found += [(key, str(name)) for name in names if is_path(str(name))]
    return found


def _settings(directory: RunDirectory) -> dict[str, Any]:
    """The options that the search was begun with, as the manifest has them, and what was changed since.

    Raises:
        AshaError: manifest or journal are damaged.
    """
    manifest = read_json(directory.manifest)
    settings = manifest.get("settings")
    if not isinstance(settings, dict):
        raise ResultsError(f"{directory.manifest} is damaged: its settings are {settings!r}")
    if not settings:
        return {}
    scheduler = manifest.get("scheduler")
    if settings.get("max_trials") is None and isinstance(scheduler, dict):
        settings["max_trials"] = scheduler.get("max_trials")  # the limit of a search that was given none
    if "task_option" in settings:
        settings["task_option"] = _found_again(settings["task_option"], manifest.get("task"))
    return settings | changed_settings(read_resumptions(directory.journal))


def _found_again(options: Any, task: Any) -> Any:
    """The task's options; a file that is not there from here by its whole path, if the task told that.

    Both as a manifest has them, which may be damaged.
    """
    told = task.get("options") if isinstance(task, dict) else None
    if not (isinstance(options, dict) and isinstance(told, dict)):
        return options

    def found(name: str, value: Any) -> Any:
        whole = told.get(name)
        if not (isinstance(value, str) and isinstance(whole, str)):
            return value
        return whole if Path(whole).is_absolute() and not Path(value).exists() else value

    return {name: found(name, value) for name, value in options.items()}


def storable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the manifest keeps them, so that ``--resume`` gets them back from JSON as they were."""
    return _in_mappings(_stored, options)


def _in_mappings(convert: Callable[[Any], Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with ``convert`` applied to every value in those that are mappings."""

    def within(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): within(item) for key, item in value.items()}
        return [within(item) for item in value] if isinstance(value, list) else convert(value)

    return {key: within(value) if isinstance(value, dict) else value for key, value in options.items()}


def _stored(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return value


def _restored(value: Any) -> Any:
    return _ODD.get(value, value) if isinstance(value, str) else value


def resume_command(options: Mapping[str, Any], directory: Path, reason: str = "interrupted") -> str:
    """The command that goes on with a search.

    Args:
        reason: why it ended, as in ``Outcome``: then with more of its budget, or without what ended it.
    """
    words = ["asha-run", "--resume", "--results-dir", str(directory)]
    for key, name in _paths(options):
        words += [f"--{key}", name]
    for key in ("budget", "gpu_hours"):
        if reason == "budget" and options[key] is not None:
            words += [f"--{key.replace('_', '-')}", "MORE"]
    if reason in EARLY:
        words += [f"--{reason.replace('_', '-')}", "none"]
    return shlex.join(words)
