"""The contract of searchers: what is proposed, and what comes of what was observed."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import pytest

from asha_core.import_paths import is_ours
from asha_core.messages import Failed, Rejected, Report
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.forecast import Forecast
from asha_core.searchers import SEARCHERS
from asha_core.searchers.base import Searcher
from asha_core.searchers.listed import Listed
from asha_core.space import Choice, Configuration, Constant, Float, Int, SearchSpace
from asha_core.testing.driving import drive, repeat, troubled

_MANY = 30


def _small(configuration: Mapping[str, Any]) -> bool:
    return bool(configuration["x"] + configuration["n"] / 12 < 1.5)


class SearcherContract:
    """Subclass it, and say how your searcher is made.

    class TestMine(SearcherContract):
        def searcher(self, space, seed):
            return Mine(space, seed)

    Attributes:
        space: what is searched in these tests; give another where yours cannot search everything.
    """

    space: SearchSpace = SearchSpace(
        {
            "x": Float(0.0, 1.0),
            "lr": Float(1e-5, 1.0, log=True),
            "n": Int(1, 12),
            "kind": Choice(["a", "b", "c"]),
            "momentum": Float(0.0, 0.99),
            "held": Constant(0.5),
        },
        conditions={"momentum": {"kind": "b"}},
        constraints=[_small],
    )

    @abstractmethod
    def searcher(self, space: SearchSpace, seed: int) -> Searcher:
        """A new one."""
        raise NotImplementedError("say how your searcher is made: def searcher(self, space, seed)")

    def _made(self, seed: int = 0) -> Searcher:
        return self.searcher(self.space, seed)

    def _count(self, searcher: Searcher) -> int:
        return _MANY if searcher.size is None else min(_MANY, searcher.size)

    def _first(self, searcher: Searcher) -> list[Configuration]:
        return [searcher.propose(index) for index in range(self._count(searcher))]

    def _search(self, searcher: Searcher, **settings: Any) -> ASHA:
        return ASHA(self.space, max_resource=9, searcher=searcher, **{"max_trials": 25, **settings})

    # -- what is proposed ----------------------------------------------------------------------

    def test_it_says_what_it_is(self) -> None:
        """A name of its own, the space that it was given, and a size if it ends."""
        searcher = self._made()
        assert isinstance(searcher, Searcher)
        assert searcher.name != Searcher.name
        own = searcher.name not in SEARCHERS or is_ours(type(searcher))
        assert own, f"give {type(searcher).__name__} a name of its own: run.json would say {searcher.name!r}"
        assert searcher.space == self.space
        assert searcher.size is None or searcher.size >= 1

    def test_what_is_proposed_belongs_to_the_space_constraints_included(self) -> None:
        """``space.from_unit`` and ``space.first_allowed`` see to it."""
        for seed in range(3):
            for configuration in self._first(self._made(seed)):
                checked = self.space.configuration(dict(configuration))  # raises, and says what is wrong
                assert checked == configuration
                assert [type(value) for value in checked.values()] == [
                    type(v) for v in configuration.values()
                ]

    def test_asked_again_it_says_the_same(self) -> None:
        """A check before the search asks for the first one, and a search that is resumed for all."""
        searcher = self._made(5)
        searcher.check()
        assert [searcher.propose(index) for index in (0, 0)] == [self._made(5).propose(0)] * 2
        for index in range(self._count(searcher)):
            assert searcher.propose(index) == searcher.propose(index)

    def test_the_same_seed_is_the_same_sequence_whatever_the_global_generators_do(self) -> None:
        """All randomness comes from the seed."""
        state = random.getstate()
        try:
            random.seed(1)
            before = random.getstate()
            one = self._first(self._made(5))
            assert random.getstate() == before
            random.seed(2)
            assert self._first(self._made(5)) == one
        finally:
            random.setstate(state)

    def test_unless_it_learns_configuration_i_depends_on_seed_and_i_alone(self) -> None:
        """In whatever order they are asked for."""
        searcher = self._made(5)
        if searcher.learns:
            pytest.skip("it learns")
        expected = self._first(self._made(5))
        order = list(range(len(expected))) * 2
        random.Random(0).shuffle(order)
        for index in order:
            assert searcher.propose(index) == expected[index]

    def test_another_seed_is_another_sequence(self) -> None:
        """Or replicates of a search would be the same search."""
        one, other = (self._first(self._made(seed)) for seed in (0, 1))
        assert one != other

    @pytest.mark.parametrize("seed", [0, 2**63, -1, 10**30])
    def test_any_integer_is_a_seed(self, seed: int) -> None:
        """Large ones, too."""
        assert self._made(seed).propose(0) == self._made(seed).propose(0)

    def test_a_search_ends_with_the_configurations_that_there_are(self) -> None:
        """``propose`` is not asked for more than ``size``."""
        searcher = self._made(3)
        if searcher.size is None:
            pytest.skip("it never ends")
        scheduler = self._search(searcher, max_trials=None)
        drive(scheduler, lambda trial, until: float(trial), 3)
        assert len(scheduler.trials) == searcher.size

    # -- what it observes ----------------------------------------------------------------------

    @pytest.mark.parametrize("seed", range(5))
    def test_a_search_that_is_resumed_meets_the_same_configurations(self, seed: int) -> None:
        """Asked and told what the journal says, whatever went wrong, it proposes what it did."""
        scheduler = self._search(self._made(seed))
        history = troubled(scheduler, seed)
        repeat(self._search(self._made(seed)), history)

    def test_any_loss_will_do(self) -> None:
        """NaN, infinities, failures, rejections; nothing but these, too."""
        for values in ([math.nan], [math.inf, -math.inf], [0.0], [1e300, -1e300], [0.5, math.nan]):
            scheduler = self._search(self._made())
            for number in range(self._count(scheduler.searcher)):
                job = scheduler.ask()
                if job is None:
                    break
                scheduler.tell(Report(job.trial, job.attempt, job.until, values[number % len(values)], 1.0))
        scheduler = self._search(self._made())
        for number in range(5):
            job = scheduler.ask()
            assert job is not None
            wrong = Rejected(job.trial, "diverges") if number % 2 else Failed(job.trial, 0, "raised")
            scheduler.tell(wrong)

    def test_a_plan_neither_asks_nor_tells_it_anything(self) -> None:
        """Rehearsals are made without it."""
        calm, planned = (self._search(self._made(7)) for _ in range(2))
        history = troubled(calm, 1)
        Forecast(planned, 9, 2)
        repeat(planned, history)

    def test_trials_of_start_points_are_observed_like_any_other(self) -> None:
        """Their number is no index that it was asked for."""
        start = [dict(self._made(11).propose(index)) for index in range(min(3, self._count(self._made())))]
        both = [self._search(Listed(start, self._made(4))) for _ in range(2)]
        repeat(both[1], troubled(both[0], 2))
