"""Spaces of other libraries, read: Optuna, Ray Tune, ConfigSpace.

Each library is imported only where its objects are read, and none of them has to be installed.
"""

from __future__ import annotations

import importlib
from typing import Any


def library(module: str, extra: str) -> Any:
    """An optional library's module, or an error that says how to have it.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} cannot be imported ({error}): pip install 'asha-core[{extra}]'"
        ) from error
