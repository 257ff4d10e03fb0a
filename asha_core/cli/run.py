"""``asha-run``: one search from the command line.

Everything is checked before a process is started or a file is written. Exit status: 0 done, 2 the
user's mistake in one line, 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from asha_core.errors import ConfigurationError, SettingError, nearest
from asha_core.launch.options import devices_and_budget
from asha_core.launch.resuming import changes_since, read_options, resume_command, storable
from asha_core.launch.start_points import read_start_points
from asha_core.runtime.terminal.command import run_command
from asha_core.schedulers import SCHEDULERS, scheduler_class

if TYPE_CHECKING:
    from asha_core.launch.launching import Guards, Launch, Result
    from asha_core.schedulers.base import Scheduler
    from asha_core.searchers.base import Searcher
    from trials.spec import TaskSpec
    from trials.task import Task

DEFAULT_TRIALS = 100
_OF_TASKS = ("model", "subset", "label_noise", "data_dir")  # options of our own tasks, said shortly


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command("asha-run", lambda: _run(read_options(arguments)))


def _run(options: dict[str, Any]) -> int:
    if not options["json"]:
        return _search(options)
    with _standard_output_kept() as results:
        return _search(options, results)


@contextlib.contextmanager
def _standard_output_kept() -> Iterator[TextIO]:
    """Standard output for the result alone: what a task or its children print goes to standard error."""
    results = sys.stdout
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file, as under a test's capture
        number = -1
    with contextlib.redirect_stdout(sys.stderr):
        if number < 0:
            yield results
            return
        results.flush()
        kept = os.dup(number)
        os.dup2(sys.stderr.fileno(), number)
        try:
            with os.fdopen(os.dup(kept), "w") as copy:
                yield copy
        finally:
            os.dup2(kept, number)
            os.close(kept)


def _search(options: dict[str, Any], results: TextIO | None = None) -> int:
    """Resolve, plan or run.

    Args:
        results: where one JSON object goes; None: tables for people, on standard output.
    """
    spec, task, scheduler, variation = resolve(options)
    if options["plan"]:
        from asha_core.cli.plan import print_plan

        print_plan(options, task, scheduler, results)
        return 0
    plan = _launch_plan(options, spec, task, scheduler, variation)
    from asha_core.launch.launching import launch

    result = launch(plan, then_exit=True)
    try:
        _tell(options, task, result, results)
    except OSError:  # nobody reads any more, or the disk is full: it is all in the results directory
        with contextlib.suppress(OSError):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the last flush is silent
    if result.outcome.reason == "interrupted":
        return 130
    return 0 if result.best is not None else 1


def _tell(options: dict[str, Any], task: Task, result: Result, results: TextIO | None) -> None:
    """What was found, and how to go on."""
    if results is not None:
        from asha_core.runtime.storage.records import to_json

        print(to_json({**result.summary, "results_dir": str(result.directory)}), file=results)
    else:
        _print_result(result, task, options["target"])
    if result.outcome.reason in ("interrupted", "budget"):
        spent = result.outcome.reason == "budget"
        command = resume_command(options, result.directory, more=spent)
        how = "the budget is spent" if spent else "stopped"
        print(f"asha-run: {how}; go on with: {command}", file=sys.stderr)
    sys.stdout.flush()


def resolve(options: dict[str, Any]) -> tuple[TaskSpec, Task, Scheduler, str]:
    """Task, scheduler and variation from the options; nothing is started.

    Raises:
        AshaError: one of them cannot be had.
    """
    from warmstart.registry import build, is_variation
    from warmstart.registry import variation as variation_by_name

    scheduler_name, variation = split_variation(options["variation"], options["scheduler"])
    if not is_variation(variation):
        raise SettingError(_unknown_variation(options["variation"]))
    warm_start = variation_by_name(variation, options["warm_start_option"])
    build(warm_start.strategy, warm_start.settings)  # a setting that it does not take is refused here
    spec = task_spec(options)
    task = spec.build()

    def chosen(name: str) -> Any:
        return getattr(task, name) if options[name] is None else options[name]

    searcher = _searcher(options, task)
    scheduler = scheduler_class(scheduler_name)(
        task.space,
        mode=task.mode,
        min_resource=chosen("min_resource"),
        max_resource=chosen("max_resource"),
        reduction_factor=chosen("reduction_factor"),
        seed=options["seed"],
        max_trials=options["max_trials"],
        max_retries=options["max_retries"],
        searcher=searcher,
    )
    if not any(map(options.get, ("max_trials", "budget", "gpu_hours"))) and options["searcher"] != "grid":
        scheduler.max_trials = scheduler.enough_trials(DEFAULT_TRIALS)
    return spec, task, scheduler, variation


def _unknown_variation(name: str) -> str:
    from warmstart.registry import strategy_names, variation_names

    known = list(dict.fromkeys([*variation_names(), *strategy_names()]))
    both = [f"{scheduler}-{variation}" for scheduler in SCHEDULERS for variation in known]
    close = difflib.get_close_matches(name, [*known, *both], n=1, cutoff=0.5)
    question = f'; did you mean "{close[0]}"?' if close else ";"
    return (
        f"unknown variation {name!r}{question} known: {', '.join(known)}, alone or after a scheduler "
        f"({', '.join(SCHEDULERS)})"
    )


def _searcher(options: dict[str, Any], task: Task) -> Searcher:
    from asha_core.searchers import make_searcher
    from asha_core.searchers.listed import Listed

    searcher = make_searcher(options["searcher"], task.space, options["seed"])
    searcher.propose(0)  # a constraint that raises or refuses everything is refused here
    if options["start_points"] is None:
        return searcher
    try:
        return Listed(read_start_points(Path(options["start_points"])), searcher)
    except ConfigurationError as error:
        raise SettingError(f"--start-points {options['start_points']}: {error}") from None


def split_variation(variation: str, scheduler: str | None) -> tuple[str, str]:
    """(scheduler, warm start) from ``--variation`` and ``--scheduler``.

    >>> split_variation("pasha-ohgw-1step", None)
    ('pasha', 'ohgw-1step')
    """
    from warmstart.registry import VARIATIONS, is_variation

    if scheduler is not None and scheduler not in SCHEDULERS:
        raise SettingError(f"unknown scheduler {scheduler!r}{nearest(scheduler, SCHEDULERS)}")
    if variation in VARIATIONS:  # random-warm is no variation of the scheduler random
        return scheduler or "asha", variation
    longest = sorted(SCHEDULERS, key=len, reverse=True)
    name = next((each for each in longest if variation == each or variation.startswith(f"{each}-")), None)
    rest = "" if name is None else variation[len(name) + 1 :] or "baseline"
    # a scheduler before a name that is known, else a name that only looks so: random-matched+trust
    if name is None or (not is_variation(rest) and is_variation(variation)):
        return scheduler or "asha", variation
    if scheduler not in (None, name):
        raise SettingError(
            f"--variation {variation} names the scheduler {name}, and --scheduler says {scheduler}"
        )
    return name, rest


def task_spec(options: dict[str, Any]) -> TaskSpec:
    """The task that the options name, not built yet."""
    from trials.spec import TaskSpec, takes_option
    from trials.tasks import task_target

    spec = TaskSpec(task_target(options["task"]), dict(options["task_option"]), dict(options["freeze"]))
    given = {key: options[key] for key in _OF_TASKS if options[key] is not None}
    if not given:
        return spec
    kind = spec.load()
    for key, value in given.items():
        name = f"--{key.replace('_', '-')}"
        if not (isinstance(kind, type) and takes_option(kind, key)):
            what = "data directory" if key == "data_dir" else f"option {key!r}"
            raise SettingError(f"{name} {value}: task {options['task']} takes no {what}")
        if key in spec.options:
            raise SettingError(
                f"{name} {value} and --task-option {key}={spec.options[key]}: give one of them"
            )
    if "data_dir" in given:
        given["data_dir"] = str(Path(given["data_dir"]).absolute())
    return replace(spec, options={**spec.options, **given})


def _launch_plan(
    options: dict[str, Any], spec: TaskSpec, task: Task, scheduler: Scheduler, variation: str
) -> Launch:
    from asha_core.launch.launching import Launch, default_directory, short_name
    from asha_core.runtime.storage.results import RunDirectory
    from asha_core.runtime.terminal.console import PROGRESS
    from trials.devices import INLINE

    if options["progress"] not in PROGRESS:
        raise SettingError(
            f"unknown --progress {options['progress']!r}{nearest(options['progress'], PROGRESS)}"
        )
    devices, budget = devices_and_budget(options)
    if options["results_dir"] is None:
        directory = default_directory(short_name(spec.target), scheduler.name, variation, scheduler.seed)
    else:
        directory = RunDirectory(Path(options["results_dir"]))
    if not (options["resume"] and directory.begun):
        directory.check()
    return Launch(
        spec,
        task,
        scheduler,
        variation,
        devices,
        budget,
        directory,
        progress=options["progress"],
        target=options["target"],
        inline=devices is INLINE,
        settings=storable(options),
        notes=_notes(options, scheduler, len(devices.slots)),
        guards=_guards(options),
        resume=options["resume"],
        changes=changes_since(options, directory),
        warm_start_options=options["warm_start_option"],
    )


def _guards(options: dict[str, Any]) -> Guards:
    from asha_core.launch.launching import Guards
    from asha_core.runtime.budget import parse_duration
    from asha_core.runtime.trial_timeouts import Limits

    trial, progress, heartbeat = (
        None if options[key] is None else parse_duration(options[key])
        for key in ("trial_timeout", "no_progress_timeout", "heartbeat_timeout")
    )
    return Guards(Limits(trial, progress), heartbeat, options["checkpoint_budget"])


def _notes(options: dict[str, Any], scheduler: Scheduler, slots: int) -> list[str]:
    from asha_core.schedulers.forecast import Forecast, enough_for_the_top

    notes: list[str] = []
    few = scheduler.trial_limit
    if few is not None and options["max_trials"] is None and scheduler.max_trials is not None:
        notes.append(f"no limit given: stopping after {few} trials (--max-trials, --budget)")
    if few is not None and few < scheduler.least_trials and len(scheduler.levels) > 1:
        notes.append(
            f"warning: {few} trials with reduction factor {scheduler.reduction_factor} cannot finish the "
            f"first rung: nothing will be promoted; use at least {scheduler.reduction_factor}"
        )
    elif few is not None and round(Forecast(scheduler, few, slots, longest=True).in_full) == 0:
        notes.append(
            f"note: of {few} trials none is expected to reach the last rung ({scheduler.levels[-1]}): "
            f"that takes {enough_for_the_top(scheduler, slots)}, or a lower --max-resource"
        )
    return notes


def _print_result(result: Result, task: Task, target: float | None) -> None:
    from asha_core.runtime.observers import short
    from asha_core.runtime.terminal.console import format_table

    top = result.summary["top"]
    if top:
        names = list(task.space)
        rows = [
            [
                str(entry["trial"]),
                f"{entry['value']:.4f}",
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
                f"\nnote: checkpoints/best.pt is of {task.unit} {kept['resource']} ({kept['value']:.4f}), "
                "the best that the trial saved"
            )
    else:
        print("\nno trial reported a finite value")
    if target is not None:
        print(f"\ntarget {target}: {_target_line(result, target)}")
    print(f"\nresults: {result.directory}\nreport:  asha-report {result.directory}")
    over = result.outcome.reason == "complete" and result.summary["best_checkpoint"] is not None
    if over and task.has_test_data():
        print(f"test:    asha-test {result.directory}")


def _terminal_width() -> int | None:
    """Characters a line, if standard output is a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _target_line(result: Result, target: float) -> str:
    from analysis.journals.metrics import time_to_target
    from analysis.journals.runs import load_run
    from asha_core.runtime.budget import counted, format_duration

    run = load_run(result.directory)
    reached = time_to_target(run, target)
    if reached.censored:
        return f"not reached in {format_duration(reached.seconds)}"
    return (
        f"reached after {format_duration(reached.seconds)}, {reached.gpu_hours:.3g} "
        f"{'GPU' if run.on_gpu else 'worker'}-hours, {counted(reached.units, run.unit)}"
    )
