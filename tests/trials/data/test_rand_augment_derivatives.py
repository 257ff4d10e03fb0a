"""The derivative of RandAugment by its magnitude: forward mode, reverse mode and central differences."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from tests.trials.data.augmenting import cifar_augment, one_operation, patches, seeded
from trials.data.rand_augment import OPERATIONS
from trials.tasks.cifar import Cifar10

# PyTorch 2.15 warns of its own code when a process first uses forward mode
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")


def derivatives(function: Callable[[Tensor], Tensor], at: float, step: float = 1e-7) -> dict[str, Tensor]:
    """The derivative by the magnitude, elementwise; in reverse mode summed against fixed random weights."""
    point = torch.tensor(at, dtype=torch.float64)
    one = torch.ones_like(point)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(function(forward_ad.make_dual(point, one))).tangent
    _, functional = torch.func.jvp(function, (point,), (one,))
    leaf = point.clone().requires_grad_()
    weights = (
        torch.rand(functional.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) - 0.5
    )
    (function(leaf) * weights).sum().backward()
    assert leaf.grad is not None
    numeric = (function(point + step) - function(point - step)) / (2 * step)
    return {"dual": dual, "func": functional, "numeric": numeric, "weights": weights, "reverse": leaf.grad}


def check(found: dict[str, Tensor]) -> None:
    """To a millionth, of the largest pixel's derivative or of the sum: the points lie away from kinks."""
    assert torch.equal(found["dual"], found["func"])
    scale = found["numeric"].abs().max()
    assert (found["func"] - found["numeric"]).abs().max() <= 1e-6 * scale
    for other in ("func", "numeric"):
        weighted = (found[other] * found["weights"]).sum()
        assert torch.isclose(found["reverse"], weighted, rtol=1e-6, atol=1e-6 * scale.item())


@pytest.mark.parametrize("at", [0.137, -0.137, 0.731, -0.731])
@pytest.mark.parametrize("name", OPERATIONS[1:])
def test_three_derivatives_of_each_operation_agree(name: str, at: float) -> None:
    images = patches(4)
    found = derivatives(lambda strength: one_operation(name, images, strength), at)
    check(found)
    assert found["func"].abs().mean() > 1


def test_the_identity_has_no_derivative() -> None:
    images = patches(4)
    _, tangent = torch.func.jvp(
        lambda m: one_operation("identity", images, m), (torch.tensor(0.5),), (torch.tensor(1.0),)
    )
    assert not tangent.any()


@pytest.mark.parametrize("at", [0.2, 0.53, 0.871])
def test_three_derivatives_of_the_whole_agree(at: float) -> None:
    images = patches(24)
    check(derivatives(lambda magnitude: seeded(images, magnitude, seed=5), at))
    point, step = torch.tensor(at, dtype=torch.float64), 1e-7
    _, tangent = torch.func.jvp(lambda m: seeded(images, m, seed=5), (point,), (torch.ones_like(point),))
    by_numbers = (seeded(images, at + step, seed=5) - seeded(images, at - step, seed=5)) / (2 * step)
    assert torch.allclose(tangent, by_numbers, rtol=0, atol=1e-6 * by_numbers.abs().max().item())


def test_at_zero_the_derivative_is_the_one_from_above() -> None:
    """Also for white pixels that a second operation brightens, and for samples that move left or up."""
    images = patches(48)
    images[::3] = images[::3].clamp_min(128).where(images[::3] < 200, 255.0)
    zero, step = torch.tensor(0.0, dtype=torch.float64), 1e-5
    slope = (seeded(images, step) - images) / step
    _, tangent = torch.func.jvp(lambda m: seeded(images, m), (zero,), (torch.ones_like(zero),))
    scale = slope.abs().amax((1, 2, 3), keepdim=True)
    assert ((tangent - slope).abs() <= 2e-3 * scale).all()
    leaf = zero.clone().requires_grad_()
    seeded(images, leaf).pow(2).sum().backward()
    assert leaf.grad is not None
    assert torch.isclose(leaf.grad, (2 * images * tangent).sum(), rtol=1e-9)


def test_single_precision_has_the_derivative_too() -> None:
    images = patches(32)
    point = torch.tensor(0.4)
    tangents = [
        torch.func.jvp(lambda m, x=x: seeded(x, m), (point.to(x.dtype),), (torch.ones((), dtype=x.dtype),))[1]
        for x in (images, images.float())
    ]
    assert tangents[1].dtype == torch.float32
    # 0.4 is not the same number in both, so that a few samples may lie on two sides of a pixel's centre
    far = (tangents[0] - tangents[1]).abs() > 1e-3 * tangents[0].abs().max()
    assert far.double().mean() < 1e-3


def change_and_integral(function: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """Of a scalar function: how much it changes, and the integral of its derivative, by 32 midpoints.

    A jump anywhere is missed by the derivative, and found here. Kinks do no harm.
    """
    total = 0.0
    for point in torch.linspace(low, high, 65, dtype=torch.float64)[1::2]:
        leaf = point.clone().requires_grad_()
        function(leaf).backward()
        assert leaf.grad is not None
        total += leaf.grad.item() * (high - low) / 32
    ends = [function(torch.tensor(end, dtype=torch.float64)).item() for end in (low, high)]
    return ends[1] - ends[0], total


@pytest.mark.long
@settings(max_examples=8)
@given(low=st.floats(0, 0.9), seed=st.integers(0, 2**31))
def test_the_batchs_mean_changes_as_its_derivative_says(low: float, seed: int) -> None:
    images = patches(8, 16, 16)

    def mean(magnitude: Tensor) -> Tensor:
        out = seeded(images, magnitude, seed)
        assert 0 <= out.min() <= out.max() <= 255
        return out.mean()

    change, integral = change_and_integral(mean, low, low + 0.05)
    # a flat area that meets 0 or 255 costs the midpoints up to 0.01; a shift by a whole pixel would be 1
    assert abs(change - integral) < 0.05


def test_the_pages_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[3] / "docs" / "explanation" / "augmentation.md"
    _, code, _ = re.split(r"^```(?:python)?$", page.read_text(), flags=re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)
    assert float(re.findall(r"-?\d+\.\d+", capsys.readouterr().out)[0]) < 0
    difference = names["derivative"] - names["difference"]
    assert difference.abs().mean() < 0.1 * names["difference"].abs().mean()


def test_cifars_own_images_have_a_derivative_by_the_magnitude(cifar_dir: Path) -> None:
    task = Cifar10(data_dir=str(cifar_dir), subset=0.01)
    (images, _), _ = task.data()
    images = images[:64]

    def third_moment(magnitude: Tensor) -> Tensor:
        return task.normalize(cifar_augment(images, magnitude)).pow(3).mean()

    change, integral = change_and_integral(third_moment, 0.3, 0.6)
    assert abs(change) > 0.01
    assert abs(change - integral) < 0.02 * abs(change)
