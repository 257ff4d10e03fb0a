"""Floating point operations of warm starts, without slowing them down.

To count a refinement while it runs takes up to twice its time. So it is done for the first one of each
network; from then on the calls are counted that it makes, which say the same. A strategy does its arithmetic
in two ways (``warmstart.base.Losses``):

- ``after``: training steps and a held-out loss, complete in one call. A call costs what the first one of its
  kind did: as many steps, on as many samples.
- ``network``: what it differentiates. Estimates of one route, as far ahead, for the same dimensions, cost the
  same, so their cost goes with the number of forward passes. One that is of another kind than those that were
  counted has no figure, and the next refinement is counted.

A refinement that was checked against the real optimiser did more than others do: it speaks for itself alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from asha_core.space import Configuration
from trials.costs.flops import signature
from warmstart.base import Losses, Network
from warmstart.operations import OperationCounter


@dataclass(slots=True)
class KnownFlops:
    """What has been counted of one strategy's refinements.

    Attributes:
        after: operations of a call, by kind.
        estimates: (operations, forward passes, held-out passes) by kind.
        networks: those of which a refinement was counted.
    """

    after: dict[Hashable, float] = field(default_factory=dict)
    estimates: dict[Hashable, tuple[float, int, int]] = field(default_factory=dict)
    networks: set[Hashable] = field(default_factory=set)


class RefinementFlops:
    """One refinement: watches the losses that it asks for.

    Args:
        known: what was counted before; added to.
    """

    def __init__(self, known: KnownFlops) -> None:
        self._known = known
        self._networks: list[Hashable] = []
        self._stack = ExitStack()
        self._counter: OperationCounter | None = None
        self._after = 0.0
        self._forward = self._heldout = 0

    def close(self) -> None:
        """No more operations are counted."""
        self._stack.close()

    def watched(self, losses: Losses, network: Hashable) -> Losses:
        """The same losses; calls of them are counted.

        Args:
            network: what decides how much it computes.
        """
        if not self._networks and network not in self._known.networks:
            self._counter = self._stack.enter_context(OperationCounter())
        if network not in self._networks:
            self._networks.append(network)
        after = self._watched_after(losses.after, network)
        if losses.smooth is not None:
            losses = replace(losses, smooth=self._watched_after(losses.smooth, network))
        if losses.network is None:
            return replace(losses, after=after)
        return replace(losses, after=after, network=self._watched_network(losses.network))

    def flops(self, diagnostics: Mapping[str, Any]) -> float | None:
        """Operations of the refinement, which is over; None if they are not known."""
        total = self._total(diagnostics)
        return total if math.isfinite(total) else None

    def _total(self, diagnostics: Mapping[str, Any]) -> float:
        known, networks = self._known, tuple(self._networks)
        if "check" in diagnostics:  # it has done more than the others will (warmstart.strategies.first_check)
            return math.nan if self._counter is None else self._counter.total
        if self._counter is not None:
            known.networks.update(networks[:1])
        if not (self._forward or self._heldout):
            return self._after
        kind = (networks, _kind(diagnostics))
        if self._counter is not None:
            estimates = self._counter.total - self._after
            known.estimates[kind] = estimates, self._forward, self._heldout
            return self._after + estimates
        estimates, forward, heldout = known.estimates.get(kind, (0.0, 0, 0))
        if not forward or self._forward * heldout != self._heldout * forward:
            known.networks.difference_update(networks[:1])
            return math.nan
        return self._after + estimates * self._forward / forward

    def _watched_after(
        self, after: Callable[[Configuration, Sequence[Any], Any], float], network: Hashable
    ) -> Callable[[Configuration, Sequence[Any], Any], float]:
        def counted(configuration: Configuration, train: Sequence[Any], heldout: Any) -> float:
            batches = tuple(signature(samples.inputs) for samples in (*train, heldout))
            kind = (network, batches)
            if kind in self._known.after:
                loss = after(configuration, train, heldout)
            else:
                with OperationCounter() as counter:
                    loss = after(configuration, train, heldout)
                self._known.after[kind] = counter.total
            self._after += self._known.after[kind]
            return loss

        return counted

    def _watched_network(self, network: Network) -> Network:
        def forward(*arguments: Any) -> Any:
            self._forward += 1
            return network.forward(*arguments)

        def heldout_loss(*arguments: Any) -> Any:
            self._heldout += 1
            return network.heldout_loss(*arguments)

        return replace(network, forward=forward, heldout_loss=heldout_loss)


def _kind(diagnostics: Mapping[str, Any]) -> Hashable:
    """What estimates of one kind have in common."""
    gradient = diagnostics.get("gradient", {})
    if isinstance(gradient, list):
        gradient = gradient[0] if gradient else {}
    parts = diagnostics.get("parts", ())
    return (
        repr([diagnostics.get(name) for name in ("strategy", "route", "lookahead", "fallback", "ignored")]),
        repr(sorted(gradient) if isinstance(gradient, dict) else None),
        tuple(_kind(part) for part in parts if isinstance(part, Mapping)),
    )
