"""What the replays of warm starts came to: effects, verdicts of the proposal's criteria, the bar, the tables.

A *tuple* is a task with a scheduler, at a number of workers and a price. Each arm of one is compared with its
baseline pair by pair; intervals and p-values are over the recorded configurations (decision 0038), Holm's
correction is over the warm starts of a tuple at one target. Controls are compared likewise, outside of it.

The bar: ratio of the medians at most .75, p < .05 after Holm (and of restricted means, where unequally many
were censored), warm starts take at most 1% of the workers' time, and the arm is faster than the narrow prior
and than the early rung: the whole interval of the paired Hodges-Lehmann ratio is below 1.

Where more than one pair in ten met more rows than were recorded, too few searches lack any one configuration
for the jackknife: there is neither an interval nor a p.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from analysis.comparison.arms import TimeEffect
from analysis.comparison.criteria import (
    CRITERIA,
    FAILS,
    HOLDS,
    OPEN,
    SCORE,
    TIME,
    interval_verdict,
    shown,
)
from analysis.stats.configurations import MetRows
from analysis.stats.over_configurations import (
    difference_over,
    hodges_lehmann_over,
    mean_over,
    ratio_of_times_over,
    restricted_mean_over,
    spread_ratio_over,
    wilcoxon_over,
)
from analysis.stats.paired import PermutationResult, holm
from asha_core.launch.yaml_files import read_yaml
from benchmarks.faster_start import could_have_bought
from benchmarks.tables import RESULTS, write
from benchmarks.warm_start_replays import (
    BASE,
    EARLY,
    HERE,
    LONG,
    MAIN,
    MODELS,
    NARROW,
    PLAIN,
    SHARES,
    WHOLE,
    WORKERS,
    Cell,
    Tables,
    cells,
    rows_of,
    stem_of,
    tables_of,
    tasks_of,
)

FILE = RESULTS / "warm_start_replays.json"
PRIMARY = 0.03
BAR, SHARE = 0.75, 0.01
POOLED = ("long", "arithmetic")
_MOST = 0.9  # so many of the pairs must have met no more rows than were recorded
CONTROLS = (NARROW, EARLY)
Raw = Mapping[str, np.ndarray]


# -- figures ---------------------------------------------------------------------------------------------


class Against:
    """One arm's searches beside another's, of the same seeds."""

    def __init__(self, tables: Tables, workers: int, base: Raw, other: Raw) -> None:
        self.tables, self.horizon = tables, tables.budget / workers
        self.n = min(len(base["times"]), len(other["times"]))
        self.base, self.other = ({k: v[: self.n] for k, v in each.items()} for each in (base, other))
        self.rows = [rows_of(seed, len(tables.wide)) for seed in range(self.n)]

    def log_ratios(self, place: int) -> np.ndarray:
        """(n,) of the times to a target; censored ones at the end of the time."""
        t0, t1 = (np.minimum(each["times"][:, place], self.horizon) for each in (self.base, self.other))
        return np.asarray(np.log(t1) - np.log(t0))

    def count(self, of: str, place: int | None) -> np.ndarray:
        """(n,) how many rows could play a part in each pair."""
        return np.maximum(
            *(each[of] if place is None else each[of][:, place] for each in (self.base, self.other))
        )

    def met(self, of: str, place: int | None, first: int | None = None) -> MetRows:
        """The same rows."""
        count = self.count(of, place)
        return MetRows(len(self.tables.wide), self.rows[:first], count[:first].tolist())

    def sure(self, place: int) -> bool:
        """Whether so few rows were met that the jackknife over configurations means something."""
        met = self.count("met", place)
        return bool(np.quantile(met, _MOST) <= len(self.tables.wide))

    def effect(self, place: int) -> tuple[TimeEffect, Any]:
        """T@tau of a target, p-values not yet corrected; and the ratio of spreads."""
        met, h = self.met("met", place), self.horizon
        t0, t1 = (np.minimum(each["times"][:, place], h) for each in (self.base, self.other))
        c0, c1 = (np.isinf(each["times"][:, place]) for each in (self.base, self.other))
        known = self.sure(place)
        wilcoxon = wilcoxon_over(met, t0, t1)
        means: PermutationResult | None = None
        if c0.sum() != c1.sum():
            means = restricted_mean_over(met, t0, t1, h)
        effect = TimeEffect(
            target=self.tables.targets[place],
            measure="seconds",
            n=self.n,
            base_reached=int((~c0).sum()),
            reached=int((~c1).sum()),
            ratio=ratio_of_times_over(met, t0, c0, t1, c1, h),
            hodges_lehmann=hodges_lehmann_over(met, t0, t1),
            p=wilcoxon.p if known else None,
            permutation=means,
            p_permutation=means.p if means is not None and known else None,
            configurations=len(self.tables.wide),
        )
        return effect, spread_ratio_over(met, t0, t1, c0, c1)

    def added(self) -> tuple[float, float, float]:
        """What warm starts add to the workers' time, as a share of all else, with its interval."""
        share = self.other["cost"]
        return mean_over(self.met("all", None), share / np.maximum(1 - share, 1e-9))

    def gain(self) -> Any:
        """The difference in the best value at the end, above 0 is better; None if it was not kept."""
        kept = [
            i
            for i in range(min(self.n, WHOLE))
            if math.isfinite(self.base["final"][i] + self.other["final"][i])
        ]
        if len(kept) < WHOLE // 2 or kept != list(range(len(kept))):
            return None
        n, sign = len(kept), self.tables.sign
        return difference_over(
            self.met("all", None, n), sign * self.base["final"][:n], sign * self.other["final"][:n]
        )


