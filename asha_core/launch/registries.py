"""What of a search can come from elsewhere, by name; tasks and warm starts have theirs beside their own."""

from __future__ import annotations

from asha_core.plugins import Plugins
from asha_core.schedulers import SCHEDULERS
from asha_core.searchers import SEARCHERS

SCHEDULER = Plugins("scheduler", "asha_core.schedulers", "MyScheduler", SCHEDULERS)
SEARCHER = Plugins("searcher", "asha_core.searchers", "MySearcher", SEARCHERS)
OBSERVER = Plugins("observer", "asha_core.observers", "MyObserver")
EXECUTOR = Plugins(
    "executor",
    "asha_core.executors",
    "MyExecutor",
    {"simulate": "asha_core.simulation.executor:SimulatedExecutor"},
)
