"""Several strategies, one after the other: "screen+trust"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asha_core.space import Configuration
from warmstart.base import Outcome, Problem, WarmStart, When, accepted, acts, is_promoted, learns, refined_by

_COUNTS = ("rejected", "acted", "non_finite")


class Chain:
    """Each strategy refines what the one before it gave.

    Args:
        parts: at least one.

    What the space's constraints refuse is undone part by part. The diagnostics are those of all parts
    together, those of later parts first; counts and steps are added up, "learned" is a
    list of what each part learned, and each part's own are in "parts".
    """

    def __init__(self, parts: Sequence[WarmStart]) -> None:
        self.parts = list(parts)
        self.name = "+".join(part.name for part in self.parts)
        self.needs_losses = any(part.needs_losses for part in self.parts)
        self.learns = any(map(learns, self.parts))
        fresh, promoted = (any(acts(part, promoted=at) for part in self.parts) for at in (False, True))
        self.when: When = "begin" if not promoted else "both" if fresh else "promotion"

    def refine(
        self, problem: Problem, configuration: Configuration, seed: int, earlier: Sequence[Any] = ()
    ) -> Outcome:
        """The configuration that the last part gives."""
        parts: list[dict[str, Any]] = []
        for place, part in enumerate(self.parts):
            if not acts(part, promoted=is_promoted(problem)):
                parts.append({"strategy": part.name, "step": {}})
                continue
            before = [each[place] for each in earlier if each[place] is not None]
            outcome = refined_by(part, problem, configuration, seed, before)
            outcome = accepted(part.name, problem.space, configuration, outcome)
            configuration = outcome.configuration
            parts.append(outcome.diagnostics)
        whole: dict[str, Any] = {}
        steps: dict[str, float] = {}
        for own in parts:
            whole |= own
            for name, change in own.get("step", {}).items():
                steps[name] = steps.get(name, 0.0) + change
        for count in _COUNTS:
            if count in whole:
                whole[count] = sum(own.get(count, 0) for own in parts)
        whole |= {"strategy": self.name, "step": steps, "parts": parts}
        if "learned" in whole:
            whole["learned"] = [own.get("learned") for own in parts]
        notes = [own["note"] for own in parts if "note" in own]
        if notes:
            whole["note"] = "; ".join(notes)
        return Outcome(configuration, whole)
