"""A Lightning Trainer on scikit-learn's digits."""

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from asha_core import ASHA, Float, tune
from trials.integrations.lightning import fit_trial

SPACE = {"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.99)}


class Digits(LightningModule):
    def __init__(self, lr=0.1, momentum=0.9):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))

    def training_step(self, batch):
        inputs, targets = batch
        return nn.functional.cross_entropy(self.network(inputs), targets)

    def validation_step(self, batch):
        inputs, targets = batch
        right = (self.network(inputs).argmax(1) == targets).float().mean()
        self.log("val_accuracy", right)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=self.hparams.momentum)


def loaders():
    images, labels = load_digits(return_X_y=True)
    samples = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    train, valid = random_split(samples, [1437, 360], torch.Generator().manual_seed(0))
    return DataLoader(train, batch_size=32, shuffle=True), DataLoader(valid, batch_size=360)


def train(trial):
    seed_everything(trial.seed % 2**32, verbose=False)
    module = Digits(trial.config["lr"], trial.config["momentum"])
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    x, y = loaders()
    fit_trial(trainer, module, trial, "val_accuracy", train_dataloaders=x, val_dataloaders=y)


if __name__ == "__main__":
    result = tune(train, ASHA(SPACE, max_resource=9, max_trials=9), results_dir="results/lightning")
    print(result.best_value, result.best_configuration)
