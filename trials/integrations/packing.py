"""A trainer's own files in a trial's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trials.trial import JobStopped, Trial

if TYPE_CHECKING:
    from torch import Tensor


def packed(file: Path) -> Tensor:
    """A file's bytes, uint8: PyTorch writes ``bytes`` as text, longer than they are, and 4 GB at most."""
    import numpy as np
    import torch

    return torch.from_numpy(np.fromfile(file, dtype=np.uint8))


def unpacked(content: Tensor, file: Path) -> None:
    """Write the bytes as a file again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content.numpy().tofile(file)


def ended(trial: Trial) -> None:
    """The trainer has returned: if that is before the job's end, another callback of its has ended it.

    Raises:
        JobStopped: the search is being stopped, and the trainer may have ended for that.
    """
    if 0 < trial.done < trial.until:
        if trial.stopping:
            raise JobStopped(f"trial {trial.id} stopped after unit {trial.done}")
        trial.stop_early()
