"""How often intervals over configurations hold the truth, beside those over seeds alone.

What is run     Populations of 100,000 configurations whose learning curves are known: value after u units
                a - 2 exp(-u / r), a ~ N(0, 1), r log-normal about 4 units; the arm's a is that plus a gain.
                Both arms have noise of their own. The target is what a share of the baselines reaches in 27
                units. From each, TABLES tables of N configurations are drawn, and on each of them S pairs of
                searches are simulated, as a study does: each meets rows drawn with replacement.
                "halving": successive halving of 27 at a time (1, 3, 9, 27 units; 27, 9, 3, 1 of them), again
                and again; "random": one after the other for 27 units. One worker, time in units.
What is told    The share of tables whose interval of 95% holds the population's own value (from 40,000 pairs
                of searches, each over configurations of its own): of the ratio of median times, of the paired
                Hodges-Lehmann estimate, of the difference in the final value, of the spread's ratio; and how
                often the tests say p < .05, which with a gain of 0 should be 5%. In brackets the same over
                seeds alone. Widths: medians of log(high / low).

    python -m benchmarks.configuration_intervals        # writes results/configuration_intervals.json
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.stats.configurations import MetRows
from analysis.stats.effects import Ratio, ratio_of_times, spread_ratio
from analysis.stats.over_configurations import (
    difference_over,
    hodges_lehmann_over,
    ratio_of_times_over,
    spread_ratio_over,
    wilcoxon_over,
)
from analysis.stats.paired import Difference, hodges_lehmann_ratio, paired_difference, wilcoxon_log

RESULTS = Path(__file__).parent / "results" / "configuration_intervals.json"
TABLES = 200
UNITS, ETA = 27, 3
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Scenario:
    """One population, and how it is searched."""

    kind: str  # "halving" or "random"
    share: float  # of the baseline's configurations that reach the target
    gain: float  # of the arm, in standard deviations of final values
    rows: int  # N
    seeds: int  # S
    longest: int  # configurations that a search meets at most


SCENARIOS = (
    Scenario("halving", 0.1, 0.3, 300, 1000, 108),
    Scenario("halving", 0.1, 0.3, 100, 1000, 81),
    Scenario("halving", 0.03, 0.3, 300, 1000, 216),
    Scenario("halving", 0.1, 0.3, 300, 200, 108),
    Scenario("random", 0.1, 0.3, 300, 1000, 60),
    Scenario("random", 0.1, 0.3, 100, 1000, 40),
    Scenario("halving", 0.1, 0.0, 300, 1000, 108),
    Scenario("halving", 0.1, 0.0, 100, 1000, 81),
    Scenario("halving", 0.03, 0.0, 300, 1000, 216),
    Scenario("random", 0.1, 0.0, 300, 1000, 60),
    Scenario("random", 0.1, 0.0, 100, 1000, 40),
)


@dataclass(frozen=True)
class Searched:
    """Of S searches: time to target (the horizon if it was not reached), and so on, (S,) each."""

    times: Floats
    censored: NDArray[np.bool_]
    final: Floats
    met: Rows  # configurations begun up to that time


def population(scenario: Scenario, count: int = 100_000) -> tuple[Floats, Floats]:
    """(count, UNITS) values of the baseline and of the arm."""
    rng = np.random.default_rng(1)
    height, units = rng.normal(0, 1, count), np.arange(1, UNITS + 1)
    rates = np.exp(rng.normal(np.log(4), 0.5, count))
    gap = 2 * np.exp(-units / rates[:, None])
    noise = 0.3 if scenario.gain else 0.5
    base, arm = (height + noise * rng.normal(0, 1, count) for _ in range(2))
    return base[:, None] - gap, arm[:, None] + scenario.gain - gap


def search(curves: Floats, target: float, rows: Rows, kind: str) -> Searched:
    """Searches that meet these rows, (S, longest)."""
    return _random(curves, target, rows) if kind == "random" else _halving(curves, target, rows)


def _random(curves: Floats, target: float, rows: Rows) -> Searched:
    hit = curves >= target
    there = hit.any(axis=1)[rows]
    place = there.argmax(axis=1)
    first = hit.argmax(axis=1)[rows[np.arange(len(rows)), place]] + 1
    reached, longest = there.any(axis=1), rows.shape[1]
    times = np.where(reached, UNITS * place + first, UNITS * longest).astype(np.float64)
    met = np.where(reached, place + 1, longest)
    return Searched(times, ~reached, curves[:, -1][rows].max(axis=1), met)


def _halving(curves: Floats, target: float, rows: Rows) -> Searched:
    count, rounds = len(rows), rows.shape[1] // UNITS
    left = rows[:, : rounds * UNITS].reshape(-1, UNITS)
    times, best = np.full(len(left), np.inf), np.full(len(left), -np.inf)
    spent = begun = 0
    for level in (1, 3, 9, 27):
        hit = curves[:, begun:level] >= target
        there = hit.any(axis=1)[left]
        place = there.argmax(axis=1)
        first = hit.argmax(axis=1)[left[np.arange(len(left)), place]] + 1
        found = spent + place * (level - begun) + first
        times = np.where(np.isinf(times) & there.any(axis=1), found, times)
        values = curves[:, level - 1][left]
        best = np.maximum(best, values.max(axis=1))
        spent += left.shape[1] * (level - begun)
        kept = np.sort(np.argsort(-values, axis=1, kind="stable")[:, : left.shape[1] // ETA], axis=1)
        left, begun = np.take_along_axis(left, kept, axis=1), level
    times = times.reshape(count, rounds)
    reached = np.isfinite(times)
    first_round = reached.argmax(axis=1)
    censored = ~reached.any(axis=1)
    ends = spent * first_round + times[np.arange(count), first_round]
    met = np.where(censored, rounds, first_round + 1) * UNITS
    return Searched(
        np.where(censored, spent * rounds, ends), censored, best.reshape(count, rounds).max(axis=1), met
    )


def measured(
    scenario: Scenario, tables: int = TABLES, seed: int = 0, configurations: int = 100_000
) -> dict[str, Any]:
    """Shares of tables, by what is estimated: [over configurations, over seeds alone]."""
    rng = np.random.default_rng(seed)
    curves = population(scenario, configurations)
    target = float(np.quantile(curves[0][:, -1], 1 - scenario.share))
    own = rng.integers(0, len(curves[0]), (40_000, scenario.longest))
    base, arm = (search(each, target, own, scenario.kind) for each in curves)
    horizon = float(max(base.times.max(), arm.times.max()))
    truth = {
        "median": _median(arm, horizon) / _median(base, horizon),
        "hodges_lehmann": hodges_lehmann_ratio(base.times, arm.times).value,
        "final": float((arm.final - base.final).mean()),
        "spread": _quartiles(arm.times) / _quartiles(base.times),
    }
    found: dict[str, list[tuple[bool, bool]]] = {}
    widths: dict[str, list[list[float]]] = {"median": [], "hodges_lehmann": []}
    for _ in range(tables):
        drawn = rng.integers(0, len(curves[0]), scenario.rows)
        rows = rng.integers(0, scenario.rows, (scenario.seeds, scenario.longest))
        pair = [search(each[drawn], target, rows, scenario.kind) for each in curves]
        told = _intervals(scenario, rows, *pair, horizon)
        for name, (over, naive) in told.items():
            if name == "p":
                held = over < 0.05, naive < 0.05
            else:
                held = _holds(over, truth[name]), _holds(naive, truth[name])
            found.setdefault(name, []).append(held)
        for name, of in widths.items():
            of.append([math.log(each.high / each.low) for each in told[name]])
    shares = {name: np.mean(held, axis=0).round(3).tolist() for name, held in found.items()}
    width = {name: np.median(of, axis=0).round(3).tolist() for name, of in widths.items()}
    return {**asdict(scenario), "tables": tables, "truth": truth, "shares": shares, "width": width}


def _intervals(
    scenario: Scenario, rows: Rows, base: Searched, arm: Searched, horizon: float
) -> dict[str, tuple[Any, Any]]:
    drawn = rows.tolist()
    met = MetRows(scenario.rows, drawn, np.maximum(base.met, arm.met).tolist())
    all_rows = MetRows(scenario.rows, drawn, [scenario.longest] * len(drawn))
    times = base.times, base.censored, arm.times, arm.censored
    no_end, at_end = np.zeros((2, len(drawn)), bool)
    at_end[-1] = True  # so that the one over seeds is of quartiles as well
    naive = ratio_of_times(*times, horizon, draws=400)
    return {
        "median": (ratio_of_times_over(met, *times, horizon), naive),
        "hodges_lehmann": (
            hodges_lehmann_over(met, base.times, arm.times),
            hodges_lehmann_ratio(base.times, arm.times),
        ),
        "final": (
            difference_over(all_rows, base.final, arm.final),
            paired_difference(base.final, arm.final, draws=10),
        ),
        "spread": (
            spread_ratio_over(met, base.times, arm.times, no_end, no_end),
            spread_ratio(base.times, arm.times, at_end, at_end, draws=400),
        ),
        "p": (wilcoxon_over(met, base.times, arm.times).p, wilcoxon_log(base.times, arm.times).p),
    }


def _median(found: Searched, horizon: float) -> float:
    return float(min(np.median(np.where(found.censored, np.inf, found.times)), horizon))


def _quartiles(times: Floats) -> float:
    low, high = np.log(np.quantile(times, [0.25, 0.75], method="inverted_cdf"))
    return float(high - low)


def _holds(interval: Ratio | Difference, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def markdown(content: list[dict[str, Any]]) -> str:
    """A table, a row a scenario."""
    told = "median T", "Hodges-Lehmann", "final value", "spread of T", "p < .05"
    head = ("search", "share", "gain", "N", "S", *told, "width of the median's", "of Hodges-Lehmann's")
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for each in content:
        shares = each["shares"]
        cells = [each["kind"], *(f"{each[key]:g}" for key in ("share", "gain", "rows", "seeds"))]
        cells += [
            f"{100 * a:.0f}% ({100 * b:.0f}%)"
            for a, b in (shares[k] for k in ("median", "hodges_lehmann", "final", "spread", "p"))
        ]
        cells += ["{:.2f} ({:.2f})".format(*each["width"][k]) for k in ("median", "hodges_lehmann")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all scenarios, print the table, write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    content = []
    for scenario in SCENARIOS:
        content.append(measured(scenario, options.tables))
        print(markdown(content[-1:]).splitlines()[-1], flush=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
