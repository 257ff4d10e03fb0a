"""``warmstart.check``: what it says of each dimension, and that it finds what is wrong."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from asha_core import Float, Int, SearchSpace
from asha_core.errors import SettingError, TaskError
from tests.warmstart.models import problem as any_problem
from tests.warmstart.small_problems import Small, black_box, unsupported
from tests.warmstart.wrong_derivatives import SPACE, Reversed, adamw, drawn, problem, smooth
from warmstart import Diagnosis, ModelProblem, check, doctor
from warmstart.diagnosis import Costs, DimensionDiagnosis


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about time."""
    monkeypatch.setattr(doctor, "_ROUNDS", 1)
    monkeypatch.setattr(doctor, "_TIMED", 0.0)


def by_name(found: Diagnosis) -> dict[str, Any]:
    return {dimension.name: dimension for dimension in found.dimensions}


def test_each_dimension_is_told_with_what_it_acts_through() -> None:
    found = check(Small(), variation="ohgw-1step")
    told = by_name(found)
    assert (found.route, found.lookahead, found.verdict, found.right) == ("closed", 1, "agrees", True)
    assert told["lr"].through.startswith("through the optimiser's lr (by 0.126")
    assert told["noise"].through == "through the inputs or the network"
    assert told["pull"].through == "through the loss"
    for name in ("lr", "momentum", "noise", "pull"):
        assert told[name].verdict == "agrees"
        assert told[name].slope == pytest.approx(told[name].difference, rel=0.1)
    for name in ("kind", "layers", "held"):
        assert "only real dimensions" in told[name].note
    assert found.costs.arithmetic == pytest.approx(1 + 1 / 3 + 1, rel=0.1)
    assert [line.split()[0] for line in str(found).splitlines()[2:-2]] == list(told)


def test_what_is_not_moved_is_told_with_the_reason() -> None:
    space = SearchSpace({**SPACE, "idle": Float(0.0, 1.0)})
    found = by_name(check(problem(smooth, space=space), variation="ohgw-1step"))
    assert "nothing reads it" in found["idle"].note
    assert "the mask is lr" in by_name(check(problem(smooth)))["momentum"].note


def test_what_cannot_be_compared_with_adam_is_told() -> None:
    found = by_name(check(problem(smooth, optimizer=adamw), variation="ohgw-1step"))
    assert "through the optimiser's beta1" in found["momentum"].through
    assert found["lr"].verdict == "agrees"
    assert (found["smoothing"].verdict, found["noise"].verdict) == (None, None)
    assert "gradient's sign" in found["noise"].note


@pytest.mark.usefixtures("stops_unseen")
@pytest.mark.parametrize("variation", ["ohgw-1step", "ohgw-trust", "trust-flipped", "screen+trust"])
def test_a_wrong_derivative_is_found(variation: str) -> None:
    found = check(problem(lambda: smooth(lambda: Reversed(-1.0))), variation=variation)
    assert (found.verdict, found.right) == ("disagrees", False)
    assert "lr" in str(found)
    assert "a search would take differences" in str(found)


def test_where_nothing_is_differentiated_that_is_said() -> None:
    assert "nothing is differentiated" in str(check(Small(), variation="ohgw-brake"))
    assert "looks at nothing" in str(check(Small(), variation="random-warm"))
    assert check(black_box(), variation="ohgw-1step").fallback == "nothing to differentiate"
    found = check(Small(optimizer=unsupported), variation="ohgw-1step")
    assert (found.route, found.verdict) == ("differences", None)
    assert "RMSprop" in str(found)


def test_a_model_and_its_parts_do_as_a_problem_does() -> None:
    net = smooth()
    before = copy.deepcopy(net.state_dict())
    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "n": Int(1, 3)})
    data = torch.randn(32, 8), torch.randint(0, 4, (32,))
    parts = (
        lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
        lambda model, config: torch.optim.SGD(model.parameters(), config["lr"]),
    )
    found = check(net, *parts, data, space, max_grad_norm=1.0, delta=0.1, configuration={"lr": 0.1, "n": 1})
    named = check(net, loss=parts[0], optimizer=parts[1], data=data, space=space, max_grad_norm=1.0)
    assert (found.verdict, named.verdict) == ("agrees", "agrees")
    assert (found.configuration["lr"], named.configuration["n"]) == (0.1, 2)
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((smooth(), 1), "needs optimizer, data, space too"),
        ((smooth(), 1, 2, 3, 4, 5), "5 things are given"),
        ((Small(), {}, 3), "takes a configuration besides"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        check(*arguments)


def test_all_arguments_of_a_problem_can_be_given_with_a_model() -> None:
    arguments = set(inspect.signature(ModelProblem).parameters) - {"model", "seed"}
    assert {*doctor._PARTS, *doctor._OF_PROBLEM} == arguments


def test_what_a_warm_start_refuses_is_refused() -> None:
    with pytest.raises(TaskError, match="requires_grad"):
        check(problem(nn.Flatten))


def test_a_configuration_that_is_given_is_looked_at() -> None:
    assert dict(check(problem(smooth), drawn(3)).configuration) == dict(drawn(3))


def test_what_is_not_finite_is_told_as_that() -> None:
    given = any_problem(loss=lambda outputs, targets, config: outputs.sum() * float("nan"))
    found = check(given, variation="ohgw-1step")
    assert "Adam" not in str(found)
    assert "not compared: a gradient or the held-out loss is not finite" in str(found)
    assert "look for NaN" in str(found).splitlines()[-1]


def test_figures_are_short() -> None:
    costs = Costs(4.1, 0.4)
    found = Diagnosis("trust", doctor.middle(SPACE), costs)
    assert "(4.1 s over 400 ms)" in str(found)
    assert "difference 0:" in str(DimensionDiagnosis("lr", "", 1e-8, -0.0, "cannot tell"))
