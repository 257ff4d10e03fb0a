"""``asha-run``: one search from the command line.

Everything is checked before a process is started or a file is written. Exit status: 0 done, 2 the
user's mistake in one line, 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from asha_core.arguments import one_of
from asha_core.cli.notes import notes_on
from asha_core.launch.closing import how_to_go_on, test_command, where, why_ended
from asha_core.launch.naming import default_directory, short_name
from asha_core.launch.option_parsing import devices_and_budget
from asha_core.launch.option_table import OPTIONS
from asha_core.launch.replaceable import make_observers
from asha_core.launch.resolve import Parts, own_settings, resolve, scheduler_label
from asha_core.launch.result import Result
from asha_core.launch.resume_options import read_options, storable
from asha_core.launch.short_help import BARE
from asha_core.launch.types import Launch, SafetyLimits
from asha_core.runtime.early_end import Patience
from asha_core.runtime.observers import EARLY, short, value_text
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.command import last_words, run_command
from asha_core.runtime.terminal.console import PROGRESS, format_table
from asha_core.runtime.terminal.encodings import print_json
from asha_core.runtime.terminal.notices import without_best
from asha_core.runtime.terminal.streams import descriptor, is_terminal, say
from asha_core.runtime.units import counted, format_duration


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return run_command("asha-run", lambda: _run(*read_options(given)) if given else _bare())


def _bare() -> int:
    """Without a word of what to search, nothing is: the default task would be downloaded."""
    say(BARE)
    return 2


def _run(options: Mapping[str, Any], changes: Mapping[str, Any]) -> int:
    if not options["json"]:
        return _search(options, changes)
    with _standard_output_kept() as results:
        return _search(options, changes, results)


@contextlib.contextmanager
def _standard_output_kept() -> Iterator[TextIO]:
    """Standard output for the result alone: what a task or its children print goes to standard error."""
    results, number = sys.stdout, descriptor(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr):
        if number is None:  # not a file, as under a test's capture
            yield results
            return
        results.flush()
        kept = os.dup(number)
        errors = descriptor(sys.stderr)
        os.dup2(2 if errors is None else errors, number)
        try:
            with os.fdopen(os.dup(kept), "w", encoding=results.encoding, errors=results.errors) as copy:
                yield copy
        finally:
            os.dup2(kept, number)
            os.close(kept)


def _search(options: Mapping[str, Any], changes: Mapping[str, Any], results: TextIO | None = None) -> int:
    """Resolve, plan or run.

    Args:
        changes: to the options of a search that is resumed.
        results: where one JSON object goes; None: tables for people, on standard output.
    """
    here = Path.cwd()  # the task's module may go to another folder
    parts = resolve(options)
    if options["plan"]:
        from asha_core.cli.plan import print_plan

        print_plan(options, parts.task, parts.scheduler, results)
        return 0
    if options["check_warm_start"]:
        from asha_core.cli.warm_start_check import check_warm_start

        return check_warm_start(options, parts, results)
    setup = set_up(options, parts, changes)
    from asha_core.launch.launching import launch

    result = launch(replace(setup, directory=setup.directory.seen_from(here)), then_exit=True)
    if not setup.directory.path.is_absolute():  # people see it as they named it
        result = replace(result, directory=Path(os.path.relpath(result.directory, here)))
    with last_words():
        _print_outcome(setup, result, results)
    if result.outcome.reason == "interrupted":
        return 130
    return 0 if result.best is not None else 1


def _print_outcome(setup: Launch, result: Result, results: TextIO | None) -> None:
    """What was found, and how to go on."""
    if results is not None:
        print_json(to_json({**result.summary, "results_dir": str(result.directory)}), results)
    else:
        _print_result(result, setup)
    reason = result.outcome.reason
    if reason != "complete":
        command = how_to_go_on(setup, result.directory, reason)
        say(f"asha-run: {why_ended(setup, result)}; go on with: {command}")


def set_up(options: Mapping[str, Any], parts: Parts, changes: Mapping[str, Any]) -> Launch:
    """The search with where it runs, when it stops and where it writes."""
    one_of("--progress", options["progress"], PROGRESS)
    scheduler, warm_start = parts.scheduler, parts.warm_start
    devices, budget = devices_and_budget(options)
    if options["results_dir"] is None:
        simulated = parts.simulation
        name = short_name(parts.spec.target) if simulated is None else simulated.task.name
        directory = default_directory(name, scheduler_label(options), warm_start.name, scheduler.seed)
    else:
        directory = RunDirectory(Path(options["results_dir"]))
    return Launch(
        parts.spec,
        parts.task,
        scheduler,
        warm_start,
        devices,
        budget,
        directory,
        progress=options["progress"],
        target=options["target"],
        stop_at=options["stop_at"],
        patience=None if options["patience"] is None else Patience.read(options["patience"]),
        settings=storable(options),
        observers=make_observers(options["observer"], options["observer_option"]),
        executor=parts.executor,
        own_settings=own_settings(options),
        notes=notes_on(options, parts.task, scheduler),
        safety=SafetyLimits.read(
            **{option.key: options[option.key] for option in OPTIONS if option.of_safety}
        ),
        resume=options["resume"],
        retry_failed=options["retry_failed"],
        changes=changes,
        simulation=parts.simulation,
    )


def _print_result(result: Result, setup: Launch) -> None:
    task, target = setup.built, setup.target
    top = result.summary["top"]
    if top:
        names = list(task.space)
        rows = [
            [
                str(entry["trial"]),
                value_text(entry["value"]),
                str(entry["resource"]),
                str(entry["reached"]),
                *(short(entry["configuration"].get(name, "-")) for name in names),
            ]
            for entry in top
        ]
        header = ["trial", task.metric, f"at {task.unit}", "reached", *names]
        print(f"\nbest configurations:\n{format_table(header, rows, _terminal_width())}")
        kept = result.summary["best_checkpoint"]
        if kept is not None and kept["resource"] != top[0]["resource"]:
            print(
                f"\nnote: checkpoints/best.pt is of {task.unit} {kept['resource']} "
                f"({value_text(kept['value'])}), the best that the trial saved"
            )
    else:
        print(f"\n{without_best(result.outcome.units)}")
    if target is not None:
        print(f"\ntarget {target}: {_target_line(result, setup)}")
    print(f"\n{where(result.directory)}")
    over = result.outcome.reason in ("complete", *EARLY) and result.summary["best_checkpoint"] is not None
    if over and task.has_test_data():
        print(f"test:    {test_command(setup, result.directory)}")


def _terminal_width() -> int | None:
    """Characters a line, if standard output is a terminal."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def _target_line(result: Result, setup: Launch) -> str:
    reached = result.reached
    if reached is None:
        return f"not reached in {format_duration(result.outcome.seconds)}"
    return (
        f"reached after {format_duration(reached.seconds)}, {reached.gpu_hours:.3g} "
        f"{'GPU' if setup.devices.names else 'worker'}-hours, {counted(reached.units, setup.built.unit)}"
    )


if __name__ == "__main__":
    sys.exit(main())
