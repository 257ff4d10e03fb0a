"""What one configuration's model can be asked: its losses, and its optimiser's settings.

Nothing of the caller's is touched: the model is copied (its weights are shared, and only read), its buffers
are cloned for every pass, batches are drawn with generators of their own, and the global random generators
are as before.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from asha_core.errors import SettingError, TaskError
from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from asha_core.streams import stream_seed
from warmstart.base import Heldout, Losses, Network
from warmstart.clipping import Clipping
from warmstart.estimates.modes import differentiable
from warmstart.moves import movable
from warmstart.optimizers import Group, Opaque
from warmstart.problem.randomness import generator_for, own_randomness
from warmstart.problem.real_optimizer import (
    before_evaluation,
    check_weights,
    groups_of,
    take_step,
    the_optimizer,
)
from warmstart.problem.samples import Data, Pair, arguments, count, mini_batch, part


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a ``ModelProblem`` is made of, as its arguments say."""

    space: SearchSpace
    model: nn.Module | Callable[[Configuration], nn.Module]
    optimizer: Callable[[nn.Module, Configuration], torch.optim.Optimizer]
    data: Data
    loss: Callable[[Any, Any, Configuration], Tensor]
    heldout_loss: Callable[[Any, Any], Tensor] | None
    augment: Callable[[Any, Configuration, torch.Generator], Any] | None
    prepare: Callable[[Any], Any] | None
    validation: Data | None
    clipping: Callable[[Configuration], Clipping]
    autocast: torch.dtype | None
    device: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class Samples:
    """Part of a mini-batch, and the seed of all that is random about it."""

    inputs: Any
    targets: Any
    seed: int


