"""``asha-report``: tables on the terminal, figures, and one HTML page, from results directories."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ResultsError, SettingError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise SettingError(message)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="asha-report",
        description="Tables, figures (PDF and PNG), comparison.json and one self-contained HTML page.",
    )
    parser.add_argument("results", nargs="+", help="results directories, or folders that hold some")
    parser.add_argument("--output", metavar="DIR", help="where to write (the results directory itself)")
    parser.add_argument(
        "--target", type=_finite, action="append", default=[], metavar="TAU", help="T@tau; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print comparison.json on standard output")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    try:
        return _report(_parser().parse_args(arguments))
    except AshaError as error:
        print(f"asha-report: error: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the last flush is silent
        return 1


def _report(options: argparse.Namespace) -> int:
    from analysis.runs import find_runs, load_run

    paths = find_runs(options.results)
    runs = [load_run(path) for path in paths]
    kinds = {(run.metric, run.mode) for run in runs}
    if len(kinds) > 1:
        names = ", ".join(sorted(f"{metric} ({mode})" for metric, mode in kinds))
        raise SettingError(f"the runs report different metrics, {names}: report on them separately")
    output = Path(options.output) if options.output else _default_output(options.results, paths)
    if output.exists() and not os.access(output, os.W_OK):
        raise ResultsError(f"{output} is not writable: name another directory with --output")
    from analysis.metrics import describe_sessions
    from analysis.report import write_report
    from analysis.runs import labels
    from analysis.tables import text_tables

    try:
        written = write_report(runs, output, options.target)
    except OSError as error:
        raise ResultsError(f"cannot write the report into {output}: {error.strerror}") from None
    if options.json:
        print(written.comparison.read_text(encoding="utf-8"), end="")
    else:
        print(text_tables(runs, written.summaries))
        for run, label in zip(runs, labels(runs), strict=True):
            if len(run.sessions) > 1:
                print(f"\nnote: {label} ran {describe_sessions(run)}; the time in between is not counted")
        print(f"\nreport:  {written.page}\nfigures: {output / 'figures'}\nnumbers: {written.comparison}")
    return 0


def _default_output(given: Sequence[str], paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0]
    if len(given) == 1:
        return Path(given[0])
    raise SettingError("several results directories: say where to write the report with --output DIR")
