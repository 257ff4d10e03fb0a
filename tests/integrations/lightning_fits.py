"""What ``lightning_trials`` fits; a module of its own, for it imports Lightning."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader, TensorDataset

from trials.trial import Trial


class Line(L.LightningModule):
    """A line through noise."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: Any, index: int) -> Any:
        x, y = batch
        loss = ((self.layer(x) - y) ** 2).mean()
        self.log("loss", loss, on_epoch=True, on_step=False)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Reports(L.Callback):
    """Each epoch is a unit."""

    def __init__(self, trial: Trial, seconds: float) -> None:
        self.trial = trial
        self.seconds = seconds

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        time.sleep(self.seconds)
        value = float(trainer.callback_metrics.get("loss", -trainer.current_epoch))
        self.trial.report(value)


def fit(trial: Trial, seconds: float, *callbacks: L.Callback) -> L.Trainer:
    """Train from the first unit to the job's end."""
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=trial.until,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[Reports(trial, seconds), *callbacks],
    )
    trainer.fit(Line(trial.config["lr"]), DataLoader(TensorDataset(x, 2 * x), batch_size=16))
    return trainer


def fit_until_it_has_converged(trial: Trial) -> None:
    """Lightning's own early stopping ends the trial."""
    trainer = fit(
        trial, 0.0, EarlyStopping("loss", patience=1, min_delta=0.05, check_on_train_epoch_end=True)
    )
    if trainer.current_epoch < trial.until:
        trial.stop_early()
