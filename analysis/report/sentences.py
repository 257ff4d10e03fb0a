"""A comparison in plain words: what was found, how sure that is, what limits it, what it cannot say."""

from __future__ import annotations

import math
from collections.abc import Iterable

from analysis.comparison.arms import Against, TimeEffect
from analysis.comparison.criteria import ALPHA, LEAST_PAIRS, TIME, shown
from analysis.comparison.schema import Comparison, Group, Overall
from analysis.number_formats import (
    between,
    counted,
    few,
    listed,
    number,
    p_value,
    percent,
    target_name,
)
from analysis.report.limits import limits
from analysis.report.measures import on_gpu, scale
from analysis.report.simulated import all_simulated
from analysis.study.problems import KINDS, UNUSED, Problem

SECTIONS = ("found", "arms", "criteria", "limits", "left out", "cannot say")
_DIRECTIONS = {
    "Shown to be faster to the primary target than the baseline": -1,
    "Shown to be slower to the primary target than the baseline": 1,
    "Told apart from the baseline by the test, though the interval of the ratio holds 1": 0,
}
_SHORT = 3  # comparisons that are told one by one at the top
_MANY = 10  # problems of one kind that are told one by one; more are counted


def in_words(comparison: Comparison) -> list[str]:
    """Sentences for the top of a report, a thought each, in the order of ``SECTIONS``."""
    return [sentence for section in in_sections(comparison).values() for sentence in section]


def in_short(comparison: Comparison) -> list[str]:
    """Three sentences or a few more: what was compared, what was found, how sure that is."""
    pairs = [(group, each) for group in comparison.groups for each in group.against if each.seeds]
    if not pairs:
        return [_what(comparison), "Nothing is compared with anything, so nothing was found."]
    told = [_shortly(comparison, *each) for each in pairs]
    if len(told) > _SHORT:
        better_ = sum(against.gain.value > 0 for _, against in pairs)
        told = [f"in {better_} of {len(pairs)} comparisons the best value was better than the baseline's"]
    found = "; ".join(told)
    sure = list(_headlines(comparison))
    if any(words.startswith("Nothing was tested") for words in sure):
        sure = [*sure, "What differs may be chance: nothing should be decided by it."]
    return [_what(comparison), f"{found[:1].upper()}{found[1:]}.", " ".join(sure)]


def _shortly(comparison: Comparison, group: Group, against: Against) -> str:
    """An arm's effect on time and value, without its interval."""
    where = f"{group.name}: " if len(comparison.groups) > 1 else ""
    parts = []
    if group.primary is not None:
        effect = against.at(group.primary, comparison.measure)
        if effect.base_reached + effect.reached:
            tau = target_name(effect.target, group.metric, group.mode)
            parts.append(f"the time to {tau} was {number(effect.ratio.value)} of the baseline's")
    if against.gain.n:
        gain = against.gain.value
        digits = 4 if abs(gain) < 1 else 2
        word = "the same" if gain == 0 else f"{number(abs(gain), digits)} {'better' if gain > 0 else 'worse'}"
        parts.append(f"the best {group.metric} {'' if parts else 'was '}{word}")
    return f"{where}with {against.arm} {listed(parts) if parts else 'no value and no time can be compared'}"


def in_sections(comparison: Comparison) -> dict[str, list[str]]:
    """The same by section: what was found in a few lines, arm by arm, against the criteria; what limits it,
    what was left out or is to be known of the runs, and what such a study cannot say.
    """
    told = (
        [_what(comparison), *_headlines(comparison)],
        list(_arms(comparison)),
        [_overall(each) for each in comparison.criteria.overall],
        list(limits(comparison)),
        list(_problems(comparison)),
        list(_cannot(comparison)),
    )
    return dict(zip(SECTIONS, told, strict=True))


def _what(comparison: Comparison) -> str:
    """What was run."""
    seeds = {seed for group in comparison.groups for seed in group.seeds}
    arms = list(dict.fromkeys(arm.name for group in comparison.groups for arm in group.arms))
    others = [arm for arm in arms if arm != comparison.baseline]
    text = f"{comparison.used} of {counted(comparison.planned, 'planned run')} can be used"
    if not seeds:
        return f"{text}: nothing can be said."
    text += f", with {counted(len(seeds), 'seed')}"
    recorded = sorted({a.configurations for group in comparison.groups for a in group.against} - {0})
    if recorded:
        text += f", simulated over {listed([f'{each:,}' for each in recorded])} recorded configurations"
    paired = {against.arm for group in comparison.groups for against in group.against if against.seeds}
    if paired:
        told = listed([arm for arm in others if arm in paired])
        text += f"; {comparison.baseline} is compared with {told}"
    elif others and comparison.baseline in arms:
        text += f"; no seed has both {comparison.baseline} and {listed(others, 'or')}: nothing is compared"
    elif others:
        text += f"; none is of {comparison.baseline}, with which {listed(others)} would be compared"
    if len(comparison.groups) > 1:
        text += f", in {len(comparison.groups)} groups of task and scheduler"
    return f"{text}."


