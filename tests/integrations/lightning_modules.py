"""Modules, data and fits of which the Lightning callback is tested, beside the example's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from tests.integrations.driver import example
from warmstart.integrations.lightning import WarmStart

EXAMPLE = example("lightning_callback")
LR = 0.001


def callback(**settings: Any) -> WarmStart:
    return WarmStart(EXAMPLE.SPACE, loss=EXAMPLE.loss_of, **settings)


def fit(
    folder: Path, *callbacks: Any, module: Any = None, data: Any = None, ckpt: Any = None, **options: Any
) -> Any:
    """(the module, its trainer) after two epochs of five batches."""
    L.seed_everything(0, verbose=False)
    module = module or made()
    trainer = L.Trainer(
        **{"accelerator": "cpu", "max_epochs": 2, "limit_train_batches": 5, "default_root_dir": str(folder)},
        **{"logger": False, "enable_progress_bar": False, "enable_model_summary": False},
        **{"enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks)},
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(module, data or EXAMPLE.DigitsData(), ckpt_path=ckpt)
    return module, trainer


def made(kind: Any = EXAMPLE.Digits, lr: float = LR) -> Any:
    return kind(lr=lr, label_smoothing=0.1)


class Two(EXAMPLE.Digits):
    """Two optimisers."""

    def __init__(self, lr: float, label_smoothing: float) -> None:
        super().__init__(lr, label_smoothing)
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.parameters(), lr=self.hparams.lr) for _ in range(2)]


class Silent(EXAMPLE.Digits):
    """It keeps no hyper-parameters."""

    def save_hyperparameters(self, *args: Any, **options: Any) -> None:
        pass

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Dictionary(EXAMPLE.DigitsData):
    """Its training data are a dictionary of loaders."""

    def train_dataloader(self) -> Any:
        return {"a": super().train_dataloader()}


class Processes(EXAMPLE.DigitsData):
    """Its training data are loaded by a process of their own."""

    def train_dataloader(self) -> Any:
        return DataLoader(self.train_set, batch_size=64, shuffle=True, num_workers=1, persistent_workers=True)


class Late(EXAMPLE.Digits):
    """It makes its network in `configure_model`, and its optimiser with a warm-up from 0."""

    def __init__(self, lr: float, label_smoothing: float) -> None:
        super().__init__(lr, label_smoothing)
        self.net = None

    def configure_model(self) -> None:
        if self.net is None:
            self.net = torch.nn.Linear(64, 10)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 5, 1.0))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Clips(EXAMPLE.Digits):
    """It clips gradients as it likes."""

    def configure_gradient_clipping(self, *args: Any, **options: Any) -> None:
        self.clip_gradients(args[0], gradient_clip_val=1e-3, gradient_clip_algorithm="norm")
