"""Gradients that are used as they come, and products a piece at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from warmstart.estimates.streaming import dot, each_gradient, pieces


def collected(loss: Tensor, leaves: dict[str, Tensor], **options: bool) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    each_gradient(loss, leaves, found.update, **options)
    return found


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


def test_pieces_hold_every_element_once_in_bounded_parts() -> None:
    shapes = [(3,), (700, 900), (0,), (2, 5), (600_000,), (40, 30)]
    left = [torch.arange(torch.Size(shape).numel(), dtype=torch.float64).view(shape) for shape in shapes]
    right = [tensor + 1 for tensor in left]
    total = count = 0.0
    for one, other in pieces(left, right):
        assert sum(tensor.numel() for tensor in one) <= 2 * 2**16
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a + 1, b)
            total, count = total + a.sum().item(), count + a.numel()
    assert count == sum(tensor.numel() for tensor in left)
    assert total == sum(tensor.sum().item() for tensor in left)


def test_large_pieces_are_views_that_can_be_written_to() -> None:
    tensors = [torch.zeros(1000, 1000), torch.zeros(7), torch.zeros(1000, 1000).t()]
    for (part,) in pieces(tensors):
        torch._foreach_add_(part, 1.0)
    assert all(bool((tensor == 1).all()) for tensor in tensors)


def test_a_dot_product_of_tensors_in_several_memory_formats() -> None:
    left = [torch.randn(64, 64, 16, 16), torch.randn(5)]
    right = [torch.randn(64, 64, 16, 16).to(memory_format=torch.channels_last), torch.randn(5)]
    expected = sum((a.double() * b.double()).sum().item() for a, b in zip(left, right, strict=True))
    assert dot(left, right) == pytest.approx(expected, rel=1e-5, abs=1e-3)


def test_gradients_are_those_of_autograd_and_nothing_is_left() -> None:
    leaves, outside = {"a": leaf(3), "b": leaf(3), "unused": leaf(2)}, leaf(3)
    loss = (leaves["a"] * leaves["b"] * outside + leaves["a"]).sum()
    expected = torch.autograd.grad(loss, [leaves["a"], leaves["b"]], retain_graph=True)
    found = collected(loss, leaves)
    assert found.keys() == {"a", "b"}
    assert torch.equal(found["a"], expected[0])
    assert torch.equal(found["b"], expected[1])
    assert all(tensor.grad is None for tensor in (*leaves.values(), outside))


def test_parameters_that_are_summed_have_gradients_of_their_own() -> None:
    leaves = {"a": leaf(3), "b": leaf(3)}
    found = collected((leaves["a"] + leaves["b"]).square().sum(), leaves)
    assert torch.equal(found["a"], found["b"])
    assert found["a"].data_ptr() != found["b"].data_ptr()  # so each may be changed in place


def test_a_kept_graph_can_be_used_again_and_visits_only_once_each_time() -> None:
    leaves = {"a": leaf(3)}
    loss = leaves["a"].square().sum()
    first = collected(loss, leaves, retain_graph=True)
    assert torch.equal(first["a"], collected(loss, leaves)["a"])


def test_an_error_in_a_visit_comes_out_and_leaves_no_hook() -> None:
    leaves = {"a": leaf(2**16)}

    def fail(found: dict[str, Tensor]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each_gradient(leaves["a"].sum(), leaves, fail)
    leaves["a"].sum().backward()
    assert leaves["a"].grad is not None
