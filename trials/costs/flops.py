"""Floating point operations of a unit, without slowing it down.

A network is counted once for each shape of its inputs, with a copy that has shapes and no numbers ("meta"
tensors): nothing is computed, no random number is drawn, and the network that is trained is not touched.
"""

from __future__ import annotations

import copy
import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import FlopCounterMode

from warmstart.problem.data.samples import call
from warmstart.problem.randomness import seeded_generators

_SHAPES = 16  # of inputs, in one unit; beyond, counting them would take longer than it is worth
_PLAIN = (int, bool, str, tuple, type(None))

Cache = dict[Hashable, float | None]


class FlopCounter:
    """The batches that went through a network in one unit, by their shapes.

    Args:
        model: the network.
        backward: whether gradients were taken, too.
        cache: of what was counted before; shared by all networks of a task.
    """

    def __init__(self, model: nn.Module, cache: Cache, *, backward: bool) -> None:
        self._model = model
        self._cache = cache
        self._backward = backward
        self._batches: Counter[Hashable] = Counter()
        self._examples: dict[Hashable, Any] = {}
        self._network: Hashable = None

    def __call__(self, inputs: Any) -> None:
        """One more batch, as the network takes it."""
        shape = signature(inputs)
        self._batches[shape] += 1
        if shape not in self._examples and len(self._examples) <= _SHAPES:
            try:
                self._examples[shape] = tree_map(_without_numbers, inputs)
            except Exception:  # a layout that has no shape alone
                self._examples[shape] = None

    def flops(self) -> float | None:
        """Operations of all batches since the last call; None if they cannot be counted.

        Those of matrix products, convolutions and attention, a multiply-add as two, as
        ``torch.utils.flop_counter`` counts them; attention without what it may compute twice to save memory.
        The loss is taken to be of no arithmetic, and to depend on every output.
        """
        batches, self._batches = self._batches, Counter()
        if not batches or len(self._examples) > _SHAPES:
            return None
        if self._network is None:
            self._network = structure(self._model)
        total = 0.0
        for shape, count in batches.items():
            key = (self._network, shape, self._backward)
            if key not in self._cache:
                self._cache[key] = _counted(self._model, self._examples[shape], self._backward)
            each = self._cache[key]
            if each is None:
                return None
            total += count * each
        return total


def prepare() -> None:
    """Load whatever PyTorch loads when it first counts: a tenth of a second."""
    with seeded_generators(0, "cpu"):
        layers = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 1))
    for backward in (True, False):
        _counted(layers, torch.empty(2, 1, 2, 2, device="meta"), backward)


def signature(inputs: Any) -> Hashable:
    """What the cost of a batch depends on: the shapes and types of its tensors."""
    if isinstance(inputs, Tensor):
        return inputs.shape, inputs.dtype
    return tuple(
        (leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else type(leaf) for leaf in tree_leaves(inputs)
    )


def structure(model: nn.Module) -> Hashable:
    """What decides how much a network computes: its modules, their settings, and the shapes of its weights.

    Without settings that are real numbers, such as the rate of a dropout, which differ from trial to trial.
    """
    modules = tuple(
        (
            name,
            type(module),
            tuple((key, value) for key, value in vars(module).items() if type(value) in _PLAIN),
        )
        for name, module in model.named_modules()
    )
    weights = tuple((name, value.shape, value.requires_grad) for name, value in model.named_parameters())
    return hashlib.sha256(repr((modules, weights)).encode()).digest()


def _counted(model: nn.Module, inputs: Any, backward: bool) -> float | None:
    """Operations of one batch; None for a network that does not run without numbers."""
    device = str(next((weight.device for weight in model.parameters()), "cpu"))
    try:
        if inputs is None or not all(map(_is_alone, model.modules())):
            return None
        with seeded_generators(0, device), warnings.catch_warnings(), _uncompiled():
            warnings.simplefilter("ignore")
            shadow = _shadow(model).train(backward)
            with torch.set_grad_enabled(backward):
                return _run(shadow, inputs, backward)
    except Exception:  # whatever a network does that needs numbers
        return None


def _is_alone(module: nn.Module) -> bool:
    """Whether a copy of the module shares nothing with it: a hook may keep what it sees somewhere else."""
    hooks = (
        *module._forward_pre_hooks.values(),
        *module._forward_hooks.values(),
        *module._backward_pre_hooks.values(),
        *module._backward_hooks.values(),
    )
    return all(str(hook.__module__).startswith("torch.") for hook in hooks)


def _shadow(model: nn.Module) -> nn.Module:
    """A copy without numbers: of weights, of buffers, and of every other tensor that a module keeps."""
    memo: dict[int, Any] = {id(weight): _without_numbers(weight) for weight in model.parameters()}
    with _WithoutNumbers():
        return copy.deepcopy(model, memo)


class _WithoutNumbers(TorchFunctionMode):
    """Inside, a tensor is copied without its numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__:
            tensor, memo = args
            made = memo[id(tensor)] = _without_numbers(tensor)
            return made
        return func(*args, **(kwargs or {}))


def _without_numbers(value: Any) -> Any:
    """A tensor's shape and type; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    made = torch.empty_like(value, device="meta", requires_grad=False)
    if isinstance(value, nn.Parameter):
        return nn.Parameter(made, value.requires_grad)
    return made.requires_grad_(value.requires_grad)


def _uncompiled() -> AbstractContextManager[Any]:
    """Networks run as they are written, if there is one that is compiled."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return cast(AbstractContextManager[Any], torch.compiler.set_stance("force_eager"))


def _run(shadow: nn.Module, inputs: Any, backward: bool) -> float:
    with FlopCounterMode(display=False) as counter:
        outputs = call(shadow, inputs)
        if backward:
            ends = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
            torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])
    return float(counter.get_total_flops())
