"""Synchronous rungs against the algorithm of their paper, as it stands there: n_i = floor(n * eta^-i)."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.messages import Failed, Lost, Rejected, Report
from tests.asha_core.schedulers.helpers import make

searches = settings(max_examples=80, deadline=None)


def by_the_paper(losses, began, levels, first, eta):
    """Who reaches each rung of a bracket: top_k of L of n_i, of those that are worth a place."""
    there, found = list(began), []
    for rung in range(first, len(levels)):
        found.append(there)
        places = math.floor(Fraction(len(began), eta ** (rung - first + 1)))
        good = [trial for trial in there if math.isfinite(losses[trial, rung][0])]
        there = sorted(good, key=lambda trial: losses[trial, rung])[:places]
    return found


def play(scheduler, what):
    """Run a search in which ``what(job)`` says what becomes of it; (loss, arrival) by trial and rung."""
    losses = {}
    while (job := scheduler.ask()) is not None:
        trial, (kind, value) = job.trial, what(job)
        if kind == "rejected":
            scheduler.tell(Rejected(trial, "diverges"))
            continue
        loss = value if kind == "good" else math.inf
        losses[trial, scheduler.levels.index(job.until)] = loss, len(losses)
        if kind == "failed":
            scheduler.tell(Failed(trial, job.attempt, "raised"))
        elif kind == "lost":
            scheduler.tell(Lost(trial, job.attempt, "killed"))
        else:
            told = {"nan": math.nan, "inf": math.inf, "good": value}[kind]
            scheduler.tell(Report(trial, job.attempt, job.until, told, 1.0))
    return losses


@searches
@given(
    st.sampled_from(["sh", "sync-hyperband"]),
    st.sampled_from([3, 8, 9, 20, 27, 81]),
    st.integers(2, 4),
    st.integers(1, 90),
    st.none() | st.integers(1, 30),
    st.sampled_from([0.0, 0.2, 0.7, 0.95]),
    st.integers(0, 10**6),
)
def test_whoever_reaches_a_rung_is_whom_the_paper_sends_there(name, R, eta, trials, size, odds, seed):
    random = Random(seed)
    own = {"bracket_size": size} if name == "sh" else {}
    settings_ = {"max_resource": R, "reduction_factor": eta, "max_trials": trials, **own}
    scheduler = make(name, mode="min", max_retries=0, **settings_)

    def what(job):
        if job.start == 0 and random.random() < 0.1:
            return "rejected", math.inf
        kind = random.choice(["nan", "inf", "failed", "lost"]) if random.random() < odds else "good"
        return kind, float(random.randrange(20))

    losses = play(scheduler, what)
    counted = [trial for trial in scheduler.trials if trial.status.name != "REJECTED"]
    brackets = {scheduler.bracket_of(trial): trial.first for trial in counted}
    for index, first in brackets.items():
        members = [trial for trial in counted if scheduler.bracket_of(trial) == index]
        expected = by_the_paper(losses, [trial.id for trial in members], scheduler.levels, first, eta)
        for rung, there in enumerate(expected, start=first):
            # who failed on the way to a rung was sent there, too
            assert sorted(trial.id for trial in members if trial.rung >= rung) == sorted(there)
