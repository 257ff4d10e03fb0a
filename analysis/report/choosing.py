"""What a folder holds that is no results directory itself: one thing to report on, or several."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.journals.finding import run_directories
from analysis.journals.runs import dimensions_of, name_of, problem_of
from asha_core.errors import AshaError, ResultsError
from asha_core.runtime.observers import short
from asha_core.runtime.storage.json_files import read_json, read_optional_json
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.units import counted

_MANY = 20  # entries of a list


class _Several(ResultsError):
    """One of several is to be named."""

    lists = True


def chosen(paths: Sequence[str | Path]) -> list[Path]:
    """What is to be reported on, when ``paths`` are named: they themselves, or the one study in a folder.

    Raises:
        ResultsError: one folder is named that holds searches which have nothing in common, or studies: they
            are listed. Whoever names several wants to see them side by side.
    """
    given = [user_path(path) for path in paths]
    if len(given) != 1 or (given[0] / "study.json").exists():
        return given
    (folder,) = given
    runs = list(run_directories(folder))
    studies = list(dict.fromkeys(study for run in runs if (study := _study_of(run, folder)) is not None))
    apart = [run for run in runs if _study_of(run, folder) is None]
    if len(studies) == 1 and not apart:
        return studies
    if studies or unrelated(apart):
        raise _Several(_listed(folder, studies, apart))
    return given


def _study_of(run: Path, folder: Path) -> Path | None:
    """The study below ``folder`` that a run lies in."""
    inside = [parent for parent in run.parents if parent != folder and parent.is_relative_to(folder)]
    return next((parent for parent in inside if (parent / "study.json").exists()), None)


def unrelated(runs: Iterable[Path]) -> bool:
    """Whether runs have nothing in common that a reader would see side by side.

    What they are to have in common: the problem, its metric, and the names in the search space. Runs of which
    all are paired by seed are a study, whatever else they differ in.
    """
    manifests = [manifest for run in runs if (manifest := _manifest(run)) is not None]
    kinds = {
        repr([problem_of(m), m["task"]["metric"], m["task"]["mode"], sorted(dimensions_of(m))])
        for m in manifests
    }
    return len(kinds) > 1 and not all(_paired(seeds) for seeds in seeds_of(manifests).values())


def seeds_of(manifests: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, set[int]]]:
    """By problem and scheduler, the seeds of each arm; the baseline's is ""."""
    seeds: dict[tuple[str, str], dict[str, set[int]]] = {}
    for manifest in manifests:
        scheduler, variation = manifest["scheduler"], manifest["variation"]
        arm = json.dumps([variation["name"], variation["settings"]], sort_keys=True)
        of_kind = seeds.setdefault((problem_of(manifest), str(scheduler["name"])), {})
        of_kind.setdefault("" if variation["name"] == "baseline" else arm, set()).add(scheduler["seed"])
    return seeds


def _paired(of_kind: Mapping[str, set[int]]) -> bool:
    """Whether the baseline and another variation have two seeds in common at least."""
    return any(len(of_kind.get("", set()) & of_arm) >= 2 for arm, of_arm in of_kind.items() if arm)


def is_study(paths: Sequence[str | Path]) -> bool:
    """Whether a report on ``paths`` is one on a study.

    It is where a study.json lies; and for plain runs, where they form pairs: at least two seeds that the
    baseline and another variation have in common, on one problem with one scheduler. Other runs stand side by
    side.
    """
    given = [user_path(path) for path in paths]
    if any((path / "study.json").exists() for path in given):
        return True
    found = (_manifest(directory) for path in given for directory in run_directories(path))
    return any(map(_paired, seeds_of(manifest for manifest in found if manifest is not None).values()))


def _manifest(run: Path) -> dict[str, Any] | None:
    """A run's manifest; None if it lacks what is asked of it here: who reads the run says what is wrong."""
    try:
        manifest = read_json(run / "run.json")
        _ = manifest["scheduler"]["name"], manifest["scheduler"]["seed"], manifest["variation"]["settings"]
        _ = name_of(manifest), manifest["task"]["metric"], manifest["task"]["mode"], dimensions_of(manifest)
    except (AshaError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _listed(folder: Path, studies: Sequence[Path], runs: Sequence[Path]) -> str:
    """What lies in a folder, a line each, and what to do."""
    entries = [(study, _of_study(study)) for study in studies] + [(run, _of_run(run)) for run in runs]
    parts = [
        f"{len(of)} {one if len(of) == 1 else several}"
        for of, one, several in ((studies, "study", "studies"), (runs, "search", "searches"))
        if of
    ]
    width = max(len(shlex.quote(str(path))) for path, _ in entries[:_MANY])
    lines = [f"  {shlex.quote(str(path)):<{width}}  {about}" for path, about in entries[:_MANY]]
    if len(entries) > _MANY:
        lines.append(f"  and {len(entries) - _MANY} more")
    return "\n".join(
        [
            f"{folder} holds {' and '.join(parts)} that have nothing in common: name one of them, such as "
            f"asha-report {shlex.quote(str(entries[0][0]))}; or, to see some side by side, all of those, and "
            "--output DIR",
            *lines,
        ]
    )


def _of_study(study: Path) -> str:
    runs = read_optional_json(study / "study.json").get("runs")
    return f"a study of {counted(len(runs), 'run')}" if isinstance(runs, list) else "a study"


def _of_run(run: Path) -> str:
    manifest = _manifest(run)
    if manifest is None:
        return "a search whose run.json cannot be read"
    results = read_optional_json(run / "results.json")
    best, reason = results.get("best"), results.get("reason", "not ended")
    value = best.get("value") if isinstance(best, Mapping) else math.nan
    told = (
        f"best {manifest['task']['metric']} {short(value)}, "
        if isinstance(value, float) and math.isfinite(value)
        else ""
    )
    return f"{name_of(manifest)} ({told}{reason})"
