"""Any PyTorch model, optimiser and loss as a problem for a warm start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asha_core.errors import SettingError
from asha_core.searchers.base import space_and_seed
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Losses
from warmstart.clipping import Clipping
from warmstart.estimates.modes import differentiable
from warmstart.problem.complaints import check_functions
from warmstart.problem.data.samples import Data as Data  # noqa: PLC0414 - exported, and mypy wants it said
from warmstart.problem.data.samples import Split, check_data
from warmstart.problem.model_losses import Ingredients, ModelLosses


class ModelProblem:
    """A model as a warm start sees it.

    Args:
        space: the search space of the configurations, or a dictionary that it takes.
        model: the network with its initial weights; or a function of the configuration that makes a new one
            each time, whose weights depend on ``seed`` alone, and which acts on the held-out samples as the
            configuration has it. It is itself run, as a training loop would, in train mode, and everything in
            reach of it and of the functions below is put back after; in a model that is in train mode, parts
            that are not stay so (frozen batch norm). Of ``DistributedDataParallel`` and ``DataParallel`` the
            model inside is taken.
        optimizer: (model, configuration) -> its optimiser, at the peak of any schedule. Build it from the
            model that it is given; beside it, it may train others, such as weights of the loss.
        data: training samples: one mini-batch, a list of them (draws 0, 1, ... and round again), a function
            of a draw number that gives one, or a ``DataLoader``. A loader's data set, sampler and collate
            function run in a process forked for them, so that yours are left as they are; a function of a
            draw number is called in this process, and what it changes (files, counters, generators of its
            own) stays changed. A mini-batch is (inputs, targets), or a dict whose "labels" (or "label",
            "targets", "target") are the targets, the rest the inputs. Inputs and targets are tensors with
            the samples in the first dimension, lists with an entry for each sample, or tuples, lists or
            dicts of such parts; a model is called with a dict's entries by name.
        loss: (outputs, targets, configuration) -> training loss, a scalar. It has to read hyper-parameters
            from the configuration that it is given.
        heldout_loss: (outputs, targets) -> the loss that counts: no smoothing. None: ``loss``, with the
            configuration's own values held fixed.
        augment: (inputs, configuration, generator) -> training inputs; randomness from the generator alone.
        prepare: inputs -> held-out inputs, such as a normalisation.
        validation: as ``data``, for the strategies that are told to hold out validation samples.
        split: a mini-batch, as ``data`` gives it -> ((inputs, targets), (inputs, targets)), what to train on
            and what is held out; for graphs and whatever else is not split by its first dimension. It is
            seeded for each draw. None: halves, of samples in a random order.
        max_grad_norm: the norm to which training clips its gradient (``torch.nn.utils.clip_grad_norm_``), or
            a function of the configuration that gives it; hyper-gradients go through it. None: it does not.
            A training loop that clips must say so here: a warm start cannot see it.
        max_grad_value: the same for ``torch.nn.utils.clip_grad_value_``, in the place of ``max_grad_norm``.
        norm_type: which norm ``max_grad_norm`` is of: 2, 1, another p, or math.inf.
        autocast: torch.bfloat16 for mixed precision; None: none. There is no gradient scaler here, so
            float16 is refused.
        device: where samples are moved to. None: where the model's weights are.
        seed: of everything random here; the same seed, the same samples and the same weights.
    Raises:
        SettingError: an argument that cannot be used, with what would do.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        model: nn.Module | Callable[[Configuration], nn.Module],
        optimizer: Callable[[nn.Module, Configuration], torch.optim.Optimizer],
        data: Data,
        loss: Callable[[Any, Any, Configuration], Tensor],
        heldout_loss: Callable[[Any, Any], Tensor] | None = None,
        augment: Callable[[Any, Configuration, torch.Generator], Any] | None = None,
        prepare: Callable[[Any], Any] | None = None,
        validation: Data | None = None,
        split: Split | None = None,
        max_grad_norm: Callable[[Configuration], float | None] | float | None = None,
        max_grad_value: Callable[[Configuration], float | None] | float | None = None,
        norm_type: float = 2.0,
        autocast: torch.dtype | None = None,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        if autocast not in (None, torch.bfloat16):
            raise SettingError(
                f"autocast is {autocast}: use torch.bfloat16, or None for full precision (float16 "
                "needs a gradient scaler, which would be part of what is differentiated)"
            )
        called = {"optimizer": optimizer, "loss": loss, "heldout_loss": heldout_loss}
        check_functions(model, {**called, "augment": augment, "prepare": prepare})
        check_data("data", data, split)
        if validation is not None:
            check_data("validation", validation, split)
        clipping = _clipping(max_grad_norm, max_grad_value, norm_type)
        self.space, seed = space_and_seed(space, seed)
        self._ingredients = Ingredients(
            self.space,
            model,
            optimizer,
            data,
            loss,
            heldout_loss,
            augment,
            prepare,
            validation,
            split,
            clipping,
            autocast,
            device,
            seed,
        )

    def made_of(self) -> list[Any]:
        """What tells it from other problems; see ``hints.subject``."""
        return [self._ingredients.model, self._ingredients.optimizer, self._ingredients.loss]

    def losses(self, configuration: Configuration) -> Losses:
        """The model under this configuration: what a strategy measures."""
        with differentiable():
            return ModelLosses(self.ingredients(configuration), configuration).losses()

    def ingredients(self, configuration: Configuration) -> Ingredients:
        """What it is made of under this configuration."""
        return self._ingredients


def _clipping(norm: Any, value: Any, norm_type: float) -> Callable[[Configuration], Clipping]:
    """How gradients are clipped, by configuration.

    Args:
        norm, value: each a limit, a function of the configuration that gives one, or None.
    """
    if not (callable(norm) or callable(value)):
        always = Clipping(norm, norm_type, value)
        return lambda configuration: always
    Clipping(None if callable(norm) else norm, norm_type, None if callable(value) else value)

    def clipping(config: Configuration) -> Clipping:
        return Clipping(
            norm(config) if callable(norm) else norm, norm_type, value(config) if callable(value) else value
        )

    return clipping
