"""Whether other threads could draw random numbers meanwhile."""

from __future__ import annotations

import sys
import threading
from typing import Any

# threads of libraries (and of this project's engine and workers) that draw nothing, by what runs in them
_QUIET = (
    *("asha_core.", "trials.checkpoints.", "trials.worker.", "execnet.", "tqdm.", "zmq.", "tensorboard."),
    *(
        "IPython.core.history",
        "ipykernel.control",
        "ipykernel.heartbeat",
        "ipykernel.iostream",
        "pytest_timeout",
    ),
    *("concurrent.futures.process", "multiprocessing.", "torch.utils.data._utils.pin_memory"),
)


def alone() -> bool:
    """Whether no other thread could draw a random number now."""
    frames = sys._current_frames()
    del frames[threading.get_ident()]  # this very one: it would hold itself, and all that its callers have
    return all(map(_is_quiet, frames.values()))


def _is_quiet(frame: Any) -> bool:
    """Whether the thread with this frame runs a function that is known to draw nothing."""
    outermost = ""
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        outermost = outermost if name == "threading" else name
        frame = frame.f_back
    return outermost.startswith(_QUIET)
