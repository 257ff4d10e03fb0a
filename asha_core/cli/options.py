"""The options of ``asha-run``: one table for the command line, the YAML file, and the checks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import SettingError, nearest
from asha_core.runtime.budget import Budget, parse_duration

if TYPE_CHECKING:
    from trials.devices import Devices

FLAG = "flag"


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _positive_integer(value: Any) -> int:
    number = _integer(value)
    if number < 1:
        raise ValueError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):  # gpus: [0, 1] in YAML
        return ",".join(map(str, value))
    if value is None or isinstance(value, dict):
        raise ValueError
    return str(value)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, how to read it, what it means.

    read: raises ValueError for what it does not take; ``FLAG`` for a switch.
    kind: what an error says it must be.
    """

    name: str
    read: Callable[[Any], Any] | str
    kind: str
    default: Any
    help: str
    metavar: str = ""
    group: str = "what to run"

    @property
    def key(self) -> str:
        """The name as a Python identifier."""
        return self.name.replace("-", "_")


_WHAT, _WHERE, _LIMITS, _RUNGS, _OUT = (
    "what to run",
    "where to run",
    "when to stop",
    "rungs (defaults come with the task)",
    "what to show and keep",
)

OPTIONS = (
    Option(
        "task", _text, "a name", "cifar10", "digits, cifar10, or mypackage.mymodule:MyTask", "TASK", _WHAT
    ),
    Option(
        "task-option",
        _text,
        "KEY=VALUE",
        None,
        "an option of the task, such as model=mlp or subset=0.1; may be repeated",
        "KEY=VALUE",
        _WHAT,
    ),
    Option(
        "variation",
        _text,
        "a name",
        "baseline",
        "the warm start: baseline, random-warm, ohgw-1step, ohgw-3step; with or without the scheduler "
        "before it (asha-ohgw-1step)",
        "NAME",
        _WHAT,
    ),
    Option("scheduler", _text, "a name", None, "asha (the default)", "NAME", _WHAT),
    Option("seed", _integer, "an integer", 0, "seed of everything random", "N", _WHAT),
    Option(
        "data-dir", _text, "a path", None, "where the task's data lies, or is downloaded to", "DIR", _WHAT
    ),
    Option(
        "gpus",
        _text,
        "a list of GPUs",
        "auto",
        "0,1,2,3; auto (every visible GPU, else the CPU); cpu; or inline (this very process, for debugging)",
        "LIST",
        _WHERE,
    ),
    Option(
        "workers-per-gpu",
        _positive_integer,
        "an integer of at least 1",
        None,
        "workers on each GPU (1); on the CPU how many in all (one a core)",
        "N",
        _WHERE,
    ),
    Option(
        "max-trials",
        _positive_integer,
        "an integer of at least 1",
        None,
        "configurations to start (without any limit: 100, or as many as it takes for one to be expected at "
        "the last rung)",
        "N",
        _LIMITS,
    ),
    Option("budget", _text, "a time", None, "wall-clock: 3h, 90m, 1h30m, 600s", "TIME", _LIMITS),
    Option(
        "gpu-hours",
        _positive,
        "a number above 0",
        None,
        "devices held times hours (on the CPU: worker processes times hours)",
        "HOURS",
        _LIMITS,
    ),
    Option(
        "target",
        _number,
        "a number",
        None,
        "tau: report the time to the first value this good (does not stop the search)",
        "TAU",
        _LIMITS,
    ),
    Option(
        "min-resource",
        _positive_integer,
        "an integer of at least 1",
        None,
        "units before the first comparison (peers: grace_period)",
        "R",
        _RUNGS,
    ),
    Option(
        "max-resource",
        _positive_integer,
        "an integer of at least 1",
        None,
        "units of a complete trial (peers: max_t)",
        "R",
        _RUNGS,
    ),
    Option(
        "reduction-factor",
        _integer,
        "an integer of at least 2",
        None,
        "eta: one in eta goes up a rung",
        "ETA",
        _RUNGS,
    ),
    Option("config", _text, "a file", None, "YAML file with any of these options", "FILE.yaml", _OUT),
    Option(
        "results-dir",
        _text,
        "a path",
        None,
        "a new directory for everything that is written (results/TASK-SCHEDULER-...)",
        "DIR",
        _OUT,
    ),
    Option("progress", _text, "a name", "auto", "auto, rich, plain, json or none", "KIND", _OUT),
    Option(
        "plan",
        FLAG,
        "true or false",
        False,
        "print the rungs and what the budget buys; run nothing",
        "",
        _OUT,
    ),
    Option(
        "unit-seconds",
        _positive,
        "a number above 0",
        None,
        "seconds that one unit takes, for --plan with a budget in time",
        "S",
        _OUT,
    ),
    Option(
        "json",
        FLAG,
        "true or false",
        False,
        "print the result as one JSON object on standard output, everything else on standard error",
        "",
        _OUT,
    ),
)

