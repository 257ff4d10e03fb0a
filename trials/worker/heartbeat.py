"""A worker's sign of life, once a second, from a thread of its own; and the pipe that carries it.

The thread needs Python's lock (GIL) for a moment each time. So a worker that is training or waits for its
data beats; one that is stopped, or stuck with the lock in its hands, does not.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from asha_core.errors import ReportError
from asha_core.messages import Report
from trials.worker.memory import resident_bytes

_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The worker is alive, and holds ``memory`` bytes; 0 where that is not known."""

    memory: int


class EventSender:
    """The worker's end of its events pipe, for several threads.

    Attributes:
        reports: how many of the messages sent were reports.
    """

    def __init__(self, events: Connection) -> None:
        self.reports = 0
        self._events = events
        self._lock = threading.Lock()  # a connection may be written to by one thread at a time

    def send(self, message: Any) -> None:
        """Send a message whole.

        Raises:
            ReportError: it does not pickle; nothing was sent.
            OSError: the engine is gone.
        """
        try:
            content = ForkingPickler.dumps(message)
        except Exception as error:  # whatever a __reduce__ raises
            raise ReportError(
                f"{type(message).__name__} cannot be sent to the engine ({type(error).__name__}: {error}): "
                "use plain numbers, text, lists and mappings"
            ) from error
        with self._lock:
            self._events.send_bytes(content)
            self.reports += isinstance(message, Report)


def start_heartbeat(sender: EventSender) -> None:
    """Send a ``Heartbeat`` now and once a second, as long as the process lives."""

    def beat() -> None:
        while True:
            try:
                sender.send(Heartbeat(resident_bytes()))
            except OSError:  # the engine is gone
                return
            except (ReportError, MemoryError):  # this one could not be sent: perhaps the next one can
                pass
            time.sleep(_INTERVAL)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
