"""What a warm start leaves in memory, and among the processes: nothing, without waiting for a collector."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from asha_core import Float, SearchSpace
from warmstart import refine
from warmstart.problem.data import forked
from warmstart.problem.model_problem import ModelProblem

SPACE = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 16

    def __getitem__(self, row: int) -> Any:
        return torch.full((4,), float(row)), row % 3


# what other tests left behind is collected here, too
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ohgw-1step", {}),
        ("hypergradient", {"route": "differences"}),
        ("ohgw-trust", {}),
        ("ohgw-brake", {}),
    ],
)
def test_model_data_and_process_go_with_the_last_reference(name: str, settings: dict[str, Any]) -> None:
    """A circle would keep them, and graphs on the GPU, until the collector comes."""

    def once() -> list[weakref.ref[Any]]:
        model, loader = nn.Linear(4, 3), DataLoader(Rows(), 8)
        problem = ModelProblem(
            SPACE,
            model=model,
            optimizer=lambda m, c: torch.optim.SGD(m.parameters(), lr=c["lr"]),
            data=loader,
            loss=lambda outputs, targets, c: nn.functional.cross_entropy(outputs, targets),
        )
        refine(name, problem, {"lr": 0.1}, **settings)
        return [weakref.ref(one) for one in (model, loader, problem)]

    once()  # what PyTorch imports at an optimiser's first step leaves circles of its own
    gc.collect()
    before = set(forked._children)
    gc.disable()
    try:
        assert [one() for one in once()] == [None] * 3
        assert [child for child in forked._children if child not in before] == []
    finally:
        gc.enable()