def figures(key: tuple[str, str, int, str], folder: Path, raw: Path) -> list[dict[str, Any]]:
    """A row for each arm and target of a tuple; none while its baseline is missing."""
    task, scheduler, workers, price = key
    tables = tables_of(task, folder)
    found = {
        arm: kept
        for arm in tables.arms
        if (kept := _kept(Cell(task, scheduler, workers, "long" if free(arm) else price, arm), tables, raw))
    }
    if BASE not in found:
        return []
    rows = []
    for place, share in enumerate(tables.shares):
        arms = [arm for arm in found if arm != BASE]
        pairs = {arm: Against(tables, workers, found[BASE], found[arm]) for arm in arms}
        effects = {arm: pair.effect(place) for arm, pair in pairs.items()}
        warm = [arm for arm in arms if not free(arm)]
        told = {arm: effects[arm][0] for arm in arms}
        told |= dict(zip(warm, _corrected([told[arm] for arm in warm]), strict=True))
        for arm in arms:
            row = _row(tables, key, arm, place, share, told[arm], effects[arm][1], pairs[arm])
            if not free(arm):
                for control in (each for each in CONTROLS if each in found):
                    beside = Against(tables, workers, found[control], found[arm]).effect(place)[0]
                    row[f"beside {control}"] = _short(beside.hodges_lehmann) if beside.p is not None else None
                row["bar"] = _bar(row)
            rows.append(row)
    return rows


def free(arm: str) -> bool:
    return arm in (BASE, *CONTROLS)


def _kept(cell: Cell, tables: Tables, raw: Path) -> dict[str, np.ndarray] | None:
    """The file with the most searches of a cell."""
    name = f"{stem_of(cell, tables)}-"
    files = {
        int(f.stem.removeprefix(name)): f
        for f in raw.glob(f"{name}*.npz")
        if f.stem.removeprefix(name).isdigit()
    }
    if not files:
        return None
    with np.load(files[max(files)], allow_pickle=False) as content:
        return dict(content)


def _corrected(effects: Sequence[TimeEffect]) -> list[TimeEffect]:
    p, q = holm([each.p for each in effects]), holm([each.p_permutation for each in effects])
    return [
        replace(
            each,
            p_holm=None if math.isnan(one) else one,
            p_holm_permutation=None if math.isnan(two) else two,
            family=len(effects),
        )
        for each, one, two in zip(effects, p.tolist(), q.tolist(), strict=True)
    ]


