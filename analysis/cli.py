"""``asha-report``: tables on the terminal, figures, and one HTML page, from results directories."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asha_core.arguments import number
from asha_core.errors import ResultsError, SettingError
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.terminal.command import Parser, run_command
from asha_core.runtime.terminal.encodings import print_json
from asha_core.runtime.units import counted


def _target(text: str) -> float:
    with contextlib.suppress(ValueError):
        return number("--target", float(text))
    return number("--target", text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="asha-report",
        description="Tables, figures (PDF and PNG), comparison.json and one self-contained HTML page: of a "
        "study, of runs that form pairs of variations by seed, of one run, or of several side by side.",
    )
    parser.add_argument(
        "results",
        nargs="+",
        help="results directories; or one folder that holds a study, or searches of one problem",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="where to write [the results directory itself; of a study, evaluation in it]",
    )
    parser.add_argument(
        "--target",
        type=_target,
        action="append",
        default=[],
        metavar="TAU",
        help="T@tau; may be repeated; of a study beside those fixed before the runs, and not tested",
    )
    parser.add_argument(
        "--runs", action="store_true", help="of a study: each run's own report, too, in its directory"
    )
    parser.add_argument("--json", action="store_true", help="print comparison.json on standard output")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command("asha-report", lambda: _report(_parser().parse_args(arguments)))


def _report(options: argparse.Namespace) -> int:
    from analysis.report.choosing import chosen, is_study

    options.results = chosen(options.results)
    if is_study(options.results):
        return _report_study(options)
    if options.runs:
        raise SettingError("--runs goes with a study: without it each run has its own report anyway")
    return _report_runs(options)


def _report_study(options: argparse.Namespace) -> int:
    from analysis.report.study_report import study_text, write_study_report
    from analysis.study.loading import load_study

    if len(options.results) > 1 and not options.output:
        raise SettingError("several results directories: say where to write the report with --output DIR")
    output = _output(options) or user_path(options.results[0]) / "evaluation"
    study = load_study(options.results)
    if options.runs and study.drawn:
        raise SettingError(
            "--runs: the runs of this study were simulated, and have no directories of their own; "
            "asha-run --executor simulate with the same options and seed makes one"
        )
    _tell_who_waits(len(study.replicates) + len(study.left_out))
    with _writing(output):
        written = write_study_report(study, output, options.target, runs=options.runs)
    _warn_of(written.failures)
    if options.json:
        print_json(written.numbers.read_text(encoding="utf-8").rstrip())
    else:
        print(study_text(written))
        print(f"\nreport:  {written.page}\nfigures: {output / 'figures'}\ntables:  {output / 'tables'}")
        print(f"numbers: {written.numbers}")
    return 0


def _tell_who_waits(runs: int) -> None:
    """Who looks at a terminal is told what takes seconds."""
    if sys.stderr.isatty():
        print(f"asha-report: {counted(runs, 'run')} read; drawing the figures", file=sys.stderr)


def _warn_of(failures: Mapping[str, str]) -> None:
    for name, why in failures.items():
        words = f"warning: figure {name} could not be drawn and is left out: {why}"
        print(f"asha-report: {words}", file=sys.stderr)


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    """Say in one line why the report cannot be written into ``output``."""
    if output.exists() and not (output.is_dir() and os.access(output, os.W_OK | os.X_OK)):
        what = "is not writable" if output.is_dir() else "is a file"
        raise ResultsError(f"{output} {what}: name another directory with --output")
    try:
        yield
    except OSError as error:
        where = error.filename or output
        raise ResultsError(f"cannot write the report into {output}: {where}: {error.strerror}") from None


def _report_runs(options: argparse.Namespace) -> int:
    from analysis.journals.finding import find_runs
    from analysis.journals.metrics import describe_sessions
    from analysis.journals.runs import labels, load_run
    from analysis.report.run_report import write_report
    from analysis.report.run_tables import text_tables

    paths = find_runs(options.results)
    runs = [load_run(path) for path in paths]
    kinds = {(run.metric, run.mode) for run in runs}
    if len(kinds) > 1:
        names = ", ".join(sorted(f"{metric} ({mode})" for metric, mode in kinds))
        raise SettingError(f"the runs report different metrics, {names}: report on them separately")
    output = _output(options) or _default_output(options.results, paths)
    _tell_who_waits(len(runs))
    with _writing(output):
        written = write_report(runs, output, options.target)
    _warn_of(written.failures)
    if options.json:
        print_json(written.comparison.read_text(encoding="utf-8").rstrip())
    else:
        print(text_tables(runs, written.summaries))
        for run, label in zip(runs, labels(runs), strict=True):
            if len(run.sessions) > 1:
                print(f"\nnote: {label} ran {describe_sessions(run)}; the time in between is not counted")
        print(f"\nreport:  {written.page}\nfigures: {output / 'figures'}\nnumbers: {written.comparison}")
    return 0


def _output(options: argparse.Namespace) -> Path | None:
    return None if options.output is None else user_path(options.output, "--output")


def _default_output(given: Sequence[str], paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0]
    if len(given) == 1:
        return user_path(given[0])
    raise SettingError("several results directories: say where to write the report with --output DIR")


if __name__ == "__main__":
    sys.exit(main())
