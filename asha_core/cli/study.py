"""``asha-study``: many paired searches from one YAML file."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import SettingError
from asha_core.runtime.terminal.command import Parser, run_command

if TYPE_CHECKING:
    from asha_core.study.arms import Arm
    from asha_core.study.definition import Best
    from asha_core.study.directory import StudyDirectory
    from asha_core.study.planned import PlannedRun, Study
    from asha_core.study.runner import Seat

_FILES = Path(__file__).parents[1] / "study" / "files"
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
        default=1,
        metavar="N",
        help="how many runs at a time, each on its share of the GPUs [1]",
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
    from asha_core.study.arms import arms_of
    from asha_core.study.directory import StudyDirectory
    from asha_core.study.view import check_progress

    check_progress(options.progress)
    if options.json and not options.dry_run:
        raise SettingError("--json goes with --dry-run: the results of a study are in its directory")
    name = _read(options).name
    directory = StudyDirectory(Path(options.results_dir or Path("results") / name))
    study, plan = _asked(options, directory)
    arms = arms_of(study.runs)
    if options.dry_run:
        from asha_core.study.dry_run import arm_costs, plan_of, plan_text

        costs = arm_costs(study, directory, arms)
        print(json.dumps(plan_of(study, costs), indent=2) if options.json else plan_text(study, costs))
        return 0
    return _run(options, study, plan, directory, arms)


def _read(options: argparse.Namespace, best: Best | None = None) -> Study:
    """The study that the command line names, with its seeds and data."""
    from asha_core.study.arms import with_data
    from asha_core.study.definition import read_study
    from asha_core.study.reading import read_seeds

    given = [name for name in _SHIPPED if getattr(options, name.replace("-", "_"))]
    if (options.file is not None) + len(given) != 1:
        raise SettingError("give one study: FILE.yaml, --smoke-test or --full-experiment")
    path = Path(options.file) if options.file is not None else _FILES / f"{given[0]}.yaml"
    seeds = None
    if options.seeds is not None:
        alone = re.fullmatch("[0-9]{1,18}", options.seeds)
        seeds = read_seeds(int(options.seeds) if alone else options.seeds, "--seeds")
    return with_data(read_study(path, seeds, best), options.data_dir)


def _asked(options: argparse.Namespace, directory: StudyDirectory) -> tuple[Study, list[PlannedRun]]:
    """The runs to run, in the groups that they form with all runs of the directory; and those all."""
    study, known = _read(options), dict[str, Mapping[str, Any]]()
    while found := _best(study, directory, known):
        known |= found
        study = _read(options, known)
    before = directory.merged(study)
    asked = {run.identity for run in study.runs}
    runs = [run for run in before if run.identity in asked]
    if options.only:
        runs = [run for run in runs if fnmatch.fnmatchcase(run.id, options.only)]
        if not runs:
            first = study.runs[0].id
            raise SettingError(f"--only {options.only} matches none of the runs; the first is {first}")
    return replace(study, runs=tuple(runs)), before


def _best(study: Study, directory: StudyDirectory, known: Best) -> dict[str, Mapping[str, Any]]:
    """What ``best_of`` stands for in the experiments that are over since."""
    from asha_core.study.best import best_variation

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
            print(f"asha-study: {error}", file=sys.stderr)
            continue
        if best is not None:
            found[other] = best
    return found


def _run(
    options: argparse.Namespace,
    study: Study,
    plan: Sequence[PlannedRun],
    directory: StudyDirectory,
    arms: Sequence[Arm],
) -> int:
    from asha_core.runtime.storage.lock import held
    from asha_core.study.arms import arms_of
    from asha_core.study.runner import seats

    places = seats(options.gpus, options.parallel, study.gpus_per_run)
    directory.make()
    with held(directory.lock, "another asha-study works in it"):
        study, plan = _asked(options, directory)  # again: another one may have written its plan since
        through, failed = _round(options, study, plan, directory, arms, places)
        while through and study.waiting:
            now, plan = _asked(options, directory)
            if len(now.runs) <= len(study.runs):
                study = replace(study, waiting=now.waiting)
                break
            study, arms = now, arms_of(now.runs)  # with what was waiting for the best of the others
            through, failed = _round(options, study, plan, directory, arms, places, failed)
    states = {run.id: directory.state(run) for run in study.runs}
    nothing = [run.id for run in study.runs if directory.found_nothing(run)]
    try:
        _tell(study, directory, states, failed, nothing, through=through)
        sys.stdout.flush()
    except OSError:  # nobody reads any more: it is all in the directory
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the last flush is silent
    if not through:
        return 130
    waits = study.waiting and not options.only  # with that, the rest was not asked for
    return 1 if waits or nothing or any(state != "done" for state in states.values()) else 0


def _round(
    options: argparse.Namespace,
    study: Study,
    plan: Sequence[PlannedRun],
    directory: StudyDirectory,
    arms: Sequence[Arm],
    places: Sequence[Seat],
    but: Sequence[str] = (),
) -> tuple[bool, list[str]]:
    """Run what is left, and measure on test data what is done.

    Args:
        but: runs that have failed in this command, which are tried again by the next one.
    Returns:
        False if it was interrupted; and the runs that failed, those of ``but`` among them.
    """
    from asha_core.study.runner import Conductor
    from asha_core.study.testing import measure, to_measure
    from asha_core.study.view import make_view

    directory.write(study, plan, ["asha-study", *sys.argv[1:]])
    open_ = [run for run in study.runs if directory.state(run) != "done"]
    left = [run for run in open_ if run.id not in but]
    done = len(study.runs) - len(open_)
    arm = {run.id: each for each in arms for run in each.runs}
    view = make_view(options.progress, len(study.runs), done)
    view.failed += but
    if done:
        view.show(f"{done} of {len(study.runs)} runs are done already", loud=True)
    try:
        through = Conductor(study, directory, left, places, view, lambda run: arm[run.id].describe(run)).run()
        if through and study.test:
            device = f"cuda:{places[0].gpus.partition(',')[0]}" if places[0].count else "cpu"
            measure(directory, to_measure(directory, arms), view, device)
    finally:
        view.close()
    return through, view.failed


def _tell(
    study: Study,
    directory: StudyDirectory,
    states: Mapping[str, str],
    unwell: Sequence[str],
    nothing: Sequence[str],
    *,
    through: bool,
) -> None:
    """What is done, what failed, and how to go on."""
    done = sum(state == "done" for state in states.values())
    failed = [
        name
        for name, state in states.items()
        if state == "failed" or (through and name in unwell and state != "done")
    ]
    print(f"{done} of {len(states)} runs done")
    if failed:
        print(
            f"failed: {', '.join(failed)}; each has a stderr.log under {directory.path / 'runs'}; the same "
            "command tries them again"
        )
    if nothing:
        print(
            f"nothing was found by: {', '.join(nothing)}; no trial of these reported a finite value: see "
            "their logs, and remove their directories to have them run again"
        )
    if not through:
        print("stopped; the same command goes on with it")
    for name, other in study.waiting.items():
        print(f"experiment {name} waits for all runs of {other}, to see which variation is best")
    if done:
        print(f"report: asha-report {shlex.quote(str(directory.path))}")


if __name__ == "__main__":
    sys.exit(main())
