"""Checkpoints: written whole or not at all, and loadable with ``torch.load(weights_only=True)``.

A file holds {"format": 1, "resource": units completed, "configuration": {...}, "task": {...},
"state": what the task saved}. Nothing in it can run code when it is loaded.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asha_core.errors import ReportError, ResultsError

FORMAT = 1


def check_state(state: Any, where: str = "state") -> None:
    """Raise ``ReportError`` if ``state`` holds what ``weights_only`` loading would refuse."""
    import torch

    # exact types: a subclass, such as numpy.float64, a named tuple or an enum, is not loaded back
    kind = type(state)
    if state is None or kind in (bool, int, float, str, bytes, torch.Tensor, torch.nn.Parameter, torch.Size):
        return
    if kind in (dict, OrderedDict):
        for key, value in state.items():
            check_state(key, f"a key of {where}")
            check_state(value, f"{where}[{key!r}]")
    elif kind in (list, tuple, set):
        for index, value in enumerate(state):
            check_state(value, f"{where}[{index}]")
    else:
        raise ReportError(
            f"{where} is a {kind.__name__}: a checkpoint holds tensors, plain numbers, strings, lists and "
            "dicts; save float(x) for a numpy number, torch.from_numpy(array) for an array, a module's "
            "state_dict()"
        )


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` to ``path`` atomically: temporary file, fsync, rename."""
    import torch

    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        torch.save({"format": FORMAT, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        ResultsError: there is none, it is damaged, or it is of another format.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ResultsError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch raises half a dozen types for a damaged file
        # not its text, which advises to load with weights_only=False
        raise ResultsError(f"checkpoint {path} is damaged ({type(error).__name__})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ResultsError(f"{path} is not a checkpoint of format {FORMAT}")
    return content
