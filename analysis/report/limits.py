"""What limits the findings of a comparison, in sentences: seeds, targets, horizons, machines."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.comparison.criteria import LEAST_PAIRS
from analysis.comparison.schema import Comparison, Group
from analysis.number_formats import few, target_name
from analysis.report.measures import measure_name, on_gpu, scale
from analysis.report.simulated import all_simulated, simulation_limits


def limits(comparison: Comparison) -> Iterable[str]:
    """Sentences on what a reader must bear in mind with the numbers."""
    yield from simulation_limits(comparison)
    yield from _pairs(comparison)
    yield from _targets(comparison)
    for group in comparison.groups:
        yield from _horizon(comparison, group)
    yield from _measure(comparison)
    yield from _machines(comparison)


def _pairs(comparison: Comparison) -> Iterable[str]:
    fewest = [len(against.seeds) for group in comparison.groups for against in group.against if against.seeds]
    if fewest and min(fewest) == 1:
        yield (
            "One pair of seeds cannot show whether an arm helps: what differs may be due to the seed. "
            "There is no test and no interval of one pair."
        )
    if fewest and 1 < min(fewest) < LEAST_PAIRS:
        yield (
            "With five pairs or fewer no two-sided test can reach p < .05 (of five the least p is .0625), "
            "so none is given, and bootstrap intervals are too narrow there; the fewest pairs here are "
            f"{min(fewest)}."
        )


def _targets(comparison: Comparison) -> Iterable[str]:
    groups = comparison.groups
    unplanned = [group.name for group in groups if not group.targets]
    if unplanned:
        yield (
            f"No target was fixed before the runs ({few(unplanned)}): those shown were chosen after them. "
            "They are exploratory, and have no p-values."
        )
    elif any(group.later for group in groups):
        yield "Targets that were chosen after the runs are exploratory, and have no p-values."
    if any(group.targets and any(against.seeds for against in group.against) for group in groups):
        yield (
            "p-values are of targets that were fixed before the runs. The last target of each group is the "
            "primary one, and each target has a Holm correction of its own."
        )


def _horizon(comparison: Comparison, group: Group) -> Iterable[str]:
    """How many were censored, and what sets up to where searches are compared."""
    if group.primary is None:
        return
    tau = target_name(group.primary, group.metric, group.mode)
    censored = [each for arm in group.arms for each in arm.at(group.primary, comparison.measure).censored]
    horizon = group.horizon(comparison.measure, group.primary)
    unit = scale(comparison, group, comparison.measure)
    until = f"{unit(horizon.value)} {unit.unit}, which is {horizon.words}"
    if all(censored):
        yield (
            f"{group.name}: no search had reached {tau} by {until}, so that nothing can be said about the "
            "time to it."
        )
    elif any(censored):
        yield (
            f"{group.name}: {sum(censored)} of {len(censored)} searches had not reached {tau} by {until}. "
            "They stay in, as censored."
        )


def _measure(comparison: Comparison) -> Iterable[str]:
    if not comparison.groups or all_simulated(comparison):
        return
    if comparison.measure == "units":
        yield (
            "Times are told in units of training, with the warm starts expressed in them. Seconds stand "
            "beside them; on a machine that did other work as well they are noisy."
        )
    elif comparison.measure == "gpu_hours":
        held = "devices held" if on_gpu(comparison) else "worker processes"
        yield f"Times are told in {measure_name(comparison, 'gpu_hours')}: {held} times wall-clock."
    else:
        yield "Times are wall-clock seconds: on a machine that did other work as well they are noisy."


def _machines(comparison: Comparison) -> Iterable[str]:
    hardware = {repr(sorted(source.hardware.items(), key=str)) for source in comparison.sources}
    if len(hardware) > 1:
        yield (
            f"The runs were made on {len(hardware)} kinds of hardware. Pairs are of one kind each, but "
            "seconds of different pairs are not alike."
        )
    if len({source.commit for source in comparison.sources}) > 1:
        yield "The runs were made with several versions of the code."
