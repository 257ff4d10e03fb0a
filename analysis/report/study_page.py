"""The HTML page of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.comparison import Comparison, Group, Horizon
from analysis.comparison.criteria import CRITERIA
from analysis.journals.replicate import Replicate
from analysis.report.measures import Scale, measure_name
from analysis.report.page import render
from analysis.report.sentences import in_short, in_words
from analysis.report.study_contents import verdict_cell
from analysis.report.tables import Table
from analysis.study.problems import KINDS, UNUSED, Problem
from asha_core.runtime.units import counted, ranges

if TYPE_CHECKING:
    from analysis.report.drawings import Drawing


_LISTED = 2_000  # runs, each with a line of its own


@dataclass(frozen=True, slots=True)
class Section:
    """What a page shows of one group.

    Attributes:
        slug: its name in addresses and in names of files.
        unit: in which its times are told.
        horizon: up to where searches are compared; None without a target.
        figures: what every group has.
        diagnostics: what its warm starts did.
        not_drawn: arms whose diagnostics are in the tables alone.
    """

    group: Group
    slug: str
    unit: Scale
    horizon: Horizon | None
    tables: Sequence[Table]
    figures: Sequence[Drawing]
    diagnostics: Sequence[Drawing]
    not_drawn: Sequence[str] = ()


def study_page(
    comparison: Comparison,
    sections: Sequence[Section],
    effects: Drawing | None,
    runs: Sequence[Replicate],
    *,
    links: Mapping[str, str],
    folder: Path,
    failures: Mapping[str, str],
    commands: Sequence[str],
    state: str = "",
) -> str:
    """The whole page.

    Args:
        effects: the forest plot of all groups.
        runs: that were read.
        links: by a run's id, its own report, relative to the page.
        folder: of the drawings' PNG files.
        failures: by the name of a drawing that could not be drawn, why.
        commands: that made the runs and this report.
        state: what is to be said of a study that is not complete.
    """
    judged = {each.criterion for each in comparison.criteria.verdicts}
    criteria = {name: each.title for name, each in CRITERIA.items() if name in judged}
    return render(
        "study.html",
        title=comparison.name,
        comparison=comparison,
        sections=sections,
        effects=effects,
        runs=runs,
        links=links,
        folder=folder,
        failures=failures,
        commands=commands,
        state=state,
        arms=len({arm.name for group in comparison.groups for arm in group.arms}),
        seeds=len({seed for group in comparison.groups for seed in group.seeds}),
        measure=measure_name(comparison, comparison.measure),
        summary=_summary(comparison),
        criteria=criteria,
        verdicts=_verdicts(comparison, list(criteria)),
        problems=_by_kind(comparison.problems),
        hardware=_hardware,
        many=_many(runs),
    )


def _summary(comparison: Comparison) -> dict[str, Any]:
    """The words; those on single groups are apart, and single runs have a section of their own."""
    rest = in_words(replace(comparison, problems=()))
    names = [group.name for group in comparison.groups] if len(comparison.groups) > 1 else []
    left_out = sum(each.kind in UNUSED for each in comparison.problems)
    remarks = len(comparison.problems) - left_out
    return {
        "short": in_short(comparison),
        "general": [words for words in rest if not any(words.startswith(f"{name}: ") for name in names)],
        "by_group": {
            name: [words.removeprefix(f"{name}: ") for words in rest if words.startswith(f"{name}: ")]
            for name in names
        },
        "problems": [
            *([f"{counted(left_out, 'run')} left out"] if left_out else []),
            *([f"{counted(remarks, 'remark')} on the runs"] if remarks else []),
        ],
    }


def _verdicts(comparison: Comparison, criteria: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By group and arm: each verdict, None if there is none, and the estimate that it is of."""
    found: dict[str, dict[str, Any]] = {}
    for group in comparison.groups:
        for other in group.against:
            by_name = {each.criterion: each for each in comparison.criteria.of(group.name, other.arm)}
            told = [by_name.get(name) for name in criteria]
            cells = [(each, "" if each is None else verdict_cell(each)[1]) for each in told]
            found.setdefault(group.name, {})[other.arm] = cells
    return found


def _by_kind(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The kinds of problems, those first whose runs were left out."""
    kinds = sorted(dict.fromkeys(each.kind for each in problems), key=lambda kind: kind not in UNUSED)
    return [
        {
            "name": kind,
            "unused": kind in UNUSED,
            "meaning": KINDS.get(kind, ""),
            "found": [str(each) for each in problems if each.kind == kind],
        }
        for kind in kinds
    ]


def _many(runs: Sequence[Replicate]) -> list[dict[str, Any]]:
    """Of more runs than anybody reads in a list: those of an arm that ended alike, together."""
    if len(runs) <= _LISTED:
        return []
    alike: dict[tuple[str, str, str], list[int]] = {}
    for each in runs:
        alike.setdefault((each.group, each.arm, each.reason), []).append(each.seed)
    return [
        {"group": group, "arm": arm, "reason": reason, "seeds": ranges(seeds), "count": len(seeds)}
        for (group, arm, reason), seeds in alike.items()
    ]


def _hardware(hardware: Mapping[str, object]) -> str:
    if hardware.get("machine") == "virtual":
        return f"none: simulated, {counted(int(str(hardware.get('workers', 1))), 'worker')}"
    gpus, devices = hardware.get("gpus"), hardware.get("devices")
    names = sorted({str(gpu) for gpu in gpus}) if isinstance(gpus, list) and gpus else []
    workers = len(devices) if isinstance(devices, list) else 0
    parts = [f"{len(gpus)} x {', '.join(names)}" if names and isinstance(gpus, list) else "no GPU"]
    parts += [counted(workers, "worker")] if workers else []
    parts += [
        counted(int(str(hardware[key])), "core") if key == "cores" else str(hardware[key])
        for key in ("cores", "machine", "system")
        if key in hardware
    ]
    return ", ".join(parts)
