"""What the Lightning callback does beside the example; the answers as JSON: python -m ... OUT.json."""

from __future__ import annotations

import json
import logging
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning as L
import lightning_callback as example  # examples/warm_start is on the path
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from warmstart.integrations.lightning import WarmStart

LR = 0.001


def callback(**settings: Any) -> WarmStart:
    return WarmStart(example.SPACE, loss=example.loss_of, **settings)


def fit(
    folder: str, *callbacks: Any, module: Any = None, data: Any = None, ckpt: Any = None, **options: Any
) -> Any:
    """(the module, its trainer) after two epochs of five batches."""
    L.seed_everything(0, verbose=False)
    module = module or example.Digits(lr=LR, label_smoothing=0.1)
    trainer = L.Trainer(
        **{"accelerator": "cpu", "max_epochs": 2, "limit_train_batches": 5, "default_root_dir": folder},
        **{"logger": False, "enable_progress_bar": False, "enable_model_summary": False},
        **{"enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks)},
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(module, data or example.DigitsData(), ckpt_path=ckpt)
    return module, trainer


def rate(trainer: Any) -> float:
    return float(trainer.optimizers[0].param_groups[0]["max_lr"])


def resuming(folder: str) -> dict[str, Any]:
    first, checkpoints = callback(), ModelCheckpoint(dirpath=folder, save_top_k=-1, filename="{epoch}")
    module, _ = fit(folder, first, checkpoints)
    path = Path(folder) / "epoch=0.ckpt"
    again = callback()
    resumed, trainer = fit(folder, again, ckpt=path)
    fit(folder, first, module=module)  # a second fit of the same module
    return {
        "refined": dict(first.outcome.configuration),
        "hparams in the checkpoint": dict(example.Digits.load_from_checkpoint(path).hparams),
        "resumed": dict(resumed.hparams),
        "resumed rate": rate(trainer),
        "refined again": again.outcome is not None,
        "after a second fit": dict(module.hparams),
    }


def precisions(folder: str) -> dict[str, Any]:
    """The derivative by log10(lr)."""
    found = {}
    for precision in ("32-true", "64-true", "bf16-mixed"):
        one = callback(name="ohgw-1step")
        fit(folder, one, precision=precision)
        assert one.outcome is not None
        found[precision] = one.outcome.diagnostics["gradient"]["lr"]
    return found


class Two(example.Digits):
    """Two optimisers."""

    def __init__(self, lr: float, label_smoothing: float) -> None:
        super().__init__(lr, label_smoothing)
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.parameters(), lr=self.hparams.lr) for _ in range(2)]


class Silent(example.Digits):
    """It keeps no hyper-parameters."""

    def save_hyperparameters(self, *args: Any, **options: Any) -> None:
        pass

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Dictionary(example.DigitsData):
    """Its training data are a dictionary of loaders."""

    def train_dataloader(self) -> Any:
        return {"a": super().train_dataloader()}


class Processes(example.DigitsData):
    """Its training data are loaded by a process of their own."""

    def train_dataloader(self) -> Any:
        return DataLoader(self.train_set, batch_size=64, shuffle=True, num_workers=1, persistent_workers=True)


class Late(example.Digits):
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


def said(folder: str, **options: Any) -> str:
    try:
        fit(folder, callback(), **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def mistakes(folder: str) -> dict[str, str]:
    return {
        "two optimisers": said(folder, module=Two(lr=LR, label_smoothing=0.1)),
        "no hparams": said(folder, module=Silent(lr=LR, label_smoothing=0.1)),
        "no loader": said(folder, data=Dictionary()),
        "outside": said(folder, module=example.Digits(lr=30.0, label_smoothing=0.1)),
        "float16": said(folder, precision="16-true"),
    }


def weights(module: Any) -> list[Any]:
    return [parameter.tolist() for parameter in module.parameters()]


def main(out: str) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        late, trainer = fit(folder, callback(), module=Late(lr=LR, label_smoothing=0.1))
        plain, _ = fit(folder, data=Processes())
        zero, _ = fit(folder, callback(name="hypergradient", eta_h=0.0), data=Processes())
        accumulated, _ = fit(folder, callback(), accumulate_grad_batches=4)
        answers = {
            "resuming": resuming(folder),
            "precisions": precisions(folder),
            "mistakes": mistakes(folder),
            "late": [late.hparams.lr, trainer.optimizers[0].param_groups[0]["initial_lr"]],
            "processes": weights(plain) == weights(zero),
            "accumulated": accumulated.hparams.lr,
            "pickled": type(pickle.loads(pickle.dumps(callback(seed=3)))).__name__,
        }
    Path(out).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
