"""The report on one or more runs: ``comparison.json``, figures, and one HTML page that stands alone."""

from __future__ import annotations

import base64
import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run, best_value
from analysis.metrics import (
    TimeToTarget,
    area_under_curve,
    best_so_far,
    rung_survival,
    time_split,
    time_to_target,
)
from asha_core.runtime.budget import counted, format_duration
from asha_core.runtime.results import write_json

_RELATIVE = (0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report lies."""

    page: Path
    comparison: Path
    figures: list[Path]


def targets_for(runs: Sequence[Run], targets: Sequence[float]) -> list[float]:
    """The targets to report: the given ones, the runs' own, else shares of the best value reached."""
    own = [run.manifest["target"] for run in runs if run.manifest.get("target") is not None]
    chosen = sorted({*targets, *own})
    if chosen:
        return chosen
    finals = [float(curve.value[-1]) for run in runs if len((curve := best_so_far(run)).value)]
    if runs[0].mode == "min" or not finals or max(finals) <= 0:
        return []
    return [round(share * max(finals), 4) for share in _RELATIVE]


def summary_of(run: Run, targets: Sequence[float]) -> dict[str, Any]:
    """One run's numbers, JSON-able."""
    curve, split = best_so_far(run), time_split(run)
    found = len(curve.value) > 0
    ranking = _ranking(run, 10)
    states = [trial.state for trial in run.trials.values()]
    return {
        "run": str(run.directory),
        "name": run.name,
        "variation": run.manifest["variation"]["name"],
        "seed": run.manifest["scheduler"]["seed"],
        "ended": run.reason,
        "torn_last_line": run.torn,
        "seconds": run.end,
        "gpu_hours": run.end * run.devices / 3600,
        "units": int(run.units[-1]) if len(run.units) else 0,
        "trials": sum(state != "rejected" for state in states),
        "rejected": states.count("rejected"),
        "failed": states.count("failed"),
        "best": float(curve.value[-1]) if found else None,
        "best_trial": int(curve.trial[-1]) if found else None,
        "best_after_seconds": float(curve.t[-1]) if found else None,
        "auc": area_under_curve(run) if run.mode == "max" and found else None,
        "time_to_target": [asdict(time_to_target(run, target)) for target in targets],
        "rungs": [asdict(share) for share in rung_survival(run)],
        "time_split": {**asdict(split), "total": split.total},
        "warm_start": _warm_start(run),
        "top": ranking,
    }


def _ranking(run: Run, count: int) -> list[dict[str, Any]]:
    entries = []
    for trial in run.trials.values():
        value, resource = best_value(trial, run.mode)
        if resource:
            entries.append((value, resource, trial))
    sign = -1 if run.mode == "max" else 1
    entries.sort(key=lambda entry: (sign * entry[0], entry[1], entry[2].id))
    return [
        {
            "trial": trial.id,
            "value": value,
            "resource": resource,
            "reached": trial.reached,
            "configuration": trial.configuration,
        }
        for value, resource, trial in entries[:count]
    ]


def _warm_start(run: Run) -> dict[str, Any] | None:
    """Medians over trials of what the warm start cost, measured and moved; None for the baseline."""
    refined = [trial for trial in run.trials.values() if trial.diagnostics]
    if not refined:
        return None
    names = list(run.manifest["space"])
    steps: dict[str, list[float]] = {name: [] for name in names}
    slopes: dict[str, list[float]] = {name: [] for name in names}
    for trial in refined:
        gradients = trial.diagnostics.get("gradient", {})
        for gradient in gradients if isinstance(gradients, list) else [gradients]:
            for name, slope in gradient.items():
                if not isinstance(slope, str):  # "nan", "inf"
                    slopes[name].append(abs(slope))
        for name, step in trial.diagnostics.get("step", {}).items():
            steps[name].append(abs(step))
    seconds = [trial.warm_start_seconds for trial in refined]
    return {
        "trials": len(refined),
        "skipped": sum("note" in trial.diagnostics for trial in refined),
        "seconds": sum(seconds),
        "median_seconds": float(np.median(seconds)),
        "median_abs_gradient": {n: float(np.median(v)) if v else None for n, v in slopes.items()},
        "median_abs_step": {n: float(np.median(v)) if v else None for n, v in steps.items()},
        "largest_abs_step": {n: max(v) if v else None for n, v in steps.items()},
    }


def write_report(runs: Sequence[Run], output: Path, targets: Sequence[float] = ()) -> Written:
    """Write ``report.html``, ``comparison.json`` and ``figures/`` into ``output``.

    Args:
        runs: at least one; all of the same metric and mode.
        targets: values for T@tau; by default the runs' own, else 90, 95 and 99% of the best value.
    """
    from analysis import plots

    chosen = targets_for(runs, targets)
    summaries = [summary_of(run, chosen) for run in runs]
    folder = output / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    comparison = output / "comparison.json"
    metric, mode = runs[0].metric, runs[0].mode
    write_json(comparison, {"schema": 1, "metric": metric, "mode": mode, "runs": summaries})
    asked = bool(targets) or any(run.manifest.get("target") is not None for run in runs)
    target = chosen[-1] if asked else None
    figures = [
        plots.save_figure(lambda axes: plots.plot_best_so_far(axes, runs, target), folder / "best_so_far"),
        plots.save_figure(lambda axes: plots.plot_rung_survival(axes, runs), folder / "rung_survival"),
    ]
    split_size = (6.4, 2.0 + 0.4 * len(runs))
    figures.append(
        plots.save_figure(lambda axes: plots.plot_time_split(axes, runs), folder / "time_split", split_size)
    )
    for index, run in enumerate(runs):
        suffix = f"_{index}" if len(runs) > 1 else ""

        def curves(axes: Any, run: Run = run) -> None:
            plots.plot_learning_curves(axes, run)

        def moved(axes: Any, run: Run = run) -> None:
            plots.plot_warm_start(axes, run)

        figures.append(plots.save_figure(curves, folder / f"learning_curves{suffix}"))
        if summaries[index]["warm_start"]:
            figures.append(plots.save_figure(moved, folder / f"warm_start{suffix}", (6.4, 3.0)))
    page = output / "report.html"
    page.write_text(_page(runs, summaries, [png for _, png in figures], relative=not asked), encoding="utf-8")
    return Written(page, comparison, [path for pair in figures for path in pair])


# -- words and tables ------------------------------------------------------------------------------


def in_words(run: Run, summary: dict[str, Any]) -> str:
    """What the search found, in a few plain sentences."""
    ended = {
        "complete": "It saw every configuration through",
        "budget": "It stopped at its budget",
        "interrupted": "It was interrupted",
        "error": "An error ended it",
        "killed": "Its journal has no end: the search was killed, or is still running",
    }[run.reason]
    sentences = [
        f"The search tried {counted(summary['trials'], 'configuration')} in {format_duration(run.end)} on "
        f"{counted(run.slots, 'worker')}, {counted(summary['units'], run.unit)} in all. {ended}."
    ]
    if summary["best"] is None:
        sentences.append("No trial reported a finite value.")
    else:
        sentences.append(
            f"The best {run.metric} on validation data is {summary['best']:.4f}, by trial "
            f"{summary['best_trial']}, after {format_duration(summary['best_after_seconds'])}. It was "
            "chosen as the best of many on that same data, so expect a little less on new data."
        )
    if summary["failed"]:
        sentences.append(f"{counted(summary['failed'], 'trial')} failed; the logs say why.")
    warm = summary["warm_start"]
    if warm is not None:
        share = warm["seconds"] / max(summary["time_split"]["total"], 1e-9)
        sentences.append(
            f"The warm start ({summary['variation']}) took {format_duration(warm['seconds'])}, "
            f"{share:.1%} of the workers' time. One search cannot say whether it helped: that takes many "
            "paired seeds."
        )
    return " ".join(sentences)


def text_tables(runs: Sequence[Run], summaries: Sequence[dict[str, Any]]) -> str:
    """The main tables for a terminal."""
    from asha_core.runtime.console import format_table

    parts = []
    for run, summary in zip(runs, summaries, strict=True):
        parts.append(f"{run.name}\n\n{textwrap.fill(in_words(run, summary), 100)}")
        header, rows = _target_rows(run, summary)
        if rows:
            parts.append(format_table(header, rows))
        parts.append(format_table(*_rung_rows(run, summary)))
        parts.append(format_table(*_time_rows(summary)))
        parts.append(format_table(*_top_rows(run, summary, 5)))
    return "\n\n".join(parts)


Table = tuple[list[str], list[list[str]]]


def _target_rows(run: Run, summary: dict[str, Any]) -> Table:
    hours = "GPU-hours" if run.on_gpu else "worker-hours"
    rows = []
    for entry in summary["time_to_target"]:
        reached = TimeToTarget(**entry)
        more = "> " if reached.censored else ""
        rows.append(
            [
                f"{reached.target:g}",
                more + format_duration(reached.seconds),
                f"{more}{reached.gpu_hours:.3g}",
                f"{more}{reached.units}",
                "not reached" if reached.censored else "reached",
            ]
        )
    return [f"{run.metric} target", "time", hours, f"{run.unit}s", ""], rows


def _rung_rows(run: Run, summary: dict[str, Any]) -> Table:
    rows = [[str(r["level"]), str(r["trials"]), f"{r['share']:.1%}"] for r in summary["rungs"]]
    return [f"rung ({run.unit}s)", "trials", "share"], rows


def _time_rows(summary: dict[str, Any]) -> Table:
    split = summary["time_split"]
    names = {"training": "training", "warm_start": "warm start", "starting": "starting", "waiting": "waiting"}
    total = max(split["total"], 1e-9)
    rows = [[label, f"{split[key]:.1f}", f"{split[key] / total:.1%}"] for key, label in names.items()]
    return ["workers' time", "seconds", "share"], rows


def _top_rows(run: Run, summary: dict[str, Any], count: int) -> Table:
    names = list(run.manifest["space"])
    rows = [
        [
            str(entry["trial"]),
            f"{entry['value']:.4f}",
            str(entry["resource"]),
            str(entry["reached"]),
            *(_short(entry["configuration"][name]) for name in names),
        ]
        for entry in summary["top"][:count]
    ]
    return ["trial", run.metric, f"at {run.unit}", "reached", *names], rows


def _warm_rows(run: Run, warm: dict[str, Any]) -> Table:
    rows = []
    for name, entry in run.manifest["space"].items():
        label = f"log10 {name}" if entry.get("log") else name
        row = [
            _short(warm[key][name]) for key in ("median_abs_gradient", "median_abs_step", "largest_abs_step")
        ]
        rows.append([label, *row])
    return ["search coordinate", "median |gradient|", "median |step|", "largest |step|"], rows


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else str(value)
    return str(value)


# -- the page --------------------------------------------------------------------------------------

_CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1c1e21; margin: 0;
       background: #f5f6f8; }
main { max-width: 1060px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 30px 0 10px; }
.sub { color: #606770; margin: 0 0 18px; }
.card { background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 16px 18px; }
.numbers { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.numbers div { background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 10px 16px; }
.numbers b { display: block; font-size: 21px; } .numbers span { color: #606770; font-size: 13px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 14px; }
.grid figure { margin: 0; background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 8px; }
img { width: 100%; height: auto; display: block; }
table { border-collapse: collapse; background: #fff; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid #eceef1; white-space: nowrap; }
th { color: #606770; font-weight: 600; } .scroll { overflow-x: auto; }
th:first-child, td:first-child { text-align: left; }
footer { color: #606770; font-size: 13px; margin-top: 34px; }
code { background: #eceef1; padding: 1px 5px; border-radius: 4px; }
"""


def _page(
    runs: Sequence[Run], summaries: Sequence[dict[str, Any]], images: Sequence[Path], *, relative: bool
) -> str:
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} searches"
    body = [f"<h1>{html.escape(title)}</h1>"]
    for run, summary in zip(runs, summaries, strict=True):
        if len(runs) > 1:
            body.append(f"<h2>{html.escape(run.name)}</h2>")
        body += _run_head(run, summary)
    body.append('<h2>Figures</h2><div class="grid">')
    body += [_image(path) for path in images]
    body.append("</div>")
    for run, summary in zip(runs, summaries, strict=True):
        if len(runs) > 1:
            body.append(f"<h2>{html.escape(run.name)}</h2>")
        body += _run_tables(run, summary, relative=relative)
    versions = runs[0].manifest["versions"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    folders = " ".join(str(run.directory) for run in runs)
    body.append(
        f"<footer>Made from the journals by <code>asha-report {html.escape(folders)}</code>. "
        f"{html.escape(shown)}.</footer>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _run_head(run: Run, summary: dict[str, Any]) -> list[str]:
    manifest = run.manifest
    devices = ", ".join(sorted({*manifest["hardware"]["gpus"]})) or f"{run.slots} CPU workers"
    rungs = "/".join(map(str, run.levels))
    numbers = [
        ("-" if summary["best"] is None else f"{summary['best']:.4f}", f"best {run.metric}"),
        (str(summary["trials"]), "configurations"),
        (str(summary["units"]), f"{run.unit}s trained"),
        (format_duration(run.end), "wall-clock"),
        (f"{summary['gpu_hours']:.3g}", "GPU-hours" if run.on_gpu else "worker-hours"),
    ]
    if summary["auc"] is not None:
        numbers.append((f"{summary['auc']:.4f}", "mean best-so-far over the run (AUC)"))
    cells = "".join(f"<div><b>{html.escape(n)}</b><span>{html.escape(w)}</span></div>" for n, w in numbers)
    return [
        f'<p class="sub">rungs {rungs} {html.escape(run.unit)}s, on {html.escape(devices)}</p>',
        f'<div class="card">{html.escape(in_words(run, summary))}</div>',
        f'<div class="numbers">{cells}</div>',
    ]


def _run_tables(run: Run, summary: dict[str, Any], *, relative: bool) -> list[str]:
    parts = []
    header, rows = _target_rows(run, summary)
    if rows:
        note = " (90, 95 and 99% of the best value)" if relative else ""
        parts += [f"<h2>Time to target{note}</h2>", _html_table(header, rows)]
    parts += ["<h2>Best configurations</h2>", _html_table(*_top_rows(run, summary, 10))]
    if summary["warm_start"] is not None:
        warm = summary["warm_start"]
        skipped = f", {warm['skipped']} of them left as they were (non-finite)" if warm["skipped"] else ""
        parts += [
            "<h2>Warm start</h2>",
            f"<p>{warm['trials']} configurations{skipped}; median {warm['median_seconds']:.3f} s each. "
            "Gradients are nats of held-out loss per search coordinate.</p>",
            _html_table(*_warm_rows(run, warm)),
        ]
    parts += ["<h2>Rungs</h2>", _html_table(*_rung_rows(run, summary))]
    parts += ["<h2>Where the time went</h2>", _html_table(*_time_rows(summary))]
    return parts


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _image(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.stem.replace("_", " "))
    return f'<figure><img alt="{name}" src="data:image/png;base64,{data}"></figure>'
