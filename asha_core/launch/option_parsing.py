"""Read the options of ``asha-run``: the command line first, then the YAML file, then the table's defaults."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.arguments import shown
from asha_core.errors import SettingError, nearest
from asha_core.launch.option_kinds import FILE, FLAG, PATH, REFERENCES
from asha_core.launch.option_table import BY_KEY, GROUPS, MAPPINGS, OPTIONS, Option
from asha_core.launch.short_help import add_help
from asha_core.launch.simulated_options import TASK, check_together, is_simulated
from asha_core.runtime.budget import Budget
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.terminal.command import Parser
from asha_core.runtime.units import parse_duration

if TYPE_CHECKING:
    from trials.devices import Devices


class _Parser(Parser):
    """Its help names what other packages have registered; only then are these looked up."""

    def format_help(self) -> str:
        """The text of ``--help``."""
        for action in self._actions:
            option = BY_KEY.get(action.dest)
            if option is not None and option.plugins is not None and option.plugins.others:
                action.help = f"{action.help}; installed: {', '.join(option.plugins.others)}"
        return super().format_help()


def _parser() -> argparse.ArgumentParser:
    from asha_core import __version__

    parser = _Parser(
        prog="asha-run",
        description="Asynchronous successive halving in worker processes, one per GPU slot, with an "
        "optional warm start of every fresh configuration.",
        epilog="Example: asha-run --variation ohgw-1step --task digits --gpus cpu",
        add_help=False,
    )
    add_help(parser)
    parser.add_argument("--version", action="version", version=f"asha-core {__version__}")
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            _add_option(group, option)
    return parser


def _add_option(group: Any, option: Option) -> None:
    # a default of None tells what was given from what was not; the table's default comes later
    name, common = f"--{option.name}", {"default": None, "dest": option.key}
    if option.kind is FLAG:
        group.add_argument(name, action="store_true", help=option.help, **common)
        return
    action = "append" if option.key in MAPPINGS or option.kind is REFERENCES else "store"
    default = f" [{option.default}]" if option.default else ""
    group.add_argument(name, action=action, metavar=option.metavar, help=option.help + default, **common)


def parse_arguments(
    arguments: Sequence[str] | None, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Every option's value: the command line first, then the YAML file, then the default.

    Args:
        earlier: of a search to go on with, its options by key: they stand in for the defaults.
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
    if "config" in given:
        given["config"] = read_option(BY_KEY["config"], given["config"], "--config")
    from_file = _read_config(Path(given["config"])) if "config" in given else {}
    values: dict[str, Any] = {}
    before = earlier or {}
    for option in OPTIONS:
        if option.key in given:
            values[option.key] = read_option(option, given[option.key], f"--{option.name}")
        elif option.key in from_file:
            source = f"{given['config']}: {option.name}"
            values[option.key] = read_option(option, from_file[option.key], source)
        elif option.key in before and (before[option.key], option.default) != (None, None):
            values[option.key] = read_option(option, before[option.key], f"{option.name} of the search")
        else:
            values[option.key] = {} if option.key in MAPPINGS else option.default
    check_together(values, {*given, *from_file})
    if is_simulated(values):
        values["task"] = TASK
    return values


def read_option(option: Option, value: Any, source: str) -> Any:
    """An option's value as it is used; ``source`` is where it was written, for the error.

    Raises:
        SettingError: a value that the option does not take.
    """
    if option.key in MAPPINGS:
        found: dict[str, Any] = {}
        for key, item in _key_values(value, source).items():
            name = _as_read(option, key)
            if name in found:
                raise SettingError(f"{source} gives {name} twice, with a hyphen and without: give it once")
            found[name] = item
        return found
    try:
        found = option.kind.read(value)
    except (ValueError, TypeError, SettingError):
        raise SettingError(f"{source} is {shown(value)}: it must be {option.kind.must_be}") from None
    return str(user_path(found, source)) if option.kind in (PATH, FILE) else found


def _as_read(option: Option, key: str) -> str:
    """A name as it is in Python, if it is an argument's; the parts of a warm start may have hyphens."""
    if option.key == "freeze":
        return key
    part, dot, name = key.rpartition(".")
    return part + dot + name.replace("-", "_")


def _key_values(value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    import yaml

    from asha_core.launch.yaml_files import read_yaml

    options = {}
    for text in value if isinstance(value, list) else [value]:
        key, equals, item = str(text).partition("=")
        if not equals or not key:
            examples = {"freeze": "lr=0.1", "warm-start-option": "eta_h=3e-4"}
            example = next((e for name, e in examples.items() if source.endswith(name)), "model=mlp")
            raise SettingError(f"{source} is {text!r}: write it as KEY=VALUE, such as {example}")
        if key.strip() in options:
            raise SettingError(f"{source} gives {key.strip()} twice: give it once")
        try:
            options[key.strip()] = read_yaml(item)
        except (yaml.YAMLError, ValueError):  # ValueError: a date that there is not, such as 2026-13-01
            options[key.strip()] = item
    return options


def _read_config(path: Path) -> dict[str, Any]:
    from asha_core.launch.yaml_files import read_yaml_file, with_python_names

    content = read_yaml_file(path, f"--config {path}")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingError(f"--config {path} holds a {type(content).__name__}: it must map options to values")
    values = with_python_names(content, f"--config {path}")
    for name, key in zip(values, content, strict=True):
        if name not in BY_KEY or name == "config":
            names = (option.name for option in OPTIONS if option.name != "config")
            raise SettingError(f"--config {path}: unknown key {key!r}{nearest(str(key), names)}")
    return {name: value for name, value in values.items() if value is not None}


def devices_and_budget(options: Mapping[str, Any]) -> tuple[Devices, Budget]:
    """What the options say of where to run and when to stop.

    Raises:
        AshaError: a GPU that is not there, or a list or time that cannot be read.
    """
    if is_simulated(options):
        from asha_core.launch.simulated import simulated_devices

        devices = simulated_devices(options["workers"])
    else:
        from trials.devices import parse_devices

        devices = parse_devices(options["gpus"], options["workers_per_gpu"])
    hours = options["gpu_hours"]
    budget = Budget(
        None if options["budget"] is None else parse_duration(options["budget"], "--budget"),
        None if hours is None else hours * 3600,
        devices.held,
    )
    return devices, budget
