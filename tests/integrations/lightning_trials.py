"""A task that lets Lightning's Trainer train by itself."""

from __future__ import annotations

import warnings

from asha_core import Float, SearchSpace
from trials.task import Task
from trials.trial import Trial


class Fits(Task):
    """One ``fit`` a job; a callback reports each epoch."""

    space = SearchSpace({"lr": Float(1e-3, 1e-1, log=True)})
    max_resource = 9

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def setup(self, device: str) -> None:
        """Lightning takes seconds to import."""
        warnings.simplefilter("ignore")
        import lightning  # noqa: F401

    def run(self, trial: Trial) -> None:
        """Train."""
        from tests.integrations import lightning_fits

        lightning_fits.fit(trial, self.seconds)