def _row(
    tables: Tables,
    key: tuple[str, str, int, str],
    arm: str,
    place: int,
    share: float,
    effect: TimeEffect,
    spread: Any,
    pair: Against,
) -> dict[str, Any]:
    _, scheduler, workers, price = key
    reach, own = tables.reach(BASE)[place], tables.reach(arm)[place]
    added, gain = pair.added(), pair.gain()
    cost = tables.warm(arm, price) if not free(arm) else 0.0
    could = None
    if scheduler in PLAIN and arm != EARLY and own >= reach:
        could = could_have_bought(scheduler, workers, reach, own / reach, cost)
    row = {
        **dict(zip(("task", "scheduler", "workers", "price"), key, strict=True)),
        "arm": arm,
        "share": share,
        "n": effect.n,
        "reached": [effect.base_reached, effect.reached],
        "reach": [round(reach, 4), round(own, 4)],
        "ratio": _short(effect.ratio) if effect.p is not None else [round(effect.ratio.value, 4), None, None],
        "of": effect.ratio.of,
        "hl": _short(effect.hodges_lehmann)
        if effect.p is not None
        else [round(effect.hodges_lehmann.value, 4), None, None],
        "p": _digits(effect.p),
        "p_holm": _digits(effect.p_holm),
        "shown": shown(effect),
        "spread": _short(spread),
        "added": [_digits(each) for each in added],
        "gain": None if gain is None else [_digits(each) for each in (gain.mean, gain.low, gain.high)],
        "could": _digits(could),
    }
    row["verdicts"] = _verdicts(row, pair)
    return row


def _verdicts(row: Mapping[str, Any], pair: Against) -> dict[str, str]:
    """Of the proposal's criteria, as ``analysis.comparison.criteria`` has them; there is no memory here."""
    ratio, low, _ = (math.nan if each is None else each for each in row["ratio"])
    time = HOLDS if row["shown"] and ratio <= TIME else OPEN
    if low > (TIME if row["of"] == "medians" else 1.0):
        time = FAILS
    found = {"time": time, "cost": _upto(row["added"], CRITERIA["cost"].threshold, row["n"])}
    if row["gain"] is not None:
        worst = SCORE
        base = pair.base["final"][:WHOLE]
        if base.min() < 0 or base.max() > 1:
            worst = SCORE * abs(float(base.mean()))
        value, low, high = row["gain"]
        found["score"] = _upto([-value, -high, -low], worst, row["n"])
    found["spread"] = _upto(row["spread"], CRITERIA["spread"].threshold, row["n"])
    return found


def _upto(interval: Sequence[float | None], threshold: float, n: int) -> str:
    value, low, high = (math.nan if each is None else each for each in interval)
    return interval_verdict(value, low, high, threshold, n)


def _bar(row: Mapping[str, Any]) -> dict[str, bool]:
    """Which parts of the bar an arm takes."""
    share = row["added"][0] / (1 + row["added"][0])
    beside = {f"beats {c}": _below(row.get(f"beside {c}")) for c in CONTROLS}
    return {"faster": bool(row["ratio"][0] <= BAR and row["shown"]), "cheap": bool(share <= SHARE), **beside}


def _below(interval: Sequence[float | None] | None) -> bool:
    return interval is not None and interval[2] is not None and interval[2] < 1


def _short(ratio: Any) -> list[float | None]:
    return [_digits(each) for each in (ratio.value, ratio.low, ratio.high)]


