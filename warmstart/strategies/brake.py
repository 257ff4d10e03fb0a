"""Slows down what explodes: one-sided, and no gradient is needed.

A configuration whose virtual step multiplies the held-out loss has its learning rate lowered until
it does not. All others stay exactly as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.space import Configuration
from warmstart.base import HELDOUT, Heldout, Outcome, Problem, at_least, moved, number_in, one_of, taken
from warmstart.masks import Roles, check_names, masked, no_match, read_mask
from warmstart.strategies.probe import Probe, check_factor


class Brake:
    """Lower the learning rate by ``delta`` of its range until the virtual steps do not explode.

    Args:
        factor: they explode where the held-out loss ends above this many times the initial one, or is not
            finite; above 1.
        delta: in (0, 1]. limit: how often at most.
        lookahead: virtual steps H. heldout: see ``GradientStrategy``.
        mask: the dimensions to lower: names, or the optimiser settings that they move.
    """

    name = "brake"
    needs_losses = True

    def __init__(
        self,
        factor: float = 3.0,
        delta: float = 0.1,
        limit: int = 10,
        *,
        lookahead: int = 1,
        heldout: Heldout = "half",
        mask: Sequence[str] | str = ("lr",),
    ) -> None:
        check_factor(factor)
        number_in("delta", delta, lambda value: 0 < value <= 1, "in (0, 1]")
        at_least("limit", limit, 1)
        at_least("lookahead", lookahead, 1)
        one_of("heldout", heldout, HELDOUT)
        self.factor, self.delta, self.limit = factor, delta, limit
        self.lookahead = lookahead
        self.heldout: Heldout = heldout
        self.mask = read_mask(mask)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration, slowed down if it has to be."""
        check_names(self.mask, problem.space)
        probe = Probe(problem.losses(configuration), configuration, self.lookahead, self.heldout)
        ratio = first = probe.ratio(configuration)
        diagnostics = {"strategy": self.name, "step": taken(problem.space, configuration, configuration)}
        if ratio <= self.factor:
            return Outcome(configuration, {**diagnostics, "acted": 0, "ratio": first})
        roles = Roles.of(probe.losses, problem.space, configuration)
        names = masked(self.mask, problem.space, configuration, roles)
        if not names:
            diagnostics |= no_match(self.mask, problem.space, configuration)
        current, acted = configuration, 0
        while not ratio <= self.factor and acted < self.limit:
            slower = moved(problem.space, current, dict.fromkeys(names, -self.delta), coordinates="unit")
            if slower == current:  # at its lower bound
                break
            current, acted = slower, acted + 1
            ratio = probe.ratio(current)
        if names and not ratio <= self.factor:
            diagnostics["note"] = "explodes still, as slow as it may get"
        diagnostics["step"] = taken(problem.space, configuration, current)
        return Outcome(current, {**diagnostics, "acted": acted, "ratio": first})
