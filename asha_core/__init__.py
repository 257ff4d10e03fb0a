"""Asynchronous successive halving: a pure scheduling core, and an engine around it.

Importing this package loads neither torch nor the command line. The names below are the public ones;
each is loaded from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from asha_core.old_paths import keep_old_paths

__version__ = "0.1.0"

keep_old_paths()

_HOME = {
    "ASHA": "asha_core.schedulers.asha",
    "AshaError": "asha_core.errors",
    "BOIL": "asha_core.schedulers.boil",
    "BOHB": "asha_core.schedulers.bohb",
    "DyHPO": "asha_core.schedulers.dyhpo",
    "Best": "asha_core.schedulers.state",
    "Bracket": "asha_core.schedulers.brackets",
    "Choice": "asha_core.space",
    "Configuration": "asha_core.space",
    "ConfigurationError": "asha_core.errors",
    "Constant": "asha_core.space",
    "Curves": "asha_core.simulation.curves",
    "CurvesError": "asha_core.errors",
    "Executor": "asha_core.runtime.executor",
    "Failed": "asha_core.messages",
    "Finished": "asha_core.messages",
    "Float": "asha_core.space",
    "FullTraining": "asha_core.schedulers.full",
    "GPSearch": "asha_core.searchers.model_based",
    "GridSearch": "asha_core.searchers.grid",
    "Hyperband": "asha_core.schedulers.hyperband",
    "Int": "asha_core.space",
    "Job": "asha_core.messages",
    "Listed": "asha_core.searchers.listed",
    "Lost": "asha_core.messages",
    "Notice": "asha_core.runtime.executor",
    "Observer": "asha_core.runtime.observers",
    "Outcome": "asha_core.runtime.observers",
    "PASHA": "asha_core.schedulers.pasha",
    "QuasiRandomSearch": "asha_core.searchers.quasi_random",
    "RandomSearch": "asha_core.searchers.random_search",
    "Refined": "asha_core.messages",
    "Rejected": "asha_core.messages",
    "Report": "asha_core.messages",
    "Result": "asha_core.launch.result",
    "Retired": "asha_core.runtime.executor",
    "Retried": "asha_core.messages",
    "Rung": "asha_core.schedulers.rung",
    "RungCounts": "asha_core.schedulers.state",
    "Scheduler": "asha_core.schedulers.base",
    "SearchSpace": "asha_core.space",
    "SearchView": "asha_core.runtime.observers",
    "Searcher": "asha_core.searchers.base",
    "SettingError": "asha_core.errors",
    "SlotView": "asha_core.runtime.observers",
    "SpaceError": "asha_core.errors",
    "Status": "asha_core.schedulers.state",
    "StoppingASHA": "asha_core.schedulers.stopping",
    "SuccessiveHalving": "asha_core.schedulers.successive_halving",
    "SynchronousHyperband": "asha_core.schedulers.sync_hyperband",
    "TPESearch": "asha_core.searchers.model_based",
    "TrialState": "asha_core.schedulers.state",
    "TrialView": "asha_core.searchers.base",
    "Verdict": "asha_core.messages",
    "WorkerReady": "asha_core.runtime.executor",
    "simulate": "asha_core.simulation.simulate",
    "tune": "asha_core.launch.tuning",
}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604 - strings, built from the table above

if TYPE_CHECKING:
    from asha_core.errors import AshaError as AshaError
    from asha_core.errors import ConfigurationError as ConfigurationError
    from asha_core.errors import CurvesError as CurvesError
    from asha_core.errors import SettingError as SettingError
    from asha_core.errors import SpaceError as SpaceError
    from asha_core.launch.result import Result as Result
    from asha_core.launch.tuning import tune as tune
    from asha_core.messages import Failed as Failed
    from asha_core.messages import Finished as Finished
    from asha_core.messages import Job as Job
    from asha_core.messages import Lost as Lost
    from asha_core.messages import Refined as Refined
    from asha_core.messages import Rejected as Rejected
    from asha_core.messages import Report as Report
    from asha_core.messages import Retried as Retried
    from asha_core.messages import Verdict as Verdict
    from asha_core.runtime.executor import Executor as Executor
    from asha_core.runtime.executor import Notice as Notice
    from asha_core.runtime.executor import Retired as Retired
    from asha_core.runtime.executor import WorkerReady as WorkerReady
    from asha_core.runtime.observers import Observer as Observer
    from asha_core.runtime.observers import Outcome as Outcome
    from asha_core.runtime.observers import SearchView as SearchView
    from asha_core.runtime.observers import SlotView as SlotView
    from asha_core.schedulers.asha import ASHA as ASHA
    from asha_core.schedulers.base import Scheduler as Scheduler
    from asha_core.schedulers.bohb import BOHB as BOHB
    from asha_core.schedulers.boil import BOIL as BOIL
    from asha_core.schedulers.brackets import Bracket as Bracket
    from asha_core.schedulers.dyhpo import DyHPO as DyHPO
    from asha_core.schedulers.full import FullTraining as FullTraining
    from asha_core.schedulers.hyperband import Hyperband as Hyperband
    from asha_core.schedulers.pasha import PASHA as PASHA
    from asha_core.schedulers.rung import Rung as Rung
    from asha_core.schedulers.state import Best as Best
    from asha_core.schedulers.state import RungCounts as RungCounts
    from asha_core.schedulers.state import Status as Status
    from asha_core.schedulers.state import TrialState as TrialState
    from asha_core.schedulers.stopping import StoppingASHA as StoppingASHA
    from asha_core.schedulers.successive_halving import SuccessiveHalving as SuccessiveHalving
    from asha_core.schedulers.sync_hyperband import SynchronousHyperband as SynchronousHyperband
    from asha_core.searchers.base import Searcher as Searcher
    from asha_core.searchers.base import TrialView as TrialView
    from asha_core.searchers.grid import GridSearch as GridSearch
    from asha_core.searchers.listed import Listed as Listed
    from asha_core.searchers.model_based import GPSearch as GPSearch
    from asha_core.searchers.model_based import TPESearch as TPESearch
    from asha_core.searchers.quasi_random import QuasiRandomSearch as QuasiRandomSearch
    from asha_core.searchers.random_search import RandomSearch as RandomSearch
    from asha_core.simulation.curves import Curves as Curves
    from asha_core.simulation.simulate import simulate as simulate
    from asha_core.space import Choice as Choice
    from asha_core.space import Configuration as Configuration
    from asha_core.space import Constant as Constant
    from asha_core.space import Float as Float
    from asha_core.space import Int as Int
    from asha_core.space import SearchSpace as SearchSpace


def __getattr__(name: str) -> Any:
    if name in _HOME:
        try:
            home = importlib.import_module(_HOME[name])
        except AttributeError as error:  # Python would say that there is no such name here, and not why
            place = getattr(error.obj, "__file__", "built in")
            raise ImportError(f"{name} cannot be imported from asha_core: {error} ({place})") from error
        value = globals()[name] = getattr(home, name)
        return value
    raise AttributeError(f"module 'asha_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
