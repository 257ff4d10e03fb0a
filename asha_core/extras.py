"""Libraries that need not be there: which extra has each, and what is said where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from asha_core.errors import AshaError, TaskError

# library, as it is imported -> extra of setup.cfg; the others are there, or are nobody's extra
EXTRAS = {
    "accelerate": "hugging-face",
    "ale_py": "rl",
    "cv2": "rl",  # opencv-python-headless
    "gpytorch": "bo",
    "gymnasium": "rl",
    "lightning": "lightning",
    "onnxruntime": "onnx",
    "optuna": "bo",
    "pandas": "tabular",
    "pyarrow": "tabular",
    "shtab": "completion",
    "stable_baselines3": "rl",
    "statsmodels": "loess",
    "tokenizers": "language",
    "transformers": "hugging-face",
    "xgboost": "tabular",
}


def missing(libraries: Iterable[str], extra: str | None = None) -> str:
    """Which of these libraries are not installed, and how to install them; empty: none. None is loaded.

    Args:
        libraries: as they are imported.
        extra: that has them, where ``EXTRAS`` names another one.
    """
    names = [library for library in libraries if importlib.util.find_spec(library) is None]
    if not names:
        return ""
    are = "which is" if len(names) == 1 else "which are"
    return f"{' and '.join(names)}, {are} not installed: pip install {_to_install(names, extra)}"


def needed(extra: str | None, *libraries: str, what: str, error: type[AshaError] = TaskError) -> None:
    """Raise ``error`` if a library is missing, with how to install it. None is loaded.

    Args:
        extra: as for ``missing``.
        libraries: as they are imported.
        what: who needs them, such as ``task language``.
        error: its class.
    """
    if lacking := missing(libraries, extra):
        raise error(f"{what} needs {lacking}")


def _to_install(names: Iterable[str], extra: str | None) -> str:
    extras = dict.fromkeys(extra or EXTRAS.get(name, "") for name in names)
    if named := ",".join(filter(None, extras)):
        return f"'asha-core[{named}]'"
    return " ".join(names)
