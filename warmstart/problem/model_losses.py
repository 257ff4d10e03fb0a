"""What one configuration's model can be asked: its losses, and its optimiser's settings.

Nothing of the caller's is changed: what is in reach of the model and of the functions is recorded before it
is used, and put back after (``restoring/``); samples are copied for every pass; batches are drawn with
generators of their own, and the global random generators are as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from asha_core.errors import SettingError, TaskError
from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from asha_core.streams import stream_seed
from warmstart.base import After, Heldout, Losses, Network, Running
from warmstart.clipping import Clipping
from warmstart.estimates.modes import differentiable
from warmstart.estimates.streaming import as_real
from warmstart.moves import movable
from warmstart.optimizers import Group, Opaque
from warmstart.problem.borrowers import borrowed_here, check_not_borrowed_elsewhere
from warmstart.problem.complaints import (
    about_inputs,
    about_outputs,
    about_wrappers,
    check_clipping,
    check_model,
    check_shapes,
    differentiable_heldout_loss,
    heldout_number,
    training_loss,
)
from warmstart.problem.data.samples import Data, Draws, Split, call
from warmstart.problem.data.splitting import copied
from warmstart.problem.randomness import own_randomness
from warmstart.problem.real_optimizer import (
    before_evaluation,
    check_weights,
    groups_of,
    take_step,
    the_optimizer,
)
from warmstart.problem.restoring.snapshot import Snapshot
from warmstart.problem.running_model import RunningModel
from warmstart.problem.structure import rounding_of, structure_of


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
    split: Split | None
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
        self._full = False  # full precision, whatever training has
        self._configuration = configuration
        watched = Watched(configuration)
        self.model = self._made(watched)
        # what shapes the network itself: a dropout rate, say
        self._inside = [n for n in movable(ingredients.space, configuration) if n in watched.reads]
        self._trained = _trained(self.model)
        self._extra: dict[str, Tensor] = {}
        if not self._is_made:
            self._extra = self._strangers()
        self._now = self.model  # what the pass that is made next calls
        trained = {**self._trained, **self._extra}
        # complex weights as pairs of real ones, which is how PyTorch's optimisers take them
        self.parameters = {name: as_real(parameter.detach()) for name, parameter in trained.items()}
        self.device = ingredients.device or str(next(iter(self.parameters.values())).device)
        self._data = self._draws(ingredients.data, "warm-start-data")
        validation = ingredients.validation
        self._validation = None if validation is None else self._draws(validation, "warm-start-validation")

    def losses(self) -> Losses:
        """What a strategy may measure of it."""
        network = Network(
            self.parameters,
            self.forward,
            self._criterion,
            self._heldout,
            self._groups,
            self._clipping,
            self._running,
            self._undisturbed,
        )
        given = self._given
        functions = given.model, given.optimizer, given.loss, given.heldout_loss, given.augment, given.prepare
        structure = partial(structure_of, self.model, *functions)
        rounding = rounding_of(self._given.autocast)
        return Losses(self.batches, self._after, network, structure, rounding, self._smooth)

    @property
    def _is_made(self) -> bool:
        """Whether a function makes the model."""
        return not isinstance(self._given.model, nn.Module)

    def _made(self, configuration: Configuration) -> nn.Module:
        """The caller's model; or one of his function's, with the same weights each time."""
        model = self._given.model
        if isinstance(model, nn.Module):
            model = _unwrapped(model)
            check_not_borrowed_elsewhere(model)
            return model
        device = self._given.device or ("cuda" if torch.cuda.is_initialized() else "cpu")  # type: ignore[no-untyped-call]
        with own_randomness(stream_seed(self._given.seed, "warm-start-weights"), device):
            made = model(configuration)
        check_model(made)
        return _unwrapped(made)

    # -- borrowing -----------------------------------------------------------------------------------

    def _roots(self, model: nn.Module) -> list[Any]:
        """All that is called."""
        given = self._given
        functions = given.loss, given.heldout_loss, given.augment, given.prepare, given.optimizer
        return [model, *self._extra.values(), given.model, *functions, given.clipping]

    @contextmanager
    def _borrowed(self, model: nn.Module) -> Iterator[Snapshot]:
        """The model and all in reach, to be used freely, in train mode."""
        with borrowed_here(model):
            yield from self._lent(model)

    def _lent(self, model: nn.Module) -> Iterator[Snapshot]:
        aside = [(tensor, tensor.data) for tensor in self._extra.values()]
        snapshot = Snapshot(self._roots(model))
        try:
            for tensor, data in aside:
                tensor.data = data.clone()
            if not model.training:  # else parts of it may be in eval mode, and stay so
                model.train()
            yield snapshot
        finally:
            try:
                for tensor, data in aside:
                    tensor.data = data
            finally:
                snapshot.restore()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        given = [self.model, *self._extra.values(), self._given.optimizer]
        tensors = [*self.model.parameters(), *self.model.buffers(), *self._extra.values()]
        snapshot = Snapshot(given, apart=tensors)
        try:
            yield
        finally:
            snapshot.restore()

    @contextmanager
    def _running(self, network: Network) -> Iterator[Running]:
        trained = {**self._trained, **self._extra}
        with self._borrowed(self.model) as snapshot:
            self._now = self.model
            yield RunningModel(
                self._roots(self.model), snapshot.modules, trained, self._another, alone=self._is_made
            )

    def _another(self, configuration: Configuration) -> Mapping[str, Tensor] | None:
        """The weights of the model that a pass under this configuration needs, if it is not this one."""
        self._now = self.model
        if not self._differs(configuration):
            return None
        made = self._made(configuration)
        if made is self.model:
            return None
        if not made.training:
            made.train()
        self._now = made
        _give(self.model, made)
        return _trained(made)

    def _differs(self, configuration: Configuration) -> bool:
        """Whether the model is another one under this configuration."""
        return any(configuration[name] is not self._configuration[name] for name in self._inside)

    # -- passes --------------------------------------------------------------------------------------

    def forward(self, leaves: Mapping[str, Tensor], samples: Samples, config: Configuration) -> Any:
        """The network's outputs for the training inputs, under a configuration that may be another one."""
        for name in self._inside:
            config[name]
        return self._outputs(self._now, samples, config)

    def _outputs(self, model: nn.Module, samples: Samples, config: Configuration) -> Any:
        inputs = copied(samples.inputs)
        with own_randomness(samples.seed, self.device), self._precision():
            if self._given.augment is not None:
                noise = torch.Generator(self.device).manual_seed(samples.seed)
                inputs = self._given.augment(inputs, config, noise)
            elif self._given.prepare is not None:
                inputs = self._given.prepare(inputs)
            return _called(model, inputs)

    def _criterion(self, outputs: Any, samples: Samples, config: Configuration) -> Tensor:
        with (
            own_randomness(samples.seed + 1, self.device),
            self._precision(),
            about_outputs(outputs, self._now),
        ):
            return training_loss(self._given.loss(outputs, copied(samples.targets), config))

    def _heldout(self, leaves: Mapping[str, Tensor], samples: Samples) -> Tensor:
        return differentiable_heldout_loss(self._heldout_of(self.model, samples))

    def _heldout_of(self, model: nn.Module, samples: Samples) -> Any:
        inputs, targets = copied(samples.inputs), copied(samples.targets)
        with own_randomness(samples.seed, self.device), self._precision():
            inputs = inputs if self._given.prepare is None else self._given.prepare(inputs)
            outputs = _called(model, inputs)
            with about_outputs(outputs, model):
                if self._given.heldout_loss is not None:
                    return self._given.heldout_loss(outputs, targets)
                return self._given.loss(outputs, targets, self._configuration)

    # -- the optimiser -------------------------------------------------------------------------------

    def _optimizer(self, model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
        with about_wrappers():
            return the_optimizer(self._given.optimizer(model, config))

    def _strangers(self) -> dict[str, Tensor]:
        """What the optimiser trains beside the model: the weights of a loss, say."""
        with self._undisturbed():
            optimizer = self._optimizer(self.model, self._configuration)
        held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        own = {id(parameter) for parameter in self.model.parameters()}
        others = [parameter for parameter in held if id(parameter) not in own]
        if len(others) == len(held):  # it is another model's: groups_of says so
            return {}
        return {f"optimizer.{number}": parameter for number, parameter in enumerate(others)}

    def _groups(self, config: Configuration) -> list[Group | Opaque]:
        named = {**dict(self.model.named_parameters()), **self._extra}
        return groups_of(self._optimizer(self.model, config), named)

    def _after(self, config: Configuration, train: Sequence[Samples], heldout: Samples) -> float:
        with differentiable():
            model = self._made(config) if self._differs(config) else self.model
            with self._borrowed(model):
                if train:
                    self._train(model, config, train)
                if model is self.model:
                    return heldout_number(self._heldout_of(model, heldout)).item()
                with self._borrowed(self.model):  # held-out samples are seen as the configuration has it
                    _give(model, self.model)
                    return heldout_number(self._heldout_of(self.model, heldout)).item()

    @property
    def _smooth(self) -> After | None:
        if any(parameter.dtype == torch.bfloat16 for parameter in self._trained.values()):
            return _refuse_differences
        return None if self._given.autocast is None else self._in_full

    def _in_full(self, config: Configuration, train: Sequence[Samples], heldout: Samples) -> float:
        self._full = True
        try:
            return self._after(config, train, heldout)
        finally:
            self._full = False

    def _train(self, model: nn.Module, config: Configuration, train: Sequence[Samples]) -> None:
        """Real steps."""
        optimizer = self._optimizer(model, config)
        check_weights(optimizer, {**dict(model.named_parameters()), **self._extra})
        for samples in train:
            take_step(optimizer, partial(self._backward, model, samples, config, optimizer))
        before_evaluation(optimizer)

    def _backward(
        self,
        model: nn.Module,
        samples: Samples,
        config: Configuration,
        optimizer: torch.optim.Optimizer,
    ) -> Tensor:
        loss = self._criterion(self._outputs(model, samples, config), samples, config)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._clipping(config).apply(trained)
        return loss

    def _clipping(self, config: Configuration) -> Clipping:
        found = self._given.clipping(config)
        check_clipping(found, [*self._trained.values(), *self._extra.values()])
        return found

    def _precision(self) -> AbstractContextManager[Any]:
        if self._given.autocast is None or self._full:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=self._given.autocast)

    def batches(self, draw: int, kind: Heldout) -> tuple[Samples, Samples]:
        """(training samples, held-out samples) of a draw."""
        noise = stream_seed(self._given.seed, "warm-start-noise", draw)
        if kind == "validation":
            if self._validation is None:
                raise SettingError('heldout is "validation", and the problem has no validation data')
            inputs, targets = self._drawn(self._data.whole, "warm-start-data", draw)
            held = self._drawn(self._validation.heldout, "warm-start-validation", draw)
        else:
            (inputs, targets), held = self._drawn(self._data.halves, "warm-start-data", draw)
        train = Samples(inputs, targets, noise)
        return train, train if kind == "same" else Samples(held[0], held[1], noise + 2)

    def _draws(self, data: Data, stream: str) -> Draws:
        given = self._given
        return Draws(data, given.seed, stream, self.device, given.split)

    def _drawn(self, draws: Callable[[int], Any], stream: str, draw: int) -> Any:
        seed = stream_seed(self._given.seed, stream, draw)
        with differentiable(), own_randomness(seed, self.device):  # a function of a draw number may draw
            return draws(draw)


