"""The HTML page of a report on runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from analysis.journals.metrics import describe_sessions
from analysis.journals.runs import Run, labels, unlike
from analysis.report.measures import device_hours
from analysis.report.page import render
from analysis.report.run_tables import in_words, tables_of
from asha_core.runtime.units import counted, format_duration

if TYPE_CHECKING:
    from analysis.report.drawings import Drawing


def run_page(
    runs: Sequence[Run],
    summaries: Sequence[dict[str, Any]],
    drawings: Sequence[Drawing],
    folder: Path,
    failures: Mapping[str, str],
) -> str:
    """The whole page.

    Args:
        folder: of the drawings' PNG files.
        failures: by the name of a drawing that could not be drawn, why.
    """
    parts = [
        {
            "label": label,
            "about": _about(run),
            "words": in_words(run, summary),
            "numbers": _numbers(run, summary),
            "tables": tables_of(run, summary),
        }
        for label, run, summary in zip(labels(runs), runs, summaries, strict=True)
    ]
    return render(
        "run.html",
        title=runs[0].name if len(runs) == 1 else f"{len(runs)} searches",
        warning=unlike(runs),
        runs=parts,
        drawings=drawings,
        folder=folder,
        failures=failures,
        directories=[str(run.directory) for run in runs],
        versions=[f"{name} {version}" for name, version in runs[0].manifest["versions"].items()],
    )


def _about(run: Run) -> list[str]:
    """How the search was set up, and where it ran."""
    manifest = run.manifest
    devices = ", ".join(sorted({*manifest["hardware"]["gpus"]})) or counted(run.slots, "CPU worker")
    about = [f"rungs {'/'.join(map(str, run.levels))} {run.unit}s", f"on {devices}"]
    limit = manifest["budget"]["seconds"]
    if limit is not None:
        about.append(f"budget {format_duration(limit)}")
    if len(run.sessions) > 1:
        about.append(f"{describe_sessions(run)} (the time in between is not counted)")
    if "created" in manifest:
        about.append(f"begun {manifest['created'][:16].replace('T', ' ')} UTC")
    return about + commits(manifest)


def commits(manifest: Mapping[str, Any]) -> list[str]:
    """Which code it was run by: this package's, and the user's own."""
    found = []
    if manifest.get("commit"):
        found.append(f"asha-core at commit {_short(manifest['commit'])}")
    if manifest.get("repository"):
        mine = manifest["repository"]
        found.append(f"{PurePath(mine['directory']).name} at commit {_short(mine['commit'])}")
    return found


def _short(commit: str) -> str:
    number, dirty, _ = commit.partition("-dirty")
    return f"{number[:10]}{', changed since' if dirty else ''}"


def _numbers(run: Run, summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What is to be seen at first glance, and what it is."""
    best, test, area = summary["best"], summary["test"], summary["auc"]
    numbers = [("-" if best is None else f"{best:.4f}", f"best {run.metric}")]
    if test is not None:
        numbers.append((f"{test['value']:.4f}", "the same on test data"))
    numbers += [
        (str(summary["trials"]), "configurations"),
        (str(summary["units"]), f"{run.unit}s trained"),
        (format_duration(run.end), "wall-clock"),
        (f"{summary['gpu_hours']:.3g}", device_hours(gpu=run.on_gpu)),
    ]
    if area is not None:
        numbers.append((f"{area:.4f}", "mean best-so-far over the run (AUC)"))
    return numbers
