"""Streams of reports, and what is played with them: our stopping rule, and rules written down anew."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from hypothesis import strategies as st

from asha_core.messages import Failed, Report, Verdict
from asha_core.schedulers.levels import rung_levels
from asha_core.schedulers.stopping import StoppingASHA
from asha_core.space import Float, SearchSpace

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


@dataclass(frozen=True)
class Stream:
    """Who reports, in which order, and what; a trial that was stopped is skipped from then on."""

    mode: str
    eta: int
    r: int
    R: int
    trials: int
    order: Sequence[int]
    values: Sequence[float]

    @property
    def levels(self) -> tuple[int, ...]:
        return rung_levels(self.r, self.R, self.eta)


class System(Protocol):
    def report(self, trial: int, resource: int, value: float) -> bool:
        """Whether the trial goes on."""


Answer = tuple[int, int, bool]  # trial, resource, whether it goes on


def play(system: System, stream: Stream) -> list[Answer]:
    """Every answer of a system to a stream: all trials begin at once and report unit by unit."""
    resource = [0] * stream.trials
    over: set[int] = set()
    answers = []
    for trial, value in zip(stream.order, stream.values, strict=True):
        if trial in over:
            continue
        resource[trial] += 1
        goes_on = system.report(trial, resource[trial], value)
        answers.append((trial, resource[trial], goes_on))
        if not goes_on:
            over.add(trial)
    return answers


@st.composite
def streams(
    draw: st.DrawFn,
    values: Sequence[float] = (),
    *,
    odd: Sequence[float] = (),
    etas: Sequence[int] = (2, 3, 4),
    rungs: Sequence[int] = (1, 2, 3),
) -> Stream:
    """Interleaved trials of different speed, each to R.

    The shape is drawn by Hypothesis, which shrinks it; the order and the values come from a seed, because
    streams are to be long: hundreds of reports, of which only those at rungs matter.

    Args:
        values: what is reported; if there are none, numbers of which no two are equal.
        odd: what every fifth report is replaced by, about.
        rungs: how many trials are compared at (R itself apart); R lies anywhere above the last of them.
    """
    eta, count = draw(st.sampled_from(etas)), draw(st.sampled_from(rungs))
    r = draw(st.integers(1, max(1, 24 // eta**count)))
    R = draw(st.integers(r * eta ** (count - 1) + 1, r * eta**count))
    trials = min(draw(st.sampled_from([1, 3, 9, 20, 50])), max(6, 800 // R))
    stagger = draw(st.sampled_from([0, 1, 4]))  # 0: side by side; 4: most begin after others are through
    random = Random(draw(st.integers(0, 2**32)))
    clock = []
    for trial in range(trials):
        begins, speed = random.uniform(0, stagger * R), random.uniform(0.5, 2)
        clock += [(begins + unit / speed, trial) for unit in range(1, R + 1)]
    order = [trial for _, trial in sorted(clock)]
    reported = [float(number) for number in range(len(order))]
    random.shuffle(reported)
    if values:
        reported = random.choices(values, k=len(order))
    if odd:
        reported = [random.choice(odd) if random.random() < 0.2 else value for value in reported]
    return Stream(draw(st.sampled_from(["min", "max"])), eta, r, R, trials, order, reported)


class Ours:
    """``StoppingASHA``, with as many jobs handed out at the start as there are trials."""

    def __init__(self, stream: Stream, r: int | None = None) -> None:
        self.scheduler = StoppingASHA(
            SPACE,
            mode=stream.mode,
            min_resource=r or stream.r,
            max_resource=stream.R,
            reduction_factor=stream.eta,
        )
        for trial in range(stream.trials):
            job = self.scheduler.ask()
            assert job is not None
            assert job.trial == trial

    def report(self, trial: int, resource: int, value: float) -> bool:
        verdict = self.scheduler.tell(Report(trial, 0, resource, value, seconds=0.0))
        if verdict is Verdict.PAUSE:  # it reached a rung and goes on: its next job is handed out at once
            job = self.scheduler.ask()
            assert job is not None
            assert (job.trial, job.start) == (trial, resource)
        return verdict is not Verdict.STOP

    def fail(self, trial: int) -> None:
        self.scheduler.tell(Failed(trial, 0, "boom"))


class ByRank:
    """The rule of the best max(floor(n/eta), 1) of n, written down anew; NaN is not for it.

    Args:
        equals_pass: of equal values all count as the best of them (else as the worst, by arrival).
    """

    def __init__(self, stream: Stream, *, equals_pass: bool) -> None:
        self.stream = stream
        self.sign = 1.0 if stream.mode == "max" else -1.0
        self.equals_pass = equals_pass
        self.entries: dict[int, list[float]] = defaultdict(list)

    def report(self, trial: int, resource: int, value: float) -> bool:
        assert not math.isnan(value)
        if resource == self.stream.R:
            return False
        if resource not in self.stream.levels:
            return True
        gain, before = self.sign * value, self.entries[resource]
        ahead = sum(v > gain if self.equals_pass else v >= gain for v in before)
        before.append(gain)
        return ahead < max(len(before) // self.stream.eta, 1)
