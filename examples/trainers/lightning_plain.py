"""A Lightning Trainer on scikit-learn's digits."""

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


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


def train(lr=0.1, momentum=0.9):
    seed_everything(0, verbose=False)
    module = Digits(lr, momentum)
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, *loaders())
    print(trainer.callback_metrics["val_accuracy"].item())


if __name__ == "__main__":
    train()
