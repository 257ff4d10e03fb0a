"""Networks for images, in small."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.warmstart.gallery.case import Loop, images, kind

F = nn.functional


@kind()
def small_residual_network() -> Loop:
    """Convolutions, batch norm, a shortcut that is added in place."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.block, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = F.relu(self.norm(self.stem(x)), inplace=True)
            out = self.block(h)
            out += h
            return self.head(F.softplus(out).mean((2, 3)))

    return Loop(Residual().double(), data=images())


@kind()
def mobile_network() -> Loop:
    """Depthwise convolutions, squeeze and excite, hard swish (as MobileNetV3)."""

    class Mobile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.deep = nn.Conv2d(2, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
            self.norm, self.squeeze = nn.BatchNorm2d(6, momentum=0.01), nn.Conv2d(6, 6, 1)
            self.head = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = F.hardswish(self.norm(self.deep(F.silu(self.wide(x)))))
            h = h * torch.sigmoid(self.squeeze(F.adaptive_avg_pool2d(h, 1)))
            return self.head(h.mean((2, 3)))

    return Loop(Mobile().double(), data=images())


@kind()
def shifted_windows() -> Loop:
    """Attention in windows that are rolled, with a table of relative places (as Swin)."""

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.head = nn.Linear(2, 6), nn.Linear(2, 4)
            self.bias = nn.Parameter(0.1 * torch.randn(4, 4))
            self.norm = nn.LayerNorm(2)
            self.register_buffer("order", torch.randperm(16).view(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            h = torch.roll(self.norm(x.permute(0, 2, 3, 1)), (-1, -1), (1, 2))
            h = h.unflatten(1, (2, 2)).unflatten(3, (2, 2)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
            q, k, v = self.project(h).chunk(3, -1)
            mask = self.bias.flatten()[self.order]
            return self.head(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).mean((1, 2)))

    return Loop(Windows().double(), data=images(6, 2, 4))


@kind()
def up_and_down() -> Loop:
    """Transposed convolutions, interpolation, concatenation (as a U-Net); a loss of every pixel."""

    class Hourglass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Conv2d(2, 4, 3, 2, 1), nn.ConvTranspose2d(4, 2, 2, 2)
            self.norm, self.head = nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.up(F.gelu(self.norm(self.down(x))))
            return self.head(torch.cat([h, F.interpolate(x, size=h.shape[2:], mode="bilinear")], 1))

    x, _ = images(6)
    return Loop(Hourglass().double(), data=(x, torch.randint(0, 4, (6, 8, 8))))


@kind(exact=1e-3)
def spatial_transformer() -> Loop:
    """``grid_sample``, smooth."""

    class Warped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place, self.head = nn.Linear(128, 6), nn.Linear(128, 4)
            nn.init.normal_(self.place.weight, std=0.01)

        def forward(self, x: Tensor) -> Tensor:
            here = torch.tensor([1.0, 0, 0, 0, 1.0, 0], dtype=x.dtype)
            theta = (0.1 * self.place(x.flatten(1)) + 0.5 * here).view(-1, 2, 3)
            grid = F.affine_grid(theta, list(x.shape), align_corners=False)
            return self.head(F.grid_sample(x, grid, "bicubic", align_corners=False).flatten(1))

    return Loop(Warped().double(), data=images())


@kind()
def channels_last() -> Loop:
    """Weights and images in another layout."""
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.AvgPool2d(6), nn.Flatten(), nn.Linear(4, 4)
    ).double()
    x, y = images()
    return Loop(net.to(memory_format=torch.channels_last), data=(x.to(memory_format=torch.channels_last), y))


@kind()
def instance_norm_with_statistics() -> Loop:
    """Running statistics of an instance norm."""
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    return Loop(
        nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.Softplus(), nn.Flatten(), nn.Linear(144, 4)).double(),
        data=images(),
    )
