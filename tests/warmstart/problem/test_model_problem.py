"""Any model and optimiser as a problem: against differences through the real thing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import AshaError, Configuration, Float, SearchSpace
from tests.warmstart.models import (
    MODELS,
    PSI,
    data,
    expected,
    measured,
    net,
    problem,
    trains_of,
)
from tests.warmstart.networks import assert_agrees, central
from warmstart import refine
from warmstart.estimates.estimate import estimate
from warmstart.problem.model_problem import ModelProblem

# spectral norm takes the singular vectors, which it writes, for constants; and PyTorch's weight norm has a
# second derivative that its own gradgradcheck refuses
BY_DIFFERENCES = {("spectral norm", 1), ("spectral norm", 2), ("weight norm", 2)}


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("kind", MODELS)
def test_models_of_every_kind_agree_with_differences_through_the_real_optimiser(
    kind: str, steps: int
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = MODELS[kind]()
    given = problem(model)
    found = measured(given, steps)
    if (kind, steps) in BY_DIFFERENCES:
        assert found.fallback is not None
        assert_agrees(found.gradient, expected(given, steps), rel=1e-2, noise=1e-5)
        return
    assert found.route == ("closed" if steps == 1 else "tangents")
    assert_agrees(found.gradient, expected(given, steps), rel=1e-6, noise=1e-11)


def test_routes_agree_on_a_model() -> None:
    given = problem()
    routes = {route: measured(given, 1, route=route).gradient for route in ("closed", "tangents")}
    assert_agrees(routes["tangents"], routes["closed"], rel=1e-8)
    assert_agrees(measured(given, 1, route="differences").gradient, routes["closed"], rel=0.02, noise=1e-5)


def test_frozen_weights_are_left_out_of_every_group() -> None:
    model = MODELS["frozen"]()
    losses = problem(model).losses(PSI)
    assert losses.network is not None
    assert set(losses.network.parameters) == {"2.weight", "2.bias"}
    assert [group.parameters for group in losses.network.groups(PSI)] == [("2.weight", "2.bias")]


def several_groups(model: Any, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [
            {"params": [model[0].weight], "weight_decay": config["weight_decay"]},
            {"params": [model[2].weight, model[2].bias], "lr": 0.3 * config["lr"], "momentum": 0.0},
            {"params": []},
        ],
        lr=config["lr"],
        momentum=config["momentum"],
    )


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    "optimizer",
    [
        several_groups,
        lambda model, c: torch.optim.Adam(model.parameters(), c["lr"], (c["momentum"], 0.99), eps=1e-2),
        lambda model, c: torch.optim.AdamW(
            model.parameters(), c["lr"], weight_decay=c["weight_decay"], eps=1e-2
        ),
        lambda model, c: torch.optim.Adam(
            model.parameters(),
            c["lr"],
            weight_decay=c["weight_decay"],
            eps=1e-2,
            decoupled_weight_decay=True,
        ),
        lambda model, c: torch.optim.SGD(
            model.parameters(), torch.tensor(c["lr"], dtype=torch.float64), momentum=c["momentum"]
        ),
    ],
    ids=["groups", "Adam", "AdamW", "decoupled Adam", "tensor rate"],
)
def test_optimisers_agree_with_themselves(optimizer: Any, steps: int) -> None:
    given = problem(optimizer=optimizer)
    assert_agrees(measured(given, steps).gradient, expected(given, steps), noise=1e-11)


# -- a factory, and what it reads ------------------------------------------------------------------


class Scaled(nn.Module):
    """tanh(scale * x) inside: a smooth coordinate of the network itself."""

    def __init__(self, scale: float, rate: float = 0.0) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)
        self.dropout = nn.Dropout(rate)
        self.scale = scale
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.dropout(torch.tanh(self.scale * self.first(x))))


INSIDE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "scale": Float(0.995, 1.005),  # so that the finite step of 1% of the range is small
        "rate": Float(0.0, 0.9),
        "unread": Float(0.0, 1.0),
    }
)
INSIDE_PSI = INSIDE.configuration({"lr": 0.05, "scale": 1.0, "rate": 0.0, "unread": 0.5})


def inside(**arguments: Any) -> ModelProblem:
    return problem(
        lambda config: Scaled(config["scale"], config.get("rate", 0.0)),
        space=INSIDE,
        optimizer=lambda model, c: torch.optim.SGD(model.parameters(), lr=c["lr"], momentum=0.9),
        loss=lambda outputs, targets, config: nn.functional.cross_entropy(outputs, targets),
        **arguments,
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_a_coordinate_that_the_model_reads(steps: int) -> None:
    """The held-out samples are seen by the network as it is: what is moved is what training makes of it."""
    given = inside()
    losses = given.losses(INSIDE_PSI)
    batches = trains_of(losses, steps)
    found = estimate(losses, INSIDE, INSIDE_PSI, *batches)
    for name in ("lr", "scale"):
        slope = central(lambda c: losses.after(c, *batches), INSIDE, INSIDE_PSI, name, 1e-4)
        assert abs(slope) > 1e-5
        assert found.gradient[name] == pytest.approx(slope, rel=1e-6, abs=1e-10)
    assert found.ignored == ("unread",)
    assert found.gradient["unread"] == 0.0
    assert found.gradient["rate"] != 0.0  # one-sided: it is on its bound


def test_a_dropout_rate_has_a_slope_and_the_same_masks_throughout() -> None:
    psi = INSIDE.configuration({**INSIDE_PSI, "rate": 0.4})
    first, again = (measured(inside(), 1, psi) for _ in range(2))
    assert first == again
    assert first.gradient["rate"] != 0.0
    assert measured(inside(seed=1), 1, psi).gradient != first.gradient


def test_a_factory_makes_the_same_weights_each_time_and_takes_no_global_numbers() -> None:
    given = inside()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = measured(given, 2, INSIDE_PSI, route="differences")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert measured(given, 2, INSIDE_PSI, route="differences") == one
    exact = measured(given, 2, INSIDE_PSI)
    assert one.final == pytest.approx(exact.final, rel=1e-12)
    assert one.gradient["lr"] == pytest.approx(exact.gradient["lr"], rel=0.1)


def test_a_function_that_gives_the_callers_own_model_is_as_good_as_the_model() -> None:
    model = net()
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    model.eval()
    for route in ("auto", "differences"):
        assert measured(problem(lambda config: model), route=route) == measured(problem(model), route=route)
    assert all(map(torch.equal, weights, model.parameters()))
    assert not model.training


def test_a_model_need_not_be_copied() -> None:
    class Locked(nn.Linear):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("cannot pickle '_thread.lock' object")

    assert measured(problem(nn.Sequential(Locked(6, 4)).double())).finite


def test_batch_norm_with_a_half_of_one_sample_says_so() -> None:
    given = problem(MODELS["batch norm"](), data=data(3))
    with pytest.raises(AshaError, match=r"too small for batch norm.*at least 4 samples"):
        measured(given)
    assert measured(problem(MODELS["batch norm"](), data=data(4))).finite


def test_a_model_in_eval_mode_is_differentiated_in_train_mode() -> None:
    """And one that is in train mode keeps the parts that are not."""
    model = MODELS["batch norm"]()
    trained = measured(problem(model))
    model.eval()
    assert measured(problem(model)) == trained
    assert not any(module.training for module in model.modules())
    model.train()
    model[1].eval()  # type: ignore[index]
    assert measured(problem(model)) != trained


def test_mixed_precision_is_finite_and_about_the_same() -> None:
    x, y = data(64)
    for steps in (1, 2):
        single = problem(net().float(), data=(x.float(), y))
        mixed = problem(net().float(), data=(x.float(), y), autocast=torch.bfloat16)
        plain, found = measured(single, steps), measured(mixed, steps)
        assert found.fallback is None
        assert found.finite
        assert found.final == pytest.approx(plain.final, rel=0.02)
        for name in ("lr", "label_smoothing"):
            assert found.gradient[name] == pytest.approx(plain.gradient[name], rel=0.1)
        assert found != plain
        with torch.autocast("cpu", dtype=torch.bfloat16):  # the caller's own is not the model's
            assert measured(single, steps) == plain


def test_float16_is_refused() -> None:
    with pytest.raises(AshaError, match="float16 needs a gradient scaler"):
        problem(autocast=torch.float16)
    with pytest.raises(AshaError, match=r"0\.weight is float16.*float32"):
        measured(problem(net().half()))


def test_gradients_are_recorded_where_the_caller_has_turned_them_off() -> None:
    given = problem()
    for steps in (1, 2):
        plain = measured(given, steps)
        for off in (torch.no_grad, torch.inference_mode):
            with off():
                assert measured(given, steps) == plain
                assert measured(given, steps, route="differences").finite


def test_a_model_without_trained_weights_is_refused() -> None:
    for model in (net().requires_grad_(False), nn.Tanh()):
        with pytest.raises(AshaError, match="no weight that is trained"):
            problem(model).losses(PSI)


def test_weights_too_coarse_for_differences_are_told_so() -> None:
    x, y = data()
    given = problem(net().bfloat16(), data=(x.bfloat16(), y))
    assert measured(given).finite
    with pytest.raises(AshaError, match=r"bfloat16 are too coarse.*autocast=torch.bfloat16"):
        measured(given, route="differences")


@pytest.mark.parametrize("strategy", ["ohgw-3step", "ohgw-trust"])
def test_a_network_that_goes_with_the_configuration_is_looked_at_where_earlier_steps_lead(
    strategy: str,
) -> None:
    def made(c: Any) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.Dropout(c["drop"]), nn.Linear(8, 4))

    given = ModelProblem(
        SearchSpace({"lr": Float(0.01, 1.0, log=True), "drop": Float(0.0, 0.9)}),
        model=made,
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), c["lr"] / (1 - c["drop"])),
        data=(torch.randn(8, 6), torch.randint(0, 4, (8,))),
        loss=lambda o, t, c: nn.functional.cross_entropy(o, t),
    )
    outcome = refine(strategy, given, {"lr": 0.1, "drop": 0.3})
    assert "fallback" not in outcome.diagnostics
    assert outcome.diagnostics["step"]["drop"]
