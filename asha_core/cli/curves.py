"""``asha-curves``: tables of learning curves, recorded, made of results, or shown."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer
from asha_core.errors import SettingError
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.terminal.command import Parser, last_words, run_command
from asha_core.runtime.terminal.streams import say
from asha_core.runtime.units import counted, format_bytes, format_duration

if TYPE_CHECKING:
    from asha_core.launch.resolve import Parts
    from asha_core.launch.result import Result
    from asha_core.recording.recorder import RecordedArm, Recording


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="asha-curves",
        description="Tables of learning curves, over which searches are simulated (asha-run --executor "
        "simulate --curves FILE): record one, make one of results that are there, or show one.",
        epilog="Example: asha-curves record --task digits --gpus cpu --arms baseline,ohgw-1step "
        "--configurations 300 --output curves.npz",
    )
    commands = parser.add_subparsers(dest="command", metavar="record | from | show", parser_class=Parser)
    record = commands.add_parser(
        "record",
        usage="%(prog)s [-h] [--arms LIST] --configurations N --output FILE [options of asha-run]",
        help="train every configuration to the end, under every arm",
        description="Train every configuration to the end under every arm, and write the table. Takes every "
        "option of asha-run beside these that says what to train and where (--task, --gpus, --seed, "
        "--max-resource, ...); --results-dir is where its searches are kept [OUTPUT.runs]. It can be stopped "
        "(Ctrl-C, kill), and the same command goes on.",
    )
    record.add_argument(
        "--arms",
        metavar="LIST",
        default="baseline",
        help="warm starts, such as baseline,ohgw-1step [baseline]",
    )
    record.add_argument(
        "--configurations", metavar="N", type=int, required=True, help="how many, the same for every arm"
    )
    record.add_argument("--output", metavar="FILE", required=True, help="the table: a new .npz file")
    made = commands.add_parser(
        "from",
        help="make a table of results that are there",
        description="Make a table of the results of searches, or of studies: trials of one seed and number "
        "are one configuration, warm starts are the arms, and where a trial was paused its curve ends.",
    )
    made.add_argument(
        "directories",
        nargs="+",
        metavar="DIR",
        help="results directories, or folders of such; or one .json file that describes a surrogate",
    )
    made.add_argument("--output", metavar="FILE", required=True, help="the table: a new .npz file")
    made.add_argument(
        "--configurations", metavar="N", type=int, help="of a surrogate: how many to draw from its space"
    )
    made.add_argument("--seed", metavar="N", type=int, help="of a surrogate: which ones are drawn [0]")
    show = commands.add_parser("show", help="say what a table has", description="Say what a table has.")
    show.add_argument("file", metavar="FILE", help="the table")
    show.add_argument(
        "--target",
        action="append",
        type=float,
        metavar="TAU",
        help="tell the share of configurations that reach it; may be repeated [what a half, a tenth, ... of "
        "the first arm reach]",
    )
    show.add_argument("--json", action="store_true", help="print it as one JSON object")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command("asha-curves", lambda: _curves(given))


def _curves(given: Sequence[str]) -> int:
    options, rest = _parser().parse_known_args(given)
    if options.command == "record":
        return _record(options, rest, shlex.join(["asha-curves", *given]))
    if rest:
        raise SettingError(f"unexpected argument {rest[0]!r}: asha-curves --help has what there is")
    if options.command == "from":
        return _from(options, shlex.join(["asha-curves", *given]))
    if options.command == "show":
        return _show(options)
    _parser().print_help(sys.stderr)
    return 2


# -- record ----------------------------------------------------------------------------------------


def _record(options: argparse.Namespace, rest: Sequence[str], command: str) -> int:
    from asha_core.recording.recorder import Recording, read_arms

    count = integer("--configurations", options.configurations, 1)
    output = _table_file(options.output)
    recording = Recording.of(rest, read_arms(options.arms), count, output)
    total, left = count * len(recording.arms), recording.left()
    say(_what(recording, total, left))
    try:
        for number, arm in enumerate(recording.arms, 1):
            if not arm.is_complete(count):
                say(f"arm {number} of {len(recording.arms)}: {arm.name}")
                if not _record_arm(recording, arm):
                    return _stopped(recording, total, command)
    except KeyboardInterrupt:
        return _stopped(recording, total, command)
    recorded = recording.table(_source(command))
    recorded.curves.save(recording.output)
    with last_words():
        _print_written(recorded.notes, len(recorded.curves), recording.output)
        print(f"searches: {recording.folder}")
    return 0


def _what(recording: Recording, total: int, left: int) -> str:
    parts = recording.arms[0].parts
    units = f"{parts.scheduler.levels[-1]} {parts.task.unit}s"
    names = ", ".join(arm.name for arm in recording.arms)
    there = f"; {total - left:,} of {total:,} curves are there" if left < total else ""
    return f"recording {counted(recording.configurations, 'configuration')} to {units} under {names}{there}"


def _record_arm(recording: Recording, arm: RecordedArm) -> bool:
    """Whether it is complete, and was not interrupted."""
    result = recording.run(arm, _search)
    outcome = result.outcome
    failed = f", {counted(outcome.failures, 'failed trial')}" if outcome.failures else ""
    say(f"{arm.name}: {counted(outcome.trials, 'curve')}{failed}, in {format_duration(outcome.seconds)}")
    return outcome.reason == "complete"


def _search(options: Mapping[str, Any], parts: Parts, changes: Mapping[str, Any]) -> Result:
    from asha_core.cli.run import set_up
    from asha_core.launch.launching import launch

    return launch(set_up(options, parts, changes), then_exit=True)


def _stopped(recording: Recording, total: int, command: str) -> int:
    done = total - recording.left()
    say(f"asha-curves: stopped: {done:,} of {total:,} curves are recorded; go on with: {command}")
    return 130


# -- from and show ---------------------------------------------------------------------------------


def _from(options: argparse.Namespace, command: str) -> int:
    from analysis.journals.finding import find_runs
    from analysis.journals.runs import load_run
    from asha_core.recording.from_runs import curves_of

    output = _table_file(options.output)
    if output.exists():
        raise SettingError(f"--output {output} exists: name another file, or remove it")
    if options.directories[0].endswith(".json"):
        return _from_model(options, output, command)
    if options.configurations is not None or options.seed is not None:
        raise SettingError("--configurations and --seed are of a surrogate: results have what they have")
    for given in options.directories:
        tables = user_path(given, "DIR") / "curves"
        if tables.is_dir() and not (tables.parent / "runs").exists():
            found = ", ".join(str(path) for path in sorted(tables.glob("*.npz")))
            raise SettingError(
                f"{given} is of simulated searches, which trained nothing: its tables are {found}"
            )
    runs = [load_run(directory) for directory in find_runs(options.directories)]
    recorded = curves_of(runs, source=_source(command))
    recorded.curves.save(output)
    with last_words():
        _print_written(recorded.notes, len(recorded.curves), output)
    return 0


def _from_model(options: argparse.Namespace, output: Path, command: str) -> int:
    from asha_core.simulation.onnx_source import OnnxCurves

    if len(options.directories) > 1:
        raise SettingError(f"{options.directories[0]} describes a surrogate: name it alone")
    if options.configurations is None:
        raise SettingError("a surrogate answers for any configuration: say how many with --configurations")
    model = OnnxCurves(user_path(options.directories[0], "FILE"))
    curves = model.table(options.configurations, options.seed or 0, source=_source(command))
    curves.save(output)
    with last_words():
        _print_written([], len(curves), output)
    return 0


def _show(options: argparse.Namespace) -> int:
    from asha_core.recording.describing import described, in_words
    from asha_core.runtime.storage.records import to_json
    from asha_core.runtime.terminal.encodings import print_json
    from asha_core.simulation.curves import Curves

    path = user_path(options.file, "FILE")
    numbers = described(Curves.load(path), options.target)
    if options.json:
        print_json(to_json(numbers))
    else:
        print(in_words(numbers, str(path)))
    return 0


def _table_file(given: str) -> Path:
    """Where a table goes: a file in a folder that is there, with the ending .npz."""
    path = user_path(given, "--output")
    if path.suffix != ".npz":
        raise SettingError(f"--output is {given}: give a file that ends in .npz")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise SettingError(
            f"--output {given}: {path.parent if not path.is_dir() else path} "
            + ("is a directory" if path.is_dir() else "is no directory")
        )
    return path


def _source(command: str) -> dict[str, Any]:
    from asha_core.runtime.storage.manifest import commit, versions

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "created": now, "versions": versions(), "commit": commit()}


def _print_written(notes: Sequence[str], count: int, output: Path) -> None:
    for note in notes:
        print(f"note: {note}")
    print(f"table: {output} ({counted(count, 'configuration')}, {format_bytes(output.stat().st_size)})")
    print(f"show:  asha-curves show {shlex.quote(str(output))}")


if __name__ == "__main__":
    sys.exit(main())
