"""Who watches a search is told in order, and can never end it: an observer that raises is left out then."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asha_core.runtime.executor import Notice
from asha_core.runtime.observers import Observer, SearchView, one_line


class Audience:
    """The observers of a search.

    What one of them raises becomes a notice, which the loop journals and shows like any other. Only what is
    no ``Exception`` gets through, such as the ``KeyboardInterrupt`` of somebody who wants to stop.

    Args:
        observers: called in this order.
        view: handed to each of them.
    """

    def __init__(self, observers: Sequence[Observer], view: SearchView) -> None:
        self._observers = list(observers)
        self._view = view
        self._listeners: dict[str, list[tuple[Observer, Callable[..., None]]]] = {}  # by method
        self.all = tuple(observers)  # those that were left out, too

    def tell(self, method: str, *arguments: Any) -> None:
        """Call ``method`` of everybody, with the view and ``arguments``."""
        listeners = self._listeners.get(method)
        if listeners is None:
            listeners = self._listeners[method] = self._listening(method)
        for observer, listener in listeners:
            try:
                listener(self._view, *arguments)
            except Exception as error:
                self._leave_out(observer, method, error)

    def _listening(self, method: str) -> list[tuple[Observer, Callable[..., None]]]:
        """Who does something in ``method``: most observers have left most methods as they are."""
        found = [(observer, getattr(observer, method)) for observer in self._observers]
        empty = getattr(Observer, method)
        return [each for each in found if getattr(each[1], "__func__", None) is not empty]

    def replay(self, method: str, *arguments: Any) -> None:
        """The same, of those that hear of earlier sessions, too."""
        for observer in tuple(self._observers):
            if observer.replays:
                self.call(observer, method, self._view, *arguments)

    def close(self, observer: Observer) -> None:
        """Let it give back what it holds, whether it was left out or not."""
        self.call(observer, "close")

    def call(self, observer: Observer, method: str, *arguments: Any) -> None:
        """Call one; if it raises, say so once."""
        try:
            getattr(observer, method)(*arguments)
        except Exception as error:
            self._leave_out(observer, method, error)

    def _leave_out(self, observer: Observer, method: str, error: Exception) -> None:
        if observer in self._observers:
            self._observers.remove(observer)
            self._listeners = {}
            self._view.notices.append(Notice(_told(observer, method, error)))


def raised(error: BaseException) -> str:
    """What was raised, and where, in one line."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # beyond whoever caught it
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{one_line(f'{type(error).__name__}: {error}')}{where}"


def _told(observer: Observer, method: str, error: Exception) -> str:
    return f"observer {type(observer).__name__} is left out from now on, its {method} raised {raised(error)}"