def _digits(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def write_results(folder: Path, raw: Path, processes: int) -> None:
    """All that was run, as JSON."""
    keys, about = [], []
    for task in tasks_of(folder):
        tables = tables_of(task, folder)
        own = cells(tables, (*PLAIN, *MODELS), WORKERS)
        keys += list(dict.fromkeys(cell.tuple for cell in own if not free(cell.arm)))
        about.append(_about(tables))
    with ProcessPoolExecutor(processes) as pool:
        parts = pool.map(figures, keys, [folder] * len(keys), [raw] * len(keys))
        rows = [row for part in parts for row in part]
    write(
        FILE,
        rows,
        ["asha-core", "numpy"],
        {"primary": PRIMARY, "tables": about, "pooled": list(pooled(folder, raw))},
    )
    content = json.loads(FILE.read_text())
    lines = ",\n".join(json.dumps(row) for row in content.pop("rows"))
    FILE.write_text(f'{json.dumps(content)[:-1]}, "rows": [\n{lines}\n]}}\n')


def _about(tables: Tables) -> dict[str, Any]:
    wide = tables.wide
    entry = read_yaml((HERE / "studies" / "tables.yaml").read_text(encoding="utf-8"))["tasks"].get(
        tables.task, {}
    )
    return {
        "task": tables.task,
        "half": entry.get("half", ""),
        "digests": {arm: tables.digest(arm) for arm in tables.arms},
        "configurations": len(wide),
        "metric": wide.metric,
        "mode": wide.mode,
        "units": wide.units[-1],
        "steps": tables.steps,
        "spaces": {space: _space(curves) for space, curves in tables.curves.items()},
        "shares": tables.shares,
        "targets": [_digits(each) for each in tables.targets],
        "reach": {arm: [round(each, 4) for each in tables.reach(arm)] for arm in tables.arms},
        "warm": {
            arm: [_digits(each) for each in _batches(tables, arm)] for arm in tables.arms if not free(arm)
        },
    }


def _batches(tables: Tables, arm: str) -> tuple[float, float]:
    """Mini-batches of a warm start in the median: by time, and by arithmetic."""
    steps = tables.steps or 1
    return tables.warm(arm, "measured") * steps, tables.warm(arm, "arithmetic") * (
        LONG if tables.steps else 1
    )


def _space(curves: Any) -> dict[str, str]:
    return {name: str(dimension) for name, dimension in curves.space.items()}


def pooled(folder: Path, raw: Path) -> Iterator[dict[str, Any]]:
    """Over the tasks of a half together: the mean of log T ratios, for each scheduler, arm, target and price.

    Search s meets the same rows of every table with as many configurations, and these are the same draws (the
    tables have one seed). So a configuration is left out of all of them at once: these tables are no
    independent samples. Those with another number of configurations count as one.
    """
    all_tables = [tables_of(task, folder) for task in tasks_of(folder)]
    halves = {each.task: _about(each)["half"] for each in all_tables}
    arms = list(dict.fromkeys(arm for each in all_tables for arm in each.arms if arm != BASE))
    for price, half, scheduler, arm, share in product(POOLED, ("tuning", "judging"), PLAIN, arms, SHARES):
        pairs = []
        for tables in (each for each in all_tables if halves[each.task] == half and share in each.shares):
            own = "long" if free(arm) or not tables.steps else price
            kept = [
                _kept(Cell(tables.task, scheduler, MAIN, "long" if side == BASE else own, side), tables, raw)
                if side in tables.arms
                else None
                for side in (BASE, arm)
            ]
            if kept[0] and kept[1]:
                pairs.append((Against(tables, MAIN, kept[0], kept[1]), tables.shares.index(share)))
        if pairs and all(pair.sure(place) for pair, place in pairs):
            yield {
                **{"price": price, "half": half, "scheduler": scheduler, "arm": arm, "share": share},
                "tasks": len(pairs),
                "ratio": [_digits(each) for each in _together(pairs)],
            }


def _together(pairs: Sequence[tuple[Against, int]]) -> tuple[float, float, float]:
    by_size: dict[int, list[tuple[Against, int]]] = {}
    for pair, place in pairs:
        by_size.setdefault(len(pair.tables.wide), []).append((pair, place))
    mean = variance = 0.0
    for size, alike in by_size.items():
        n, weight = min(pair.n for pair, _ in alike), len(alike) / len(pairs)
        logs = np.mean([pair.log_ratios(place)[:n] for pair, place in alike], axis=0)
        met = np.max([pair.count("met", place)[:n] for pair, place in alike], axis=0)
        value, low, high = mean_over(MetRows(size, alike[0][0].rows[:n], met.tolist()), logs)
        mean += weight * value
        variance += (weight * (high - low) / 2) ** 2
    return math.exp(mean), math.exp(mean - math.sqrt(variance)), math.exp(mean + math.sqrt(variance))
