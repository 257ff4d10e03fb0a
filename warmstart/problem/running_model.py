"""A model while it is measured: the caller's own, run as a training loop would run it, and put back after.

Its parameters stay the objects that they are, so closures over them, patched forwards and optimisers see what
they see in training; their values, and everything else in reach, are copies or are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asha_core.space import Configuration
from warmstart.base import Running
from warmstart.estimates.streaming import as_real
from warmstart.problem import doubts
from warmstart.problem.restoring.snapshot import Snapshot

# torch's own norms write their running statistics in train mode, and do not read them there
_NORMS = ("torch.nn.modules.batchnorm", "torch.nn.modules.instancenorm")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class RunningModel(Running):
    """A model in whose parameters the weights are put.

    Args:
        roots: all that its passes call, the model included.
        modules: in reach of them.
        trained: name -> parameter.
        another: configuration -> the model and parameters of a pass under it, in the place of these; None:
            these.
        alone: only ``trained`` may be leaves of a graph: the loss cannot know other weights of this model.
    """

    def __init__(
        self,
        roots: Iterable[Any],
        modules: Iterable[nn.Module],
        trained: Mapping[str, Tensor],
        another: Callable[[Configuration], Mapping[str, Tensor] | None],
        *,
        alone: bool,
    ) -> None:
        self._roots = list(roots)
        self._trained = dict(trained)
        self._another = another
        self._alone = alone
        self._modules = list(modules)
        self._apart = [*self._trained.values(), *_unread(self._modules)]
        self._before = doubts.Before({})

    @property
    def weights(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Views of the parameters' memory."""
        return {name: as_real(parameter.data) for name, parameter in self._trained.items()}

    def put(self, theta: Mapping[str, Tensor]) -> None:
        """Copy weights into the parameters."""
        copy_into(self.weights, theta)

    def leaves(self, configuration: Configuration | None) -> dict[str, Tensor]:
        """The parameters themselves."""
        other = None if configuration is None else self._another(configuration)
        if other is not None:
            copy_into({name: as_real(value.data) for name, value in other.items()}, self.weights)
        leaves = dict(self._trained if other is None else other)
        for leaf in leaves.values():
            leaf.grad = None
        self._before = doubts.Before(leaves, self._modules, self._apart)
        return leaves

    def mark(self) -> Snapshot:
        """What passes may have changed, weights aside."""
        return Snapshot(self._roots, apart=self._apart)

    def rewind(self, mark: Snapshot) -> None:
        """As it was at the mark."""
        mark.rewind()

    def check(self, loss: Tensor, leaves: Mapping[str, Tensor], *, order: int) -> None:
        """See ``Running``."""
        self._before.check(loss, leaves, order, alone=self._alone)


def copy_into(weights: Mapping[str, Tensor], theta: Mapping[str, Tensor]) -> None:
    """Give tensors the values of others of the same names."""
    with torch.no_grad():
        torch._foreach_copy_(list(weights.values()), [theta[name] for name in weights])


def _unread(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [
        buffer
        for module in modules
        if type(module).__module__ in _NORMS
        for name in _STATISTICS
        if isinstance(buffer := module._buffers.get(name), Tensor)
    ]
