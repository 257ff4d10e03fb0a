"""The searcher contract."""

from __future__ import annotations

from typing import Protocol

from asha_core.space import Configuration, SearchSpace


class Searcher(Protocol):
    """Proposes configuration ``index``; a function of (seed, index) alone unless it says otherwise."""

    space: SearchSpace

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        ...
