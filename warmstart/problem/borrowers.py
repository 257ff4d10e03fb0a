"""Which thread has borrowed which model: while one measures it, its weights are not the caller's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from asha_core.errors import TaskError

_lock = threading.Lock()
_borrowers: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


@contextmanager
def borrowed_here(model: nn.Module) -> Iterator[None]:
    """Inside, no other thread can borrow it; this one can again.

    Raises:
        TaskError: another thread has it.
    """
    with _lock:
        check_not_borrowed_elsewhere(model)
        outermost = model not in _borrowers
        _borrowers[model] = threading.get_ident()
    try:
        yield
    finally:
        if outermost:
            with _lock:
                _borrowers.pop(model, None)


def check_not_borrowed_elsewhere(model: nn.Module) -> None:
    """Raise ``TaskError`` for a model that a warm start in another thread measures now."""
    if _borrowers.get(model, threading.get_ident()) != threading.get_ident():
        raise TaskError(
            f"a warm start in another thread measures the same {type(model).__name__}, and has other weights "
            "in it meanwhile: give each trial a model of its own (copy.deepcopy, or a function that makes it)"
        )
