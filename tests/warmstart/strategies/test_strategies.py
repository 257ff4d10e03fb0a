"""What every strategy and every variation promises, whatever it does: those of the registry, all of them."""

from __future__ import annotations

import inspect
import json
import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from asha_core import AshaError, Configuration, Float, RandomSearch, SearchSpace
from asha_core.errors import SettingError
from asha_core.runtime.storage.records import to_json
from tests.warmstart.small_problems import (
    CASES,
    SPACE,
    ZERO,
    Small,
    black_box,
    configuration,
    unsupported,
)
from trials.task import PlainProblem
from trials.tasks.digits import Digits
from trials.torch_task.warm_start_problem import TrainingProblem
from warmstart import Outcome, WarmStart, build
from warmstart.registry import STRATEGIES
from warmstart.strategies.control import Control

KEYS = {
    *("strategy", "step", "gradient", "route", "lookahead", "heldout_loss", "note", "non_finite", "fallback"),
    *("ignored", "unmatched", "ratio", "rejected", "acted", "parts"),
    *("place", "offset", "looks", "pooled", "learned"),
}


def made(case: str, **settings: Any) -> WarmStart:
    strategy, own = CASES[case]
    return build(strategy, {**own, **settings})


def draws(count: int, seed: int = 0) -> list[Configuration]:
    return [RandomSearch(SPACE, seed).propose(index) for index in range(count)]


def may_draw_again(case: str) -> bool:
    return "screen" in CASES[case][0]


def takes(case: str, setting: str) -> bool:
    """Whether a strategy has a setting, itself or what it is a control of."""
    kind = type(made(case))
    return setting in inspect.signature(kind).parameters or issubclass(kind, Control)


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", CASES)
def test_a_refinement_is_reproducible_and_bounded_leaves_no_trace_and_tells_its_step(case: str) -> None:
    warm_start, problem = made(case), Small()
    torch.manual_seed(11)
    for index, before in enumerate([*draws(2), *draws(2, seed=2)]):
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()
        outcome = warm_start.refine(problem, before, index)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))
        assert random.getstate() == states[2]
        assert all(torch.equal(problem.before[n], w) for n, w in problem.module.state_dict().items())
        assert problem.module.training
        if index < 1:  # neither object keeps anything between configurations
            again = made(case).refine(Small(), before, index)
            assert to_json(again.diagnostics) == to_json(outcome.diagnostics)
            assert again.configuration == outcome.configuration
        SPACE.configuration(dict(outcome.configuration))  # all dimensions that exist, in their bounds
        check_diagnostics(case, warm_start.name, before, outcome)
        assert outcome.configuration["held"] == 0.3
        if not may_draw_again(case):  # what is discrete stays, and what is absent stays so
            assert list(outcome.configuration) == list(before)
            assert all(outcome.configuration[name] == before[name] for name in ("kind", "layers"))


def check_diagnostics(case: str, name: str, before: Configuration, outcome: Outcome) -> None:
    """They are JSON, have the documented keys, and the step that was taken."""
    told = outcome.diagnostics
    assert json.loads(to_json(told))["strategy"] == name == CASES[case][0]
    assert set(told) <= KEYS
    assert all(set(part) <= KEYS for part in told.get("parts", []))
    assert "step" in told
    if not may_draw_again(case):
        for dimension_name, change in told["step"].items():
            dimension = SPACE[dimension_name]
            assert isinstance(dimension, Float)
            ends = [dimension.to_search(c[dimension_name]) for c in (before, outcome.configuration)]
            assert change == pytest.approx(ends[1] - ends[0], abs=1e-12)


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("bounds", ["clamp", "reflect"])
@pytest.mark.parametrize("case", [case for case in CASES if takes(case, "bounds")])
def test_it_stays_inside_its_bounds_whichever_way(case: str, bounds: str) -> None:
    warm_start = made(case, bounds=bounds)
    corners = [configuration(lr=lr, momentum=m, noise=n) for lr, m, n in ((1e-4, 0, 1), (30.0, 0.99, 0))]
    for index, before in enumerate(corners if bounds == "reflect" else corners[1:]):
        SPACE.configuration(dict(warm_start.refine(Small(), before, index).configuration))


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", [case for case in CASES if takes(case, "mask")])
@pytest.mark.parametrize("mask", ["noise", "momentum,noise", ["lr"]])
def test_it_moves_what_its_mask_names_and_nothing_else(case: str, mask: Any) -> None:
    before = configuration(lr=10.0)
    after = made(case, mask=mask).refine(Small(), before, 0).configuration
    named = mask.split(",") if isinstance(mask, str) else mask
    assert {name for name in before if after[name] != before[name]} <= set(named)


