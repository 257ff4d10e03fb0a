"""Slows down what explodes: one-sided, and no gradient is needed.

A configuration whose virtual step multiplies the held-out loss has its learning rate lowered until
it does not. All others stay exactly as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.arguments import number
from asha_core.space import Configuration
from warmstart.base import Heldout, Outcome, Problem
from warmstart.masks import check_names, masked, no_match, optimizer_settings_of, read_mask
from warmstart.moves import move, step_taken
from warmstart.strategies.explosion import ExplosionStrategy


class Brake(ExplosionStrategy):
    """Lower the learning rate by ``delta`` of its range until the virtual steps do not explode.

    Args:
        delta: in (0, 1].
        mask: the dimensions to lower: names, or the optimiser settings that they move.
        factor, limit, lookahead, heldout: see ``ExplosionStrategy``.
    """

    name = "brake"

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
        super().__init__(factor, limit, lookahead, heldout)
        self.delta = number("delta", delta, above=0, most=1)
        self.mask = read_mask(mask)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration, slowed down if it has to be."""
        check_names(self.mask, problem.space)
        probe = self.probe(problem.losses(configuration), configuration)
        ratio = first = probe.ratio(configuration)
        current, acted, notes = configuration, 0, {}
        if self.explodes(ratio):
            settings = optimizer_settings_of(probe.losses, problem.space, configuration)
            names = masked(self.mask, problem.space, configuration, settings)
            while self.explodes(ratio) and acted < self.limit:
                slower = move(problem.space, current, dict.fromkeys(names, -self.delta), coordinates="unit")
                if slower == current:  # at its lower bound, or there is nothing to lower
                    break
                current, acted = slower, acted + 1
                ratio = probe.ratio(current)
            if not names:
                notes = no_match(self.mask, problem.space, configuration)
            elif self.explodes(ratio):
                notes = {"note": "explodes still, as slow as it may get"}
        step = step_taken(problem.space, configuration, current)
        diagnostics = {"strategy": self.name, "step": step, **notes, "acted": acted, "ratio": first}
        return Outcome(current, diagnostics)
