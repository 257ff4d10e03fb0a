"""The contracts of all that can be replaced, as suites for pytest: subclass one, say how your object is made.

    from asha_core.testing import SchedulerContract
    from median_stopping import MedianStopping


    class TestMedianStopping(SchedulerContract):
        def scheduler(self, space, **settings):
            return MedianStopping(space, **settings)

Needs pytest, which the package itself does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    import pytest
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError("asha_core.testing needs pytest: pip install pytest") from error

_HOME = {
    "ExecutorContract": "asha_core.testing.executors",
    "ObserverContract": "asha_core.testing.observers",
    "SchedulerContract": "asha_core.testing.schedulers",
    "SearcherContract": "asha_core.testing.searchers",
    "TaskContract": "asha_core.testing.tasks",
    "WarmStartContract": "asha_core.testing.warm_starts",
}

__all__ = sorted(_HOME)  # noqa: PLE0605

# so that what fails there is shown as in a test of one's own
_PARTS = ("driving", "looking", "scheduler_events", "trainings")
pytest.register_assert_rewrite(*_HOME.values(), *(f"{__name__}.{part}" for part in _PARTS))

if TYPE_CHECKING:
    from asha_core.testing.executors import ExecutorContract as ExecutorContract
    from asha_core.testing.observers import ObserverContract as ObserverContract
    from asha_core.testing.schedulers import SchedulerContract as SchedulerContract
    from asha_core.testing.searchers import SearcherContract as SearcherContract
    from asha_core.testing.tasks import TaskContract as TaskContract
    from asha_core.testing.warm_starts import WarmStartContract as WarmStartContract


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
