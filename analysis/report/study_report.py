"""The report on a study: ``comparison.json``, figures, tables, and one HTML page that stands alone."""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.comparison import Comparison
from analysis.comparison.building import compare
from analysis.journals.runs import load_run
from analysis.number_formats import slug
from analysis.report.measures import scale
from analysis.report.sentences import in_short, in_words
from analysis.report.study_contents import criteria_table, tables_of
from analysis.report.study_page import Section, study_page
from analysis.report.tables import RENDERED, Table, text
from analysis.study.loading import Study
from analysis.study.parallel import do_all
from analysis.study.problems import KINDS, UNUSED
from asha_core.errors import ResultsError
from asha_core.runtime.storage.json_files import read_optional_json, write_json
from asha_core.runtime.units import counted

if TYPE_CHECKING:
    from analysis.report.drawings import Drawing

_OURS = (  # what names of files begin with
    *("effects", "criteria", "times-", "measures-", "spread-", "scores-", "overheads-", "phases-", "counts-"),
    *("shifts-", "areas-", "best-", "kaplan-meier-", "time-split-", "rungs-", "before-after-", "benefit-"),
    *("parallel-", "sweep-"),
)


@dataclass(frozen=True, slots=True)
class WrittenStudy:
    """Where a study's report lies, and what it says."""

    page: Path
    numbers: Path
    figures: list[Path]
    tables: list[Path]
    comparison: Comparison
    state: str
    failures: dict[str, str]  # figures that cannot be drawn, by name: why


def write_study_report(
    study: Study,
    output: Path,
    targets: Sequence[float] = (),
    *,
    runs: bool = False,
    commands: Sequence[str] = (),
    processes: int | None = None,
) -> WrittenStudy:
    """Write ``comparison.json``, ``report.html``, ``figures/`` and ``tables/`` into ``output``.

    Args:
        study: as ``load_study`` reads it.
        targets: of T@tau beside those fixed before the runs: described, and not tested.
        runs: write each run's own report, too, into its directory, and link it.
        commands: that made all this, for the page; by default what study.json says, and ``asha-report``.
        processes: how many draw; by default as many as there are cores.
    Raises:
        ResultsError: no run can be used.
    """
    if not study.replicates:
        raise ResultsError(f"there is nothing to report on in {study.directory} yet: {_why_nothing(study)}")
    from analysis.report.drawings import files_of

    comparison, folder = compare(study, targets), output / "figures"
    sections, effects = _sections(comparison)
    drawings = [*([effects] if effects else []), *(d for s in sections for d in (*s.figures, *s.diagnostics))]
    folder.mkdir(parents=True, exist_ok=True)
    tasks: list[Any] = [partial(drawing.save_or_say, folder) for drawing in drawings]
    links: dict[str, str] = {}
    if runs:
        reports, links = _run_reports(study, output, targets)
        tasks += reports
    told = zip([drawing.name for drawing in drawings], do_all(tasks, processes), strict=False)
    failures = {name: why for name, why in told if why}
    _forget(folder, {drawing.name for drawing in drawings}.difference(failures))
    tables = [criteria_table(comparison), *(table for section in sections for table in section.tables)]
    written = _write_tables(tables, output / "tables")
    numbers, page, state = output / "comparison.json", output / "report.html", state_of(study)
    write_json(numbers, comparison.to_json(in_words(comparison)))
    read, made = [*study.replicates, *study.left_out], commands or _commands(study, targets)
    html = study_page(
        comparison,
        sections,
        effects,
        read,
        links=links,
        folder=folder,
        failures=failures,
        commands=made,
        state=state,
    )
    page.write_text(html, encoding="utf-8", errors="backslashreplace")
    drawn = files_of(drawings, folder, failures)
    return WrittenStudy(page, numbers, drawn, written, comparison, state, failures)


def _sections(comparison: Comparison) -> tuple[list[Section], Drawing | None]:
    """What the page shows of each group, and the figure of all."""
    from analysis.report.study_diagnostics import diagnosed, diagnostic_drawings
    from analysis.report.study_figures import effects_drawing, look_of, main_drawings

    look, diagnosis = look_of(comparison), diagnosed(comparison)
    sections: list[Section] = []
    for group in comparison.groups:
        name = slug(group.name, [section.slug for section in sections])
        drawn = {told.arm for told in diagnosis[group.name]}
        sections.append(
            Section(
                group,
                name,
                scale(comparison, group, comparison.measure),
                None if group.primary is None else group.horizon(comparison.measure, group.primary),
                tables_of(comparison, group, name),
                main_drawings(comparison, group, name, look),
                diagnostic_drawings(group, name, diagnosis),
                [told.arm for told in group.diagnostics if told.arm not in drawn],
            )
        )
    return sections, effects_drawing(comparison, look)


