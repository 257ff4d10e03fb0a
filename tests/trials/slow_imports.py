"""A module that waits for a child when it is imported, as one that compiles an extension does."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.trials import jobs
from trials.task import Task
from trials.trial import Trial

if "ASHA_TEST_CHILD" in os.environ:  # of a worker, and not here
    subprocess.run([sys.executable, "-I", "-S", "-c", os.environ["ASHA_TEST_CHILD"]], check=True)


class Compiled(Task):
    space = jobs.SPACE

    def run(self, trial: Trial) -> None:
        jobs.reports(trial)
