"""A Lightning module, with a warm start by a callback.

What a warm start adds is between the markers. `--without` trains the same modules without it.
"""

import argparse
import tempfile

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# warm start: begin
from warmstart import Float, SearchSpace
from warmstart.integrations.lightning import WarmStart

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 3.0, log=True),
        "label_smoothing": Float(0.0, 0.3),
    }
)
# warm start: end


def loss_of(outputs, targets, hparams):
    return nn.functional.cross_entropy(outputs, targets, label_smoothing=hparams["label_smoothing"])


class Digits(L.LightningModule):
    def __init__(self, lr=0.01, label_smoothing=0.0):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = loss_of(self(images), labels, self.hparams)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        images, labels = batch
        accuracy = (self(images).argmax(dim=1) == labels).float().mean()
        self.log("accuracy", accuracy)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.9, nesterov=True)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.hparams.lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class DigitsData(L.LightningDataModule):
    def setup(self, stage):
        images, labels = load_digits(return_X_y=True)
        images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        train, valid = order[:1400], order[1400:]
        self.train_set = TensorDataset(images[train], labels[train])
        self.valid_set = TensorDataset(images[valid], labels[valid])

    def train_dataloader(self):
        return DataLoader(self.train_set, batch_size=64, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.valid_set, batch_size=400)


def train(lr, folder, epochs, variation, settings, **options):
    L.seed_everything(0, verbose=False)
    module = Digits(lr=lr, label_smoothing=0.1)
    callbacks = [ModelCheckpoint(monitor="accuracy", mode="max", save_last=True)]
    # warm start: begin
    if variation is not None:
        callbacks.append(WarmStart(SPACE, loss=loss_of, name=variation, **settings))
    # warm start: end
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, datamodule=DigitsData())
    return trainer, module


def main(variation="ohgw-trust", rates=(0.001, 0.01, 0.3), epochs=4, options=None, **settings):
    results = []
    for lr in rates:
        with tempfile.TemporaryDirectory() as folder:
            trainer, module = train(lr, folder, epochs, variation, settings, **(options or {}))
        results.append(
            {
                "proposed": lr,
                "config": dict(module.hparams),
                "loss": trainer.callback_metrics["loss"].item(),
                "accuracy": trainer.callback_metrics["accuracy"].item(),
            }
        )
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", action="store_true", help="train the modules as they are made")
    torch.set_num_threads(1)  # the network is too small for more
    results = main(None if parser.parse_args().without else "ohgw-trust")
    for result in results:
        before, after = result["proposed"], result["config"]["lr"]
        print(f"lr {before:.4g} -> {after:.4g}: accuracy {result['accuracy']:.3f}")
    best = max(results, key=lambda result: result["accuracy"])
    print(f"best: {best['accuracy']:.3f} with {best['config']}")
