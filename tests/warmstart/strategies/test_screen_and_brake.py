"""What explodes is drawn again, or slowed down; what does not is left as it is."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from asha_core import Choice, Configuration, Float, RandomSearch, SearchSpace
from tests.warmstart.small_problems import SPACE, Small, configuration, heavy_ball
from warmstart import BlackBox, ModelProblem
from warmstart.strategies.brake import Brake
from warmstart.strategies.explosion import Probe
from warmstart.strategies.screen import Screen


class Ratios(BlackBox):
    """A loss of 1 before any step, and what ``after_steps`` says after some."""

    def __init__(self, space: SearchSpace, after_steps: Callable[[Configuration], float]) -> None:
        super().__init__(space, lambda config, draw: 1.0)
        self.asked: list[Configuration] = []
        self._after_steps = after_steps

    def losses(self, config: Configuration):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        def after(there: Configuration, train: object, heldout: object) -> float:
            if not train:
                return 1.0
            self.asked.append(there)
            return self._after_steps(there)

        return replace(super().losses(config), after=after)


FREE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "x": Float(0.0, 1.0)})
HIGH = FREE.configuration({"lr": 1.0, "x": 0.5})


def by_lr(config: Configuration) -> float:
    """Explodes, three-fold and more, from lr = 0.01 on."""
    return 300.0 * config["lr"]


# -- brake -----------------------------------------------------------------------------------------


def test_the_brake_lowers_the_rate_until_nothing_explodes_and_no_further() -> None:
    problem = Ratios(FREE, by_lr)
    outcome = Brake(3.0, 0.125, 10).refine(problem, HIGH, 0)  # 0.5 decades a time
    assert outcome.configuration["lr"] == pytest.approx(0.01)
    assert outcome.configuration["x"] == 0.5
    assert outcome.diagnostics["acted"] == 4
    assert outcome.diagnostics["ratio"] == 300.0
    assert outcome.diagnostics["step"] == {"lr": pytest.approx(-2.0), "x": 0.0}
    assert "note" not in outcome.diagnostics
    assert len(problem.asked) == 5


def test_the_brake_leaves_what_does_not_explode_to_the_last_bit() -> None:
    for lr in (1e-4, 1e-3, 0.00999999):
        before = FREE.configuration({"lr": lr, "x": 0.1})
        problem = Ratios(FREE, by_lr)
        outcome = Brake(3.0).refine(problem, before, 0)
        assert outcome.configuration == before
        assert outcome.diagnostics["acted"] == 0
        assert len(problem.asked) == 1  # it costs one look


@pytest.mark.parametrize("loss", [math.inf, math.nan, -math.inf])
def test_what_is_not_finite_explodes(loss: float) -> None:
    outcome = Brake(3.0, 0.125, 10).refine(Ratios(FREE, lambda c: loss if c["lr"] > 0.02 else 1.0), HIGH, 0)
    assert outcome.configuration["lr"] == pytest.approx(0.01)
    assert outcome.diagnostics["ratio"] == math.inf


def test_the_brake_stops_at_its_limit_and_at_the_bound_and_says_so() -> None:
    for limit, lowest in ((3, 10**-1.5), (100, 1e-4)):
        outcome = Brake(3.0, 0.125, limit).refine(Ratios(FREE, lambda config: math.inf), HIGH, 0)
        assert outcome.configuration["lr"] == pytest.approx(lowest)
        assert outcome.diagnostics["acted"] == min(limit, 8)
        assert outcome.diagnostics["note"] == "explodes still, as slow as it may get"


def test_the_brake_never_raises_a_rate_on_a_real_network() -> None:
    acted = 0
    for index in range(20):
        before = RandomSearch(SPACE, 4).propose(index)
        outcome = Brake(1.5).refine(Small(), before, index)
        after = outcome.configuration
        assert after["lr"] <= before["lr"]
        assert {**after, "lr": 0} == {**before, "lr": 0}
        assert (after["lr"] < before["lr"]) == (outcome.diagnostics["acted"] > 0)
        acted += outcome.diagnostics["acted"] > 0
        if outcome.diagnostics["acted"]:
            losses = Small().losses(after)
            assert Probe(losses, after, 1, "half").ratio(after) <= 1.5 or "note" in outcome.diagnostics
    assert 0 < acted < 20


# -- screen ----------------------------------------------------------------------------------------


def test_what_explodes_is_drawn_again_by_the_trials_seed_alone() -> None:
    found = {Screen(3.0, 50).refine(Ratios(FREE, by_lr), HIGH, seed).configuration for seed in range(20)}
    assert len(found) == 20  # other trials, other draws
    for seed in range(20):
        one, two = (Screen(3.0, 50).refine(Ratios(FREE, by_lr), HIGH, seed) for _ in range(2))
        assert one == two
        assert by_lr(one.configuration) <= 3.0
        assert one.diagnostics["rejected"] >= 1
        assert one.diagnostics["ratio"] == 300.0
        # whatever was proposed: the draws are the trial's own
        other = FREE.configuration({"lr": 0.5, "x": 0.1})
        assert Screen(3.0, 50).refine(Ratios(FREE, by_lr), other, seed).configuration == one.configuration


def test_screening_leaves_what_does_not_explode_to_the_last_bit() -> None:
    before = FREE.configuration({"lr": 0.001, "x": 0.7})
    outcome = Screen(3.0).refine(Ratios(FREE, by_lr), before, 5)
    assert outcome.configuration == before
    assert outcome.diagnostics["rejected"] == 0


def test_as_many_are_rejected_as_are_not_used() -> None:
    for limit in (1, 2, 7):
        problem = Ratios(FREE, lambda config: 100.0 - config["x"])
        outcome = Screen(3.0, limit).refine(problem, HIGH, 3)
        assert len(problem.asked) == limit
        assert outcome.diagnostics["rejected"] == limit - 1
        assert outcome.configuration["x"] == max(config["x"] for config in problem.asked)  # the least bad
        assert outcome.diagnostics["note"].startswith(f"all of {limit} configurations explode")


def test_where_everything_is_infinite_the_proposed_one_is_kept() -> None:
    outcome = Screen(3.0, 4).refine(Ratios(FREE, lambda config: math.inf), HIGH, 0)
    assert outcome.configuration == HIGH
    assert outcome.diagnostics["rejected"] == 3


def a_low_x(config: Configuration) -> bool:
    return config["x"] < 0.3


def test_draws_obey_conditions_constraints_and_what_is_frozen() -> None:
    space = SearchSpace(
        {
            "lr": Float(1e-4, 1.0, log=True),
            "x": Float(0.0, 1.0),
            "kind": Choice(["plain", "fancy"]),
            "extra": Float(0.0, 1.0),
            "held": Float(0.0, 1.0),
        },
        conditions={"extra": {"kind": "fancy"}},
        constraints=[a_low_x],
    ).freeze(held=0.25)
    before = space.configuration({"lr": 1.0, "x": 0.1, "kind": "plain", "held": 0.25})
    kinds = set()
    for seed in range(30):
        after = Screen(3.0, 50).refine(Ratios(space, by_lr), before, seed).configuration
        assert space.configuration(dict(after)) == after
        assert space.allows(after)
        assert after["held"] == 0.25
        kinds.add(after["kind"])
    assert kinds == {"plain", "fancy"}


@pytest.mark.long
def test_on_a_real_network_what_is_let_through_does_not_explode() -> None:
    rejected = 0
    for index in range(20):
        before = RandomSearch(SPACE, 4).propose(index)
        outcome = Screen(1.5, 20).refine(Small(), before, index)
        after = outcome.configuration
        assert Probe(Small().losses(after), after, 1, "half").ratio(after) <= 1.5
        assert (after == before) == (outcome.diagnostics["rejected"] == 0)
        rejected += outcome.diagnostics["rejected"] > 0
    assert 0 < rejected < 20


@pytest.mark.parametrize("ahead", [1, 3])
def test_they_look_as_far_ahead_as_they_are_told(ahead: int) -> None:
    seen: list[int] = []

    class Counting(BlackBox):
        def losses(self, config: Configuration):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            def after(there: Configuration, train: list[int], heldout: int) -> float:
                seen.append(len(train))
                return 1.0

            return replace(super().losses(config), after=after)

    problem = Counting(FREE, lambda config, draw: 1.0)
    for strategy in (Screen(lookahead=ahead), Brake(lookahead=ahead)):
        seen.clear()
        strategy.refine(problem, HIGH, 0)
        assert seen == [0, ahead]


def test_of_a_black_box_what_is_not_finite_is_drawn_again_or_slowed_down() -> None:
    def evaluate(config: Configuration, draw: int) -> float:
        return math.inf if config["lr"] > 0.01 else 5.0

    problem = BlackBox(FREE, evaluate)
    assert Screen(3.0, 50).refine(problem, HIGH, 0).configuration["lr"] <= 0.01


def test_a_fancy_configuration_may_become_a_plain_one() -> None:
    names = {
        frozenset(Screen(1.01, 20).refine(Small(), configuration(lr=30.0), seed).configuration)
        for seed in range(8)
    }
    assert len(names) == 2


def test_the_network_is_made_once() -> None:
    plain, makings = Small(), 0

    def make(config: Configuration) -> nn.Module:
        nonlocal makings
        makings += 1
        return copy.deepcopy(plain.module)

    problem = ModelProblem(
        SPACE,
        model=make,
        optimizer=heavy_ball,
        data=(torch.ones(8, 3), torch.ones(8, 1)),
        loss=lambda outputs, targets, config: outputs.mean(),
    )
    for strategy in (Screen(1e9), Brake(1e9)):
        makings = 0
        strategy.refine(problem, configuration(), 0)
        assert makings == 1
