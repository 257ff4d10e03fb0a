"""What controls share: another strategy is handed to them, and they change the step that it takes."""

from __future__ import annotations

from warmstart.strategies.gradient_strategy import GradientStrategy


class Control:
    """A control of a strategy that follows a gradient.

    Args:
        inner: the strategy. The registry builds it, from the control's setting ``of`` (its name, by default
            "hypergradient") and all other settings, which are that strategy's.
    """

    needs_losses = True

    def __init__(self, inner: GradientStrategy) -> None:
        self.inner = inner
        self.when = inner.when
