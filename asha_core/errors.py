"""The exceptions that a user can meet.

    AshaError                    a user's mistake: the CLI prints one line and exits with status 2
    ├── SpaceError               a search space or one of its dimensions cannot be built
    ├── ConfigurationError       a configuration does not belong to its search space
    ├── SettingError             an option or argument is out of its range, or unknown
    ├── ReportError              a task or a caller reported something that cannot be counted
    ├── TaskError                a task cannot be imported, built, or has no data
    │   └── HopelessError        the first trials all failed with the same error
    ├── DeviceError              a GPU was asked for that is not there
    ├── WorkerError              the worker processes cannot be started
    ├── ResultsError             a results directory cannot be used
    └── JournalError             a journal cannot be read

Anything else that escapes is a defect of this package and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AshaError(Exception):
    """Base of every error that says what the user can do about it.

    Attributes:
        lists: the message's lines after the first are a list, which a command shows as lines.
    """

    lists = False


class SpaceError(AshaError):
    """A search space or one of its dimensions cannot be built."""


class ConfigurationError(AshaError):
    """A configuration does not belong to its search space."""


class SettingError(AshaError):
    """An option or argument is out of its range, or unknown."""


class ReportError(AshaError):
    """A report cannot be counted: wrong trial, wrong resource, or not a number."""


class TaskError(AshaError):
    """A task cannot be imported, built, or has no data."""


class HopelessError(TaskError):
    """The first trials all failed with the same error; their logs are kept."""


class DeviceError(AshaError):
    """A GPU was asked for that is not there."""


class WorkerError(AshaError):
    """The worker processes cannot be started."""


class ResultsError(AshaError):
    """A results directory cannot be used."""


class CurvesError(AshaError):
    """A table of learning curves cannot be made, read or written."""


class JournalError(AshaError):
    """A journal cannot be read."""


# what Optuna, Ray Tune, Syne Tune, Hyperband's paper and Lightning call it
PEERS = {
    "max_t": "max_resource",
    "max_epochs": "max_resource",
    "grace_period": "min_resource",
    "num_samples": "max_trials",
    "n_trials": "max_trials",
    "direction": "mode",
    "eta": "reduction_factor",
    "time_budget_s": "budget",
    "timeout": "budget",
    "param_space": "space",
    "config_space": "space",
    "storage_path": "results_dir",
    "callbacks": "observers",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """How an error names what is allowed: the nearest known name first, then all of them.

    Args:
        name: what the user wrote.
        known: the names that would have been accepted.
    Returns:
        ``'; did you mean "x"? known: x, y, z'``, without the question when nothing is near.
    """
    names = sorted(known)
    close = closest(name, names)
    question = f'; did you mean "{close}"?' if close else ";"
    return f"{question} known: {', '.join(names) or '(none)'}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant: what peers call so, or one that is written alike; None: nothing near."""
    names = sorted(known)
    if PEERS.get(str(name)) in names:
        return PEERS[str(name)]
    return next(iter(difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)), None)
