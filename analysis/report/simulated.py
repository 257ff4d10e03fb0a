"""What a report says of simulated searches: from which table, and that time is virtual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.comparison.schema import Comparison
from analysis.number_formats import counted, few


def simulated_groups(comparison: Comparison) -> list[str]:
    """The groups whose searches were simulated."""
    return [group.name for group in comparison.groups if group.simulated is not None]


def all_simulated(comparison: Comparison) -> bool:
    """Whether no search was a real one."""
    return bool(comparison.groups) and len(simulated_groups(comparison)) == len(comparison.groups)


def simulation_limits(comparison: Comparison) -> Iterable[str]:
    """What a reader must bear in mind with numbers of simulated searches."""
    tables: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for group in comparison.groups:
        if group.simulated is not None:
            tables.setdefault(group.simulated["sha256"], []).append((group.name, group.simulated))
    for found in tables.values():
        told = found[0][1]
        where = "" if all_simulated(comparison) and len(tables) == 1 else f"{few([n for n, _ in found])}: "
        workers = sorted({each["workers"] for _, each in found})
        text = (
            f"{where}These searches were simulated: nothing was trained for them, and what their trials "
            f"report was recorded before, in the table {told['table']} (SHA-256 {told['sha256'][:12]}) of "
            f"{counted(told['configurations'], 'configuration')}. Each seed meets as many of these, drawn "
            "with replacement, alike in all arms and schedulers. "
        )
        text += (
            f"Time is virtual, on {' or '.join(map(str, workers))} worker{'s' * (workers != [1])}: "
            "what the units took when they were recorded."
            if told["timed"]
            else "Time is virtual, and the table has no seconds: a unit of resource takes 1."
        )
        prices = {each.get("warm_start_cost", 1.0) for _, each in found} - {1.0}
        if prices:
            some = "" if all("warm_start_cost" in each for _, each in found) else "in some groups "
            shares = " or ".join(f"{each:.3g}" for each in sorted(prices))
            text += f" Warm starts were charged {some}with {shares} of their recorded seconds."
        costs = {each["decision_seconds"] for _, each in found}
        yield text + ("" if costs == {0.0} else " Decisions of the scheduler took virtual time, too.")
