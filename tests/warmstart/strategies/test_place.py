"""A rate is put a fixed way below the one at which virtual steps explode."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from asha_core import Choice, Configuration, Float, RandomSearch, SearchSpace
from asha_core.errors import SettingError
from tests.warmstart.small_problems import SPACE, Small, black_box, configuration, heavy_ball, unsupported
from warmstart import ModelProblem
from warmstart.hints import hints
from warmstart.placing import mapped
from warmstart.strategies.place import Place

RATES = SearchSpace({"lr": Float(1e-4, 1e2, log=True), "momentum": Float(0.0, 0.99), "x": Float(0.0, 1.0)})
EXPLODES = 1 + math.sqrt(1.2)  # of w²/2 from w = 1: a step leaves (1 - lr)² of it, which is 1.2 times there
FINE = {"limit": 30, "width": 0.5}  # a bisection to the last digits

Optimizer = Callable[[nn.Module, Configuration], torch.optim.Optimizer]


def nesterov(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    momentum = config["momentum"]
    return torch.optim.SGD(model.parameters(), config["lr"], momentum, nesterov=momentum > 0)


class Parabola(ModelProblem):
    """w²/2 from w = 1, in double precision, times a steepness, plus a level; every batch is alike."""

    def __init__(
        self,
        optimizer: Optimizer = nesterov,
        *,
        space: SearchSpace = RATES,
        steepness: float = 1.0,
        level: float = 0.0,
    ) -> None:
        class Weight(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = nn.Parameter(torch.ones((), dtype=torch.float64))

            def forward(self, inputs: Tensor) -> Tensor:
                return self.w * inputs

        super().__init__(
            space,
            model=Weight(),
            optimizer=optimizer,
            data=(torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)),
            loss=lambda outputs, targets, config: steepness * outputs.square().mean() / 2 + level,
        )


def at(lr: float, momentum: float = 0.0, x: float = 0.3) -> Configuration:
    return RATES.configuration({"lr": lr, "momentum": momentum, "x": x})


def test_the_middle_of_the_space_comes_to_lie_a_decade_below_the_explosion() -> None:
    outcome = Place(**FINE).refine(Parabola(), at(0.1), 0)
    assert outcome.configuration["lr"] == pytest.approx(EXPLODES / 10, rel=1e-6)
    assert outcome.diagnostics["place"] == {"lr": pytest.approx(math.log10(EXPLODES) - 1)}
    assert outcome.diagnostics["step"]["lr"] == pytest.approx(math.log10(EXPLODES))
    assert outcome.diagnostics["looks"] == 30
    assert "offset" not in outcome.diagnostics


@pytest.mark.parametrize("steepness", [0.01, 1.0, 4.0])
@pytest.mark.parametrize("optimizer", [nesterov, heavy_ball])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_the_place_is_an_effective_rate_that_momentum_does_not_move(
    steepness: float, optimizer: Optimizer, momentum: float
) -> None:
    outcome = Place(**FINE).refine(Parabola(optimizer, steepness=steepness), at(0.1, momentum), 0)
    place = math.log10(EXPLODES / steepness) - 1
    assert outcome.diagnostics["place"]["lr"] == pytest.approx(place, abs=1e-6)
    assert outcome.configuration["lr"] == pytest.approx(max(10**place * (1 - momentum), 1e-4), rel=1e-5)
    assert outcome.configuration["momentum"] == momentum


def adam(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), config["lr"], betas=(config["momentum"], 0.99))


def test_of_adam_momentum_is_no_matter() -> None:
    outcome = Place(**FINE, below=2.0).refine(
        Parabola(adam), at(0.1, 0.9), 0
    )  # whose first step is lr itself
    assert outcome.configuration["lr"] == pytest.approx(EXPLODES / 100, rel=1e-5)
    assert "offset" not in outcome.diagnostics


@pytest.mark.parametrize("optimizer", [adam, unsupported])
def test_the_distance_has_to_be_given_for_what_is_not_sgd(optimizer: Optimizer) -> None:
    before = at(0.1, 0.9)
    problem = Parabola(optimizer)
    outcome = Place().refine(problem, before, 0)
    assert outcome.configuration == before
    assert "unless below is given" in outcome.diagnostics["note"]
    (hint,) = hints(outcome.diagnostics)
    assert "moves nothing in this search: nothing is placed with" in hint
    assert "looks" not in outcome.diagnostics
    assert Place().at(problem, before, {"lr": -1.0}).configuration == before
    assert Place(below=1.0).refine(problem, before, 0).diagnostics["looks"] == 6
    assert Place(below=1.0).at(problem, before, {"lr": -2.0}).configuration["lr"] == pytest.approx(0.01)


def test_ranks_stay_ranks_in_a_window_of_the_width_that_is_asked_for() -> None:
    rates = [1e-4, 1e-3, 0.1, 3.0, 1e2]
    placed = [Place(**FINE).refine(Parabola(), at(lr), 0).configuration["lr"] for lr in rates]
    assert placed == sorted(placed)
    assert placed[-1] / placed[0] == pytest.approx(10**0.5)
    assert placed[0] * placed[-1] == pytest.approx((EXPLODES / 10) ** 2)
    point = Place(limit=30, width=0.0)
    assert len({point.refine(Parabola(), at(lr), 0).configuration["lr"] for lr in rates}) == 1


def test_everything_else_stays_to_the_last_bit() -> None:
    for index in range(20):
        before = RandomSearch(RATES, 1).propose(index)
        after = Place().refine(Parabola(), before, index).configuration
        assert {**after, "lr": 0} == {**before, "lr": 0}
        assert after["lr"] != before["lr"]


def test_six_looks_are_as_near_as_a_64th_of_what_is_looked_at() -> None:
    found = Place().refine(Parabola(), at(0.1), 0).diagnostics["place"]["lr"]
    assert abs(found - (math.log10(EXPLODES) - 1)) <= (6 + 0.6) / 2**6


def test_what_never_explodes_is_left_alone_and_told() -> None:
    before = at(0.1, 0.5)
    outcome = Place().refine(Parabola(steepness=1e-9), before, 0)
    assert outcome.configuration == before
    assert outcome.diagnostics["note"] == "nothing is placed: no rate that was looked at explodes"
    assert "place" not in outcome.diagnostics


def test_what_always_explodes_is_put_at_its_lower_bound() -> None:
    for lr in (1e-4, 0.1, 1e2):
        assert Place().refine(Parabola(steepness=1e9), at(lr), 0).configuration["lr"] == 1e-4


@pytest.mark.parametrize("level", [math.nan, math.inf, -1.0])
def test_where_the_loss_cannot_be_compared_nothing_is_placed(level: float) -> None:
    before = at(0.1, 0.5)
    outcome = Place().refine(Parabola(level=level), before, 0)
    assert outcome.configuration == before
    assert outcome.diagnostics["note"].startswith("nothing is placed: the held-out loss begins at")


def test_a_narrow_space_is_not_left() -> None:
    for low, high in ((1e-4, 1e-3), (1e-3, 1e-2), (0.1, 1.0), (1.0, 10.0)):
        space = SearchSpace({**RATES, "lr": Float(low, high, log=True)})
        for index in range(5):
            before = RandomSearch(space, 2).propose(index)
            outcome = Place().refine(Parabola(space=space), before, 0)
            assert low <= outcome.configuration["lr"] <= high
            assert space.configuration(outcome.configuration) == outcome.configuration


def test_a_place_from_elsewhere_does_what_ones_own_does_and_measures_nothing() -> None:
    strategy = Place()
    for index in range(10):
        before = RandomSearch(SPACE, 3).propose(index)
        found = strategy.refine(Small(), before, index)
        again = strategy.at(Small(), before, found.diagnostics["place"])
        assert again.configuration == found.configuration
        assert again.diagnostics["place"] == found.diagnostics["place"]
        assert again.diagnostics.get("offset") == found.diagnostics.get("offset")
        assert "looks" not in again.diagnostics
    before = at(0.1, 0.9)
    assert strategy.at(Parabola(), before, {}).configuration == before
    assert strategy.at(Parabola(), before, {"x": 0.2}).configuration == before  # it places lr


def test_rates_of_a_window_explode_less_than_those_that_were_drawn() -> None:
    braked = 0
    for index in range(20):
        before = RandomSearch(SPACE, 4).propose(index)
        after = Place().refine(Small(), before, index).configuration
        losses = Small().losses(after)
        train, heldout = losses.samples(0, 5, "half")
        assert losses.after(after, train, heldout) < 1.2 * losses.after(after, [], heldout)
        braked += after["lr"] < before["lr"]
    assert 0 < braked < 20


@pytest.mark.parametrize(
    ("space", "note"),
    [
        (
            {"lr": Float(0.1, 0.5), "momentum": Float(0.0, 0.9)},
            "no dimension of the mask is on",
        ),
        ({"lr": Choice([0.1, 0.2]), "momentum": Float(0.0, 0.9)}, "the mask lr matches no real dimension"),
    ],
)
def test_what_cannot_be_placed_is_left_alone_and_told(space: dict[str, Float], note: str) -> None:
    made = SearchSpace(space)
    before = RandomSearch(made, 0).propose(0)
    outcome = Place().refine(Parabola(space=made), before, 0)
    assert outcome.configuration == before
    assert note in outcome.diagnostics["note"]


def test_a_black_box_has_no_steps_to_take() -> None:
    outcome = Place().refine(black_box(), configuration(), 0)
    assert outcome.configuration == configuration()
    assert "no network" in outcome.diagnostics["note"]
    assert Place().at(black_box(), configuration(), {"lr": 0.0}).configuration == configuration()


def test_two_rates_are_placed_together() -> None:
    space = SearchSpace({"slow": Float(1e-4, 1.0, log=True), "fast": Float(1e-2, 1e2, log=True)})

    def optimizer(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), config["slow"] + 0.0 * config["fast"])

    before = space.configuration({"slow": 1e-2, "fast": 1.0})
    outcome = Place(**FINE, mask=("slow", "fast")).refine(Parabola(optimizer, space=space), before, 0)
    assert outcome.configuration["slow"] == pytest.approx(EXPLODES / 10, rel=1e-6)
    assert outcome.configuration["fast"] == pytest.approx(EXPLODES * 10, rel=1e-6)  # as far from its middle


def test_settings_are_checked() -> None:
    for settings, told in (
        ({"factor": 1.0}, "factor is 1"),
        ({"below": -1.0}, "below is -1"),
        ({"width": -0.1}, "width is -0.1"),
        ({"limit": 0}, "limit is 0"),
        ({"mask": ""}, "mask is ''"),
    ):
        with pytest.raises(SettingError, match=told):
            Place(**settings)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="mask names 'rate'"):
        Place(mask="rate").refine(Parabola(), at(0.1), 0)


def test_mapping_leaves_what_has_no_place_and_stays_in_the_box() -> None:
    before = at(0.1, 0.5)
    assert mapped(RATES, before, {}, 1.0) == before
    assert mapped(RATES, before, {"x": 0.1, "nothing": 3.0}, 1.0) == before  # x is on no logarithmic axis
    assert mapped(RATES, before, {"lr": 50.0}, 1.0)["lr"] == 1e2
    assert mapped(RATES, before, {"lr": -50.0}, 1.0)["lr"] == 1e-4
    assert mapped(RATES, before, {"lr": -1.0}, 1.0, {"lr": -2.0})["lr"] == pytest.approx(1e-3)
