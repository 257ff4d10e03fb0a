"""Models that draw, invert, or differentiate inside ``forward``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Float, SearchSpace
from tests.warmstart.gallery.case import LR, Loop, kind, rows

F = nn.functional
WEIGHTED = SearchSpace({"lr": LR, "weight": Float(1e-4, 1.0, log=True)})


def sgd(model: nn.Module, c: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), c["lr"], 0.9)


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(6, 4), nn.Linear(2, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x).chunk(2, -1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decode(torch.tanh(z)), mean, log_variance


@kind(WEIGHTED)
def variational_autoencoder() -> Loop:
    """Noise in ``forward``; a searched weight of the divergence."""

    def loss(outputs: Any, targets: Tensor, c: Any) -> Tensor:
        made, mean, log_variance = outputs
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
        return F.mse_loss(made, targets) + c["weight"] * divergence

    x, _ = rows()
    return Loop(Variational().double(), loss, (x, x), sgd)


@kind()
def diffusion() -> Loop:
    """Random times and noise, which ``forward`` draws and gives back for the loss."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(7, 8), nn.SiLU(), nn.Linear(8, 6))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            time = torch.rand(len(x), 1, dtype=x.dtype)
            noise = torch.randn_like(x)
            return self.net(torch.cat([(1 - time).sqrt() * x + time.sqrt() * noise, time], 1)), noise

    return Loop(Denoiser().double(), lambda outputs, targets, c: F.mse_loss(*outputs))


@kind()
def normalising_flow() -> Loop:
    """Couplings and log-determinants."""

    class Flow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = nn.ModuleList(nn.Linear(3, 6) for _ in range(2))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            volume = torch.zeros(len(x), dtype=x.dtype)
            for net in self.nets:
                a, b = x.chunk(2, -1)
                shift, scale = net(a).chunk(2, -1)
                x = torch.cat([b * torch.tanh(scale).exp() + shift, a], -1)
                volume = volume + torch.tanh(scale).sum(-1)
            return x, volume

    return Loop(Flow().double(), lambda out, y, c: (0.5 * out[0].square().sum(-1) - out[1]).mean())


@kind()
def energy_and_its_forces() -> Loop:
    """``forward`` differentiates by its inputs (molecular dynamics)."""

    class Energy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

        def forward(self, x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            energy = self.net(x).sum()
            return -torch.autograd.grad(energy, x, create_graph=True)[0]

    x, _ = rows()
    return Loop(Energy().double(), lambda out, y, c: F.mse_loss(out, y), (x, torch.sin(x)))


@kind()
def samples_by_langevin_steps() -> Loop:
    """``forward`` walks along its own gradient, with noise, and lets no gradient through."""

    class Walks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            made = torch.randn_like(x)
            for _ in range(2):
                made = made.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self.net(made).sum(), made)
                made = made - 0.1 * slope + 0.05 * torch.randn_like(x)
            return self.net(x), self.net(made.detach())

    return Loop(Walks().double(), lambda out, y, c: out[0].mean() - out[1].mean() + out[0].square().mean())


@kind()
def equilibrium() -> Loop:
    """A fixed point that is found without gradients, with a last step that has them."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.outside, self.head = nn.Linear(4, 4), nn.Linear(6, 4), nn.Linear(4, 4)
            nn.init.normal_(self.inside.weight, std=0.1)

        def forward(self, x: Tensor) -> Tensor:
            z = torch.zeros(len(x), 4, dtype=x.dtype)
            with torch.no_grad():
                for _ in range(20):
                    z = torch.tanh(self.inside(z) + self.outside(x))
            return self.head(torch.tanh(self.inside(z) + self.outside(x)))

    return Loop(Fixed().double())


@kind(WEIGHTED)
def gradient_penalty() -> Loop:
    """A critic whose loss has the derivative by its inputs, through the model that it closes over."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1)).double()

    def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
        between = targets.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        return outputs.mean() - model(targets).mean() + c["weight"] * penalty

    return Loop(model, loss, (rows()[0], rows()[0]), sgd)
