"""The searcher contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from asha_core.arguments import instance, integer
from asha_core.space import Configuration, SearchSpace


class Searcher(ABC):
    """Proposes configuration ``index``; a function of (seed, index) alone unless it says otherwise.

    size: how many configurations there are; None: without end. ``propose`` is not asked for more.
    """

    name = "searcher"
    space: SearchSpace
    size: int | None = None

    @abstractmethod
    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``, counted from 0.

        Raises:
            SpaceError: the constraints of the space leave next to nothing to propose.
        """

    def check(self) -> None:
        """Raise ``SpaceError``, before anything is begun, if a constraint raises or refuses everything."""
        self.propose(0)


def space_and_seed(space: SearchSpace | Mapping[str, Any], seed: int) -> tuple[SearchSpace, int]:
    """Both, checked; a plain dictionary becomes a ``SearchSpace``.

    Raises:
        SettingError: no ``SearchSpace``, or no integer.
        SpaceError: a dictionary that is none of dimensions.
    """
    if isinstance(space, Mapping) and not isinstance(space, SearchSpace):
        space = SearchSpace(space)
    instance("space", space, SearchSpace, 'a SearchSpace, such as SearchSpace({"lr": Float(0, 1)})')
    return space, integer("seed", seed)