class ModelLosses:
    """One configuration's model, and its losses."""

    def __init__(self, ingredients: Ingredients, configuration: Configuration) -> None:
        self._given = ingredients
        self._configuration = configuration
        self._hooks: list[RemovableHandle] = []
        weakref.finalize(self, _remove, self._hooks)  # the function's model may be the caller's own
        watched = Watched(configuration)
        self.model = self._skeleton(watched)
        # what shapes the network itself: a dropout rate, say
        self._inside = [n for n in movable(ingredients.space, configuration) if n in watched.reads]
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        _check(trained)
        # complex weights as pairs of real ones, which is how PyTorch's optimisers take them
        self._complex = frozenset(name for name, value in trained.items() if value.is_complex())
        self.parameters = {n: torch.view_as_real(p) if n in self._complex else p for n, p in trained.items()}
        self.device = ingredients.device or str(next(iter(self.parameters.values())).device)

    def losses(self) -> Losses:
        """What a strategy may measure of it."""
        network = Network(
            self.parameters,
            self.forward,
            self._criterion,
            self._heldout,
            self._groups,
            self._given.clipping,
        )
        return Losses(self.batches, self._after, network)

    def _skeleton(self, configuration: Configuration) -> nn.Module:
        """A model to be called with other weights; its own are the caller's, never written to."""
        model = self._given.model
        if isinstance(model, nn.Module):
            made = _copied(model, share_weights=True)
        else:
            made = self._made(model, configuration)
        self._hooks += [module.register_forward_pre_hook(_not_again) for module in made.modules()]
        return _training(made)

    def _made(self, model: Callable[[Configuration], nn.Module], configuration: Configuration) -> nn.Module:
        """A model of the caller's function: the same weights each time, and no global generator advanced."""
        device = self._given.device or ("cuda" if torch.cuda.is_initialized() else "cpu")  # type: ignore[no-untyped-call]
        with own_randomness(stream_seed(self._given.seed, "warm-start-weights"), device):
            return model(configuration)

    def forward(self, theta: Mapping[str, Tensor], samples: Samples, config: Configuration) -> Any:
        """The network's outputs for the training inputs, under a configuration that may be another one."""
        model = self.model
        inside = [config[name] for name in self._inside]  # read, so that a watcher sees it
        if any(
            value is not self._configuration[name] for name, value in zip(self._inside, inside, strict=True)
        ):
            model = self._skeleton(config)
        return self._outputs(model, theta, samples, config)

    def _outputs(
        self, model: nn.Module, theta: Mapping[str, Tensor], samples: Samples, config: Configuration
    ) -> Any:
        inputs = samples.inputs
        with own_randomness(samples.seed, self.device), self._precision():
            if self._given.augment is not None:
                noise = torch.Generator(self.device).manual_seed(samples.seed)
                inputs = self._given.augment(inputs, config, noise)
            elif self._given.prepare is not None:
                inputs = self._given.prepare(inputs)
            return _called(model, self._weights(theta), inputs)

    def _weights(self, theta: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As the model has them."""
        if not self._complex:
            return theta
        return {
            name: torch.view_as_complex(value) if name in self._complex and not value.is_complex() else value
            for name, value in theta.items()
        }

    def _criterion(self, outputs: Any, samples: Samples, config: Configuration) -> Tensor:
        with own_randomness(samples.seed + 1, self.device), self._precision():
            return self._given.loss(outputs, samples.targets, config)

    def _heldout(self, theta: Mapping[str, Tensor], samples: Samples) -> Tensor:
        with own_randomness(samples.seed, self.device), self._precision():
            inputs = samples.inputs if self._given.prepare is None else self._given.prepare(samples.inputs)
            outputs = _called(self.model, self._weights(theta), inputs)
            if self._given.heldout_loss is not None:
                return self._given.heldout_loss(outputs, samples.targets)
            return self._given.loss(outputs, samples.targets, self._configuration)

    def _groups(self, config: Configuration) -> list[Group | Opaque]:
        optimizer = the_optimizer(self._given.optimizer(self.model, config))
        return groups_of(optimizer, dict(self.model.named_parameters()))

    def _after(self, config: Configuration, train: Sequence[Samples], heldout: Samples) -> float:
        with differentiable():
            theta = self._trained(config, train) if train else self.parameters
            with torch.no_grad():
                return self._heldout(theta, heldout).item()

    def _trained(self, config: Configuration, train: Sequence[Samples]) -> Mapping[str, Tensor]:
        """The weights after real steps, on a model of its own."""
        model = self._given.model
        fresh = _copied(model) if isinstance(model, nn.Module) else self._made(model, config)
        if fresh is self.model:
            raise TaskError(
                "the function given as model gave the same model twice, which training would change: let "
                "it make a new one each time, or give the model itself"
            )
        _training(fresh)
        theta = dict(fresh.named_parameters())
        optimizer = the_optimizer(self._given.optimizer(fresh, config))
        check_weights(optimizer, theta)
        for samples in train:
            take_step(optimizer, partial(self._backward, fresh, theta, samples, config, optimizer))
        before_evaluation(optimizer)
        return theta

    def _backward(
        self,
        model: nn.Module,
        theta: Mapping[str, Tensor],
        samples: Samples,
        config: Configuration,
        optimizer: torch.optim.Optimizer,
    ) -> Tensor:
        loss = self._criterion(self._outputs(model, theta, samples, config), samples, config)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._given.clipping(config).apply(trained)
        return loss

    def _precision(self) -> AbstractContextManager[Any]:
        if self._given.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=self._given.autocast)

    def batches(self, draw: int, kind: Heldout) -> tuple[Samples, Samples]:
        """(training samples, held-out samples) of a draw."""
        seed = self._given.seed
        noise = stream_seed(seed, "warm-start-noise", draw)
        inputs, targets = self._drawn(self._given.data, "warm-start-data", draw)
        if kind == "validation":
            if self._given.validation is None:
                raise SettingError('heldout is "validation", and the problem has no validation data')
            held = self._drawn(self._given.validation, "warm-start-validation", draw)
            return Samples(inputs, targets, noise), Samples(*held, noise + 2)
        whole = count((inputs, targets))
        if whole < 2:
            raise TaskError(
                f"a warm start splits a mini-batch in halves, and this one has {whole} samples: give "
                'at least 2, or validation samples and heldout="validation"'
            )
        half = whole // 2
        train = Samples(part(inputs, 0, half), part(targets, 0, half), noise)
        if kind == "same":
            return train, train
        return train, Samples(part(inputs, half, whole), part(targets, half, whole), noise + 2)

    def _drawn(self, data: Data, stream: str, draw: int) -> Pair:
        """One mini-batch, on the device."""
        generator = generator_for(self._given.seed, stream, draw)
        seed = stream_seed(self._given.seed, stream, draw)
        with differentiable(), own_randomness(seed, self.device):  # a data set may draw
            return mini_batch(data, draw, generator, self.device)


def _called(model: nn.Module, theta: Mapping[str, Tensor], inputs: Any) -> Any:
    """``model`` as a function of its parameters; buffers (batch-norm statistics) are clones, discarded."""
    state = {**theta, **{name: buffer.clone() for name, buffer in model.named_buffers()}}
    positional, named = arguments(inputs)
    try:
        return torch.func.functional_call(model, state, positional, named)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TaskError(
            f"half of the mini-batch is too small for batch norm ({error}): give at least 4 samples"
        ) from None


def _training(model: nn.Module) -> nn.Module:
    """In train mode, unless it is: then parts of it may be in eval mode, and stay so."""
    return model if model.training else model.train()


def _not_again(module: nn.Module, inputs: Any) -> None:
    """Refuse to run in a backward pass, where the model has its own weights again instead of those given."""
    if torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            f"a layer ({type(module).__name__}) is run again in the backward pass, as activation "
            "checkpointing does, and would have other weights there"
        )


def _remove(hooks: list[RemovableHandle]) -> None:
    for hook in hooks:
        hook.remove()


def _copied(model: nn.Module, *, share_weights: bool = False) -> nn.Module:
    memo = {id(parameter): parameter for parameter in model.parameters()} if share_weights else {}
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise TaskError(
            f"the model cannot be copied ({type(error).__name__}: {error}): give a function of the "
            "configuration that makes it, as model=lambda configuration: Net()"
        ) from error


def _check(parameters: Mapping[str, Tensor]) -> None:
    if not parameters:
        raise TaskError("the model has no weight that is trained (requires_grad): nothing to differentiate")
    halves = [name for name, value in parameters.items() if value.dtype == torch.float16]
    if halves:
        raise TaskError(
            f"{halves[0]} is float16, whose gradients vanish without a gradient scaler: keep weights in "
            "float32 (with autocast=torch.bfloat16 for mixed precision)"
        )
