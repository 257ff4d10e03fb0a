"""A Hugging Face ``Trainer`` as a trial: a unit is an epoch.

    from trials.integrations.hugging_face import train_trial

    def train(trial):
        trainer = Trainer(model=..., args=TrainingArguments(..., learning_rate=trial.config["lr"]), ...)
        train_trial(trainer, trial, metric="eval_accuracy")

After each epoch the ``Trainer`` evaluates and saves, as it does by itself; its own checkpoint (weights,
optimiser, schedule, random states) becomes the trial's, and a trial that is paused, or whose worker is
killed, goes on from it by the ``Trainer``'s own ``resume_from_checkpoint``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asha_core.arguments import text
from asha_core.errors import SettingError, TaskError, nearest
from asha_core.extras import needed
from asha_core.streams import stream_seed
from trials.integrations.packing import ended, packed, unpacked
from trials.trial import Trial

needed("hugging-face", "transformers", "accelerate", what="trials.integrations.hugging_face")

from transformers import TrainerCallback, set_seed  # noqa: E402 - what is missing is told in words first
from transformers.utils import logging  # noqa: E402

_SEEDS = 2**31


def train_trial(trainer: Any, trial: Trial, metric: str) -> None:
    """Train from the trial's last checkpoint to the end of its job, and report each epoch.

    Args:
        trainer: a ``transformers.Trainer`` with an ``eval_dataset``. Of its arguments these are the trial's:
            ``num_train_epochs`` (so schedules end with a complete trial), evaluation and saving (after each
            epoch), ``output_dir`` (a temporary folder), ``seed`` and ``data_seed``.
        metric: what is reported, by the name that the evaluation gives it: "eval_loss", or "eval_accuracy"
            of a ``compute_metrics`` that returns "accuracy". With a dictionary of sets to evaluate on,
            "eval_" and the set's name come first.
    Raises:
        SettingError: the arguments count steps, or there is nothing to evaluate on.
        TaskError: the evaluation gives no such metric.

    On a CPU, a trial that was paused has the numbers of one that was not, to the last bit, if the model's
    weights at the start are a function of the trial's seed: ``transformers.set_seed(trial.seed % 2**32)``
    before it is made.
    """
    text("metric", metric)
    arguments = trainer.args
    if arguments.max_steps > 0:
        raise SettingError(
            f"max_steps is {arguments.max_steps}: a unit is an epoch, and a trial has trial.max_resource of "
            "them; leave it out"
        )
    if trainer.eval_dataset is None:
        raise SettingError("the trainer has no eval_dataset: give one, for its metric is what is reported")
    arguments.num_train_epochs = trial.max_resource
    arguments.eval_strategy = arguments.save_strategy = "epoch"
    arguments.save_only_model = False
    _seed(trainer, trial)
    arguments.eval_delay = 0
    with tempfile.TemporaryDirectory() as folder:
        arguments.output_dir = folder
        kept = trial.resume_from()
        begun = None if kept is None else _written(kept, Path(folder))
        reporter = _Reporter(trial, metric)
        trainer.add_callback(reporter)
        try:
            with _without_bars():
                trainer.train(resume_from_checkpoint=begun)
            ended(trial)
        finally:
            trainer.remove_callback(reporter)
            trial.finish()  # what is saved is in a folder that goes now


@contextmanager
def _without_bars() -> Iterator[None]:
    """Of the files that are saved after each epoch; the training's own bar is by ``disable_tqdm``."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _seed(trainer: Any, trial: Trial) -> None:
    """The order of the data and all random numbers from the trial's seed: the ``Trainer``, when it was made,
    has taken both from its arguments, whose seed is 42 in every trial.
    """
    arguments = trainer.args
    arguments.data_seed = stream_seed(trial.seed, "order") % _SEEDS
    arguments.seed = stream_seed(trial.seed, "noise") % _SEEDS
    trainer.accelerator.dataloader_config.data_seed = arguments.data_seed
    set_seed(arguments.seed)


class _Reporter(TrainerCallback):
    """Turns a ``Trainer``'s epochs into the trial's units."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric
        self._units = trial.units()
        self._metrics: dict[str, float] = {}
        self._over = False  # the epoch

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The next unit, or ``JobStopped``."""
        next(self._units)
        self._over = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluations and saves before this, which other callbacks asked for, are not the unit's."""
        self._over = True
        self._metrics = {}

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """What is to be reported when the epoch is saved; called once for each set that is evaluated on."""
        self._metrics.update(metrics)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The epoch is over: save, then report."""
        if not self._over:
            return
        if self._metric not in self._metrics:
            raise TaskError(
                f"metric is {self._metric!r}, and the evaluation gives none of that name"
                f"{nearest(self._metric, self._metrics)}"
            )
        trial = self._trial
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        trial.save({"step": int(state.global_step), "files": _files(checkpoint)})
        others = {
            name: value
            for name, value in self._metrics.items()
            if name != self._metric and isinstance(value, int | float)
        }
        trial.report(self._metrics[self._metric], **others)
        if trial.done >= trial.until or trial.stopped_early:
            control.should_training_stop = True


def _files(folder: Path) -> dict[str, Any]:
    """A checkpoint's files, by their paths in it."""
    return {
        str(path.relative_to(folder)): packed(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _written(kept: Any, folder: Path) -> str:
    """The checkpoint as the ``Trainer`` wrote it, in a folder."""
    checkpoint = folder / f"checkpoint-{kept['step']}"
    for name, content in kept["files"].items():
        unpacked(content, checkpoint / name)
    return str(checkpoint)
