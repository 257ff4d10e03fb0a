"""Where new configurations come from, one method a file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from asha_core.errors import SettingError, nearest

if TYPE_CHECKING:
    from asha_core.searchers.base import Searcher
    from asha_core.space import SearchSpace

SEARCHERS = {
    "random": "asha_core.searchers.random_search:RandomSearch",
    "sobol": "asha_core.searchers.quasi_random:sobol",
    "halton": "asha_core.searchers.quasi_random:halton",
    "grid": "asha_core.searchers.grid:GridSearch",
    # they ask a model (asha_core.surrogates); those need the extra ``bo``
    "tpe": "asha_core.searchers.model_based:TPESearch",
    "gp": "asha_core.searchers.model_based:GPSearch",
}


def make_searcher(name: str, space: SearchSpace, seed: int) -> Searcher:
    """A searcher by the name that ``--searcher`` takes.

    Raises:
        SettingError: there is none of that name.
        SpaceError: it cannot search this space.
    """
    if name not in SEARCHERS:
        raise SettingError(f"unknown searcher {name!r}{nearest(name, SEARCHERS)}")
    module, _, kind = SEARCHERS[name].partition(":")
    searcher: Searcher = getattr(importlib.import_module(module), kind)(space, seed)
    return searcher
