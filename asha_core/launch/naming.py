"""What a search and its results directory are called when nobody names them."""

from __future__ import annotations

import re
import time
from pathlib import Path

from asha_core.runtime.storage.run_directory import RunDirectory
from trials.tasks import TASKS


def short_name(target: str) -> str:
    """A task for people: "digits" for "trials.tasks.digits:Digits"; as ``--task`` takes it, if it is ours.

    >>> short_name("script:make.<locals>.Mine"), short_name("script:<lambda>")
    ('mine', 'lambda')
    """
    ours = {path: name for name, path in TASKS.items()}
    return ours.get(target) or target.rpartition(":")[2].rpartition("<locals>.")[2].strip("<>").lower()


def run_stem(name: str, scheduler: str, variation_name: str, seed: int) -> str:
    """How directories of a search begin that are named for it."""
    parts = (re.sub(r"[^\w.=+-]+", "-", part) for part in (name, scheduler, variation_name))
    return f"{'-'.join(parts)}-seed{seed}"


def default_directory(name: str, scheduler: str, variation_name: str, seed: int) -> RunDirectory:
    """A new directory under results/, named after what is run and when; numbered if that name is taken."""
    stem = f"{run_stem(name, scheduler, variation_name, seed)}-{time.strftime('%Y%m%d-%H%M%S')}"
    return RunDirectory(Path("results") / stem, numbered=True)