@pytest.mark.long
@pytest.mark.parametrize("case", ZERO)
def test_the_zero_setting_changes_nothing_to_the_last_bit(case: str) -> None:
    strategy, settings = ZERO[case]
    warm_start = build(strategy, settings)
    for index, before in enumerate(draws(6)):
        outcome = warm_start.refine(Small(), before, index)
        assert outcome.configuration == before
        assert not any(outcome.diagnostics["step"].values())


def test_every_strategy_that_can_has_a_zero_setting_in_these_tests() -> None:
    assert set(STRATEGIES) - {strategy for strategy, _ in ZERO.values()} == {"random"}  # sigma is above 0


FOLLOWS = [case for case in CASES if takes(case, "mask") and CASES[case][0] not in ("brake", "place")]


@pytest.mark.parametrize("case", FOLLOWS)
def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted(case: str) -> None:
    for heldout in (math.inf, math.nan):
        outcome = made(case).refine(Small(heldout=heldout), configuration(), 0)
        assert outcome.configuration == configuration()
        assert outcome.diagnostics["non_finite"] >= 1
        assert outcome.diagnostics["note"] == "non-finite hyper-gradient: no nudge"
        assert not any(outcome.diagnostics["step"].values())
        json.loads(to_json(outcome.diagnostics))


@pytest.mark.parametrize("case", CASES)
def test_a_problem_without_losses_is_refused_with_what_to_do(case: str) -> None:
    warm_start = made(case)
    if not warm_start.needs_losses:
        assert warm_start.refine(PlainProblem(SPACE), configuration(), 0).diagnostics["strategy"]
        return
    with pytest.raises(AshaError, match=r"TorchTask.*warm_start_loss\(config, seed\).*--variation baseline"):
        warm_start.refine(PlainProblem(SPACE), configuration(), 0)


@pytest.mark.parametrize("case", CASES)
def test_a_black_box_will_do(case: str) -> None:
    outcome = made(case).refine(black_box(), configuration(lr=1e-3), 0)
    SPACE.configuration(dict(outcome.configuration))
    gradient = outcome.diagnostics.get("gradient")
    if gradient:
        assert outcome.diagnostics["route"] == "differences"
        asked = CASES[case][1].get("route") == "differences"
        assert ("fallback" in outcome.diagnostics) == (not asked)
        first = gradient[0] if isinstance(gradient, list) else gradient
        assert first["lr"] == pytest.approx(2 * -3.0, rel=1e-6)  # of log10(lr)^2
        assert all(first[name] == 0.0 for name in first if name != "lr")


def finds(outcome: Outcome) -> set[str]:
    gradient = outcome.diagnostics.get("gradient", {})
    return set(gradient[0] if isinstance(gradient, list) else gradient)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_an_optimiser_that_cannot_be_looked_through_is_differenced_and_that_is_said(case: str) -> None:
    problem = Small(optimizer=unsupported)
    outcome = made(case).refine(problem, configuration(), 0)
    if case not in FOLLOWS and "+trust" not in CASES[case][0]:  # a real step is taken
        return
    if case != "differences":
        told = (outcome.diagnostics.get("parts") or [outcome.diagnostics])[-1]
        assert told["route"] == "differences"
        assert "optimizer() gave RMSprop" in told["fallback"]
        assert "lr" in finds(Outcome(outcome.configuration, told))
    if "+trust" not in CASES[case][0]:  # the settings of its parts are not its own
        asked = made(case, route="differences").refine(problem, configuration(), 0)
        assert asked.diagnostics["route"] == "differences"
        assert "fallback" not in asked.diagnostics
        assert "lr" in finds(asked)
        assert asked.configuration == outcome.configuration


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_setting_is_taken_that_it_cannot_use(strategy: str) -> None:
    """Each setting, given what no setting can be: refused by its name and value, or harmless."""
    kind = type(build(strategy))
    for parameter in inspect.signature(kind).parameters.values():
        name = "of" if parameter.name == "inner" else parameter.name
        for junk in ("nonsense", math.nan, math.inf, -1, 1.5, True, [], {}, object()):
            said = refusal(strategy, name, junk)
            if said is None:
                assert isinstance(junk, str | int | float), (name, junk)
                assert junk == junk, (name, junk)  # noqa: PLR0124 - NaN is not
            else:
                assert name in said
                assert repr(junk) in said


