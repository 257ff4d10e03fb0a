"""The HTML page of a report on runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from analysis.journals.metrics import describe_sessions
from analysis.journals.runs import Run, labels, unlike
from analysis.journals.space import shown
from analysis.number_formats import better, listed
from analysis.report.measures import device_hours
from analysis.report.page import render
from analysis.report.run_figures import clock_of
from analysis.report.run_tables import in_words, tables_of
from analysis.report.run_trials import trial_table
from asha_core.runtime.observers import value_text
from asha_core.runtime.units import abridged, counted, format_duration

if TYPE_CHECKING:
    from analysis.report.drawings import Drawing

_SCHEDULERS = {
    "asha": "ASHA",
    "asha-stopping": "stopping ASHA",
    "pasha": "PASHA",
    "hyperband": "asynchronous Hyperband",
    "sh": "successive halving",
    "sync-hyperband": "Hyperband",
    "random": "random search",
    "boil": "BOIL",
}


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
            "area": summary["auc"] is not None,
            "best": best_of(run, summary),
            "tables": tables_of(run, summary),
        }
        for label, run, summary in zip(labels(runs), runs, summaries, strict=True)
    ]
    return render(
        "run.html",
        title=title_of(runs, summaries),
        warning=unlike(runs),
        runs=parts,
        drawings=drawings,
        folder=folder,
        failures=failures,
        trials=trial_table(runs[0]) if len(runs) == 1 else None,
        directories=[str(run.directory) for run in runs],
        versions=[f"{name} {version}" for name, version in runs[0].manifest["versions"].items()],
    )


def title_of(runs: Sequence[Run], summaries: Sequence[Mapping[str, Any]]) -> str:
    """What a person would write above it: what was tuned, how, and how good it became."""
    if len(runs) > 1:
        tasks = list(dict.fromkeys(str(run.manifest["task"]["name"]) for run in runs))
        return f"{len(runs)} searches of {listed(tasks)}, side by side"
    (run,), (summary,) = runs, summaries
    scheduler, variation = run.manifest["scheduler"]["name"], run.manifest["variation"]["name"]
    warm = "" if run.manifest["variation"].get("strategy") == "none" else f" and {variation}"
    what = f"Tuning {run.manifest['task']['name']} with {_SCHEDULERS.get(scheduler, scheduler)}{warm}"
    return what if summary["best"] is None else f"{what}: {run.metric} {summary['best']:.4g}"


def _about(run: Run) -> list[str]:
    """How the search was set up, and where it ran."""
    manifest = run.manifest
    simulated = "simulation" in manifest
    workers = counted(run.slots, "worker" if simulated else "CPU worker")
    devices = ", ".join(sorted({*manifest["hardware"]["gpus"]})) or workers
    about = [
        run.name,
        f"{run.metric}: {better(run.mode)}",
        f"rungs {'/'.join(abridged([str(level) for level in run.levels]))} {run.unit}s",
        f"simulated in virtual time, {devices}" if simulated else f"on {devices}",
    ]
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
    numbers = [("-" if best is None else value_text(best), f"best {run.metric}")]
    if test is not None:
        numbers.append((value_text(test["value"]), "the same on test data"))
    numbers += [
        (str(summary["trials"]), "configurations"),
        (str(summary["units"]), f"{run.unit}s trained"),
        (format_duration(run.end), clock_of([run])),
        (f"{summary['gpu_hours']:.3g}", device_hours(gpu=run.on_gpu)),
    ]
    if area is not None:
        numbers.append((value_text(area), "average of the best so far (AUC)"))
    return numbers


def best_of(run: Run, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The best configuration, where its checkpoint lies, and the lines that load it; None without a value."""
    if not summary["top"]:
        return None
    top = summary["top"][0]
    trial = run.trials[top["trial"]]
    trained, rows = trial.trained_with(top["resource"]), []
    for name in run.dimensions:
        if name in trained:
            before, after = (shown(of.get(name)) for of in (trial.proposed, trained))
            rows.append((name, after, before if before != after else ""))
    checkpoint = run.directory / "checkpoints" / "best.pt"
    kept = checkpoint.exists()
    return {
        **top,
        "metric": run.metric,
        "told": value_text(top["value"]),
        "unit": run.unit,
        "settings": rows,
        "moved": any(before for _, _, before in rows),
        "simulated": "simulation" in run.manifest,
        "checkpoint": str(checkpoint.absolute()) if kept else "",
        "code": loading(run) if kept else "",
    }


def loading(run: Run) -> str:
    """The lines of Python that load a run's best checkpoint."""
    path, target = str(run.directory.absolute()), str(run.manifest["task"].get("target") or "")
    module, _, name = target.partition(":")
    if module.startswith("trials.tasks."):
        return f"from trials import load_model\n\nmodel, checkpoint = load_model({path!r})"
    if not any("evaluate_seconds" in costs for trial in run.trials.values() for costs in trial.costs):
        return (  # a function, or a task with a loop of its own: what it saved is its own affair
            "import torch\n"
            f"checkpoint = torch.load({path + '/checkpoints/best.pt'!r}, weights_only=True)\n"
            'config, state = checkpoint["configuration"], checkpoint["state"]  # as given to trial.save'
        )
    if module == "__main__":
        return (
            f"# where {name} is defined, as in your script\n"
            "from trials import load_model\n"
            f"model, checkpoint = load_model({path!r}, task={name})"
        )
    return f"from trials import load_model\n\nmodel, checkpoint = load_model({path!r}, task={target!r})"
