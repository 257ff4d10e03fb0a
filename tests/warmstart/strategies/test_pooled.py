"""A place that earlier trials of the search measured, in the place of a measurement."""

from __future__ import annotations

from typing import Any

import pytest

from asha_core import Float, SearchSpace
from asha_core.errors import SettingError
from tests.warmstart.small_problems import Small, configuration
from trials.task import PlainProblem
from warmstart import Outcome, build
from warmstart.registry import WARM_START
from warmstart.strategies.explosion import ExplosionStrategy

SPACE = SearchSpace({"a": Float(0.0, 9.0), "b": Float(0.0, 9.0)})


class Seeds:
    """Measures the trial's seed, of ``a``; goes there."""

    name, needs_losses = "seeds", True

    def __init__(self, most: float = 9.0) -> None:
        self.most = most
        self.measured = 0

    def refine(self, problem: Any, configuration: Any, seed: int) -> Outcome:
        self.measured += 1
        if seed > self.most:
            return Outcome(configuration, {"strategy": "seeds", "step": {}, "note": "none found"})
        return self.at(problem, configuration, {"a": float(seed)})

    def at(self, problem: Any, configuration: Any, place: Any) -> Outcome:
        put = problem.space.configuration({**configuration, **place})
        return Outcome(put, {"strategy": "seeds", "step": {}, "place": dict(place)})


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WARM_START.own, "seeds", f"{__name__}:Seeds")  # type: ignore[arg-type]


def search(seeds: list[int], **settings: Any) -> tuple[list[Outcome], int]:
    """(what became of trials with these seeds, one after the other; how many of them measured)."""
    pooled: Any = build("pooled", {"of": "seeds", **settings})
    before = SPACE.configuration({"a": 8.5, "b": 7.5})
    outcomes: list[Outcome] = []
    for seed in seeds:
        earlier = [each.diagnostics["learned"] for each in outcomes if "learned" in each.diagnostics]
        outcomes.append(pooled.refine(PlainProblem(SPACE), before, seed, earlier))
    return outcomes, pooled.inner.measured


def test_with_enough_of_them_nothing_is_measured_and_the_median_is_taken() -> None:
    outcomes, measured = search([1, 7, 2, 9, 9, 9], after=3)
    assert [each.configuration["a"] for each in outcomes] == [1, 7, 2, 2, 2, 2]
    assert measured == 3
    assert [each.diagnostics["strategy"] for each in outcomes] == ["pooled"] * 6
    assert [each.diagnostics.get("pooled") for each in outcomes] == [None] * 3 + [3] * 3


def test_only_what_was_measured_is_pooled() -> None:
    """A pooled place says nothing new; where none was found there is none."""
    outcomes, measured = search([3, 6, 5, 4, 9, 9], after=3, most=5.0)
    assert measured == 4
    assert [each.diagnostics.get("learned") for each in outcomes] == [
        {"a": 3.0},
        None,
        {"a": 5.0},
        {"a": 4.0},
        None,
        None,
    ]
    assert outcomes[1].configuration["a"] == 8.5
    assert outcomes[-1].configuration["a"] == 4.0


def test_a_dimension_of_which_too_little_is_known_is_left_to_the_trial() -> None:
    """One that exists under conditions, say; those of others do not count."""
    pooled: Any = build("pooled", {"of": "seeds", "after": 2})
    before = SPACE.configuration({"a": 8.5, "b": 7.5})
    for earlier, after in (
        ([{"a": 1.0}, {"b": 2.0}], (6.0, 7.5)),
        ([{"c": 1.0}, {"c": 2.0}], (6.0, 7.5)),
        ([{"b": 1.0}, {"b": 3.0}, {"a": 3.0}], (8.5, 2.0)),
    ):
        found = pooled.refine(PlainProblem(SPACE), before, 6, earlier).configuration
        assert (found["a"], found["b"]) == after


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": "trust"}, "of is 'trust': it must find a place, as 'place' does"),
        ({"of": "nothing"}, "of is 'nothing'"),
        ({"of": "seeds", "after": 0}, "after is 0"),
        ({"of": "seeds", "least": 1}, "'seeds' has no setting 'least'"),
    ],
)
def test_what_cannot_be_pooled_is_refused_in_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build("pooled", settings)


def test_place_is_pooled_without_a_look_at_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it says what its configuration adds to the place, as a measurement does."""
    pooled: Any = build("pooled", {"after": 1})
    before, problem = configuration(), Small()
    first = pooled.refine(problem, before, 1)
    monkeypatch.setattr(ExplosionStrategy, "probe", lambda *arguments: pytest.fail("it measured"))
    second = pooled.refine(problem, before, 2, [first.diagnostics["learned"]])
    assert second.configuration == first.configuration != before
    assert second.diagnostics["step"] == first.diagnostics["step"]
    assert second.diagnostics["pooled"] == 1
