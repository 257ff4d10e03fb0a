"""``asha-study``: many paired searches from one YAML file."""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.arguments import one_of
from asha_core.errors import SettingError
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.terminal.command import Parser, last_words, run_command
from asha_core.runtime.terminal.streams import say

if TYPE_CHECKING:
    from asha_core.study.arms import Arm
    from asha_core.study.definition import Best
    from asha_core.study.device_groups import DeviceGroup
    from asha_core.study.directory import StudyDirectory
    from asha_core.study.planned_runs import PlannedRun, Study

_FILES = Path(__file__).parents[1] / "study" / "files"
_NAMED = 40  # runs that are named one by one
_SHIPPED = ("smoke-test", "full-experiment")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="asha-study",
        description="Run every search of a study, each in its own process; go on where it was stopped.",
        epilog="Example: asha-study --smoke-test --gpus cpu, then asha-report results/smoke-test",
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE.yaml", help="the study: tasks, variations, seeds, ..."
    )
    parser.add_argument(
        "--smoke-test",
        action="store_true",
        help="every variation on tiny tasks: minutes on a CPU, no download",
    )
    parser.add_argument(
        "--full-experiment",
        action="store_true",
        help="the full study of warm starts on CIFAR-10: thousands of GPU-hours",
    )
    parser.add_argument("--results-dir", metavar="DIR", help="where everything is kept [results/NAME]")
    parser.add_argument("--gpus", default="auto", metavar="LIST", help="0,1,2,3; auto; cpu; or inline [auto]")
    parser.add_argument(
        "--parallel",
        type=int,
        metavar="N",
        help="how many runs at a time, each on its share of the GPUs [1]; of simulated runs how many "
        "processes simulate [one a core]",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where the data of the tasks lies that read any")
    parser.add_argument(
        "--seeds", metavar="LIST", help="these seeds in the place of the file's: 20, or 100-119"
    )
    parser.add_argument(
        "--only", metavar="PATTERN", help='only runs whose name matches, such as "digits-*/seed-0"'
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the runs, what they cost and what is done; run nothing"
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: the list as one JSON object")
    parser.add_argument("--progress", default="auto", metavar="KIND", help="auto, rich, plain or none [auto]")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command("asha-study", lambda: _study(_parser().parse_args(arguments)))


def _study(options: argparse.Namespace) -> int:
    from asha_core.study.directory import StudyDirectory
    from asha_core.study.progress_view import PROGRESS

    one_of("--progress", options.progress, PROGRESS)
    if options.json and not options.dry_run:
        raise SettingError("--json goes with --dry-run: the results of a study are in its directory")
    name = _read(options).name
    directory = StudyDirectory(_path(options.results_dir, "--results-dir") or Path("results") / name)
    asked = _asked(options, directory)
    if options.dry_run:
        from asha_core.study.dry_run import arm_costs, dry_run_numbers, dry_run_text

        study, costs = asked.study, arm_costs(asked.study, directory, asked.arms)
        if options.json:
            print(json.dumps(dry_run_numbers(study, costs), indent=2))
        else:
            print(dry_run_text(study, costs, gpu=_on_gpus(options.gpus, study)))
        return 0
    return _run(options, asked, directory)


def _on_gpus(gpus: str, study: Study) -> bool:
    """Whether the study would run on GPUs."""
    from trials.devices import visible_gpus

    if gpus == "auto":
        return study.gpus_per_run is not None or bool(visible_gpus())
    return gpus not in ("cpu", "inline")


def _path(given: str | None, name: str) -> Path | None:
    return None if given is None else user_path(given, name)


def _read(options: argparse.Namespace, best: Best | None = None) -> Study:
    """The study that the command line names, with its seeds and data."""
    from asha_core.study.arms import with_data
    from asha_core.study.definition import read_study
    from asha_core.study.yaml_file import read_seeds

    given = [name for name in _SHIPPED if getattr(options, name.replace("-", "_"))]
    if (options.file is not None) + len(given) != 1:
        raise SettingError("give one study: FILE.yaml, --smoke-test or --full-experiment")
    path = _path(options.file, "FILE.yaml") or _FILES / f"{given[0]}.yaml"
    seeds = None
    if options.seeds is not None:
        alone = re.fullmatch("[0-9]{1,18}", options.seeds)
        seeds = read_seeds(int(options.seeds) if alone else options.seeds, "--seeds")
    return with_data(read_study(path, seeds, best), options.data_dir)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, as far as it is known now."""

    study: Study  # its runs in the groups that they form with all runs of the directory
    every: Sequence[PlannedRun]  # all runs of the directory
    arms: Sequence[Arm]  # of the runs that are asked for


def _asked(options: argparse.Namespace, directory: StudyDirectory, before: _Asked | None = None) -> _Asked:
    """The runs that the command line asks for, with what ``best_of`` stands for already.

    Args:
        before: what it was a moment ago.
    """
    from asha_core.study.arms import arms_of

    study, known = _read(options), dict[str, Mapping[str, Any]]()
    while found := _best(study, directory, known):
        known |= found
        study = _read(options, known)
    every = directory.merged(study)
    identities = {run.identity for run in study.runs}
    runs = [run for run in every if run.identity in identities]
    if options.only:
        runs = [run for run in runs if fnmatch.fnmatchcase(run.id, options.only)]
        if not runs:
            first = study.runs[0].id
            raise SettingError(f"--only {options.only} matches none of the runs; the first is {first}")
    study = replace(study, runs=tuple(runs))
    same = before is not None and before.study.runs == study.runs
    return _Asked(study, every, before.arms if before is not None and same else arms_of(runs))


def _best(study: Study, directory: StudyDirectory, known: Best) -> dict[str, Mapping[str, Any]]:
    """What ``best_of`` stands for in the experiments that are over since."""
    from asha_core.study.best_of import best_variation

    over = sorted({*study.waiting.values()} - {*study.waiting, *known})
    if not over:
        return {}
    identities = {run.identity for run in study.runs}
    mine = [run for run in directory.merged(study) if run.identity in identities]
    found: dict[str, Mapping[str, Any]] = {}
    for other in over:
        try:
            best = best_variation(directory, [run for run in mine if run.experiment == other], study.baseline)
        except SettingError as error:  # the rest of the study is run all the same
            say(f"asha-study: {error}")
            continue
        if best is not None:
            found[other] = best
    return found


def _run(options: argparse.Namespace, asked: _Asked, directory: StudyDirectory) -> int:
    from asha_core.runtime.storage.lock import held
    from asha_core.study.device_groups import device_groups

    parallel = 1 if options.parallel is None else options.parallel
    groups = device_groups(options.gpus, parallel, asked.study.gpus_per_run)
    trains = any(not run.table for run in asked.study.runs)
    if options.gpus == "auto" and not groups[0].count and trains:
        print("asha-study: no GPU found: the runs train on the CPU", file=sys.stderr)
    directory.make()
    with held(directory.lock, "another asha-study works in it"):
        asked = _asked(options, directory, asked)  # again: another one may have written study.json since
        finished, failed = _run_and_test(options, asked, directory, groups)
        study = asked.study
        while finished and study.waiting:
            asked = _asked(options, directory, asked)
            if len(asked.study.runs) <= len(study.runs):
                study = replace(study, waiting=asked.study.waiting)
                break
            study = asked.study  # with what was waiting for the best of the others
            finished, failed = _run_and_test(options, asked, directory, groups, failed)
    states = {run.id: directory.state(run) for run in study.runs}
    nothing = [run.id for run in study.runs if directory.found_nothing(run)]
    again = failed if finished else []  # an interrupted run is no failed one
    failed = [n for n, state in states.items() if state == "failed" or (n in again and state != "done")]
    with last_words():
        _print_summary(study, directory, states, failed, nothing, finished=finished)
    if not finished:
        return 130
    waits = study.waiting and not options.only  # with that, the rest was not asked for
    return 1 if waits or nothing or any(state != "done" for state in states.values()) else 0


def _run_and_test(
    options: argparse.Namespace,
    asked: _Asked,
    directory: StudyDirectory,
    groups: Sequence[DeviceGroup],
    failed_before: Sequence[str] = (),
) -> tuple[bool, list[str]]:
    """Run what is left, and measure on test data what is done.

    Args:
        failed_before: runs that have failed in this command, which are tried again by the next one.
    Returns:
        False if it was interrupted; and the runs that failed, those from before among them.
    """
    from asha_core.runtime.machine import cores
    from asha_core.study.final_tests import measure, to_measure
    from asha_core.study.progress_view import make_view
    from asha_core.study.simulation_runner import SimulationRunner
    from asha_core.study.study_runner import StudyRunner

    study = asked.study
    directory.write(study, asked.every, ["asha-study", *sys.argv[1:]])
    open_ = [run for run in study.runs if directory.state(run) != "done"]
    left = [run for run in open_ if run.id not in failed_before]
    done = len(study.runs) - len(open_)
    arm = {run.id: each for each in asked.arms for run in each.runs}
    view = make_view(options.progress, len(study.runs), done)
    view.failed += failed_before
    if done:
        view.show(f"{done} of {len(study.runs)} runs are done already", loud=True)
    real, simulated = ([run for run in left if bool(run.table) is virtual] for virtual in (False, True))
    runner = StudyRunner(study, directory, real, groups, view, lambda run: arm[run.id].describe(run))
    processes = cores() if options.parallel is None else options.parallel
    try:
        finished = SimulationRunner(directory, simulated, processes, view).run() and runner.run()
        if finished and study.test:
            device = f"cuda:{groups[0].gpus.partition(',')[0]}" if groups[0].count else "cpu"
            measure(directory, to_measure(directory, asked.arms), view, device)
    finally:
        view.close()
    return finished, view.failed


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _print_summary(
    study: Study,
    directory: StudyDirectory,
    states: Mapping[str, str],
    failed: Sequence[str],
    nothing: Sequence[str],
    *,
    finished: bool,
) -> None:
    """What is done, what failed or found nothing, and how to go on."""
    done = sum(state == "done" for state in states.values())
    print(f"{done} of {len(states)} runs done")
    virtual = {run.id for run in study.runs if run.table}
    if failed:
        logs = f"each has a stderr.log under {directory.path / 'runs'}; "
        where = "" if virtual.issuperset(failed) else logs
        print(f"failed: {_few(failed)}; {where}the same command tries them again")
    if nothing:
        logs = ": see their logs, and remove their directories to have them run again"
        where = "" if virtual.issuperset(nothing) else logs
        print(f"nothing was found by: {_few(nothing)}; no trial of these reported a finite value{where}")
    if not finished:
        print("stopped; the same command goes on with it")
    for name, other in study.waiting.items():
        print(f"experiment {name} waits for all runs of {other}, to see which variation is best")
    for line in study.notes_of_left_out:
        print(line)
    if done:
        print(f"report: asha-report {shlex.quote(str(directory.path))}")


if __name__ == "__main__":
    sys.exit(main())
