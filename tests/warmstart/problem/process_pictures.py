"""Prints what of its process each warm start has changed, as JSON: {what was done: [what differs, ...]}."""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from tests.warmstart.gallery.traces import changes, picture
from trials.worker.restorable import NUMPY, PYTHON, TORCH
from warmstart import Float, ModelProblem, SearchSpace, refine

SPACE = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "p": Float(0.1, 0.5)})
OPEN = Path("/proc/self/fd")
FUNCTIONS = {
    "random": random,
    "numpy.random": np.random,
    "torch": torch,
    "torch.cuda": torch.cuda,
    "torch.nn.functional": F,
    "warnings": warnings,
}


class Net(nn.Module):
    """Dropout and attention, and an error at the wanted call."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.calls, self.fails_at = [0], fails_at
        with torch.random.fork_rng():
            self.inside, self.attention = nn.Linear(4, 4), nn.MultiheadAttention(4, 2, 0.2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        self.calls[0] += 1
        if self.calls[0] == self.fails_at:
            raise KeyError("on purpose")
        hidden = self.inside(F.dropout(x, 0.3 + 0.1 * np.random.rand() + 0.1 * random.random()))
        return self.attention(hidden[:, None], hidden[:, None], hidden[:, None])[0][:, 0]


def process() -> dict[str, Any]:
    """How it is now."""
    found = {where: what for where, what in picture(()).items() if where.startswith("process: ")}
    for index, state in enumerate([*PYTHON, *NUMPY, *TORCH]):
        found[f"{state.name or index}"] = state.read()
    for name, module in FUNCTIONS.items():
        found[f"functions of {name}"] = {
            key: id(value) for key, value in vars(module).items() if callable(value)
        }
    return found | {
        "modes of PyTorch": (
            len(_get_current_dispatch_mode_stack()),
            len(_get_current_function_mode_stack()),
        ),
        "autocast's cache": torch.is_autocast_cache_enabled(),
        "cuDNN's attention": torch.backends.cuda.cudnn_sdp_enabled(),
        "saved tensors' hooks": torch._C._autograd._saved_tensors_hooks_is_enabled(),
        "threads": [thread.name for thread in threading.enumerate()],
        "loggers": (logging.root.level, logging.root.handlers[:], logging.root.manager.disable),
        "files": sorted(map(str, OPEN.iterdir())) if OPEN.is_dir() else None,
        "profilers": (sys.gettrace(), sys.getprofile()),
    }


def refined(name: str, fails_at: int) -> None:
    """One warm start."""
    inputs = torch.ones(8, 4) * torch.arange(8.0)[:, None].sin()
    problem = ModelProblem(
        SPACE,
        model=Net(fails_at),
        optimizer=lambda model, config: torch.optim.SGD(model.parameters(), lr=config["lr"]),
        data=(inputs, inputs.cos()),
        loss=lambda outputs, targets, config: (outputs - targets).square().mean() * (1 + config["p"]),
    )
    with suppress(KeyError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refine(name, problem, {"lr": 0.1, "p": 0.2})
        assert not fails_at


def otherwise() -> ExitStack:
    """The process as somebody may have it."""
    stack = ExitStack()
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.enable_flash_sdp(False)
    np.seterr(all="ignore")
    stack.enter_context(torch.no_grad())
    stack.enter_context(torch.autocast("cpu", torch.bfloat16))
    return stack


def main() -> None:
    """Alone and beside another thread; to the end, and by an error at each of the first calls."""
    refined("ohgw-1step", 0)  # what it loads, it loads once
    leave = threading.Event()
    found: dict[str, list[str]] = {}

    def look(circumstances: str) -> None:
        for name in ("ohgw-1step", "ohgw-brake"):
            for fails_at in (0, 1, 2):
                before = process()
                refined(name, fails_at)
                found[f"{name} {circumstances}, error at {fails_at}"] = changes(before, process())

    look("alone")
    thread = threading.Thread(target=leave.wait)
    thread.start()
    look("beside another thread")
    with otherwise():
        look("in another state")
    leave.set()
    thread.join()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
