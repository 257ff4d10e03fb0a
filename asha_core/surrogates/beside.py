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

    def compute() -> None:
        try:
            found.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=compute, name="asha-model-fit", daemon=True)
    thread.start()

    def wait() -> T:
        thread.join()
        if raised:
            raise raised[0]
        return found[0]

    return wait