def refusal(strategy: str, name: str, value: Any) -> str | None:
    """What is said against a setting; None if it is taken."""
    try:
        build(strategy, {name: value})
    except SettingError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hypergradiant", {}, 'did you mean "hypergradient"'),
        ("hypergradient", {"eta_h": -1.0}, r"eta_h is -1.0: it must be a finite number of at least 0"),
        ("hypergradient", {"eta_h": "fast"}, "eta_h is 'fast': it must be a finite number"),
        ("hypergradient", {"steps": 0}, "steps is 0: it must be an integer of at least 1"),
        ("hypergradient", {"stepz": 1}, "has no setting 'stepz'; did you mean \"steps\""),
        ("hypergradient", {"heldout": "hafl"}, "heldout is 'hafl'; did you mean \"half\""),
        (
            "hypergradient",
            {"route": "forwards"},
            "closed, differences, first-order, tangents",
        ),
        ("hypergradient", {"bounds": "bounce"}, "known: clamp, reflect"),
        ("hypergradient", {"mask": 3}, "mask is 3: it must name dimensions"),
        ("hypergradient", {"mask": "lr,,"}, "mask is 'lr,,'"),
        ("trust", {"delta": 1.5}, "delta is 1.5: it must be a finite number of at least 0 and at most 1"),
        ("trust", {"shrink": 0}, "shrink is 0: it must be a finite number above 0 and at most 1"),
        ("brake", {"factor": 1.0}, "factor is 1.0: it must be a finite number above 1"),
        ("brake", {"mask": None}, "mask is None"),
        ("screen", {"limit": 0}, "limit is 0"),
        ("random", {"sigma": 0.0}, "sigma is 0.0: it must be a finite number above 0"),
        ("flipped", {"of": "random"}, "of is 'random': it must follow a gradient"),
        ("flipped", {"of": "flipped"}, "of is 'flipped': it must follow a gradient"),
        ("random-matched", {"of": "screen+trust"}, "of is 'screen[+]trust'; did you mean"),
        ("random-matched", {"of": 3}, "of is 3; known: brake"),
        ("random-matched", {"of": "trust", "eta_h": 1}, "'trust' has no setting 'eta_h'"),
    ],
)
def test_bad_settings_are_refused_in_words(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(name, settings)


@pytest.fixture(scope="module")
def digits() -> Digits:
    task = Digits("mlp")
    task.setup("cpu")
    return task


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", [case for case in CASES if case not in STRATEGIES])
def test_on_a_real_network_too_it_is_reproducible_and_leaves_no_trace(case: str, digits: Digits) -> None:
    before = RandomSearch(digits.space, 0).propose(3)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    runs = [made(case).refine(TrainingProblem(digits, 77, "cpu"), before, 77) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert runs[0] == runs[1]
    digits.space.configuration(dict(runs[0].configuration))


def test_constraints_hold_after_each_part_and_after_the_whole() -> None:
    """What a part may not do is undone, and what the parts before it did stays done."""
    import warmstart

    space = SearchSpace(dict(SPACE), conditions=SPACE.conditions, constraints=[lambda c: c["noise"] < 0.5])
    before = configuration(lr=30.0, noise=0.499)
    problem = Small(space=space)
    for seed in range(8):
        screened = build("screen").refine(problem, before, seed).configuration
        outcome = build("screen+random", {"random": {"sigma": 3.0}}).refine(problem, before, seed)
        assert space.allows(outcome.configuration)
        if outcome.diagnostics["parts"][1].get("note"):
            assert outcome.configuration == screened
        alone = warmstart.refine("random-warm", problem, dict(before), seed=seed, sigma=3.0)
        assert space.allows(alone.configuration)
