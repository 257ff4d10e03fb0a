"""Something computed in a thread beside the search, and waited for where it takes effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def begin(function: Callable[[], T]) -> Callable[[], T]:
    """Begin to compute ``function()`` in a thread of its own.

    Args:
        function: of what nobody else changes meanwhile.
    Returns:
        A function that waits for the result, and returns it, or raises what was raised. It may be called
        again.
    """
    found: list[T] = []
    raised: list[BaseException] = []
    # waited for in place of the thread: Ctrl-C in ``Thread.join`` makes Python 3.11 take a thread that runs
    # for one that has ended
    ended = threading.Event()

    def compute() -> None:
        try:
            found.append(function())
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    threading.Thread(target=compute, name="asha-model-fit", daemon=True).start()

    def wait() -> T:
        ended.wait()
        if raised:
            raise raised[0]
        return found[0]

    return wait