def _headlines(comparison: Comparison) -> Iterable[str]:
    """Which arms differ from the baseline in their time to the primary target, by the corrected test."""
    tested = [
        (group, effect, against.arm)
        for group in comparison.groups
        for against in group.against
        if group.targets and (effect := against.at(group.targets[-1], comparison.measure)).p is not None
    ]
    if not tested:
        arms = [against for group in comparison.groups for against in group.against]
        most = max((len(against.seeds) for against in arms), default=0)
        if 0 < most < LEAST_PAIRS:
            yield f"Nothing was tested: that takes {LEAST_PAIRS} pairs, and no arm has more than {most}."
        elif comparison.groups:
            yield (
                f"Nothing was tested: no arm has both {LEAST_PAIRS} pairs and a target that was fixed before "
                "the runs."
            )
        return
    several = len(comparison.groups) > 1
    for text, side in _DIRECTIONS.items():
        found = [
            f"{arm} ({f'{group.name}, ' if several else ''}{number(effect.ratio.value)} of the baseline's)"
            for group, effect, arm in tested
            if shown(effect) and _direction(effect) == side
        ]
        if found:
            yield f"{text}: {few(found)}."
    if not any(shown(effect) for _, effect, _ in tested):
        yield "No arm was shown to be faster or slower to the primary target than the baseline."


def _direction(effect: TimeEffect) -> int:
    """-1 if the whole interval of the ratio is below 1, 1 if it is above, else 0."""
    return -1 if effect.ratio.high < 1 else int(effect.ratio.low > 1)


def _arms(comparison: Comparison) -> Iterable[str]:
    """Each arm of each group: the time to the primary target, and the best value."""
    for group in comparison.groups:
        where = f"{group.name}: " if len(comparison.groups) > 1 else ""
        for against in group.against:
            told = [_gain(group, against)]
            if not against.seeds:
                told = [f"{against.arm} has no pair with {against.baseline}: nothing can be compared."]
            elif group.primary is not None:
                told.insert(0, _effect(comparison, group, against, group.primary))
            yield where + " ".join(told)


def _effect(comparison: Comparison, group: Group, against: Against, target: float) -> str:
    """The effect on the time to a target, and how sure that is."""
    effect = against.at(target, comparison.measure)
    tau = target_name(effect.target, group.metric, group.mode)
    reached = effect.base_reached + effect.reached
    if not reached:
        horizon = group.horizon(effect.measure, effect.target)
        return (
            f"No search of {against.arm} or of the baseline reached {tau} up to {horizon.words}: no times "
            "can be compared."
        )
    ratio = effect.ratio
    unit = scale(comparison, group, effect.measure).unit
    spent = "time" if effect.measure == "seconds" else f"number of {unit}"
    what = (
        f"median {spent} to {tau}" if ratio.of == "medians" else f"mean {spent} to {tau}, up to the horizon,"
    )
    text = (
        f"With {against.arm} the {what} was {number(ratio.value)} of the "
        f"baseline's ({between(ratio.low, ratio.high)}, {_sample(effect.n, effect.configurations)}): "
        f"{_how_sure(effect)}."
    )
    paired = effect.hodges_lehmann
    if effect.n > 1:
        sure = f" ({between(paired.low, paired.high)})" if math.isfinite(paired.low + paired.high) else ""
        text += f" Pair by pair, by Hodges and Lehmann's estimate, it was {number(paired.value)} of it{sure}."
    censored = 2 * effect.n - reached
    if censored:
        text += f" {censored} of the {2 * effect.n} searches did not get there, and stay in as censored."
    return text


def _sample(pairs: int, configurations: int) -> str:
    """What an interval is from."""
    over = f" over {counted(configurations, 'recorded configuration')}" if configurations else ""
    return f"{counted(pairs, 'pair')}{over}"


