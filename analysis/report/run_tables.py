"""A summary in words and in tables, for the terminal and for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from analysis.journals.metrics import TimeToTarget
from analysis.journals.runs import Run, labels, unlike
from analysis.number_formats import better, worse
from analysis.report.captions import held_out
from analysis.report.measures import device_hours
from analysis.report.tables import Column, Table, tabulate, text
from asha_core.runtime.observers import short, value_text
from asha_core.runtime.terminal.notices import without_best
from asha_core.runtime.units import counted, format_duration
from asha_core.runtime.unread import sentence


def in_words(run: Run, summary: dict[str, Any]) -> str:
    """What the search found, in a few plain sentences."""
    ended = {
        "complete": "It ended by itself: nothing was left to train",
        "budget": "It stopped at its budget",
        "stop_at": "It stopped because its best was good enough, as --stop-at asked",
        "patience": "It stopped because nothing better had come for as long as --patience allowed",
        "interrupted": "It was interrupted",
        "error": "An error ended it",
        "killed": "Its journal has no end: the search was killed, or is still running",
    }.get(run.reason, f"It ended for a reason that this version does not know ({run.reason})")
    sentences = [
        f"The search tried {counted(summary['trials'], 'configuration')} in {format_duration(run.end)} on "
        f"{counted(run.slots, 'worker')}, {counted(summary['units'], run.unit)} in all. {ended}."
    ]
    if summary["best"] is None:
        sentences.append(f"{without_best(summary['units']).capitalize()}.")
    else:
        sentences.append(
            f"The best {run.metric} ({better(run.mode)}) on {held_out(run)} is "
            f"{value_text(summary['best'])}, by trial {summary['best_trial']}, after "
            f"{format_duration(summary['best_after_seconds'])}. It was "
            f"chosen as the best of many on that same data, so expect it to be a little {worse(run.mode)} on "
            "new data."
        )
    test = summary["test"]
    if test is not None:
        samples = f" of {counted(test['count'], test['what'])}" if type(test["count"]) is int else ""
        whose = "Its checkpoint" if test["trial"] is None else f"Trial {test['trial']}'s checkpoint"
        sentences.append(
            f"{whose} has {test['metric'] or run.metric} {value_text(test['value'])} on the test data"
            f"{samples}, measured once."
        )
    furthest = max((trial.reached for trial in run.trials.values()), default=0)
    if run.manifest["scheduler"]["name"] == "pasha" and 0 < furthest < run.levels[-1]:
        sentences.append(
            f"PASHA trained nobody beyond {run.unit} {furthest} of {run.levels[-1]}: it goes further only "
            "where the ranking of the best changes."
        )
    if summary["stopped_early"]:
        sentences.append(f"{counted(summary['stopped_early'], 'trial')} stopped early, by themselves.")
    if summary["failed"]:
        sentences.append(f"{counted(summary['failed'], 'trial')} failed; the logs say why.")
    if summary["unread"]:
        said = sentence(summary["unread"])
        sentences.append(f"{said[0].upper()}{said[1:]}.")
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
    warning = unlike(runs)
    parts = [] if warning is None else [textwrap.fill(f"note: {warning}", 100)]
    for label, run, summary in zip(labels(runs), runs, summaries, strict=True):
        parts.append(f"{label}\n\n{textwrap.fill(in_words(run, summary), 100)}")
        tables = [
            targets_table(run, summary),
            rungs_table(run, summary),
            brackets_table(run, summary),
            time_table(summary),
            best_table(run, summary, 5),
        ]
        parts += [text(table) for table in tables if table.rows]
    return "\n\n".join(parts)


def tables_of(run: Run, summary: dict[str, Any]) -> list[Table]:
    """Every table of a run, for its page; those that would be empty are left out."""
    made = [
        targets_table(run, summary),
        best_table(run, summary, 10),
        warm_table(run, summary),
        rungs_table(run, summary),
        brackets_table(run, summary),
        time_table(summary),
    ]
    return [table for table in made if table.rows]


def targets_table(run: Run, summary: dict[str, Any]) -> Table:
    """T@tau: what had been spent when each target was reached."""

    def at_least(reached: TimeToTarget, told: str) -> str:
        return f"> {told}" if reached.censored else told

    columns = [
        Column[TimeToTarget](f"{run.metric} target", lambda t: f"{t.target:g}"),
        Column("time", lambda t: at_least(t, format_duration(t.seconds))),
        Column(device_hours(gpu=run.on_gpu), lambda t: at_least(t, f"{t.gpu_hours:.3g}")),
        Column(f"{run.unit}s", lambda t: at_least(t, str(t.units))),
        Column("", lambda t: "not reached" if t.censored else "reached"),
    ]
    shares = {"max": "90, 95 and 99% of the best value", "min": "the best value over 0.90, 0.95 and 0.99"}
    note = "" if summary["targets_named"] else f" ({shares[run.mode]})"
    reached = [TimeToTarget(**entry) for entry in summary["time_to_target"]]
    return tabulate("targets", f"Time to target{note}", reached, columns)


def rungs_table(run: Run, summary: dict[str, Any]) -> Table:
    """Survival by rung."""
    columns = [
        Column[dict[str, Any]](f"rung ({run.unit}s)", lambda rung: str(rung["level"])),
        Column("trials", lambda rung: str(rung["trials"])),
        Column("share", lambda rung: f"{rung['share']:.1%}"),
    ]
    return tabulate("rungs", "Rungs", summary["rungs"], columns)


def brackets_table(run: Run, summary: dict[str, Any]) -> Table:
    """What became of the trials of each bracket; no rows where there is one bracket."""
    columns = [
        Column[dict[str, Any]](f"bracket from {run.unit}", lambda bracket: str(bracket["level"])),
        Column("trials", lambda bracket: str(bracket["trials"])),
        Column("reached, rung by rung", lambda bracket: " > ".join(map(str, bracket["reached"]))),
        Column(f"best {run.metric}", lambda bracket: _known(bracket["best"])),
    ]
    several = len(summary["brackets"]) > 1
    return tabulate("brackets", "Brackets", summary["brackets"] if several else [], columns)


def time_table(summary: dict[str, Any]) -> Table:
    """Where the workers' time went."""
    split = summary["time_split"]
    columns = [
        Column[str]("workers' time", lambda part: part.replace("_", " "), "l"),
        Column("seconds", lambda part: f"{split[part]:.1f}"),
        Column("share", lambda part: f"{split[part] / max(split['total'], 1e-9):.1%}"),
    ]
    warm = ["warm_start"] if summary["warm_start"] is not None else []  # a plain function can have none
    parts = ["training", *warm, "starting", "waiting"]
    return tabulate("time", "Where the time went", parts, columns)


