"""The models of model-based schedulers and searchers: the pure core sees no more of them than stands here.

This is the one place in the core that may load numpy, torch, gpytorch and optuna, start a thread or read a
clock. Nothing of that is loaded before a scheduler or searcher that needs it is made: the pure core imports
this module alone, and ``load`` imports the others.

What a model must keep to, so that a search can be resumed from its journal:

* Its answers are a function of how it was made and of what it was told, in that order: not of time, of the
  number of threads, or of a global random state, which it neither reads nor changes.
* What it computes beside the search, in a thread, takes effect at a point that is counted in what it was
  told: it is waited for there if it is not ready.
* To ask it changes nothing that a later answer depends on.
"""

from __future__ import annotations

import importlib
from typing import Any

from asha_core.errors import SettingError, nearest
from asha_core.extras import needed

# by name: where it is, and which libraries of the extra ``bo`` it needs
SURROGATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "boil": ("asha_core.surrogates.boil:Boil", ()),
    "curves": ("asha_core.surrogates.curve_model:CurveModel", ("gpytorch",)),
    "tpe": ("asha_core.surrogates.optuna_samplers:TPEModel", ("optuna",)),
    "gp": ("asha_core.surrogates.optuna_samplers:GPModel", ("optuna", "scipy", "torch")),
}


def load(name: str, what: str) -> Any:
    """The class of a model, by its name.

    Args:
        what: who needs it, for the error, such as ``scheduler dyhpo``.
    Raises:
        SettingError: a library that it needs is not installed, or there is no model of that name.
    """
    if name not in SURROGATES:
        raise SettingError(f"unknown surrogate {name!r}{nearest(name, SURROGATES)}")
    path, libraries = SURROGATES[name]
    needed(None, *libraries, what=what, error=SettingError)
    module, _, kind = path.partition(":")
    return getattr(importlib.import_module(module), kind)
