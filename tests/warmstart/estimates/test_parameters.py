"""Parameters of every kind: shared gradients, odd shapes, dtypes and layouts, outside every group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from asha_core import Float, SearchSpace
from tests.warmstart.networks import SGD_PSI, SGD_SPACE, WAYS, Toy, assert_agrees, central, sgd_group
from warmstart.base import Network
from warmstart.estimates.closed_form import one_step
from warmstart.estimates.passes import gradients
from warmstart.estimates.streaming import dot
from warmstart.estimates.tangents import unrolled
from warmstart.optimizers import SGD, Group


def toy(**options: Any) -> Toy:
    return Toy(SGD_SPACE, SGD_PSI, partial(sgd_group, **options))


def test_parameters_are_left_as_they_were() -> None:
    setup = toy()
    before = {name: p.detach().clone() for name, p in setup.model.named_parameters()}
    for route, steps in WAYS:
        setup.estimate(route, steps)
    for name, parameter in setup.model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None


@pytest.mark.parametrize(("route", "steps"), WAYS)
def test_a_parameter_outside_every_group_stays_put(route: str, steps: int) -> None:
    setup = toy()
    inner = setup.groups

    def only_weights(config: Mapping[str, Any]) -> list[Group]:
        # and groups without a parameter, which optimisers take too
        return [inner(config)[0], replace(inner(config)[0], parameters=())]

    setup.groups = only_weights  # type: ignore[method-assign]
    found = setup.estimate(route, steps).gradient
    for name in ("lr", "weight_decay", "momentum", "label_smoothing"):
        expected = central(lambda c: setup.heldout_after(c, steps), setup.space, setup.psi, name)
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=2e-12), name


def added(left: Tensor, right: Tensor) -> Network:
    """Two parameters that are summed: autograd gives one tensor as the gradient of both."""

    def heldout(theta: Mapping[str, Tensor], batch: Tensor) -> Tensor:
        return ((theta["left"] + theta["right"] - batch) ** 2).sum()

    def criterion(outputs: Tensor, batch: Tensor, config: Mapping[str, Any]) -> Tensor:
        return (config["scale"] * (outputs - batch) ** 2).sum()

    def groups(config: Mapping[str, Any]) -> list[Group]:
        return [SGD(("left",), config["lr"]), SGD(("right",), 3.0 * config["lr"])]

    return Network(
        {"left": left, "right": right}, lambda p, b, c: p["left"] + p["right"], criterion, heldout, groups
    )


ADDED = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "scale": Float(0.1, 2.0)})
ADDED_PSI = ADDED.configuration({"lr": 0.02, "scale": 0.7})


@pytest.mark.parametrize("shape", [(3,), (3, 0), (1,)])
def test_parameters_with_one_gradient_between_them(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    left, right, train, held = torch.randn(4, *shape, generator=generator, dtype=torch.float64)
    network = added(left, right)
    closed = one_step(network, ADDED, ADDED_PSI, train, held).gradient
    tangents = unrolled(network, ADDED, ADDED_PSI, [train], held).gradient
    # theta_1 = left + right - 4 lr g with g = 2 scale (left + right - train)
    g = 2 * 0.7 * (left + right - train)
    g_v = 2 * (left + right - 4 * 0.02 * g - held)
    slope = -4 * 0.02 * (g_v * g).sum().item()
    for found in (closed, tangents):
        assert found["lr"] == pytest.approx(slope * math.log(10), rel=1e-6, abs=1e-12)
        assert found["scale"] == pytest.approx(slope / 0.7, rel=1e-6, abs=1e-12)


def test_a_held_out_loss_whose_gradient_is_one_number_repeated() -> None:
    """Autograd gives an expanded tensor, which cannot be written to."""
    network = replace(
        added(torch.ones(3), torch.ones(3)), heldout_loss=lambda p, b: (p["left"] + p["right"]).sum()
    )
    found = one_step(network, ADDED, ADDED_PSI, torch.zeros(3), None).gradient
    # dL/dscale = -4 lr * sum of 2 * (left + right)
    assert found["scale"] == pytest.approx(-4 * 0.02 * 12, rel=1e-5)


def test_dtypes_and_layouts_may_differ_inside_a_group() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    x = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    parameters = {"w": matrix.t().contiguous().t(), "b": torch.zeros(4), "empty": torch.zeros(0, 4)}

    def outputs(theta: Mapping[str, Tensor], batch: Tensor, config: Any = None) -> Tensor:
        return batch @ theta["w"].t() + theta["b"].double() + theta["empty"].sum()

    def loss(out: Tensor, batch: Tensor, config: Any = None) -> Tensor:
        return out.tanh().square().mean()

    def groups(config: Mapping[str, Any]) -> list[Group]:
        return [SGD(tuple(parameters), config["lr"], 0.9, weight_decay=config["scale"], nesterov=True)]

    network = Network(parameters, outputs, loss, lambda p, b: loss(outputs(p, b), b), groups)
    found = one_step(network, ADDED, ADDED_PSI, x, -x).gradient
    for other in (
        unrolled(network, ADDED, ADDED_PSI, [x], -x).gradient,
        one_step(
            replace(network, parameters={n: p.double() for n, p in parameters.items()}),
            ADDED,
            ADDED_PSI,
            x,
            -x,
        ).gradient,
    ):
        assert_agrees(other, found, rel=1e-5)


def test_dot_products_are_accumulated_in_float64_whatever_the_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    left = [torch.randn(n, generator=generator) for n in (1, 1000, 0, 50_000)]
    left.append(torch.randn(30, 40, generator=generator).t())
    right = [torch.randn(x.shape, generator=generator).to(torch.bfloat16) for x in left]
    expected = sum((a.double() * b.double()).sum().item() for a, b in zip(left, right, strict=True))
    assert dot(left, right) == pytest.approx(expected, rel=1e-5)
    assert dot([], []) == 0.0
    big = [torch.tensor([1e8, 1.0, -1e8])]
    assert dot(big, [torch.ones(3)]) == 1.0


def test_weights_before_batch_norm_have_no_slope_along_themselves() -> None:
    """A free check: scaling them changes nothing, so <g_v(theta'), theta'> = 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8, eps=1e-12), nn.Tanh(), nn.Linear(8, 4)
        ).double()
        x, y = torch.randn(16, 6, dtype=torch.float64), torch.randint(0, 4, (16,))
    theta = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}
    found = gradients(nn.functional.cross_entropy(functional_call(model, theta, (x,)), y), theta)
    assert abs(dot([found["0.weight"]], [theta["0.weight"]])) < 1e-12
    assert abs(dot([found["3.weight"]], [theta["3.weight"]])) > 1e-3