def _why_nothing(study: Study) -> str:
    kinds: dict[str, int] = {}
    for each in study.problems:
        if each.kind in UNUSED:
            kinds[each.kind] = kinds.get(each.kind, 0) + 1
    told = "; ".join(f"{count} {KINDS[kind]}" for kind, count in kinds.items())
    first = next((f" (the first: {each})" for each in study.problems if each.kind not in ("missing",)), "")
    again = (study.directory / "study.json").exists()
    what = "; run asha-study again, which goes on where it was" if again else ""
    return f"{counted(study.planned, 'run')}: {told}{first}{what}"


def state_of(study: Study) -> str:
    """What is to be said of a study that is not complete; empty if it is."""
    planned = (study.directory / "study.json").exists()
    open_runs = planned and sum(each.kind in ("missing", "unfinished", "failed") for each in study.problems)
    running = _running(study.directory / "study.lock")
    if not open_runs and not running:
        return ""
    done = f"of {counted(study.planned, 'run')}, {len(study.replicates)} can be used so far"
    how = "asha-study is at work on it" if running else "asha-study goes on where it was"
    return f"{done}; {how}, and a report that is made again then has what was added."


def _running(lock: Path) -> bool:
    """Whether an ``asha-study`` holds the study's lock."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _commands(study: Study, targets: Sequence[float]) -> list[str]:
    """That make the study and its report again."""
    given = read_optional_json(study.directory / "study.json").get("commands")
    known = given if isinstance(given, list) else []
    made = [shlex.join(map(str, each)) for each in known if isinstance(each, list)]
    later = [f"--target {target:g}" for target in dict.fromkeys(targets)]
    return [*made, " ".join(["asha-report", shlex.quote(str(study.directory)), *later])]


def _write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    kept = [table for table in tables if table.rows]
    for table in kept:
        for ending, render in RENDERED.items():
            path = folder / f"{table.name}.{ending}"
            path.write_text(render(table), encoding="utf-8", errors="backslashreplace")
            written.append(path)
    _forget(folder, {table.name for table in kept})
    return written


def _forget(folder: Path, names: set[str]) -> None:
    """Remove what an earlier report has left here that this one does not have: it would be out of date."""
    for path in folder.iterdir():
        ours = path.suffix in (".pdf", ".png", ".md", ".tex") and path.stem.startswith(_OURS)
        if ours and path.stem not in names:
            path.unlink()


def _run_reports(study: Study, output: Path, targets: Sequence[float]) -> tuple[list[Any], dict[str, str]]:
    """What writes each run's own report, and where it will lie, relative to the study's page."""
    tasks, links = list[Any](), dict[str, str]()
    for each in (*study.replicates, *study.left_out):
        own = tuple(sorted({*each.targets, *targets}))
        tasks.append(partial(write_run_report, each.directory, own))
        links[each.id] = Path(os.path.relpath(each.directory / "report.html", output)).as_posix()
    return tasks, links


def write_run_report(directory: Path, targets: Sequence[float] = ()) -> None:
    """One run's own report, into its directory."""
    from analysis.report.run_report import write_report

    write_report([load_run(directory)], directory, targets)


def study_text(written: WrittenStudy) -> str:
    """The words and the main tables, for a terminal."""
    import textwrap

    comparison = written.comparison
    parts = [comparison.name]
    if written.state:
        parts.append(textwrap.fill(f"not complete: {written.state}", 100))
    short = in_short(comparison)
    parts.append("\n".join(textwrap.fill(words, 100) for words in short))
    more = [words for words in in_words(comparison) if words not in short]
    for group in comparison.groups:
        parts += [text(table) for table in tables_of(comparison, group, "")[:1]]
    if comparison.criteria.verdicts:
        parts.append(text(replace(criteria_table(comparison), notes=())))  # the words have told the rest
    told = (textwrap.fill(f"- {words}", 100, subsequent_indent="  ") for words in more)
    return "\n\n".join([*parts, "\n".join(["What was found in detail, and what limits it", "", *told])])
