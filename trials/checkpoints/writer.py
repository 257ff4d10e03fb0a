"""When a checkpoint is written: at once, or beside the training of the next unit.

Whatever must be in order (a checkpoint, then the report that tells of it) is handed over in order. At most
one unit's work is under way: who hands over the next waits for it.
"""

from __future__ import annotations

import copy
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
        with self._lock:
            self._raise()  # under the lock: the thread that failed must not be taken for one that is done
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
                if not self._work:
                    self._thread = None
                    return
                work = self._work.popleft()
            try:
                work()
            except BaseException as error:  # raised where somebody can tell the user
                with self._lock:
                    self._error, self._thread = error, None
                    self._work.clear()
                return


def snapshot(state: Any) -> Any:
    """A copy of a state in the CPU's memory, which further training does not change.

    It is saved as the state itself would be: tensors that share memory (tied weights, views) still do, and a
    ``state_dict`` keeps its versions.
    """
    return _copied(state, {})


def _copied(state: Any, seen: dict[int, Any]) -> Any:
    import torch

    if isinstance(state, torch.Tensor):
        return _tensor(state, seen)
    if isinstance(state, OrderedDict):
        ordered = OrderedDict((key, _copied(value, seen)) for key, value in state.items())
        for name, value in vars(state).items():  # such as a module's _metadata
            setattr(ordered, name, copy.deepcopy(value))
        return ordered
    if isinstance(state, dict):
        return {key: _copied(value, seen) for key, value in state.items()}
    if isinstance(state, list | tuple | set) and not isinstance(state, torch.Size):
        return type(state)(_copied(value, seen) for value in state)
    return state


def _tensor(tensor: Any, seen: dict[int, Any]) -> Any:
    import torch

    values = tensor.detach()
    if values.layout is not torch.strided or values.is_quantized or values.is_conj() or values.is_neg():
        made = values.clone().cpu()
    elif values.is_meta:
        made = values
    else:
        memory = values.untyped_storage()
        if memory._cdata not in seen:  # with the original, so that its place is not given to another
            seen[memory._cdata] = memory, memory.clone().cpu()
        made = torch.empty(0, dtype=values.dtype)
        made.set_(seen[memory._cdata][1], values.storage_offset(), values.size(), values.stride())
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(made, tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad)
