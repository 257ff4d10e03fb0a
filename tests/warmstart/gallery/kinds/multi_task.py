"""Several outputs, and losses that weigh them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Float, SearchSpace
from tests.warmstart.gallery.case import LR, Loop, kind, mlp, rows

F = nn.functional
SHARES = SearchSpace({"lr": LR, "size": Float(0.0, 1.0)})


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.label, self.value = nn.Linear(6, 6), nn.Linear(6, 4), nn.Linear(6, 1)
        self.log_scales = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = torch.tanh(self.body(x))
        return {"label": self.label(h), "value": self.value(h)[:, 0], "log_scales": self.log_scales}


def data() -> Any:
    x, y = rows()
    return x, {"label": y, "value": torch.randn(12, dtype=torch.float64)}


@kind(SHARES)
def share_of_a_task() -> Loop:
    """Outputs and targets by name; how much one counts is searched."""

    def loss(outputs: Any, targets: Any, c: Any) -> Tensor:
        label = F.cross_entropy(outputs["label"], targets["label"])
        return (1 - c["size"]) * label + c["size"] * F.mse_loss(outputs["value"], targets["value"])

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), c["lr"], 0.9)

    return Loop(Several().double(), loss, data(), optimizer)


@kind(lr=0.02)
def weights_of_the_tasks_are_learnt() -> Loop:
    """Learnt uncertainties."""

    def loss(outputs: Any, targets: Any, c: Any) -> Tensor:
        label = F.cross_entropy(outputs["label"], targets["label"])
        value = F.mse_loss(outputs["value"], targets["value"])
        scales = outputs["log_scales"]
        return (torch.exp(-scales) * torch.stack([label, value]) + scales).sum()

    return Loop(Several().double(), loss, data())


@kind()
def loss_from_the_model_itself() -> Loop:
    """The model is given its labels, and gives its loss (as Hugging Face's do)."""

    class WithLabels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.inner(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    x, y = rows()
    return Loop(WithLabels(), lambda outputs, targets, c: outputs["loss"], ({"x": x, "labels": y}, y))


@kind()
def contrastive() -> Loop:
    """Two towers and a learnt temperature; each sample counts against all others of its half."""

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(6, 4), nn.Linear(6, 4)
            self.temperature = nn.Parameter(torch.tensor(0.5))

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            left, right = F.normalize(self.left(a), dim=-1), F.normalize(self.right(b), dim=-1)
            return left @ right.t() * self.temperature.exp()

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        return F.cross_entropy(outputs, torch.arange(len(outputs)))

    return Loop(Towers().double(), loss, ((rows()[0], rows()[0]), torch.zeros(12)))


@kind()
def deep_supervision() -> Loop:
    """A list of outputs, the losses of which are added."""

    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
            self.heads = nn.ModuleList(nn.Linear(6, 4) for _ in range(2))

        def forward(self, x: Tensor) -> list[Tensor]:
            found = []
            for block, head in zip(self.blocks, self.heads, strict=True):
                x = torch.tanh(block(x))
                found.append(head(x))
            return found

    def loss(outputs: Any, targets: Tensor, c: Any) -> Tensor:
        return torch.stack([F.cross_entropy(each, targets) for each in outputs]).sum()

    return Loop(
        Early().double(), loss, heldout_loss=lambda outputs, targets: F.cross_entropy(outputs[-1], targets)
    )
