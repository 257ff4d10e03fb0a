"""A warm start before a Lightning fit, as a callback.

    trainer = Trainer(callbacks=[WarmStart(SPACE, loss=loss)])

The module reads its hyper-parameters from ``self.hparams``, its loss and ``configure_optimizers`` included,
and needs no other change. On the first fit, and not when it resumes from a checkpoint, the callback refines
``hparams`` and has the optimisers made again. A checkpoint holds the refined values twice: as the module's
hyper-parameters, and as the callback's state, from which a resumed fit takes them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from asha_core.errors import SettingError
from asha_core.space import Configuration, SearchSpace
from warmstart import Outcome, refine
from warmstart.clipping import Clipping
from warmstart.integrations import library

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from warmstart.problem.model_problem import Data

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback  # its other name
    except ImportError:
        Callback = object  # so that the module can be imported; making one says what is missing


class WarmStart(Callback):
    """Refine the module's hyper-parameters before it is first trained.

    Args:
        space: the hyper-parameters to refine; each is in the module's ``hparams``.
        loss: (outputs of the module's ``forward``, targets, configuration) -> training loss, a scalar. The
            module's ``training_step`` can call it with ``self.hparams`` as the configuration.
        name, seed, settings: as for ``warmstart.refine``.
        heldout_loss: (outputs, targets) -> the loss that counts; see ``ModelProblem``.
        data: training samples, as for ``ModelProblem``. None: the data set of the trainer's training data
            loader, whose order is not touched.
        max_grad_norm, max_grad_value: how the module itself clips gradients, in manual optimisation or in
            ``configure_gradient_clipping``. None: as the trainer does (``gradient_clip_val``).

    ``outcome`` says what was done; None: nothing, or it was done before the checkpoint that was resumed from.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        loss: Callable[[Any, Any, Mapping[str, Any]], Tensor],
        name: str = "ohgw-trust",
        heldout_loss: Callable[[Any, Any], Tensor] | None = None,
        data: Data | None = None,
        max_grad_norm: float | None = None,
        max_grad_value: float | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if Callback is object:
            library("lightning.pytorch", extra="lightning")
        super().__init__()
        self.space = space
        self.outcome: Outcome | None = None
        self._loss, self._heldout_loss, self._data = loss, heldout_loss, data
        self._clipping = Clipping(max_grad_norm, value=max_grad_value)
        self._name, self._seed, self._settings = name, seed, settings
        self._refined: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refine, unless that has been done.

        Not in the hook ``setup``, where the optimisers would not have to be made twice: there the weights
        are not on their device yet, and layers that the module makes in ``setup`` or ``configure_model`` are
        missing.
        """
        if self._refined is not None or trainer.ckpt_path is not None:
            return
        _check(trainer, pl_module, self.space)
        proposed = {name: pl_module.hparams[name] for name in self.space}
        self.outcome = refine(
            self._name, self._problem(trainer, pl_module), proposed, seed=self._seed, **self._settings
        )
        # every process has measured the same samples; rounding may still differ from one GPU to another
        self._refined = dict(trainer.strategy.broadcast(dict(self.outcome.configuration)))
        pl_module.hparams.update(self._refined)
        if self._refined != proposed:
            from warmstart.problem.randomness import own_randomness

            with own_randomness(self._seed, str(pl_module.device)):
                trainer.strategy.setup_optimizers(trainer)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Give a module that was made with the proposed values the refined ones, before its optimisers."""
        self._refined = checkpoint["callbacks"].get(self.state_key, {}).get("refined")
        if self._refined is not None:
            pl_module.hparams.update(self._refined)

    def state_dict(self) -> dict[str, Any]:
        """The refined values, if there are any."""
        return {} if self._refined is None else {"refined": self._refined}

    def _problem(self, trainer: Any, pl_module: Any) -> Any:
        import torch

        from warmstart.problem.model_problem import ModelProblem

        clipping = _clipping(trainer, pl_module) if self._clipping.limit is None else self._clipping
        return ModelProblem(
            self.space,
            model=pl_module,
            optimizer=lambda module, config: _optimizer(module, config, trainer),
            data=_loader(trainer) if self._data is None else self._data,
            loss=self._loss,
            heldout_loss=self._heldout_loss,
            prepare=trainer.strategy.precision_plugin.convert_input,
            max_grad_norm=clipping.norm,
            max_grad_value=clipping.value,
            autocast=torch.bfloat16 if trainer.precision == "bf16-mixed" else None,
            device=str(pl_module.device),
            seed=self._seed,
        )


def _check(trainer: Any, pl_module: Any, space: SearchSpace) -> None:
    if trainer.strategy.restore_checkpoint_after_setup:
        raise SettingError(
            f"{type(trainer.strategy).__name__} shards the model, and a warm start needs all of it: use one "
            "device or DDP"
        )
    if len(trainer.optimizers) != 1:
        raise SettingError(
            f"configure_optimizers gave {len(trainer.optimizers)} optimisers: a warm start looks through one"
        )
    missing = [name for name in space if name not in pl_module.hparams]
    if missing:
        raise SettingError(
            f"the module's hparams lack {', '.join(missing)}: call self.save_hyperparameters() in __init__, "
            "and read hyper-parameters from self.hparams"
        )


def _loader(trainer: Any) -> Any:
    from torch.utils.data import DataLoader

    if trainer.train_dataloader is None:
        trainer.fit_loop.setup_data()  # what the fit does next; it draws the same random numbers now
    if not isinstance(trainer.train_dataloader, DataLoader):
        raise SettingError(
            f"training data come from a {type(trainer.train_dataloader).__name__}: give WarmStart data=, a "
            "function of a draw number that gives (inputs, targets)"
        )
    return trainer.train_dataloader


def _clipping(trainer: Any, pl_module: Any) -> Clipping:
    """How the trainer clips gradients; a warning for a module that does it itself."""
    own = type(pl_module).configure_gradient_clipping
    if not own.__module__.startswith(("lightning.", "pytorch_lightning.")):
        warnings.warn(
            "the module has a configure_gradient_clipping of its own, and the warm start looks at a step "
            "without clipping: tell WarmStart how it clips, as max_grad_norm= or max_grad_value=",
            stacklevel=2,
        )
        return Clipping()
    limit, algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
    if not limit or limit <= 0:  # which Lightning takes for none
        return Clipping()
    kind = "norm" if algorithm is None else str(getattr(algorithm, "value", algorithm))
    return Clipping(float(limit)) if kind == "norm" else Clipping(value=float(limit))


def _optimizer(module: nn.Module, config: Configuration, trainer: Any) -> torch.optim.Optimizer:
    """What ``configure_optimizers`` gives for a configuration."""
    from warmstart.problem.real_optimizer import the_optimizer

    given: Any = module
    given.trainer = trainer  # for estimated_stepping_batches, say
    kept = dict(given.hparams)
    given.hparams.update(config)
    try:
        return the_optimizer(given.configure_optimizers())
    finally:
        given.hparams.update(kept)  # its forward pass may read them
