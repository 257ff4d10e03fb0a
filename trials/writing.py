"""When a checkpoint is written: at once, or beside the training of the next unit.

Whatever must be in order (a checkpoint, then the report that tells of it) is handed over in order. At most
one unit's work is under way: who hands over the next waits for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

Work = Callable[[], None]


class Writer:
    """Does work in the order in which it is handed over.

    After an error nothing more is done, since what comes after would tell of what is not there: the error is
    raised by every call from then on.

    Args:
        beside: whether ``begin`` has a thread. It ends when there is nothing left to do.
    """

    def __init__(self, beside: bool = False) -> None:
        self.beside = beside
        self._lock = threading.Lock()
        self._work: deque[Work] = deque()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def begin(self, work: Work) -> None:
        """Do this in the thread."""
        if self.beside:
            self._add(work, start=True)
        else:
            work()

    def add(self, work: Work) -> None:
        """Do this after all that was begun: now, if that is done."""
        if not self._add(work, start=False):
            work()

    def finish(self) -> None:
        """Return when everything is done."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        self._raise()

    def _add(self, work: Work, start: bool) -> bool:
        """Whether the thread does it."""
        self._raise()
        with self._lock:
            if self._thread is None and not start:
                return False
            self._work.append(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()
            return True

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._work or self._error is not None:
                    self._thread = None
                    return
                work = self._work.popleft()
            try:
                work()
            except BaseException as error:  # raised where somebody can tell the user
                self._error = error


def snapshot(state: Any) -> Any:
    """A copy of a state in the CPU's memory, which further training does not change.

    Tensors that stand in it twice stand twice in the copy. Whatever else it holds of what a checkpoint takes
    cannot be changed, or is a container that is copied.
    """
    return _copied(state, {})


def _copied(state: Any, seen: dict[int, Any]) -> Any:
    import torch

    if isinstance(state, torch.Tensor):
        if id(state) not in seen:
            copy = state.detach().to("cpu", copy=True)
            again = isinstance(state, torch.nn.Parameter)
            seen[id(state)] = torch.nn.Parameter(copy, state.requires_grad) if again else copy
        return seen[id(state)]
    if isinstance(state, dict):
        kind = OrderedDict if isinstance(state, OrderedDict) else dict
        return kind((key, _copied(value, seen)) for key, value in state.items())
    if isinstance(state, list | tuple) and not isinstance(state, torch.Size):
        return type(state)(_copied(value, seen) for value in state)
    return set(state) if isinstance(state, set) else state
