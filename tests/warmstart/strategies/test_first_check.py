"""A search's first hyper-gradient beside the real optimiser: what is wrong is found, what is right stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import warmstart
from asha_core import Configuration, Float, SearchSpace
from tests.warmstart.small_problems import Small, black_box, configuration
from tests.warmstart.wrong_derivatives import RIGHT, Reversed, adamw, drawn, problem, relu, sgd, smooth
from warmstart import ModelProblem, build, refine
from warmstart.registry import VARIATIONS
from warmstart.strategies import first_check

# they measure as those do that they are controls of
CONTROLS = [pytest.param(name, marks=pytest.mark.slow) for name in ("ohgw-flipped", "trust-matched")]
PRECISIONS = [(torch.float64, None), (torch.float32, None), (torch.float32, torch.bfloat16)]
SANE = {"lr": 0.1, "weight_decay": 1e-3, "momentum": 0.7, "smoothing": 0.1, "noise": 0.3}


@pytest.fixture(autouse=True)
def nothing_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_check, "_judgements", {})
    monkeypatch.setattr(warmstart, "_hints_given", set())


def refined(given: ModelProblem, config: Any = SANE, name: str = "ohgw-1step", **settings: Any) -> Any:
    chosen = VARIATIONS[name]
    whole = given.space.configuration(dict(config))
    return build(chosen.strategy, {**chosen.settings, **settings}).refine(given, whole, 0)


# -- what is right ---------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("variation", [pytest.param("ohgw-1step", marks=pytest.mark.slow), "ohgw-trust"])
@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_derivative_is_never_called_wrong(
    kind: str, variation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = []
    for seed in range(6):  # each precision with each optimiser
        monkeypatch.setattr(first_check, "_judgements", {})
        precision, mixed = PRECISIONS[seed % 3]
        optimizer = (sgd, adamw)[seed % 2]
        given = problem(RIGHT[kind], seed=seed, optimizer=optimizer, dtype=precision, autocast=mixed)
        found = refined(given, drawn(seed), variation).diagnostics
        assert "fallback" not in found
        verdicts.append(found["check"]["verdict"])
    assert "disagrees" not in verdicts
    assert verdicts.count("agrees") >= 3


@pytest.mark.parametrize("variation", ["ohgw-1step", "ohgw-trust", "ohgw-3step", "trust-flipped"])
def test_where_all_agrees_a_configuration_is_refined_as_without(variation: str) -> None:
    checked, unchecked = (refined(problem(smooth), name=variation, check=check) for check in (True, False))
    assert checked.diagnostics.pop("check")["verdict"] == "agrees"
    assert checked == unchecked


def test_it_is_done_once_a_process_for_each_kind_of_problem() -> None:
    def checked(given: ModelProblem, **settings: Any) -> bool:
        return "check" in refined(given, **settings).diagnostics

    assert checked(problem(smooth))
    assert not checked(problem(smooth, seed=1))  # another trial's
    assert checked(problem(lambda: smooth(nn.Identity)))
    assert checked(problem(smooth, optimizer=adamw))
    assert checked(problem(smooth), lookahead=2)
    assert checked(problem(smooth), mask="lr")
    assert checked(problem(smooth), route="first-order")
    assert not checked(problem(smooth), lookahead=2)
    assert not checked(problem(relu), route="differences")
    assert not checked(problem(relu), check=False)
    found = build("hypergradient").refine(black_box(), configuration(), 0)
    assert "check" not in found.diagnostics


def test_optimisers_that_one_function_chooses_are_checked_each() -> None:
    def chosen(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
        return (sgd if config["momentum"] < 0.6 else adamw)(model, config)

    given = problem(smooth, optimizer=chosen)
    found = [refined(given, {**SANE, "momentum": at}, mask="lr").diagnostics for at in (0.5, 0.8, 0.4, 0.9)]
    assert ["check" in each for each in found] == [True, True, False, False]


def test_what_cannot_be_told_is_looked_at_in_the_next_trials_and_then_no_more() -> None:
    flat = problem(smooth, heldout_loss=lambda outputs, targets: 1e6 + outputs.mean())
    for _ in range(first_check.TRIALS):
        assert refined(flat, mask="lr").diagnostics["check"]["verdict"] == "cannot tell"
    assert "check" not in refined(flat, mask="lr").diagnostics


# -- what is wrong ---------------------------------------------------------------------------------


def teacher(outputs: Tensor, targets: Tensor) -> Tensor:
    """A held-out loss beside a target that was computed from the weights, and detached."""
    return (outputs - 0.5 * outputs.detach().square()).square().mean()


WRONG: dict[str, ModelProblem] = {
    "reversed": problem(lambda: smooth(lambda: Reversed(-1.0))),
    "half as large": problem(lambda: nn.Sequential(*smooth(), Reversed(0.5))),
    "a factor of 1.3": problem(lambda: nn.Sequential(*smooth(), Reversed(1.3)), dtype=torch.float64),
    "of a ReLU network": problem(lambda: nn.Sequential(*relu(), Reversed(-1.0))),
    "a detached target": problem(smooth, heldout_loss=teacher),
    "with Adam": problem(lambda: smooth(lambda: Reversed(-1.0)), optimizer=adamw),
}


@pytest.mark.usefixtures("stops_unseen")
@pytest.mark.parametrize(
    "variation",
    ["ohgw-1step", "ohgw-trust", *CONTROLS],
)
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_derivative_is_found_and_differences_are_taken_and_flagged(kind: str, variation: str) -> None:
    given = WRONG[kind]
    first = refined(given, name=variation)
    assert first.diagnostics["check"]["verdict"] == "disagrees"
    again = refined(given, name=variation)
    right = refined(given, name=variation, route="differences")
    for outcome in (first, again):
        assert "disagrees with differences through the real optimiser" in outcome.diagnostics["fallback"]
        assert outcome.diagnostics["route"] == "differences"
        assert outcome.diagnostics["gradient"] == right.diagnostics["gradient"]
        assert outcome.configuration == right.configuration
    assert "check" not in again.diagnostics


def test_virtual_steps_that_end_elsewhere_than_the_optimiser_are_found() -> None:
    """The second of an optimiser's steps does what its settings do not tell."""

    class Odd(torch.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> Any:  # type: ignore[override]
            loss = super().step(closure)
            self.steps += 1
            if self.steps == 2:
                with torch.no_grad():
                    for weight in self.param_groups[0]["params"]:
                        weight.mul_(0.5)
            return loss

    def odd(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
        made = Odd(model.parameters(), config["lr"])
        made.__class__.__name__ = "SGD"
        return made

    from warmstart import optimizers

    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(optimizers.torch.optim, "SGD", Odd)
        found = refined(problem(smooth, optimizer=odd, space=space), {"lr": 0.1}, "ohgw-trust").diagnostics
    assert "end at another held-out loss than the real optimiser" in found["fallback"]


def test_a_check_that_fails_does_not_end_a_search() -> None:
    class Once(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:  # type: ignore[override]
            raise MemoryError("no room")

    def once(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
        return Once(model.parameters(), config["lr"])

    from warmstart import optimizers

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(optimizers.torch.optim, "SGD", Once)
        found = refined(problem(smooth, optimizer=once), mask="lr").diagnostics
    assert found["check"] == {"verdict": "cannot tell", "error": "MemoryError: no room"}
    assert "fallback" not in found


@pytest.mark.usefixtures("stops_unseen")
def test_it_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"its derivative disagrees with differences .*against.*along lr"):
        refine("ohgw-trust", WRONG["reversed"], SANE)


def test_a_configuration_on_its_bounds_is_compared_along_what_can_move() -> None:
    found = refined(Small(), configuration(momentum=0.99), mask=["lr", "momentum"]).diagnostics
    assert found["check"] == {**found["check"], "verdict": "agrees", "along": ["lr"]}
    assert refined(Small(seed=1), configuration(lr=30.0), mask=["lr"], lookahead=3).diagnostics["check"] == {
        "verdict": "cannot tell",
        "slope": 0.0,
        "difference": 0.0,
        "along": [],
        "lookahead": 3,
    }
