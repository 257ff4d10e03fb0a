"""A picture of everything that a warm start may not change, in reach of some objects and in the process."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from tests.warmstart.problem.restoring.pictures import describe

Picture = dict[str, Any]


def picture(roots: Any) -> Picture:
    """Where -> what is there, of all that can be reached from ``roots`` and of the process."""
    found: Picture = {f"process: {name}": value for name, value in _process().items()}
    return found | dict(describe(roots))


def changes(before: Picture, after: Picture) -> list[str]:
    """What differs, in words."""
    words = [f"{where} is gone" for where in before if where not in after]
    words += [f"{where} is new" for where in after if where not in before]
    return words + [
        f"{where} changed" for where in before if where in after and before[where] != after[where]
    ]


def _process() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    backends = torch.backends.cuda
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "random's generator": random.getstate(),
        "numpy's generator": (name, bytes(keys), *rest),
        "modes": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
        ),
        "types": (torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()),
        "kernels": (
            backends.flash_sdp_enabled(),
            backends.math_sdp_enabled(),
            backends.mem_efficient_sdp_enabled(),
        ),
        "threads": torch.get_num_threads(),
    }
