"""The rules of the schedulers once more: slow, obvious, lists sorted anew at every question.

Nothing here is taken from the schedulers. An oracle is told what happened and says which job is due, and
``may_go_on`` says in other words than ``onward`` whether a trial may go on at this moment.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy

from asha_core.messages import Job, Verdict
from asha_core.space import Configuration
from asha_core.streams import uniforms

ANSWER = {
    "running": Verdict.CONTINUE,
    "paused": Verdict.PAUSE,
    "waiting": Verdict.STOP,
    "done": Verdict.STOP,
    "stopped": Verdict.STOP,
    "failed": Verdict.STOP,
    "rejected": Verdict.STOP,
}

Entry = tuple[float, int, int]  # loss (infinite if it is not finite), arrival, trial


@dataclass
class Trial:
    number: int
    configuration: Configuration
    first: int
    rung: int
    until: int
    state: str = "running"
    start: int = 0
    attempt: int = 0
    faults: int = 0
    alone: bool = False
    resource: int = 0
    refined: bool = False
    finished: bool = False
    retried: bool = False
    since: int = 0  # the unit at which it failed last
    curve: dict[int, float] = field(default_factory=dict)  # loss by unit


def count(entries: list[Entry]) -> int:
    """n: a trial that failed on its way and came after all is one."""
    return len({number for _, _, number in entries})


class Oracle:
    """A trial's life, which is the same everywhere."""

    def __init__(
        self, min_resource, max_resource, reduction_factor, mode, max_trials, max_retries, seed, size=None
    ):
        self.r, self.R, self.eta = min_resource, max_resource, reduction_factor
        self.sign = -1.0 if mode == "max" else 1.0
        self.max_trials, self.max_retries, self.seed, self.size = max_trials, max_retries, seed, size
        self.levels = self.ladder()
        self.last = len(self.levels) - 1
        self.trials: list[Trial] = []
        self.lost: list[Trial] = []
        self.arrivals: list[tuple[int, int, float]] = []  # (trial, rung, loss) in order, failures included
        self.twice = 0  # arrivals of trials that had failed on their way there
        self.went: set[tuple[int, int]] = set()  # (trial, rung) that it went on from
        self.values: list[tuple[int, int, float]] = []  # (trial, resource, value)

    # -- the rules of one scheduler

    def ladder(self) -> list[int]:
        return [level for k in range(40) if (level := self.r * self.eta**k) < self.R] + [self.R]

    def first_rung(self, number: int) -> int:
        return 0

    def onward(self) -> int | None:
        """The trial that goes on next."""
        return None

    def may_go_on(self, number: int) -> bool:
        return False

    def began(self, trial: Trial) -> None:
        """A new trial begins."""

    def changed(self) -> None:
        """A trial began, arrived, failed or was rejected."""

    def arrived(self, trial: Trial) -> None:
        """A trial reached its rung, or failed on its way."""

    def check_the_end(self) -> None:
        """Nothing is running and nothing is due: is everybody where the rules want them?"""

    # -- what is common

    def entries(self, rung: int, first: int | None = None) -> list[Entry]:
        """Who arrived in a rung (of the bracket that began at ``first``), failures included."""
        return [
            (loss if math.isfinite(loss) else math.inf, arrival, number)
            for arrival, (number, where, loss) in enumerate(self.arrivals)
            if where == rung and first in (None, self.trials[number].first)
        ]

    def top(self, rung: int, first: int | None = None) -> list[int]:
        """The best floor(n/eta), best first, without those whose value is not finite."""
        entries = self.entries(rung, first)
        return [
            number for loss, _, number in sorted(entries)[: count(entries) // self.eta] if loss < math.inf
        ]

    def is_within(self, number: int, entries: list[Entry], most: int) -> bool:
        """Whether fewer than ``most`` entries are better than that of the trial, which is finite."""
        *_, mine = [entry for entry in entries if entry[2] == number]
        return mine[0] < math.inf and sum(other < mine for other in entries) < most

    def more_may_begin(self) -> bool:
        begun = sum(trial.state != "rejected" for trial in self.trials)
        return (self.max_trials is None or begun < self.max_trials) and (
            self.size is None or len(self.trials) < self.size
        )

    def next_job(self) -> tuple[int, int, int, int] | None:
        """(trial, start, until, attempt) of the job that is due."""
        if self.lost:
            trial = self.lost[0]
            return trial.number, trial.resource, trial.until, trial.attempt + 1
        number = self.onward()
        if number is not None:
            trial = self.trials[number]
            return number, self.levels[trial.rung], self.levels[trial.rung + 1], trial.attempt
        if self.more_may_begin():
            number = len(self.trials)
            return number, 0, self.levels[self.first_rung(number)], 0
        return None

    def take(self, job: Job) -> None:
        """The job that was due was handed out."""
        if self.lost:
            trial = self.lost.pop(0)
            trial.attempt += 1
            trial.start = trial.resource  # units that were reported are not trained again
        elif job.trial == len(self.trials):
            first = self.first_rung(job.trial)
            trial = Trial(job.trial, job.configuration, first, first, self.levels[first])
            self.trials.append(trial)
            self.began(trial)
        else:
            trial = self.trials[job.trial]
            self.went.add((trial.number, trial.rung))
            trial.rung += 1
            trial.start, trial.until = trial.until, self.levels[trial.rung]
        trial.state = "running"
        self.changed()
        self.settle()

    def report(self, trial: Trial, resource: int, value: float) -> None:
        trial.resource = resource
        trial.curve[resource] = self.sign * value
        self.values.append((trial.number, resource, value))
        if resource == trial.until:
            self.arrive(trial)
            self.settle()

    def arrive(self, trial: Trial) -> None:
        loss = trial.curve[max(trial.curve)]
        trial.curve[trial.until] = loss  # of one that has finished as well
        trial.state = "done" if trial.rung == self.last else "paused"
        self.enter(trial, loss)

    def enter(self, trial: Trial, loss: float) -> None:
        self.twice += trial.retried  # its failure is an entry already: n counts trials
        self.arrivals.append((trial.number, trial.rung, loss))
        self.arrived(trial)
        trial.retried = False
        self.changed()

    def finish(self, trial: Trial, resource: int) -> None:
        trial.finished = True
        if resource < trial.until:
            self.arrive(trial)
            self.settle()

    def settle(self) -> None:
        """Whoever is next to go on and has finished needs no job: its units take no time."""
        while any(trial.finished for trial in self.trials):
            number = self.onward()
            if number is None or not self.trials[number].finished:
                return
            trial = self.trials[number]
            self.went.add((number, trial.rung))
            trial.rung += 1
            trial.until = self.levels[trial.rung]
            self.arrive(trial)

    def fail(self, trial: Trial) -> None:
        trial.state, trial.finished, trial.since = "failed", False, trial.resource
        self.enter(trial, math.nan)
        self.settle()

    def retry(self, trial: Trial) -> None:
        trial.state, trial.faults, trial.alone, trial.retried = "waiting", 0, False, True
        self.lost.append(trial)

    def reject(self, trial: Trial) -> None:
        if trial.resource > 0 or trial.retried:  # it has been heard of: too late to count it nowhere
            self.fail(trial)
            return
        trial.state, trial.finished = "rejected", False
        self.changed()
        self.settle()

    def lose(self, trial: Trial, kind: str) -> None:
        trial.faults += {"died": 1, "hung": 1, "stopped": 0, "engine": 0, "disk": 0, "not-begun": 0}[kind]
        if trial.faults == self.max_retries + 1:
            self.fail(trial)
        else:
            self.try_again(trial)

    def run_out_of_memory(self, trial: Trial) -> None:
        if trial.alone:
            self.fail(trial)
        else:
            trial.alone = True
            self.try_again(trial)

    def try_again(self, trial: Trial) -> None:
        trial.state, trial.finished = "waiting", False
        self.lost.append(trial)

    def best(self) -> tuple[int, int, float] | None:
        finite = [entry for entry in self.values if math.isfinite(entry[2])]
        return min(finite, key=lambda entry: self.sign * entry[2]) if finite else None  # the earliest wins


class Full(Oracle):
    """Every trial to R."""

    def ladder(self):
        return [self.R]

    def check_the_end(self):
        assert all(trial.state in ("done", "failed", "rejected") for trial in self.trials)


class Asha(Oracle):
    """From the top rung down: the best of the top floor(n/eta) that has not gone on goes on."""

    @property
    def highest(self) -> int:
        """Nobody goes on from here."""
        return self.last

    def onward(self):
        for rung in reversed(range(self.highest)):
            for number in self.top(rung):
                if (number, rung) not in self.went:
                    return number
        return None

    def may_go_on(self, number):
        trial = self.trials[number]
        entries = self.entries(trial.rung)
        return (
            trial.state == "paused"
            and trial.rung < self.highest
            and (number, trial.rung) not in self.went
            and self.is_within(number, entries, count(entries) // self.eta)
        )

    def check_the_end(self):
        for rung in range(self.highest):
            assert all((number, rung) in self.went for number in self.top(rung))


class Pasha(Asha):
    """ASHA up to a rung that rises, one at a time, while its ranking and that of the rung below differ."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.unlocked = min(1, self.last)
        self.left_out: set[tuple[int, int]] = set()
        self.epsilon = 0.0

    @property
    def highest(self):
        return self.unlocked

    def arrived(self, trial):
        if trial.state == "failed" or trial.rung != self.unlocked or self.unlocked == self.last:
            return
        reached = [self.trials[number] for number, rung, _ in self.arrivals if rung == self.unlocked]
        reached = [other for other in reached if other.state != "failed"]
        reached = [other for at, other in enumerate(reached) if other not in reached[at + 1 :]]
        if trial.retried:  # its curve was forgotten when it failed
            self.left_out.add((trial.number, trial.rung))
        left_out = {number for number, rung in self.left_out if rung == self.unlocked}
        reached = [other for other in reached if not other.retried and other.number not in left_out]
        if trial not in reached:
            return
        noisy = [
            distance
            for one, other in itertools.combinations(reached, 2)
            if (distance := self.crossing(one, other)) is not None
        ]
        if noisy:
            self.epsilon = float(numpy.percentile(noisy, 90))
        if not self.ranked_alike(reached):
            self.unlocked += 1

    def crossing(self, one: Trial, other: Trial) -> float | None:
        """How far apart two curves end at the top, if their order there was seen, turned and came back."""
        level = self.levels[self.unlocked]
        since = max(one.since, other.since)
        units = sorted(unit for unit in one.curve if unit in other.curve and since < unit <= level)
        order = [(one.curve[u] > other.curve[u]) - (one.curve[u] < other.curve[u]) for u in units]
        apart = abs(one.curve[level] - other.curve[level])
        there_and_back = any(
            order[i] == order[-1] and order[j] == -order[-1]
            for i, j in itertools.combinations(range(len(order)), 2)
        )
        return apart if order[-1] and there_and_back and 0 < apart < math.inf else None

    def ranked_alike(self, reached: list[Trial]) -> bool:
        above, below = self.levels[self.unlocked], self.levels[self.unlocked - 1]

        def loss_above(trial):
            return trial.curve[above] if math.isfinite(trial.curve[above]) else math.inf

        ranked = sorted(reached, key=loss_above)  # of equals, the earlier
        losses_below = sorted(trial.curve[below] for trial in reached)
        return all(
            abs(trial.curve[below] - loss) <= self.epsilon
            for trial, loss in zip(ranked, losses_below, strict=True)
        )


class Stopping(Oracle):
    """On arrival: among the best max(floor(n/eta), 1) of those that are there, or over."""

    def passes(self, number: int, rung: int) -> bool:
        then = self.entries(rung)
        *_, mine = [entry for entry in then if entry[2] == number]
        then = [entry for entry in then if entry[1] <= mine[1]]  # later ones have no say
        return self.is_within(number, then, max(count(then) // self.eta, 1))

    def arrived(self, trial):
        if trial.state == "paused" and not self.passes(trial.number, trial.rung):
            trial.state = "stopped"

    def onward(self):
        waiting = [
            number
            for number, rung, _ in self.arrivals
            if self.trials[number].state == "paused" and self.trials[number].rung == rung
        ]
        waiting = [number for at, number in enumerate(waiting) if number not in waiting[at + 1 :]]
        return waiting[0] if waiting else None

    def may_go_on(self, number):
        trial = self.trials[number]
        return trial.state == "paused" and trial.rung < self.last and self.passes(number, trial.rung)

    def check_the_end(self):
        assert not any(trial.state == "paused" for trial in self.trials)


class _Brackets(Oracle):
    """Levels floor(R/eta^s), and brackets that begin at each of them."""

    def ladder(self):
        return [self.R // self.eta**s for s in reversed(range(40)) if self.r * self.eta**s <= self.R]

    def share(self, first: int) -> Fraction:
        """(s_max + 1)/(s + 1) * eta^s."""
        s_max = len(self.levels) - 1
        s = s_max - first
        return Fraction(s_max + 1, s + 1) * self.eta**s


class Hyperband(_Brackets):
    """ASHA's rule in each bracket; the bracket is drawn."""

    def first_rung(self, number):
        shares = [self.share(first) for first in range(len(self.levels))]
        drawn = Fraction(uniforms(self.seed, "bracket", number, 1)[0]) * sum(shares)
        return next(first for first in range(len(shares)) if drawn < sum(shares[: first + 1]))

    def onward(self):
        for rung in reversed(range(self.last)):
            for first in range(rung + 1):
                for number in self.top(rung, first):
                    if (number, rung) not in self.went:
                        return number
        return None

    def may_go_on(self, number):
        trial = self.trials[number]
        peers = self.entries(trial.rung, trial.first)
        return (
            trial.state == "paused"
            and trial.rung < self.last
            and (number, trial.rung) not in self.went
            and self.is_within(number, peers, count(peers) // self.eta)
        )

    def check_the_end(self):
        for rung in range(self.last):
            for first in range(rung + 1):
                assert all((number, rung) in self.went for number in self.top(rung, first))


@dataclass
class Bracket:
    first: int
    size: int
    began: list[Trial] = field(default_factory=list)
    survivors: dict[int, list[int]] = field(default_factory=dict)  # by rung that is closed, best first

    @property
    def over(self) -> bool:
        return bool(self.survivors) and not self.survivors[max(self.survivors)]


class Synchronous(Oracle):
    """A rung closes when all of its entrants reported or failed; floor(n/eta^k) go on to the k-th above."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.brackets: list[Bracket] = []
        self.late: set[int] = set()  # arrivals in rungs that had closed

    def shape(self, index: int) -> tuple[int, int]:
        raise NotImplementedError

    def entrants(self, bracket: Bracket, rung: int) -> list[int]:
        if rung > bracket.first:
            return bracket.survivors[rung - 1]
        return [trial.number for trial in bracket.began if trial.state != "rejected"]

    def with_room(self) -> Bracket | None:
        """The oldest bracket that still wants configurations."""
        for bracket in self.brackets:
            if not bracket.survivors and len(self.entrants(bracket, bracket.first)) < bracket.size:
                return bracket
        return None

    def first_rung(self, number):
        bracket = self.with_room()
        return bracket.first if bracket else self.shape(len(self.brackets))[0]

    def began(self, trial):
        bracket = self.with_room()
        if bracket is None:
            bracket = Bracket(*self.shape(len(self.brackets)))
            self.brackets.append(bracket)
        bracket.began.append(trial)

    def arrived(self, trial):
        (bracket,) = [bracket for bracket in self.brackets if trial in bracket.began]
        if trial.state == "paused" and trial.rung in bracket.survivors:
            trial.state = "stopped"  # it closed without the trial
            self.late.add(len(self.arrivals) - 1)

    def changed(self):
        for bracket in self.brackets:
            rung = max(bracket.survivors, default=bracket.first - 1) + 1
            if not bracket.over and self.complete(bracket, rung):
                self.close(bracket, rung)

    def complete(self, bracket: Bracket, rung: int) -> bool:
        entrants = self.entrants(bracket, rung)
        arrived = [number for number, where, _ in self.arrivals if where == rung]
        if any(number not in arrived or self.trials[number].retried for number in entrants):
            return False
        return rung > bracket.first or len(entrants) >= bracket.size or not self.more_may_begin()

    def places(self, bracket: Bracket, rung: int) -> int:
        """Algorithm 1 of the Hyperband paper: how many go on from a rung, of so many that began."""
        return math.floor(
            Fraction(len(self.entrants(bracket, bracket.first)), self.eta ** (rung - bracket.first + 1))
        )

    def close(self, bracket: Bracket, rung: int) -> None:
        bracket.survivors[rung] = []
        if rung == self.last:
            return
        entrants = self.entrants(bracket, rung)
        entries = [entry for entry in self.entries(rung) if entry[2] in entrants]
        for loss, _, number in sorted(entries)[: self.places(bracket, rung)]:
            if loss < math.inf:
                bracket.survivors[rung].append(number)
        for number in entrants:
            if self.trials[number].state == "paused" and number not in bracket.survivors[rung]:
                self.trials[number].state = "stopped"

    def onward(self):
        for bracket in self.brackets:
            for rung, survivors in bracket.survivors.items():
                for number in survivors:
                    if (number, rung) not in self.went:
                        return number
        return None

    def may_go_on(self, number):
        trial = self.trials[number]
        (bracket,) = [bracket for bracket in self.brackets if trial in bracket.began]
        entrants = self.entrants(bracket, trial.rung)
        entries = [
            entry
            for entry in self.entries(trial.rung)
            if entry[2] in entrants and (entry[1] not in self.late)
        ]
        return (
            trial.state == "paused"
            and count(entries) == len(entrants)  # everybody has arrived
            and (number, trial.rung) not in self.went
            and self.is_within(number, entries, self.places(bracket, trial.rung))
        )

    def check_the_end(self):
        assert not any(trial.state == "paused" for trial in self.trials)
        assert all(bracket.over for bracket in self.brackets)
        for bracket in self.brackets[:-1]:  # a bracket begins only when those before it are full
            began = len(self.entrants(bracket, bracket.first))
            assert began == bracket.size or not self.more_may_begin()


class Halving(Synchronous):
    def __init__(self, *args, bracket_size=None, **settings):
        super().__init__(*args, **settings)
        limits = [limit for limit in (self.max_trials, self.size) if limit is not None]
        self.bracket_size = bracket_size or min(limits, default=self.eta**self.last)

    def shape(self, index):
        return 0, self.bracket_size


class SyncHyperband(Synchronous, _Brackets):
    """Brackets s_max ... 0 of ceil((s_max + 1)/(s + 1) * eta^s) configurations, over and over."""

    def shape(self, index):
        first = index % len(self.levels)
        return first, math.ceil(self.share(first))


ORACLES = {
    "asha": Asha,
    "asha-stopping": Stopping,
    "pasha": Pasha,
    "hyperband": Hyperband,
    "sync-hyperband": SyncHyperband,
    "sh": Halving,
    "random": Full,
}
