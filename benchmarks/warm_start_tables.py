"""The tables of the page on warm starts, out of results/warm_start_replays.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.comparison.criteria import FAILS, HOLDS, OPEN
from benchmarks.tables import PAGES, put
from benchmarks.warm_start_replays import BASE, MAIN, NARROW, WORKERS
from benchmarks.warm_start_verdicts import CONTROLS, FILE, POOLED, PRIMARY, free

PAGE = PAGES / "does-a-warm-start-help.md"
_Z, _Z80 = 1.96, 0.84  # of the normal distribution


def write_page() -> None:
    """Fill the page's tables."""
    put(PAGE, markdown(json.loads(FILE.read_text())))


def markdown(content: Mapping[str, Any]) -> dict[str, str]:
    """The page's tables, by name."""
    about, rows = content["settings"]["tables"], content["rows"]
    half = {each["task"]: each["half"] for each in about}
    arms = list(dict.fromkeys(row["arm"] for row in rows if not free(row["arm"])))
    main = [row for row in rows if (row["workers"], row["price"]) == (MAIN, "long")]
    tables = {"tasks": _tasks(about), "reach": _reach(about, [*arms, *CONTROLS])}
    for share in sorted({row["share"] for row in rows}, reverse=True):
        chosen = [row for row in main if row["share"] == share]
        tables[f"effects {share:g}"] = _effects(chosen, [*arms, *CONTROLS])
        tables[f"bar {share:g}"] = _bars(chosen, arms, half)
        for price in POOLED:
            own = [e for e in content["settings"]["pooled"] if (e["share"], e["price"]) == (share, price)]
            tables[f"pooled {price} {share:g}"] = _pooled(own, [*arms, *CONTROLS])
        tables[f"could {share:g}"] = _could(chosen, [*arms, NARROW])
        tables[f"criteria {share:g}"] = _criteria(chosen, arms, half)
    tables["power"] = _power(main)
    by_arithmetic = [row for row in rows if row["price"] == "arithmetic"]
    for share in sorted({row["share"] for row in by_arithmetic}, reverse=True):
        chosen = [row for row in by_arithmetic if row["share"] == share]
        tables[f"arithmetic {share:g}"] = _effects(chosen, arms)
        tables[f"bar by arithmetic {share:g}"] = _bars(chosen, arms, half)
    tables["measured"] = _effects(
        [r for r in rows if r["price"] == "measured" and r["share"] == PRIMARY], arms
    )
    for workers in WORKERS:
        chosen = [r for r in rows if (r["workers"], r["price"], r["share"]) == (workers, "long", PRIMARY)]
        tables[f"workers {workers}"] = _effects(chosen, [*arms, *CONTROLS])
    return tables


def _lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(each)} |" for each in (head, rule, *body))


def _tasks(about: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "task",
        "half",
        "configurations",
        "units",
        "mini-batches a unit",
        "metric",
        "targets (reached by)",
    )
    body = []
    for each in about:
        reach = each["reach"][BASE]
        targets = ", ".join(f"{t:.4g} ({100 * r:.1f}%)" for t, r in zip(each["targets"], reach, strict=True))
        steps = "-" if each["steps"] is None else str(each["steps"])
        cells = each["task"], each["half"], str(each["configurations"]), str(each["units"]), steps
        body.append((*cells, each["metric"], targets))
    return _lines(head, body)


