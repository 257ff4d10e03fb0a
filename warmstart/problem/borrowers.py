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
    """Inside, no other thread can borrow it, or one that shares layers with it; this one can again.

    Raises:
        TaskError: another thread has it.
    """
    with _lock:
        check_not_borrowed_elsewhere(model)
        borrowed = [part for part in _changing(model) if part not in _borrowers]
        _borrowers.update(dict.fromkeys(borrowed, threading.get_ident()))
    try:
        yield
    finally:
        with _lock:
            for part in borrowed:
                _borrowers.pop(part, None)


def check_not_borrowed_elsewhere(model: nn.Module) -> None:
    """Raise ``TaskError`` for a model that another thread measures now, in whole or in part."""
    here = threading.get_ident()
    if not _borrowers:
        return
    for part in _changing(model):
        if _borrowers.get(part, here) != here:
            raise TaskError(
                f"a warm start in another thread measures the same {type(part).__name__}, and has other "
                "weights in it meanwhile: give each trial a model of its own (copy.deepcopy, or a function "
                "that makes it)"
            )


def _changing(model: nn.Module) -> Iterator[nn.Module]:
    """The model, and those of its layers whose tensors passes may change: a frozen part can be shared."""
    for part in model.modules():
        trained = any(weight.requires_grad for weight in part._parameters.values() if weight is not None)
        if part is model or trained or (part.training and part._buffers):
            yield part
