"""One run of a study: ``asha-run`` in a process that ends with the study.

Linux tells it when its parent has died (``PR_SET_PDEATHSIG``); SIGTERM then stops the search in order, and it
can be gone on with.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have SIGTERM sent to this process when its parent ends; where the system cannot, nothing happens."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):  # not Linux
        return
    if os.getppid() != parent:  # it ended before that
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    sys.path.append(str(Path(__file__).resolve().parents[2]))  # a checkout that is not installed
    from asha_core.cli.run import main

    sys.exit(main(sys.argv[2:]))
