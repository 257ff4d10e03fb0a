"""Schedulers, one algorithm a file, behind one ask/tell contract."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from asha_core.errors import SettingError, nearest

if TYPE_CHECKING:
    from asha_core.schedulers.base import Scheduler

MODEL_FREE = {
    "asha": "asha_core.schedulers.asha:ASHA",
    "asha-stopping": "asha_core.schedulers.stopping:StoppingASHA",
    "pasha": "asha_core.schedulers.pasha:PASHA",
    "hyperband": "asha_core.schedulers.hyperband:Hyperband",
    "sync-hyperband": "asha_core.schedulers.sync_hyperband:SynchronousHyperband",
    "sh": "asha_core.schedulers.successive_halving:SuccessiveHalving",
    "random": "asha_core.schedulers.full:FullTraining",
}
# they ask a model (asha_core.surrogates) what to do next; those need the extra ``bo``, but for boil's
MODEL_BASED: dict[str, str] = {
    "boil": "asha_core.schedulers.boil:BOIL",
    "dyhpo": "asha_core.schedulers.dyhpo:DyHPO",
    "bohb": "asha_core.schedulers.bohb:BOHB",
}
SCHEDULERS = {**MODEL_FREE, **MODEL_BASED}


def scheduler_class(name: str) -> type[Scheduler]:
    """A scheduler by the name that ``--scheduler`` takes.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in SCHEDULERS:
        raise SettingError(f"unknown scheduler {name!r}{nearest(name, SCHEDULERS)}")
    module, _, kind = SCHEDULERS[name].partition(":")
    found: type[Scheduler] = getattr(importlib.import_module(module), kind)
    return found