def _reach(about: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> str:
    """How many times as many configurations reach each target, and the mini-batches of a warm start."""
    body = []
    for arm in arms:
        cells = []
        for each in about:
            if arm not in each["reach"]:
                cells.append("-")
                continue
            shifts = [b / a for a, b in zip(each["reach"][BASE], each["reach"][arm], strict=True)]
            cost = "; {:.3g}, {:.3g}".format(*each["warm"][arm]) if arm in each["warm"] else ""
            cells.append(" / ".join(f"{shift:.2f}" for shift in shifts) + cost)
        body.append((arm, *cells))
    return _lines(("arm", *(each["task"] for each in about)), body)


def _effects(rows: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> str:
    """Ratio of the medians, the paired ratio with its interval, p after Holm."""
    found = {(row["task"], row["scheduler"], row["arm"]): row for row in rows}
    body = [
        (task, scheduler, *(_effect(found.get((task, scheduler, arm))) for arm in arms))
        for task, scheduler in dict.fromkeys((row["task"], row["scheduler"]) for row in rows)
    ]
    return _lines(("task", "scheduler", *arms), body)


def _effect(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    value, low, high = row["hl"]
    ends = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    p = row["p_holm"] if not free(row["arm"]) else row["p"]
    told = "" if p is None else f"; p {'<.001' if p < 0.001 else f'{p:.2g}'}"
    star = "" if row["of"] == "medians" else "*"
    return f"{row['ratio'][0]:.2f}{star}; {value:.2f}{ends}{told}"


def _bars(rows: Sequence[Mapping[str, Any]], arms: Sequence[str], half: Mapping[str, str]) -> str:
    """In how many tuples each arm takes each part of the bar."""
    head = (
        "arm",
        "half",
        "tuples",
        "cut by 25%, shown",
        "at most 1%",
        *(f"beats {c}" for c in CONTROLS),
        "all",
    )
    body = []
    for arm in arms:
        for side in ("tuning", "judging"):
            own = [row["bar"] for row in rows if row["arm"] == arm and half.get(row["task"]) == side]
            if own:
                parts = [str(sum(bar[name] for bar in own)) for name in own[0]]
                body.append((arm, side, str(len(own)), *parts, str(sum(all(bar.values()) for bar in own))))
    return _lines(head, body)


def _could(rows: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> str:
    """Measured beside what the shift in the share of good configurations could have bought."""
    found = {(row["task"], row["scheduler"], row["arm"]): row for row in rows}
    body = []
    for task, scheduler in dict.fromkeys((row["task"], row["scheduler"]) for row in rows):
        cells = []
        for arm in arms:
            row = found.get((task, scheduler, arm))
            could = None if row is None else row["could"]
            shift = "" if row is None else f"x {row['reach'][1] / row['reach'][0]:.2f}: "
            told = "-" if could is None else f"{could:.2f}"
            cells.append("-" if row is None else f"{shift}{row['ratio'][0]:.2f} ({told})")
        body.append((task, scheduler, *cells))
    return _lines(("task", "scheduler", *arms), body)


def _error(row: Mapping[str, Any]) -> float | None:
    """The standard error of the logarithm of a ratio of medians, by its interval; None without one."""
    _, low, high = row["ratio"]
    if low is None or high is None or low <= 0 or high <= low:
        return None
    return math.log(high / low) / (2 * _Z)


def _power(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ratio that a tuple's configurations show in 80 of 100 tables, by the middle of its warm starts."""
    shares = sorted({row["share"] for row in rows}, reverse=True)
    body = []
    for task, scheduler in dict.fromkeys((row["task"], row["scheduler"]) for row in rows):
        cells = []
        for share in shares:
            own = [
                row
                for row in rows
                if (row["task"], row["scheduler"], row["share"]) == (task, scheduler, share)
            ]
            errors = [e for row in own if not free(row["arm"]) and (e := _error(row)) is not None]
            cells.append(f"{math.exp(-(_Z + _Z80) * float(np.median(errors))):.2f}" if errors else "-")
        body.append((task, scheduler, *cells))
    return _lines(("task", "scheduler", *(f"target of {100 * share:g}%" for share in shares)), body)


def _pooled(pooled: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> str:
    """Geometric means over tasks and searches, intervals over configurations, and how many tasks."""
    schedulers = list(dict.fromkeys(each["scheduler"] for each in pooled))
    found = {(each["arm"], each["half"], each["scheduler"]): each for each in pooled}
    body = []
    for arm in arms:
        for side in ("tuning", "judging"):
            own = [found.get((arm, side, scheduler)) for scheduler in schedulers]
            if any(own):
                body.append((arm, side, *(_mean(each) for each in own)))
    return _lines(("arm", "half", *schedulers), body)


def _mean(each: Mapping[str, Any] | None) -> str:
    if each is None:
        return "-"
    return "{:.2f} [{:.2f}, {:.2f}], ".format(*each["ratio"]) + str(each["tasks"])


def _criteria(rows: Sequence[Mapping[str, Any]], arms: Sequence[str], half: Mapping[str, str]) -> str:
    """Tuples in which each criterion holds, fails, or cannot be judged."""
    names = ("time", "cost", "score", "spread")
    body = []
    for arm in arms:
        for side in ("tuning", "judging"):
            own = [row["verdicts"] for row in rows if row["arm"] == arm and half.get(row["task"]) == side]
            if not own:
                continue
            cells = []
            for name in names:
                told = [each[name] for each in own if name in each]
                cells.append(" / ".join(str(told.count(verdict)) for verdict in (HOLDS, FAILS, OPEN)))
            whole = sum(all(each.get(name) == HOLDS for name in names) for each in own)
            body.append((arm, side, str(len(own)), *cells, str(whole)))
    return _lines(("arm", "half", "tuples", *names, "all hold"), body)
