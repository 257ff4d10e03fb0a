"""Where new configurations come from, one method a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asha_core.errors import SettingError, nearest

if TYPE_CHECKING:
    from asha_core.searchers.base import Searcher
    from asha_core.space import SearchSpace

SEARCHERS = ("random", "sobol", "halton", "grid")


def make_searcher(name: str, space: SearchSpace, seed: int) -> Searcher:
    """A searcher by the name that ``--searcher`` takes.

    Raises:
        SettingError: there is none of that name.
        SpaceError: it cannot search this space.
    """
    if name == "random":
        from asha_core.searchers.random_search import RandomSearch

        return RandomSearch(space, seed)
    if name in ("sobol", "halton"):
        from asha_core.searchers.quasi_random import QuasiRandomSearch

        return QuasiRandomSearch(space, seed, name)
    if name == "grid":
        from asha_core.searchers.grid import GridSearch

        return GridSearch(space, seed)
    raise SettingError(f"unknown searcher {name!r}{nearest(name, SEARCHERS)}")
