"""Which options go with ``--executor simulate``, and which do not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from asha_core.errors import SettingError

SIMULATE = "simulate"
TASK = "curves"  # what stands for the task's name in the options of a simulated search
ITS_OWN = ("curves", "curves_option", "workers", "decision_seconds")
_TABLE = "the task is the table's (--curves)"
NOT_WITH = {
    "task": _TABLE,
    "task_option": _TABLE,
    "freeze": _TABLE,
    "model": _TABLE,
    "subset": _TABLE,
    "label_noise": _TABLE,
    "data_dir": _TABLE,
    "gpus": "it runs on none: --workers N says how many workers it has",
    "workers_per_gpu": "--workers N says how many workers it has",
    "warm_start_option": "what the warm start did is recorded, and nothing is computed",
    "check_warm_start": "what the warm start did is recorded, and nothing is computed",
    "checkpoint_budget": "nothing is saved",
}


def is_simulated(options: Mapping[str, Any]) -> bool:
    """Whether the options ask for a simulated search."""
    return options.get("executor") == SIMULATE


def check_together(options: Mapping[str, Any], given: Collection[str]) -> None:
    """Raise ``SettingError`` for an option that does not go with the executor, or that is missing.

    Args:
        given: keys of the options that somebody has given.
    """
    if not is_simulated(options):
        for key in ITS_OWN:
            if key in given:
                name = key.replace("_", "-")
                hint = ", or --workers-per-gpu" if key == "workers" else ""
                raise SettingError(f"--{name} is of a simulated search: give --executor simulate, too{hint}")
        return
    for key, why in NOT_WITH.items():
        if key in given:
            raise SettingError(f"--{key.replace('_', '-')} and --executor simulate: {why}; leave it out")
    if options["curves"] is None:
        raise SettingError(
            "--executor simulate needs --curves FILE: the table of recorded curves that stands for training"
        )
