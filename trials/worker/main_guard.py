"""Scripts that call ``tune`` without ``if __name__ == "__main__":``, which their workers notice."""

from __future__ import annotations

import os
import sys
from multiprocessing import process

from asha_core.runtime.terminal.streams import flush
from trials.worker import processes

STATUS = 97  # of a worker that has met the call
MISSING = (
    "every worker imports the script that calls tune(), and came upon the call: it must be under "
    '`if __name__ == "__main__":`'
)


def end_if_guard_missing() -> None:
    """End this process if it is a worker that is importing the script, for a search is about to begin.

    multiprocessing knows that it is, and would refuse to start the workers of that search.
    """
    if processes.is_marked() and getattr(process.current_process(), "_inheriting", False):
        flush(sys.stdout)
        flush(sys.stderr)
        os._exit(STATUS)
