"""What importing Ray does to a process, undone."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def leaving_the_process_as_it_was() -> Iterator[None]:
    """Importing Ray sets an exception hook, an environment variable and an entry of sys.path."""
    hook, path, environment = sys.excepthook, list(sys.path), dict(os.environ)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        sys.excepthook, sys.path[:] = hook, path
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
