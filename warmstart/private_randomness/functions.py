"""Functions that draw from the process's generators, or seed or keep them, made to know their thread."""

from __future__ import annotations

import functools
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from warmstart.private_randomness.streams import Streams

Here = Callable[[], Streams | None]
Instead = Callable[[Streams], Callable[..., Any]]

_RANDOM = [name for name in random.__all__ if hasattr(getattr(random, name), "__self__")]
_NUMPY: Any = np.random.mtrand
_NUMPYS = {  # name of a function -> of the method of ``RandomState``
    **{n: n for n in dir(np.random) if getattr(getattr(np.random, n), "__self__", None) is _NUMPY._rand},
    **{"seed": "seed", "ranf": "random_sample", "sample": "random_sample"},
}
_TORCH: dict[str, Instead] = {
    "get_rng_state": lambda streams: streams.generator().get_state,
    "set_rng_state": lambda streams: streams.generator().set_state,
    "initial_seed": lambda streams: streams.generator().initial_seed,
    "manual_seed": lambda streams: streams.seed_torch,
    "seed": lambda streams: streams.seed_torch_anew,
}
_CUDA: dict[str, Instead] = {
    "get_rng_state": lambda streams: lambda device="cuda": streams.generator(device).get_state(),
    "set_rng_state": lambda streams: lambda state, device="cuda": streams.generator(device).set_state(state),
    "initial_seed": lambda streams: lambda: streams.generator("cuda").initial_seed(),
    "manual_seed": lambda streams: lambda seed: streams.generator("cuda").manual_seed(int(seed)),
    "manual_seed_all": lambda streams: lambda seed: streams.generator("cuda").manual_seed(int(seed)),
    "seed": lambda streams: lambda: streams.generator("cuda").seed(),
    "seed_all": lambda streams: lambda: streams.generator("cuda").seed(),
}


class ReplacedFunctions:
    """Replaces them as long as any thread is inside, and puts them back when the last has left.

    Args:
        here: the streams of the thread that calls it; None: it draws from the process's generators.
    """

    def __init__(self, here: Here) -> None:
        self._here = here
        self._lock = threading.Lock()
        self._inside = 0
        self._replaced: list[tuple[Any, str, Any, Any]] = []  # (module, name, before, now)
        self._calls_of_others = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """For one thread."""
        with self._lock:
            if not self._inside:
                for module, name, instead in _table():
                    self._replace(module, name, instead)
            self._inside += 1
        before, calls = _states(), self._calls_of_others
        try:
            yield
        finally:
            if self._calls_of_others == calls:
                _warn_if_moved(before)
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._put_back()

    def _replace(self, module: Any, name: str, instead: Instead) -> None:
        original = getattr(module, name)

        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            streams = self._here()
            if streams is None:
                self._calls_of_others += 1
                return original(*args, **kwargs)
            return instead(streams)(*args, **kwargs)

        self._replaced.append((module, name, original, function))
        setattr(module, name, function)

    def _put_back(self) -> None:
        for module, name, original, function in self._replaced:
            if getattr(module, name, None) is function:  # otherwise it is somebody else's by now
                setattr(module, name, original)
        self._replaced.clear()


def _table() -> Iterator[tuple[Any, str, Instead]]:
    """(module, name of a function, what to call in its place)."""
    for name in _RANDOM:
        yield random, name, lambda streams, name=name: getattr(streams.python, name)  # type: ignore[misc]
    for name, method in _NUMPYS.items():
        yield np.random, name, lambda streams, name=method: getattr(streams.numpy, name)  # type: ignore[misc]
    for table, modules in ((_TORCH, (torch, torch.random)), (_CUDA, (torch.cuda, torch.cuda.random))):
        for name, instead in table.items():
            yield from ((module, name, instead) for module in modules)


def _states() -> dict[str, Any]:
    kind, keys, *rest = _NUMPY._rand.get_state(legacy=True)
    return {"random": random._inst.getstate(), "numpy.random": (kind, bytes(keys), *rest)}


def _warn_if_moved(before: Mapping[str, Any]) -> None:
    """By functions that were taken out of their modules before: in which thread, nobody knows."""
    for name, state in _states().items():
        if state != before[name]:
            warnings.warn(
                f"warm start: {name}'s global generator moved meanwhile, beside other threads: if the "
                f"model, its loss or its data draw by functions imported by name (from {name} import ...), "
                f"the hyper-gradient is noise; write {name}.NAME(...), or draw from PyTorch",
                stacklevel=2,
            )
