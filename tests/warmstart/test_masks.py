"""What a mask lets a strategy move: by the name of a dimension, or by what it does in the optimiser."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asha_core import Choice, Configuration, Float, SearchSpace
from asha_core.errors import SettingError
from tests.warmstart.small_problems import Small, black_box, configuration
from warmstart import build
from warmstart.hints import hints
from warmstart.masks import OPTIMISER_SETTINGS
from warmstart.optimizers import SGD, Adam

SPACE = SearchSpace(
    {
        "base_lr": Float(1e-3, 30.0, log=True),
        "decay": Float(1e-6, 1e-1, log=True),
        "kind": Choice(["heavy", "plain"]),
        "beta": Float(0.0, 0.9),
    },
    conditions={"beta": {"kind": "heavy"}},
)
HEAVY = {"base_lr": 20.0, "decay": 1e-3, "kind": "heavy", "beta": 0.5}
PLAIN = {"base_lr": 20.0, "decay": 1e-3, "kind": "plain"}


def optimizer(model: torch.nn.Module, config: Configuration) -> torch.optim.Optimizer:
    """A rate that is scaled, and a decay for the weights alone."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [{"params": weights, "weight_decay": config["decay"]}, {"params": others}],
        config["base_lr"] * 32 / 256,
        config.get("beta", 0.0),
    )


def problem() -> Small:
    return Small(space=SPACE, optimizer=optimizer)


@pytest.mark.parametrize(
    ("mask", "named"),
    [
        ("lr", {"base_lr"}),
        ("base_lr", {"base_lr"}),
        ("weight_decay", {"decay"}),
        ("momentum", {"beta"}),
        (" lr , beta", {"base_lr", "beta"}),
        (["lr", "weight_decay"], {"base_lr", "decay"}),
        (None, {"base_lr", "decay", "beta"}),
    ],
)
def test_a_mask_names_dimensions_or_what_they_do(mask: Any, named: set[str]) -> None:
    before = SPACE.configuration(HEAVY)
    told = build("hypergradient", {"mask": mask}).refine(problem(), before, 0).diagnostics
    assert set(told["gradient"]) == named
    assert "note" not in told


@pytest.mark.parametrize("strategy", ["trust", "brake"])
def test_strategies_for_the_learning_rate_find_it_under_any_name(strategy: str) -> None:
    before = SPACE.configuration(HEAVY)
    after = build(strategy).refine(problem(), before, 0).configuration
    assert after["base_lr"] < before["base_lr"]
    assert {**after, "base_lr": 0} == {**before, "base_lr": 0}


@pytest.mark.parametrize("strategy", ["hypergradient", "trust", "flipped", "random-matched"])
def test_a_mask_that_matches_nothing_says_so_and_measures_nothing(strategy: str) -> None:
    outcome = build(strategy, {"mask": "eps,dampening"}).refine(problem(), SPACE.configuration(HEAVY), 0)
    assert outcome.configuration == SPACE.configuration(HEAVY)
    told = outcome.diagnostics
    assert told["note"] == "nothing to move: the mask eps,dampening matches no real dimension"
    assert (told["gradient"], told["unmatched"]) == ({}, ["eps", "dampening"])
    assert "heldout_loss" not in told
    (hint,) = hints(told)
    assert "no dimension matches its mask eps,dampening" in hint


def test_the_brake_says_that_it_has_nothing_to_lower() -> None:
    outcome = build("brake", {"mask": "eps"}).refine(problem(), SPACE.configuration(HEAVY), 0)
    assert outcome.configuration == SPACE.configuration(HEAVY)
    assert (outcome.diagnostics["acted"], outcome.diagnostics["unmatched"]) == (0, ["eps"])
    fine = build("brake", {"mask": "eps"}).refine(
        problem(), SPACE.configuration({**PLAIN, "base_lr": 0.01}), 0
    )
    assert "note" not in fine.diagnostics


def test_what_is_absent_here_and_there_elsewhere_is_no_mistake() -> None:
    outcome = build("hypergradient", {"mask": "beta"}).refine(problem(), SPACE.configuration(PLAIN), 0)
    assert outcome.diagnostics["note"].startswith("nothing to move")
    assert not hints(outcome.diagnostics)


def test_a_space_without_real_dimensions_has_nothing_to_move() -> None:
    space = SearchSpace({"kind": Choice(["a", "b"])})
    for strategy in ("hypergradient", "trust", "random", "random-matched"):
        before = space.configuration({"kind": "a"})
        assert build(strategy).refine(black_box_of(space), before, 0).configuration == before


def black_box_of(space: SearchSpace) -> Any:
    from warmstart import BlackBox

    return BlackBox(space, lambda config, draw: 1.0)


@pytest.mark.parametrize("strategy", ["hypergradient", "trust", "brake", "flipped", "random-matched"])
def test_a_name_that_is_nothing_is_refused_with_the_nearest(strategy: str) -> None:
    with pytest.raises(
        SettingError, match="mask names 'base_rl', which is neither a dimension nor a setting"
    ):
        build(strategy, {"mask": "base_rl"}).refine(problem(), SPACE.configuration(HEAVY), 0)


def test_without_a_network_a_mask_goes_by_names() -> None:
    told = build("hypergradient", {"mask": "lr"}).refine(black_box(), configuration(), 0).diagnostics
    assert set(told["gradient"]) == {"lr"}


def test_the_settings_that_a_mask_may_name_are_those_of_the_optimisers() -> None:
    assert set(OPTIMISER_SETTINGS) == {*SGD.SETTINGS, *Adam.SETTINGS}
