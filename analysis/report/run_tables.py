"""A summary in words and in tables, for the terminal and for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from analysis.journals.metrics import TimeToTarget
from analysis.journals.runs import Run, labels, unlike
from asha_core.runtime.observers import short
from asha_core.runtime.units import counted, format_duration


def in_words(run: Run, summary: dict[str, Any]) -> str:
    """What the search found, in a few plain sentences."""
    ended = {
        "complete": "It ended by itself: nothing was left to train",
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
    test = summary["test"]
    if test is not None:
        samples = f" of {counted(test['count'], 'sample')}" if type(test["count"]) is int else ""
        whose = f" Trial {test['trial']}'s checkpoint" if test["trial"] is not None else " Its checkpoint"
        sentences.append(
            f"{whose.strip()} has {test['metric'] or run.metric} {test['value']:.4f} on the test data"
            f"{samples}, measured once."
        )
    furthest = max((trial.reached for trial in run.trials.values()), default=0)
    if run.manifest["scheduler"]["name"] == "pasha" and 0 < furthest < run.levels[-1]:
        sentences.append(
            f"PASHA trained nobody beyond {run.unit} {furthest} of {run.levels[-1]}: it goes further only "
            "where the ranking of the best changes."
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
        happened = warm_counts(warm)
        if happened:
            sentences.append(f"Of {counted(warm['trials'], 'configuration')}, {', '.join(happened)}.")
    return " ".join(sentences)


def warm_counts(warm: dict[str, Any]) -> list[str]:
    """What became of configurations in the warm start, where it was not the usual thing."""
    found = []
    if warm["redrawn"]:
        draws = counted(warm["rejected"], "draw")
        found.append(f"{warm['redrawn']} exploded and {_was(warm['redrawn'])} drawn again ({draws} rejected)")
    if warm["braked"]:
        steps = counted(warm["brake_steps"], "step")
        found.append(f"{warm['braked']} exploded and {_was(warm['braked'])} slowed down (by {steps})")
    if warm["non_finite"]:
        found.append(f"{counted(warm['non_finite'], 'estimate')} not finite")
    if warm["fallbacks"]:
        found.append(f"{warm['fallbacks']} measured by finite differences instead")
    return found


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def text_tables(runs: Sequence[Run], summaries: Sequence[dict[str, Any]]) -> str:
    """The main tables for a terminal."""
    from asha_core.runtime.terminal.console import format_table

    warning = unlike(runs)
    parts = [] if warning is None else [textwrap.fill(f"note: {warning}", 100)]
    for label, run, summary in zip(labels(runs), runs, summaries, strict=True):
        parts.append(f"{label}\n\n{textwrap.fill(in_words(run, summary), 100)}")
        header, rows = target_rows(run, summary)
        if rows:
            parts.append(format_table(header, rows))
        parts.append(format_table(*rung_rows(run, summary)))
        header, rows = bracket_rows(run, summary)
        if rows:
            parts.append(format_table(header, rows))
        parts.append(format_table(*time_rows(summary)))
        parts.append(format_table(*top_rows(run, summary, 5)))
    return "\n\n".join(parts)


Table = tuple[list[str], list[list[str]]]


def target_rows(run: Run, summary: dict[str, Any]) -> Table:
    """T@tau: what had been spent when each target was reached."""
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


def rung_rows(run: Run, summary: dict[str, Any]) -> Table:
    """Survival by rung."""
    rows = [[str(r["level"]), str(r["trials"]), f"{r['share']:.1%}"] for r in summary["rungs"]]
    return [f"rung ({run.unit}s)", "trials", "share"], rows


def bracket_rows(run: Run, summary: dict[str, Any]) -> Table:
    """What became of the trials of each bracket; no rows where there is one bracket."""
    rows = [
        [
            str(b["level"]),
            str(b["trials"]),
            " > ".join(map(str, b["reached"])),
            "-" if b["best"] is None else short(b["best"]),
        ]
        for b in summary["brackets"]
    ]
    header = [f"bracket from {run.unit}", "trials", "reached, rung by rung", f"best {run.metric}"]
    return header, rows if len(rows) > 1 else []


def time_rows(summary: dict[str, Any]) -> Table:
    """Where the workers' time went."""
    split = summary["time_split"]
    names = {"training": "training", "warm_start": "warm start", "starting": "starting", "waiting": "waiting"}
    total = max(split["total"], 1e-9)
    rows = [[label, f"{split[key]:.1f}", f"{split[key] / total:.1%}"] for key, label in names.items()]
    return ["workers' time", "seconds", "share"], rows


def top_rows(run: Run, summary: dict[str, Any], count: int) -> Table:
    """The best configurations."""
    names = list(run.dimensions)
    rows = [
        [
            str(entry["trial"]),
            f"{entry['value']:.4f}",
            str(entry["resource"]),
            str(entry["reached"]),
            *(short(entry["configuration"].get(name, "-")) for name in names),
        ]
        for entry in summary["top"][:count]
    ]
    return ["trial", run.metric, f"at {run.unit}", "reached", *names], rows


def warm_rows(run: Run, warm: dict[str, Any]) -> Table:
    """What the warm start measured and moved, by coordinate."""
    rows = []
    for name, entry in run.dimensions.items():
        label = f"log10 {name}" if entry.get("log") else name
        row = [
            "-" if warm[key][name] is None else short(warm[key][name])
            for key in ("median_abs_gradient", "median_abs_step", "largest_abs_step")
        ]
        rows.append([label, *row])
    return ["search coordinate", "median |gradient|", "median |step|", "largest |step|"], rows
