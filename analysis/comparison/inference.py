"""How sure what is compared is: over seeds, or over recorded configurations where searches were simulated.

Both kinds answer the same questions. Of real searches the seeds are the sample. Simulated ones of one table,
however many, say nothing exact of other configurations: see docs/decisions/0038.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

from analysis.comparison.arms import Estimate
from analysis.comparison.data import CONFIDENCE, DRAWS, EFFECT, GroupData
from analysis.journals.replicate import Replicate
from analysis.stats.arrays import Bools, Floats, least_pairs
from analysis.stats.configurations import MetRows
from analysis.stats.effects import Ratio, ratio_of_times, spread_ratio
from analysis.stats.over_configurations import (
    difference_over,
    hodges_lehmann_over,
    mean_over,
    ratio_of_times_over,
    restricted_mean_over,
    spread_ratio_over,
    wilcoxon_over,
)
from analysis.stats.paired import (
    Difference,
    McNemar,
    PermutationResult,
    WilcoxonResult,
    hodges_lehmann_ratio,
    mcnemar,
    paired_difference,
    permutation_restricted_mean,
    wilcoxon_log,
)
from analysis.stats.power import detectable_ratio, seeds_needed
from analysis.stats.summaries import student_interval
from analysis.stats.survival import LogRank, log_rank
from asha_core.searchers.drawn_rows import drawn_rows

Sample = tuple[Floats, Bools]  # times, and which of them are censored


class OverSeeds:
    """Of searches that ran: each seed is an independent draw."""

    configurations = 0  # the sample is of seeds

    def mean(self, values: Floats) -> Estimate:
        """The mean of one number a search, with its interval."""
        return Estimate(*student_interval(values, CONFIDENCE), len(values))

    def difference(self, base: Floats, other: Floats) -> Difference:
        """The mean of paired differences."""
        return paired_difference(base, other, CONFIDENCE)

    def ratio(self, base: Sample, other: Sample, limit: float) -> Ratio:
        """Of the times to a target."""
        return ratio_of_times(*base, *other, limit, DRAWS, 0, CONFIDENCE)

    def paired_ratio(self, base: Sample, other: Sample) -> Ratio:
        """Hodges and Lehmann's estimate of the ratio within a pair."""
        return hodges_lehmann_ratio(base[0], other[0], CONFIDENCE)

    def spread(self, base: Sample, other: Sample) -> Ratio:
        """Of the spreads of log time."""
        return spread_ratio(base[0], other[0], base[1], other[1], DRAWS, 0, CONFIDENCE)

    def ranks(self, base: Sample, other: Sample) -> WilcoxonResult:
        """The primary test."""
        return wilcoxon_log(base[0], other[0])

    def restricted_means(self, base: Sample, other: Sample, limit: float) -> PermutationResult:
        """The second test, where unequally many are censored."""
        return permutation_restricted_mean(*base, *other, limit)

    def reached(self, base: Sample, other: Sample) -> McNemar:
        """Whether one reaches the target more often."""
        return mcnemar(~base[1], ~other[1])

    def curves(self, base: Sample, other: Sample) -> LogRank | None:
        """Whether the whole curves of time to target differ."""
        return log_rank(*base, *other)

    def power(self, base: Sample, other: Sample, ratio: Ratio) -> tuple[int | None, float]:
        """(pairs that it takes to find the effect, the ratio that these pairs find), both at 80% power.

        Of the pairs in which both reached the target: two that are censored at one horizon seem equal, and
        would make the spread too small. Where only some did, as many more pairs are needed. (None, NaN) for
        fewer than six, or less than half of all: those that both reached it are not like the others.
        """
        both = ~(base[1] | other[1])
        complete = int(both.sum())
        if complete < least_pairs() or 2 * complete < len(both):
            return None, math.nan
        sd = float(np.log(other[0][both] / base[0][both]).std(ddof=1))
        return math.ceil(seeds_needed(sd, EFFECT) * len(both) / complete), detectable_ratio(complete, sd)


class OverConfigurations(OverSeeds):
    """Of simulated searches: what varies is which configurations were recorded, and then the seed."""

    def __init__(self, met: MetRows) -> None:
        self._met = met
        self.configurations = met.configurations

    def mean(self, values: Floats) -> Estimate:
        """The same, over configurations."""
        return Estimate(*mean_over(self._met, values, CONFIDENCE), len(values))

    def difference(self, base: Floats, other: Floats) -> Difference:
        """The same, over configurations."""
        return difference_over(self._met, base, other, CONFIDENCE)

    def ratio(self, base: Sample, other: Sample, limit: float) -> Ratio:
        """The same, over configurations."""
        return ratio_of_times_over(self._met, *base, *other, limit, CONFIDENCE)

    def paired_ratio(self, base: Sample, other: Sample) -> Ratio:
        """The same, over configurations."""
        return hodges_lehmann_over(self._met, base[0], other[0], CONFIDENCE)

    def spread(self, base: Sample, other: Sample) -> Ratio:
        """The same, over configurations."""
        return spread_ratio_over(self._met, base[0], other[0], base[1], other[1], CONFIDENCE)

    def ranks(self, base: Sample, other: Sample) -> WilcoxonResult:
        """The same statistic, its variance over configurations."""
        return wilcoxon_over(self._met, base[0], other[0])

    def restricted_means(self, base: Sample, other: Sample, limit: float) -> PermutationResult:
        """The same, over configurations."""
        return restricted_mean_over(self._met, base[0], other[0], limit)

    def reached(self, base: Sample, other: Sample) -> McNemar:
        """The same counts; p is of the difference of the two shares, over configurations."""
        counts = super().reached(base, other)
        found = difference_over(self._met, (~base[1]).astype(float), (~other[1]).astype(float))
        return McNemar(counts.only_base, counts.only_other, math.nan if found.p is None else found.p)

    def curves(self, base: Sample, other: Sample) -> LogRank | None:
        """None: the log-rank test knows no configurations."""
        return None

    def power(self, base: Sample, other: Sample, ratio: Ratio) -> tuple[int | None, float]:
        """(recorded configurations that it takes, the ratio that these find): variances fall as 1 / N."""
        width = math.log(ratio.high / ratio.low) if ratio.low > 0 else math.nan
        if not math.isfinite(width) or width == 0:
            return None, math.nan
        sd = width / (2 * float(stats.norm.ppf((1 + CONFIDENCE) / 2))) * math.sqrt(self.configurations)
        return seeds_needed(sd, EFFECT), detectable_ratio(self.configurations, sd)


def inference(
    data: GroupData, searches: Sequence[Sequence[Replicate]], target: float | None = None
) -> OverSeeds:
    """How sure numbers are that each come from one search, or from one pair of a seed.

    Args:
        searches: those of each number, all of one seed.
        target: the numbers depend on nothing after it was reached; None: on the whole searches.
    """
    drawn = data.study.drawn.get(data.name)
    if drawn is None or not searches:
        return OverSeeds()
    rows = [_rows(drawn.seed, of[0].seed, drawn.configurations) for of in searches]
    met = [max(each.met_by(target) for each in of) for of in searches]
    return OverConfigurations(MetRows(drawn.configurations, rows, met))


@lru_cache(maxsize=4096)
def _rows(seed: int, search: int, configurations: int) -> tuple[int, ...]:
    return tuple(drawn_rows(seed, search, configurations))
