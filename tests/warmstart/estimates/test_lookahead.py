"""Hyper-gradients through SGD, against float64 differences through PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import Configuration, Float, SearchSpace
from tests.warmstart.networks import (
    IGNORED,
    SGD_PSI,
    SGD_SPACE,
    WAYS,
    Toy,
    assert_agrees,
    central,
    reference,
    sgd_group,
)
from warmstart.base import Network
from warmstart.estimates.closed_form import one_step
from warmstart.optimizers import SGD


def toy(**options: Any) -> Toy:
    return Toy(SGD_SPACE, SGD_PSI, partial(sgd_group, **options))


KINDS: dict[str, Callable[[], Toy]] = {
    str(kind): partial(toy, **kind)
    for kind in (
        {"nesterov": nesterov, "dampening": dampening, "decoupled": decoupled}
        for nesterov, dampening, decoupled in product((False, True), (0.0, 0.3), (False, True))
        if not (nesterov and dampening)  # PyTorch refuses it
    )
}


@pytest.mark.parametrize(("route", "steps"), WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_differences_through_the_real_optimiser(kind: str, route: str, steps: int) -> None:
    found = KINDS[kind]().estimate(route, steps)
    final, slopes = reference(KINDS[kind], steps)
    assert (found.route, found.ignored, found.finite) == (route, (IGNORED,), True)
    assert found.final == pytest.approx(final, rel=1e-12)
    assert_agrees(found.gradient, slopes)  # Int and Choice are left alone
    assert found.gradient[IGNORED] == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_routes_agree_with_one_another_to_rounding(kind: str) -> None:
    smooth = [name for name in toy().movable if name not in ("warp", "temperature")]  # no finite step
    for steps, routes in ((1, ("closed", "tangents", "reverse")), (3, ("tangents", "reverse"))):
        first, *others = (KINDS[kind]().estimate(route, steps, only=smooth).gradient for route in routes)
        assert set(first) == set(smooth)
        for other in others:
            assert_agrees(other, first, rel=1e-8, noise=1e-14)


def dampening_toy() -> Toy:
    """Dampening as a coordinate, with plain momentum."""
    space = SearchSpace({**SGD_SPACE, "dampening": Float(0.0, 0.9)})
    psi = space.configuration({**SGD_PSI, "dampening": 0.4})
    return Toy(space, psi, lambda config: replace(sgd_group(config), dampening=config["dampening"]))


@pytest.mark.parametrize(("route", "steps"), WAYS)
def test_dampening_as_a_coordinate(route: str, steps: int) -> None:
    found = dampening_toy().estimate(route, steps).gradient
    assert_agrees(found, reference(dampening_toy, steps)[1])
    assert (found["dampening"] == 0.0) == (steps == 1)


def test_dampening_does_nothing_without_momentum() -> None:
    """PyTorch keeps no buffer then."""
    setup = dampening_toy()
    without = SGD_SPACE.freeze(momentum=0.1)
    setup.space = SearchSpace({**without, "dampening": Float(0.0, 0.9)})
    setup.psi = setup.space.configuration(
        {**{n: SGD_PSI[n] for n in without}, "momentum": 0.1, "dampening": 0.4}
    )
    setup.group = lambda config: SGD((), config["lr"], 0.0, config["dampening"], config["weight_decay"])
    for route, steps in WAYS:
        found = setup.estimate(route, steps).gradient
        assert found["dampening"] == 0.0
        expected = central(lambda c, steps=steps: setup.heldout_after(c, steps), setup.space, setup.psi, "lr")
        assert found["lr"] == pytest.approx(expected, rel=1e-6)


def twice_told() -> Toy:
    """One coordinate that moves two optimiser settings, the loss, and the inputs."""

    class Both(Toy):
        def forward(self, theta: Mapping[str, Tensor], batch: Any, config: Mapping[str, Any]) -> Tensor:
            return super().forward(theta, batch, {**config, "warp": config["shared"]})

        def criterion(self, outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
            shared = {"label_smoothing": config["shared"], "temperature": 1.0 + config["shared"]}
            return super().criterion(outputs, batch, {**config, **shared})

    space = SearchSpace({"shared": Float(0.0, 1.0), "label_smoothing": Float(0.0, 0.5), "warp": Float(0, 1)})
    psi = space.configuration({"shared": 0.4, "label_smoothing": 0.1, "warp": 0.2})
    return Both(
        space, psi, lambda c: SGD((), 0.05 * c["shared"] ** 2, 0.5 + 0.4 * c["shared"], nesterov=True)
    )


def through_loss_and_settings() -> Toy:
    """One coordinate that moves an optimiser setting and the loss, and not the inputs."""

    class Both(Toy):
        def criterion(self, outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
            return super().criterion(outputs, batch, {"label_smoothing": config["lr"], "temperature": 1.0})

    space = SearchSpace({"lr": Float(1e-3, 0.5, log=True), "warp": Float(0.0, 1.0)})
    psi = space.configuration({"lr": 0.07, "warp": 0.4})
    return Both(space, psi, lambda config: SGD((), config["lr"], 0.9, nesterov=True))


@pytest.mark.parametrize(("route", "steps"), WAYS)
@pytest.mark.parametrize("make", [twice_told, through_loss_and_settings])
def test_a_coordinate_that_acts_in_several_ways_gets_the_sum(
    make: Callable[[], Toy], route: str, steps: int
) -> None:
    assert_agrees(make().estimate(route, steps).gradient, reference(make, steps)[1])


@pytest.mark.parametrize(("route", "steps"), [("closed", 1), ("tangents", 2)])
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("inside", [0.0, 3e-5])  # on the bound, and within a step of it
def test_bounds_cost_no_accuracy(route: str, steps: int, side: str, inside: float) -> None:
    """The oracle looks beyond them; the estimate must not."""
    setup = toy(nesterov=True)
    criterion = setup.criterion

    def smooth(outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
        # PyTorch's own takes a smoothing below 0 for 0; a tensor's goes on as it is
        smoothing = torch.tensor(config["label_smoothing"], dtype=torch.float64)
        plain = {"label_smoothing": smoothing, "temperature": config["temperature"]}
        return criterion(outputs, batch, plain)

    setup.criterion = smooth  # type: ignore[method-assign]
    values = dict(SGD_PSI)
    for name in setup.movable:
        low, high = setup.space[name].search_bounds  # type: ignore[union-attr]
        coordinate = low + inside if side == "lower" else high - inside
        values[name] = setup.space[name].from_search(coordinate)  # type: ignore[union-attr]
    psi = setup.space.configuration(values)
    found = setup.estimate(route, steps, psi).gradient
    for name in setup.movable:
        expected = central(lambda c: setup.heldout_after(c, steps), setup.space, psi, name)
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=2e-12), name


@pytest.mark.parametrize(("route", "steps"), WAYS)
def test_momentum_of_0_where_nesterov_begins_has_its_slope_from_above(route: str, steps: int) -> None:
    """As in ``SGD(..., nesterov=momentum > 0)``: at 0 both are the same step, above it only one is."""
    space = SearchSpace({"momentum": Float(0.0, 0.9), "warp": Float(0.0, 1.0)})
    psi = space.configuration({"momentum": 0.0, "warp": 0.4})

    class Fixed(Toy):
        def criterion(self, outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
            return super().criterion(outputs, batch, {"label_smoothing": 0.0, "temperature": 1.0})

    setup = Fixed(space, psi, lambda c: SGD((), 0.07, c["momentum"], nesterov=c["momentum"] > 0))
    h = 1e-3
    here, one, two = (
        setup.heldout_after(space.configuration({**psi, "momentum": i * h}), steps) for i in range(3)
    )
    expected = (-3 * here + 4 * one - two) / (2 * h)
    assert abs(expected) > 1e-4
    assert setup.estimate(route, steps).gradient["momentum"] == pytest.approx(expected, rel=1e-4)


def test_a_loss_that_only_mentions_its_hyper_parameters_adds_nothing() -> None:
    """A classic mistake: 0.0 * (lr + weight_decay) in the loss, for a graph with the right leaves."""
    setup, honest = toy(nesterov=True), toy(nesterov=True)
    criterion = setup.criterion

    def mentions(outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
        return criterion(outputs, batch, config) + 0.0 * (config["lr"] + config["weight_decay"])

    setup.criterion = mentions  # type: ignore[method-assign]
    for route, steps in WAYS:
        found, expected = setup.estimate(route, steps), honest.estimate(route, steps)
        assert_agrees(found.gradient, expected.gradient, rel=1e-9, noise=1e-11)
        names = [name for name in setup.movable if name != IGNORED]
        assert all(abs(expected.gradient[name]) > 1e-7 for name in names)


def test_a_smoothing_given_to_pytorch_as_a_number_has_its_slope_all_the_same() -> None:
    """The other classic mistake: no graph leads through a float."""
    setup, honest = toy(), toy()

    def plain(outputs: Tensor, batch: Any, config: Mapping[str, Any]) -> Tensor:
        return nn.functional.cross_entropy(
            outputs / config["temperature"], batch[1], label_smoothing=float(config["label_smoothing"])
        )

    setup.criterion = plain  # type: ignore[method-assign]
    for route, steps in (("closed", 1), ("tangents", 2)):
        expected = honest.estimate(route, steps).gradient
        assert abs(expected["label_smoothing"]) > 1e-4
        assert_agrees(setup.estimate(route, steps).gradient, expected, rel=1e-8, noise=1e-13)


def test_momentum_acts_at_the_first_step_with_nesterov_alone() -> None:
    for route, steps in WAYS:
        assert (toy().estimate(route, steps).gradient["momentum"] == 0.0) == (steps == 1)
        assert toy(nesterov=True).estimate(route, steps).gradient["momentum"] != 0.0


def test_the_unit_cube_has_the_slope_times_the_range() -> None:
    """A space in unit coordinates, with the ranges in the functions, against the space with the ranges."""
    setup = toy(nesterov=True)
    unit = SearchSpace({name: Float(0.0, 1.0) for name in setup.movable})
    rest = {name: SGD_PSI[name] for name in setup.space if name not in setup.movable}

    def native(config: Mapping[str, Any]) -> Configuration:
        # each value by itself, so that what is read is seen
        class Lazily(dict[str, Any]):
            def __missing__(self, name: str) -> Any:
                return SGD_SPACE[name].from_unit(config[name]) if name in unit else rest[name]

        return Lazily()  # type: ignore[return-value]

    network = setup.network()
    mapped = replace(
        network,
        forward=lambda theta, batch, config: network.forward(theta, batch, native(config)),
        criterion=lambda outputs, batch, config: network.criterion(outputs, batch, native(config)),
        groups=lambda config: network.groups(native(config)),
    )
    point = unit.configuration({n: SGD_SPACE[n].to_unit(SGD_PSI[n]) for n in unit})  # type: ignore[union-attr]
    found = one_step(mapped, unit, point, setup.batches[0], setup.batches[5], loss_step=1e-4)
    plain = setup.estimate("closed", 1).gradient
    for name in setup.movable:
        low, high = setup.space[name].search_bounds  # type: ignore[union-attr]
        assert found.gradient[name] == pytest.approx(plain[name] * (high - low), rel=1e-6, abs=1e-12), name


def test_only_what_is_asked_for_is_computed() -> None:
    setup = toy(nesterov=True)
    for route, steps in WAYS:
        whole = setup.estimate(route, steps).gradient
        part = setup.estimate(route, steps, only=["momentum", "width", "warp"]).gradient
        assert part == {name: pytest.approx(whole[name], rel=1e-12) for name in ("momentum", "warp")}
        nothing = setup.estimate(route, steps, only=[])
        assert nothing.gradient == {}
        assert nothing.final == pytest.approx(setup.heldout_after(SGD_PSI, steps), rel=1e-12)


def counted(network: Network) -> tuple[Network, list[str]]:
    """The network, and a list of its passes as they come."""
    passes: list[str] = []

    def forward(*arguments: Any) -> Any:
        passes.append("train")
        return network.forward(*arguments)

    def heldout(*arguments: Any) -> Any:
        passes.append("held out")
        return network.heldout_loss(*arguments)

    return replace(network, forward=forward, heldout_loss=heldout), passes


def test_what_acts_through_the_optimiser_costs_one_pass_of_each_half() -> None:
    setup = toy(nesterov=True)
    network, passes = counted(setup.network())
    batches = setup.batches[0], setup.batches[5]
    one_step(network, setup.space, SGD_PSI, *batches, only=["lr", "weight_decay", "momentum"])
    assert passes == ["train", "held out"]
    passes.clear()
    one_step(network, setup.space, SGD_PSI, *batches, only=["lr", "label_smoothing"])
    assert passes == ["train", "held out"]  # and one more backward pass of the kept graph
    passes.clear()
    one_step(network, setup.space, SGD_PSI, *batches, only=["lr", "warp"])
    assert passes == ["train", "held out", "train", "train"]
