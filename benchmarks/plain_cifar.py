"""ResNet-20 on CIFAR-10 as it is usually written: torchvision, a DataLoader, one loop, from top to bottom.

The peer of `training_speed.py`. The network and the settings are those of the project's own task; all else
is plain torchvision: crop, flip, RandAugment with two of its operations, normalisation by channel, an erased
square of 16 x 16; SGD with Nesterov momentum, a cosine over all epochs, bfloat16 on a GPU, a validation and a
checkpoint every epoch. Nothing in it is slow on purpose: the loss is read once an epoch, the loaders' workers
stay, memory is pinned and copied while the GPU works, and cuDNN looks for its fastest convolutions.

    python -m benchmarks.plain_cifar --data-dir DIR --epochs 10 --workers 2   # DIR/cifar-10-batches-py/
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

from trials.models.resnet import resnet20

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

TRAINING = transforms.Compose(
    [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.RandAugment(num_ops=2, magnitude=9),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, DEVIATION),
        transforms.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0)),  # 16 x 16 of 32 x 32
    ]
)
VALIDATION = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)])


@dataclass(frozen=True)
class Options:
    """data_dir: holds cifar-10-batches-py. folder: where the checkpoint goes. workers: of each loader."""

    data_dir: str
    folder: str
    device: str = "cpu"
    workers: int = 0
    batch_size: int = 128
    epochs: int = 200
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    mixed: bool = True  # bfloat16, on a GPU


def loaders(
    options: Options, rows: tuple[Sequence[int], Sequence[int]], data: type[CIFAR10] = CIFAR10
) -> tuple[DataLoader[torch.Tensor], DataLoader[torch.Tensor]]:
    """Of the training and the validation images; ``rows``: which of the 50,000 they are."""
    common = {
        "num_workers": options.workers,
        "persistent_workers": options.workers > 0,
        "pin_memory": options.device.startswith("cuda"),
    }
    train, valid = (
        Subset(data(options.data_dir, train=True, transform=transform), list(chosen))
        for transform, chosen in zip((TRAINING, VALIDATION), rows, strict=True)
    )
    return (
        DataLoader(train, options.batch_size, shuffle=True, drop_last=True, **common),
        DataLoader(valid, options.batch_size, **common),
    )


def train(
    options: Options, rows: tuple[Sequence[int], Sequence[int]], data: type[CIFAR10] = CIFAR10
) -> Iterator[tuple[float, float]]:
    """(training loss, validation accuracy) after each epoch; the checkpoint is written by then."""
    device = options.device
    torch.backends.cudnn.benchmark = True
    train_loader, valid_loader = loaders(options, rows, data)
    model = resnet20().to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        nesterov=True,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.epochs)
    cuda = device.startswith("cuda")

    def autocast() -> torch.autocast:
        return torch.autocast("cuda" if cuda else "cpu", dtype=torch.bfloat16, enabled=cuda and options.mixed)

    for epoch in range(options.epochs):
        model.train()
        total = torch.zeros((), device=device)
        for batch in train_loader:
            images, targets = (part.to(device, non_blocking=True) for part in batch)
            optimizer.zero_grad(set_to_none=True)
            with autocast():
                loss = criterion(model(images), targets)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        scheduler.step()

        model.eval()
        right = torch.zeros((), dtype=torch.int64, device=device)
        with torch.inference_mode(), autocast():
            for batch in valid_loader:
                images, targets = (part.to(device, non_blocking=True) for part in batch)
                right += (model(images).argmax(1) == targets).sum()

        state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state | {"scheduler": scheduler.state_dict()}, Path(options.folder) / "last.pt")
        yield total.item() / len(train_loader), right.item() / len(rows[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--folder", default=".", help="where last.pt goes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--images", type=int, default=50_000, help="how many of the 50,000 to use")
    given = parser.parse_args()
    options = Options(
        given.data_dir, given.folder, device=given.device, workers=given.workers, epochs=given.epochs
    )
    chosen = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))[: given.images].tolist()
    held_out = len(chosen) // 10
    began = time.perf_counter()
    for epoch, (loss, accuracy) in enumerate(train(options, (chosen[held_out:], chosen[:held_out])), 1):
        seconds = time.perf_counter() - began
        print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy:.4f}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
