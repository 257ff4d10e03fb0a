"""Import paths that documents of older versions name: they go on working, and say where the module is now."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "analysis.metrics": "analysis.journals.metrics",
    "analysis.paired": "analysis.stats.paired",
    "analysis.power": "analysis.stats.power",
    "analysis.problems": "analysis.study.problems",
    "analysis.replicate": "analysis.journals.replicate",
    "analysis.runs": "analysis.journals.runs",
    "analysis.sensitivity": "analysis.stats.sensitivity",
    "analysis.study_contents": "analysis.report.study_contents",
    "analysis.study_report": "analysis.report.study_report",
    "analysis.study_tables": "analysis.report.tables",
    "analysis.survival": "analysis.stats.survival",
    "asha_core.cli.final": "asha_core.cli.final_test",  # asha-test of an installation made before
    "asha_core.cli.test": "asha_core.cli.final_test",
    "asha_core.forecast": "asha_core.schedulers.forecast",
    "asha_core.levels": "asha_core.schedulers.levels",
    "asha_core.tuning": "asha_core.launch.tuning",
    "trials.torch_task.final_test": "trials.final_test",
    "trials.torch_task.load_model": "trials.loading",
    "warmstart.model_problem": "warmstart.problem.model_problem",
}


class _Moved(MetaPathFinder, Loader):
    """Loads the names of a module under its old path too: the very same objects."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        now = MOVED[module.__name__]
        warnings.warn(
            f"{module.__name__} is {now} now: import it from there", DeprecationWarning, stacklevel=2
        )
        found = vars(import_module(now))
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})


def keep_old_paths() -> None:
    """Look for what no other importer finds among the modules that have moved."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
