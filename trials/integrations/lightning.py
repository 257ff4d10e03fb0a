"""A Lightning ``Trainer`` as a trial: a unit is an epoch.

    from trials.integrations.lightning import fit_trial

    def train(trial):
        trainer = Trainer(...)
        fit_trial(trainer, Module(lr=trial.config["lr"]), trial, metric="val_acc", datamodule=...)

After each epoch's validation Lightning's own checkpoint becomes the trial's, and a trial that is paused, or
whose worker is killed, goes on from it by the ``Trainer``'s own ``ckpt_path``. Lightning keeps no random
states: the global generators begin each epoch with a seed of the trial's and the epoch's.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from asha_core.arguments import text
from asha_core.errors import SettingError, TaskError, nearest
from asha_core.extras import missing
from asha_core.streams import stream_seed
from trials.integrations.packing import ended, packed, unpacked
from trials.trial import Trial

_ABSENT = bool(missing(["lightning"]))
if _ABSENT and missing(["pytorch_lightning"]):
    raise TaskError(f"trials.integrations.lightning needs {missing(['lightning'])}")

if _ABSENT:
    from pytorch_lightning import Callback  # its other name
else:
    from lightning.pytorch import Callback


def fit_trial(trainer: Any, module: Any, trial: Trial, metric: str, **data: Any) -> None:
    """Fit from the trial's last checkpoint to the end of its job, and report each epoch.

    Args:
        trainer: a ``Trainer``; its ``max_epochs`` becomes ``trial.max_resource``.
        module: a ``LightningModule`` that logs the metric in validation.
        metric: what is reported, by the name that the module logs it under.
        data: as for ``Trainer.fit``: ``train_dataloaders`` and ``val_dataloaders``, or ``datamodule``.
    Raises:
        SettingError: the trainer counts steps, or trains in several processes.
        TaskError: no such metric was logged by the end of an epoch.

    On a CPU, a trial that was paused has the numbers of one that was not, to the last bit, if the module's
    weights at the start are a function of the trial's seed (``seed_everything(trial.seed % 2**32)`` before it
    is made) and its data are read by no process of a loader's own (``num_workers=0``).
    """
    text("metric", metric)
    if trainer.max_steps != -1:
        raise SettingError(
            f"max_steps is {trainer.max_steps}: a unit is an epoch, and a trial has trial.max_resource of "
            "them; leave it out"
        )
    if (devices := trainer.num_devices * trainer.num_nodes) > 1:
        raise SettingError(
            f"the trainer has {devices} devices, and a trial one, in one process: give Trainer(devices=1); "
            "a search takes more GPUs by more trials at once (gpus=)"
        )
    trainer.fit_loop.max_epochs = trial.max_resource
    reporter = _Reporter(trial, metric)
    trainer.callbacks.append(reporter)
    try:
        with tempfile.TemporaryDirectory() as folder:
            kept = trial.resume_from()
            path = None
            if kept is not None:
                path = Path(folder) / "last.ckpt"
                unpacked(kept["checkpoint"], path)
            trainer.fit(module, ckpt_path=path, weights_only=False, **data)
        ended(trial)
    finally:
        trainer.callbacks.remove(reporter)
        trial.finish()


class _Reporter(Callback):
    """Turns epochs into the trial's units."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric
        self._units = trial.units()
        self._first = True

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """The next unit, or ``JobStopped``; and its random numbers."""
        unit = next(self._units)
        _seed(stream_seed(self._trial.seed, "unit", unit))
        if self._first:
            # the order of batches was drawn when the fit was set up; of later epochs it is drawn after this
            iter(trainer.fit_loop._data_fetcher)
        self._first = False

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Validation is over: save, then report."""
        logged = {name: value for name, value in trainer.callback_metrics.items() if _is_number(value)}
        if self._metric not in logged:
            raise TaskError(
                f"metric is {self._metric!r}, and the module has logged none of that name by the end of "
                f"epoch {trainer.current_epoch + 1}{nearest(self._metric, logged)}; each epoch needs a "
                "validation: give validation data, and leave out check_val_every_n_epoch"
            )
        trial = self._trial
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "last.ckpt"
            trainer.save_checkpoint(path)
            trial.save({"checkpoint": packed(path)})
        others = {name: float(value) for name, value in logged.items() if name != self._metric}
        trial.report(logged[self._metric], **others)
        if trial.done >= trial.until or trial.stopped_early:
            trainer.should_stop = True


def _is_number(value: Any) -> bool:
    return getattr(value, "numel", lambda: 1)() == 1


def _seed(seed: int) -> None:
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