def _these(configurations: int) -> str:
    return "these configurations" if configurations else "these seeds"


def _how_sure(effect: TimeEffect) -> str:
    ratio = effect.ratio
    more, simulated = "", effect.configurations > 0
    if effect.seeds_needed is not None and effect.seeds_needed > (effect.configurations or effect.n):
        of = "recorded configurations" if simulated else "pairs"
        more = f"; about {effect.seeds_needed:,} {of} would be needed to see {percent(1 - TIME, 0)}"
    elif effect.seeds_needed is None and effect.n >= LEAST_PAIRS and not simulated:
        more = "; in too few pairs did both reach it to tell how many seeds it would take"
    if effect.wilcoxon is None:
        return f"not tested, since the target was chosen after the runs{more}"
    if effect.p is None or effect.p_holm is None:
        if effect.n == 1:
            return "one seed says nothing about others"
        return f"fewer than {LEAST_PAIRS} pairs cannot show a difference{more}"
    told = p_value(effect.p_holm)
    if effect.family > 1:
        told += f" after Holm's correction for {effect.family} arms"
    if effect.p_holm >= ALPHA:
        return f"no difference that {_these(effect.configurations)} can tell ({told}){more}"
    text = f"{'less' if ratio.value < 1 else 'more'} than the baseline's ({told})"
    if not shown(effect):
        return f"{text}, but searches were censored unequally, and the test of means does not show it"
    if not _direction(effect):
        return f"{text}, though the interval of the ratio holds 1"
    if ratio.value <= TIME < ratio.high:
        return f"{text}; the interval also holds effects of less than {percent(1 - TIME, 0)}"
    return text


def _gain(group: Group, against: Against) -> str:
    """The difference in the best value."""
    gain = against.gain
    if gain.n == 0:
        return f"No pair of {against.arm} and the baseline has scores."
    if gain.value == gain.low == gain.high == 0:
        return f"Its best {group.metric} on validation data was the same in all pairs."
    digits = 4 if abs(gain.value) < 1 else 2
    word = "better" if gain.value >= 0 else "worse"
    text = f"Its best {group.metric} on validation data was {number(abs(gain.value), digits)} {word}"
    if gain.n == 1:
        return f"{text} (one pair)."
    if gain.low == gain.high:
        return f"{text} ({counted(gain.n, 'pair')}: no interval can be given)."
    low, high = sorted(end if gain.value >= 0 else -end for end in (gain.low, gain.high))
    these = _these(against.configurations)
    sure = f": no difference that {these} can tell" if gain.low <= 0 <= gain.high else ""
    return f"{text} ({between(low, high, digits)}){sure}."


def _overall(each: Overall) -> str:
    verdicts = {"holds": "hold", "fails": "do not hold", "not enough data": "cannot be judged yet"}
    return f"The criteria for {each.arm} {verdicts[each.verdict]}: {each.sentence}"


def _problems(comparison: Comparison) -> Iterable[str]:
    """Every problem, kind by kind: many of one kind are counted, and the report's list has them all."""
    kinds: dict[str, list[Problem]] = {}
    for each in comparison.problems:
        kinds.setdefault(each.kind, []).append(each)
    for kind, found in kinds.items():
        how = "Left out" if kind in UNUSED else "To be known"
        if len(found) > _MANY:
            names = list(dict.fromkeys(each.run or each.arm or each.group for each in found))
            yield f"{how}: {len(found)} times {kind} ({KINDS.get(kind, kind)}): {few(names, 5)}."
        else:
            yield from (f"{how} ({kind}): {each}." for each in found)


def _cannot(comparison: Comparison) -> Iterable[str]:
    """What such a study cannot say."""
    groups = comparison.groups
    if not groups:
        return
    tasks = list(dict.fromkeys(f"{group.task} with {group.scheduler}" for group in groups))
    text = (
        f"This is about {few(tasks)}, at this budget and in this search space: other tasks, schedulers, "
        "budgets and spaces may come out otherwise"
    )
    if all_simulated(comparison):
        text += ", and so may a search that trains, on a machine where units take longer or shorter"
    elif not on_gpu(comparison):
        text += "; there was no GPU, so what warm starts cost there in time and memory is not known"
    yield f"{text}."
    if any(against.configurations for group in groups for against in group.against):
        yield (
            "More seeds make simulated searches no surer than the recorded configurations are. So intervals "
            "and p-values of comparisons are over these configurations; those of one arm's scores and "
            "times, and bands, are over seeds."
        )
