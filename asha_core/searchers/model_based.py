"""Searchers that learn: a model says where the next configuration should lie.

As in BOHB: the model is one of the losses at a single resource, the largest at which enough trials have
reported: one more than there are dimensions to search, and two. Until then, and for a third of all
configurations always, they are random: configuration i is the one of random search, and which third it is
depends on (seed, i) alone, so that these are the same in every arm of a study.

What the model is told:

* A configuration is what was trained with, after a warm start.
* A trial that failed, was screened out, or reported NaN or an infinite value has, at that resource and at all
  larger ones, the worst loss that is known there; until it reports a finite one after all.
* Those that were begun and have not reported are *pending*: tried, with a loss to be guessed. For a model
  that would else propose one point again and again, so are the latest that have not come so far.
* Of more observations than the model takes, the best quarter and the latest.

A model that takes long is asked ahead: as soon as configuration i is given out, for configuration i + 1,
with what is known then. So it is a function of the events, whenever it is ready.

Source: Falkner et al. 2018 (BOHB), arXiv:1807.01774, section 3.2 and algorithm 2; HpBandSter's
``config_generators/bohb.py`` for failures (infinite losses) and for the largest budget with a model.

How peers differ. HpBandSter, of which Ray's ``TuneBOHB`` is a copy, makes a model from 2 (|space| + 1)
results on, where the paper has |space| + 3; it ignores pending trials. Optuna's own TPE models trials of all
lengths together, those that were not finished sorted by how far they came.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from itertools import islice
from math import isfinite
from typing import Protocol

from asha_core.arguments import integer, number
from asha_core.searchers.base import Searcher, TrialView, space_and_seed
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration, SearchSpace
from asha_core.space.dimensions import Choice, Constant
from asha_core.streams import stream_seed, uniforms
from asha_core.surrogates import load

_ATTEMPTS = 10  # proposals that the constraints refuse, before a random one


class Model(Protocol):
    """What is asked; ``surrogates/optuna_samplers.py`` has two."""

    most: int
    most_pending: int
    pending_below: bool
    ahead: bool

    def ask(
        self, observed: Sequence[tuple[Configuration, float]], pending: Sequence[Configuration], seed: int
    ) -> Callable[[], Configuration | None]:
        """Ask for a configuration; what is returned gives it."""


class _AtResource:
    """The finite losses at one resource.

    Attributes:
        losses: by trial, in the order in which they came.
        best: (loss, place in that order, trial) of the best few.
    """

    __slots__ = ("best", "losses")

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}
        self.best: list[tuple[float, int, int]] = []

    def add(self, trial: int, loss: float, most: int) -> None:
        """A loss was reported."""
        insort(self.best, (loss, len(self.losses), trial))
        del self.best[most:]
        self.losses[trial] = loss

    def some(self, most: int) -> list[int]:
        """The best and the latest, ``most`` of them together, in the order in which they came."""
        if len(self.losses) <= most:
            return list(self.losses)
        best = {trial for _, _, trial in self.best}
        latest = (trial for trial in reversed(self.losses) if trial not in best)
        chosen = list(islice(latest, most - len(best)))[::-1]
        return [trial for _, _, trial in sorted(self.best, key=lambda each: each[1])] + chosen


class ModelBasedSearch(Searcher):
    """Most configurations are where a model expects the best losses; the others are random.

    Args:
        space: where to search.
        seed: the run's seed.
        random_fraction: share of configurations that are random whatever is known.
        least: trials that must have reported at a resource before a model is made of it; by default the
            number of dimensions that are searched, and three.
    Raises:
        SettingError: a library that the model needs is not installed; an argument out of its range.
    """

    def __init__(
        self, space: SearchSpace, seed: int, *, random_fraction: float = 1 / 3, least: int | None = None
    ) -> None:
        self.space, self.seed = space_and_seed(space, seed)
        self._random_fraction = number("random_fraction", random_fraction, least=0.0, most=1.0)
        self._searched = sum(not _held(dimension) for dimension in self.space.values())
        self._least = self._searched + 3 if least is None else integer("least", least, 1)
        self._random: Searcher = RandomSearch(self.space, self.seed)
        self._model: Model = load(self.name, f"the searcher {self.name}")(self.space)
        self._at: dict[int, _AtResource] = {}
        self._largest = 0  # resource with enough losses
        self._failed: dict[int, int] = {}  # trial: at which resource
        self._configurations: dict[int, Configuration] = {}  # of trials that were heard of
        self._begun: dict[int, Configuration] = {}  # by index: of trials that were not
        self._ahead: tuple[int, Callable[[], Configuration]] | None = None
        self._recalled: tuple[int, Configuration] | None = None

    def draw_from(self, base: Searcher) -> None:
        """Random configurations are those of ``base``; before the first proposal."""
        self._random = base

    # -- what it observes ----------------------------------------------------------------------

    def observe(self, trial: TrialView, resource: int, loss: float) -> None:
        """Learn from a report or a failure."""
        number = trial.id
        self._begun.pop(number - self.trials_before, None)
        self._configurations[number] = trial.configuration
        if not isfinite(loss):
            self._failed.setdefault(number, resource)
            return
        self._failed.pop(number, None)
        at = self._at.setdefault(resource, _AtResource())
        at.add(number, loss, self._model.most // 4)
        if resource > self._largest and len(at.losses) >= self._least:
            self._largest = resource

    # -- what it proposes ----------------------------------------------------------------------

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        found = self._begun.get(index)
        if found is not None:
            return found
        if self._recalled is not None and self._recalled[0] == index:
            found = self._recalled[1]
        elif self._ahead is not None and self._ahead[0] == index:
            found = self._ahead[1]()
        else:
            found = self._asked(index)()
        self._begun[index] = found
        if self._model.ahead:
            self._ahead = index + 1, self._asked(index + 1)
        return found

    def recall(self, index: int, configuration: Configuration) -> None:
        """The model is not asked for it again: a resumed search is where it was at once."""
        self._recalled = index, configuration

    def _asked(self, index: int) -> Callable[[], Configuration]:
        """The model is asked for configuration ``index`` with what is known now; what gives it."""
        by_chance = uniforms(self.seed, f"{self.name}/random", index, 1)[0] < self._random_fraction
        if by_chance or not self._largest or not self._searched:
            return lambda: self._random.propose(index)
        observed, pending = self._observed(), self._pending()
        answer = self._model.ask(observed, pending, stream_seed(self.seed, self.name, index))
        return lambda: self._allowed(index, observed, pending, answer)

    def _allowed(
        self,
        index: int,
        observed: list[tuple[Configuration, float]],
        pending: list[Configuration],
        answer: Callable[[], Configuration | None],
    ) -> Configuration:
        """The model's answer; what constraints refuse is as bad as the worst, and it is asked again."""
        worst = max(loss for _, loss in observed)
        for attempt in range(1, _ATTEMPTS + 1):
            found = answer()
            if found is None:
                break
            if self.space.allows(found):
                return found
            observed = [*observed, (found, worst)]
            answer = self._model.ask(
                observed, pending, stream_seed(self.seed, f"{self.name}/{attempt}", index)
            )
        return self._random.propose(index)

    def _observed(self) -> list[tuple[Configuration, float]]:
        """What the model is fitted to."""
        at, most = self._at[self._largest], self._model.most
        failed = (trial for trial, there in reversed(self._failed.items()) if there <= self._largest)
        bad = list(islice(failed, most // 4))[::-1]
        found = [(trial, at.losses[trial]) for trial in at.some(most - len(bad))]
        worst = max((loss for _, loss in found), default=0.0)
        found += [(trial, worst) for trial in bad]
        return [(self._configurations[trial], loss) for trial, loss in found]

    def _pending(self) -> list[Configuration]:
        """Configurations that were given out and have no loss yet, the latest last."""
        most = self._model.most_pending
        found = list(islice(reversed(self._begun.values()), most))
        if not self._model.pending_below:
            return found[::-1]
        at = self._at[self._largest].losses
        below = (
            configuration
            for trial, configuration in islice(reversed(self._configurations.items()), most)
            if trial not in at and trial not in self._failed
        )
        return [*found, *islice(below, most - len(found))][::-1]


def _held(dimension: object) -> bool:
    """Whether there is nothing to search in it."""
    return isinstance(dimension, Constant) or (isinstance(dimension, Choice) and len(dimension.options) == 1)


class TPESearch(ModelBasedSearch):
    """Tree-structured Parzen estimators, by Optuna's sampler; see the module for the rule."""

    name = "tpe"


class GPSearch(ModelBasedSearch):
    """A Gaussian process, by Optuna's sampler; see the module for the rule."""

    name = "gp"