def _called(model: nn.Module, inputs: Any) -> Any:
    with about_inputs(inputs):
        return call(model, inputs)


def _refuse_differences(config: Configuration, train: Sequence[Samples], heldout: Samples) -> float:
    raise TaskError(
        "finite differences are needed here, and weights in bfloat16 are too coarse for them: keep weights "
        "in float32 (with autocast=torch.bfloat16 for mixed precision)"
    )


def _give(model: nn.Module, other: nn.Module) -> None:
    """Copy weights and buffers from one model to another that has the same."""
    found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, tensor in [*other.named_parameters(), *other.named_buffers()]:
            if name in found:
                check_shapes(name, tensor, found[name])
                tensor.data.copy_(found[name])


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model itself: what spreads it over devices would spread half a mini-batch."""
    while isinstance(model, nn.DataParallel | DistributedDataParallel):
        model = model.module
    return model


def _trained(model: nn.Module) -> dict[str, Tensor]:
    trained: dict[str, Tensor] = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise TaskError("the model has no weight that is trained (requires_grad): nothing to differentiate")
    for name, value in trained.items():
        if nn.parameter.is_lazy(value):
            raise TaskError(f"{name} has no shape yet: call the model with a mini-batch once, before")
        if value.dtype == torch.float16:
            raise TaskError(
                f"{name} is float16, whose gradients vanish without a gradient scaler: keep weights in "
                "float32 (with autocast=torch.bfloat16 for mixed precision)"
            )
    return trained