_BY_KEY = {option.key: option for option in OPTIONS}


class _Parser(argparse.ArgumentParser):
    """Raises ``SettingError`` where argparse would print a usage page and exit."""

    def error(self, message: str) -> Any:
        raise SettingError(message)


def _parser() -> argparse.ArgumentParser:
    from asha_core import __version__

    parser = _Parser(
        prog="asha-run",
        description="Asynchronous successive halving in worker processes, one per GPU slot, with an "
        "optional warm start of every fresh configuration.",
        epilog="Example: asha-run --variation ohgw-1step --task digits --gpus cpu",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"asha-core {__version__}")
    groups: dict[str, Any] = {}
    for option in OPTIONS:
        group = groups.get(option.group) or groups.setdefault(
            option.group, parser.add_argument_group(option.group)
        )
        if option.read == FLAG:
            group.add_argument(
                f"--{option.name}", action="store_true", default=None, dest=option.key, help=option.help
            )
        else:
            # a default of None tells what was given from what was not; the table's default comes later
            action = "append" if option.key == "task_option" else "store"
            group.add_argument(
                f"--{option.name}",
                action=action,
                default=None,
                dest=option.key,
                metavar=option.metavar,
                help=option.help + (f" [{option.default}]" if option.default not in (None, False) else ""),
            )
    return parser


def parse_arguments(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Every option's value: the command line first, then the YAML file, then the default.

    Raises:
        SettingError: an unknown option or key (with the nearest known one), or a value that it does not
            take.
    """
    known, unknown = _parser().parse_known_args(arguments)
    for word in unknown:
        if word.startswith("--"):
            name = word[2:].partition("=")[0]
            names = [f"--{option.name}" for option in OPTIONS]
            raise SettingError(f"unknown option --{name}{nearest(f'--{name}', names)}")
    if unknown:
        raise SettingError(f"unexpected argument {unknown[0]!r}: options begin with --")
    given = {key: value for key, value in vars(known).items() if value is not None}
    from_file = _read_config(Path(given["config"])) if "config" in given else {}
    values: dict[str, Any] = {}
    for option in OPTIONS:
        if option.key in given:
            values[option.key] = _read(option, given[option.key], f"--{option.name}")
        elif option.key in from_file:
            source = f"{given['config']}: {option.name}"
            values[option.key] = _read(option, from_file[option.key], source)
        else:
            values[option.key] = {} if option.key == "task_option" else option.default
    if values["budget"] is not None:
        parse_duration(values["budget"], "--budget")
    return values


def _read(option: Option, value: Any, source: str) -> Any:
    if option.key == "task_option":
        return _task_options(value, source)
    if option.read == FLAG:
        if not isinstance(value, bool):
            raise SettingError(f"{source} is {value!r}: it must be {option.kind}")
        return value
    assert callable(option.read)
    try:
        return option.read(value)
    except (ValueError, TypeError):
        raise SettingError(f"{source} is {value!r}: it must be {option.kind}") from None


def _task_options(value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key).replace("-", "_"): item for key, item in value.items()}
    import yaml

    options = {}
    for text in value if isinstance(value, list) else [value]:
        key, equals, item = str(text).partition("=")
        if not equals or not key:
            raise SettingError(f"{source} is {text!r}: write it as KEY=VALUE, such as model=mlp")
        try:
            options[key.strip().replace("-", "_")] = yaml.safe_load(item)
        except yaml.YAMLError:
            options[key.strip().replace("-", "_")] = item
    return options


def _read_config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"--config {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {path} is not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingError(f"--config {path} holds a {type(content).__name__}: it must map options to values")
    values = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in _BY_KEY or name == "config":
            names = (option.name for option in OPTIONS if option.name != "config")
            raise SettingError(f"--config {path}: unknown key {key!r}{nearest(str(key), names)}")
        if value is not None:
            values[name] = value
    return values


def devices_and_budget(options: Mapping[str, Any]) -> tuple[Devices, Budget]:
    """What the options say of where to run and when to stop.

    Raises:
        AshaError: a GPU that is not there, or a list or time that cannot be read.
    """
    from trials.devices import parse_devices

    devices = parse_devices(options["gpus"], options["workers_per_gpu"])
    hours = options["gpu_hours"]
    budget = Budget(
        None if options["budget"] is None else parse_duration(options["budget"], "--budget"),
        None if hours is None else hours * 3600,
        devices.held,
    )
    return devices, budget
