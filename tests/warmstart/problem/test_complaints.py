"""What a user's functions give that cannot be used is told in one line; what can be made sense of is used."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import AshaError, Float, SearchSpace
from tests.warmstart.models import PSI, Spectral, data, measured, net, problem, sgd
from tests.warmstart.networks import assert_agrees
from warmstart import ModelProblem, refine

cross_entropy = nn.functional.cross_entropy


class Forgetful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = net()

    def forward(self, x: Tensor) -> None:
        self.inner(x)


LOSSES: dict[str, tuple[Any, str]] = {
    "a float": (lambda o, t, c: cross_entropy(o, t).item(), r"loss is \d\.\d+, and has to be a tensor"),
    "a vector": (lambda o, t, c: cross_entropy(o, t, reduction="none"), r"shape \(6,\).*mean\(\) or sum"),
    "detached": (lambda o, t, c: cross_entropy(o, t).detach(), r"the loss has no gradient: .*\.detach\(\)"),
    "without gradients": (torch.no_grad()(lambda o, t, c: cross_entropy(o, t)), "no gradient: .*no_grad"),
    "nothing": (lambda o, t, c: None, r"loss is None.*does the function return something\?"),
    "a pair": (lambda o, t, c: (cross_entropy(o, t), o), "loss is a tuple"),
    "complex": (lambda o, t, c: torch.fft.fft(o.flatten())[1], r"complex number.*\.real"),
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("strategy", ["ohgw-1step", "ohgw-trust", "ohgw-brake"])
def test_a_loss_that_is_none_is_told_in_one_line(kind: str, strategy: str) -> None:
    loss, told = LOSSES[kind]
    given = problem(loss=loss)
    with pytest.raises(AshaError, match=told) as found:
        refine(strategy, given, PSI)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("strategy", ["ohgw-1step", "ohgw-brake"])
def test_a_forward_that_returns_nothing_is_named(strategy: str) -> None:
    with pytest.raises(AshaError, match=r"Forgetful\.forward gave None"):
        refine(strategy, problem(Forgetful()), PSI)


def test_a_loss_with_one_element_is_a_number() -> None:
    one = problem(loss=lambda o, t, c: cross_entropy(o, t)[None], heldout_loss=None)
    plain = problem(loss=lambda o, t, c: cross_entropy(o, t), heldout_loss=None)
    assert_agrees(measured(one).gradient, measured(plain).gradient, rel=1e-12)


def test_a_held_out_loss_without_a_gradient_is_differenced_and_that_is_said() -> None:
    as_float = problem(heldout_loss=lambda o, t: cross_entropy(o, t).item())
    found, right = measured(as_float), measured(problem())
    assert "held-out loss has no gradient" in str(found.fallback)
    assert_agrees(found.gradient, right.gradient, rel=0.02, noise=1e-5)
    with pytest.raises(AshaError, match=r"held-out loss has no gradient.*route=differences"):
        measured(as_float, route="closed")
    with pytest.raises(AshaError, match=r"the held-out loss is a tensor of shape \(6,\)"):
        measured(problem(heldout_loss=lambda o, t: cross_entropy(o, t, reduction="none")))


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "an optimiser": ({"optimizer": sgd(net(), PSI)}, r"optimizer is a SGD: .*\(model, configuration\)"),
    "its class": ({"optimizer": torch.optim.SGD}, "optimizer is <class .*SGD"),
    "one argument": ({"optimizer": lambda m: None}, r"optimizer takes \(m\).*called with \(model, conf"),
    "a module as loss": ({"loss": nn.CrossEntropyLoss()}, r"loss takes \(input.*\(outputs, targets, conf"),
    "no loss": ({"loss": None}, "loss is None: give a function"),
    "held out": ({"heldout_loss": lambda o, t, c: o}, r"heldout_loss takes \(o, t, c\)"),
    "augment": ({"augment": lambda x: x}, r"augment takes \(x\).*\(inputs, configuration, generator\)"),
    "prepare": ({"prepare": 3}, "prepare is 3: give a function of"),
    "a space": ({"space": [1e-4, 1.0]}, "space is .* a SearchSpace, such as"),
    "class of a model": ({"model": nn.Linear}, r"model takes \(in_features.*called with \(configuration\)"),
    "model of nothing": ({"model": net}, r"model takes \(\).*, and is called with \(configuration\)"),
    "a model": ({"model": "resnet"}, "model is 'resnet': give a torch.nn.Module"),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_what_cannot_be_called_as_it_will_be_is_refused_at_once(kind: str) -> None:
    arguments, told = ARGUMENTS[kind]
    with pytest.raises(AshaError, match=told):
        problem(**arguments)


def test_what_can_be_called_is_taken_whatever_it_is() -> None:
    class Loss(nn.Module):
        def forward(self, outputs: Tensor, targets: Tensor, *rest: Any) -> Tensor:
            return cross_entropy(outputs, targets)

    given = problem(loss=Loss(), heldout_loss=nn.CrossEntropyLoss(), prepare=torch.Tensor.clone)
    assert measured(given).finite


def test_a_function_that_makes_no_model_is_told() -> None:
    with pytest.raises(AshaError, match="the function given as model gave None"):
        measured(problem(lambda c: None))


def test_wrapped_models_are_measured_as_what_they_wrap() -> None:
    wrapped = problem(nn.DataParallel(net()))
    assert_agrees(measured(wrapped).gradient, measured(problem()).gradient, rel=1e-12)
    inside = problem(nn.DataParallel(net()), optimizer=lambda m, c: sgd(m.module, c))
    with pytest.raises(AshaError, match=r"write model in the place of model\.module"):
        measured(inside)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda m: torch.jit.trace(m, data()[0][:6])])
def test_script_modules_are_differenced_and_that_is_said(compiled: Any) -> None:
    for steps in (1, 2):
        found = measured(problem(compiled(net())), steps)
        assert "TorchScript" in str(found.fallback)
        assert_agrees(found.gradient, measured(problem(), steps, route="differences").gradient, rel=1e-9)


@pytest.mark.parametrize("options", [{"max_grad_value": 0.1}, {"max_grad_norm": 0.1, "norm_type": math.inf}])
def test_complex_gradients_are_clipped_by_their_2_norm_alone(options: dict[str, Any]) -> None:
    for route in ("auto", "differences"):
        with pytest.raises(AshaError, match="complex weights are clipped by their 2-norm alone"):
            measured(problem(Spectral(), **options), route=route)
    assert measured(problem(Spectral(), max_grad_norm=0.1)).finite


@pytest.mark.parametrize("strategy", ["ohgw-1step", "ohgw-brake"])
def test_a_list_that_a_model_is_given_one_by_one_is_told(strategy: str) -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 4)

        def forward(self, parts: list[Tensor]) -> Tensor:
            return self.head(torch.stack([part.mean(0) for part in parts]))

    parts, targets = [torch.randn(1 + i % 3, 3) for i in range(8)], torch.randint(0, 4, (8,))
    with pytest.raises(AshaError, match=r"one by one .*data=\(\(inputs,\), targets\)") as found:
        refine(strategy, problem(Several(), data=(parts, targets)), PSI)
    assert "\n" not in str(found.value)
    refine(strategy, problem(Several(), data=((parts,), targets)), PSI)


def test_a_network_whose_size_goes_with_a_real_dimension_is_refused() -> None:
    space = SearchSpace({"lr": Float(0.01, 1.0, log=True), "width": Float(0.5, 2.0)})
    given = ModelProblem(
        space,
        model=lambda c: nn.Sequential(nn.Linear(6, int(8 * c["width"])), nn.Linear(int(8 * c["width"]), 4)),
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), c["lr"]),
        data=(torch.randn(8, 6), torch.randint(0, 4, (8,))),
        loss=lambda o, t, c: cross_entropy(o, t),
    )
    psi = {"lr": 0.1, "width": 1.0}
    with pytest.raises(
        AshaError, match=r"0\.weight has the shapes \(7, 6\) and \(8, 6\).*an Int or a Choice"
    ):
        refine("ohgw-1step", given, psi)
    assert refine("ohgw-1step", given, psi, mask=["lr"]).configuration["width"] == 1.0