def best_table(run: Run, summary: dict[str, Any], count: int) -> Table:
    """The best configurations."""

    def setting(name: str) -> Column[dict[str, Any]]:
        return Column(name, lambda entry: short(entry["configuration"].get(name, "-")))

    columns = [
        Column[dict[str, Any]]("trial", lambda entry: str(entry["trial"])),
        Column(run.metric, lambda entry: value_text(entry["value"])),
        Column(f"at {run.unit}", lambda entry: str(entry["resource"])),
        Column("reached", lambda entry: str(entry["reached"])),
        *map(setting, run.dimensions),
    ]
    return tabulate("best", "Best configurations", summary["top"][:count], columns)


def warm_table(run: Run, summary: dict[str, Any]) -> Table:
    """What the warm start measured and moved, by coordinate; no rows where there was none."""
    warm = summary["warm_start"]

    def measured(key: str) -> Callable[[str], str]:
        return lambda name: _known(warm[key][name])

    columns = [
        Column("search coordinate", lambda name: coordinate(run, name), "l"),
        Column("median |gradient|", measured("median_abs_gradient")),
        Column("median |step|", measured("median_abs_step")),
        Column("largest |step|", measured("largest_abs_step")),
    ]
    if warm is None:
        return tabulate("warm", "Warm start", (), columns)
    note = f"{warm['trials']} configurations"
    if warm["skipped"]:
        note += f", {warm['skipped']} of them with a note ({'; '.join(warm['skipped_because'])})"
    if warm["fallback_because"]:
        note += f"; finite differences because of: {'; '.join(warm['fallback_because'])}"
    note += (
        f"; median {warm['median_seconds']:.3f} s each. Gradients are nats of held-out loss per search "
        "coordinate."
    )
    return tabulate("warm", "Warm start", run.dimensions, columns, [note])


def coordinate(run: Run, name: str) -> str:
    """A dimension's search coordinate."""
    return f"log10 {name}" if run.dimensions[name].get("log") else name


def _known(value: float | None) -> str:
    return "-" if value is None else short(value)
